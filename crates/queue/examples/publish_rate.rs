//! Measures durable publishing: 64 publishers of 3.2 KB each, one job at a time. `cargo run --release -p queue --example publish_rate`

use bytes::Bytes;
use queue::brokers::embedded::{Config, Durability, Embedded};
use queue::{Broker, JobId, NewJob};
use std::sync::Arc;
use std::time::{Duration, Instant};

const PUBLISHERS: usize = 64;
const JOBS_EACH: usize = 2_000;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let folder = tempfile::tempdir_in(".").expect("a temporary folder");
    let config = Config {
        folder: folder.path().to_owned(),
        durability: Durability::Power,
        jobs_max: 10_000_000,
        bytes_max: 10 << 30,
        free_min: 0,
        free_space: Arc::new(|| Ok(u64::MAX)),
    };
    let broker = Arc::new(Embedded::open(config, Arc::new(stdx::SystemClock)).expect("the broker opens"));
    let started = Instant::now();
    let publishers: Vec<_> = (0..PUBLISHERS).map(|number| tokio::spawn(publish(broker.clone(), number))).collect();
    for publisher in publishers {
        publisher.await.expect("a publisher ends");
    }
    let rate = (PUBLISHERS * JOBS_EACH) as f64 / started.elapsed().as_secs_f64();
    println!("{rate:.0} jobs/s");
}

async fn publish(broker: Arc<Embedded>, number: usize) {
    for index in 0..JOBS_EACH {
        let job = NewJob {
            id: JobId::new(&format!("{number}-{index}")),
            task: "t".into(),
            queue: "q".into(),
            fairness_key: 1,
            priority: 5,
            delay: Duration::ZERO,
            payload: Bytes::from(vec![7; 3_200]),
        };
        broker.publish(vec![job]).await.expect("a job is kept");
    }
}
