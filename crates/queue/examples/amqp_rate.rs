//! Measures the RabbitMQ broker on the server at the address given: publishing, and claiming and ending no-op jobs of 1 KB, on
//! queues of its own. `cargo run --release -p queue --example amqp_rate amqp://guest:guest@localhost/`

use bytes::Bytes;
use queue::brokers::amqp::{Amqp, AmqpConfig, Naming};
use queue::{Broker, ClaimRequest, Finish, JobId, Ledger, NewJob, QueueBounds};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

const JOBS: usize = 40_000;
const BATCH: usize = 500;
const PUBLISHERS: usize = 64;
const JOBS_EACH: usize = 200;

fn job(id: &str, key: u64) -> NewJob {
    NewJob { fairness_key: key, ..NewJob::new(JobId::new(id), "t", "q", Bytes::from(vec![7; 1_024])) }
}

fn request(jobs_max: usize) -> ClaimRequest {
    let lease = Duration::from_secs(20);
    ClaimRequest { queues: vec![QueueBounds { queue: "q".to_owned(), jobs_max, bytes_max: 16 << 20, lease }] }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let url = std::env::args().nth(1).expect("the argument is an address");
    let config = AmqpConfig::parse(&url, folder.path().join("queue.db")).expect("an address");
    let prefix = format!("rate.{}.", std::process::id());
    let naming = Naming { prefix, ..config.naming.clone() };
    let config = AmqpConfig { naming, ..config };
    let broker = Arc::new(Amqp::open(config, Arc::new(stdx::SystemClock)).expect("opened"));
    publishing(&broker).await;
    consuming(&broker, PUBLISHERS * JOBS_EACH, 100);
    for batch in [10, 100, 1_000] {
        filled(&broker).await;
        consuming(&broker, JOBS, batch);
    }
    let left = broker.purge("q").expect("purged");
    println!("left over: {left}");
}

async fn publishing(broker: &Arc<Amqp>) {
    let started = Instant::now();
    let publish = |number: usize| {
        let broker = broker.clone();
        async move {
            for index in 0..JOBS_EACH {
                broker.publish(vec![job(&format!("{number}-{index}"), number as u64)]).await.expect("kept");
            }
        }
    };
    let publishers: Vec<_> = (0..PUBLISHERS).map(|number| tokio::spawn(publish(number))).collect();
    for publisher in publishers {
        publisher.await.expect("published");
    }
    let rate = (PUBLISHERS * JOBS_EACH) as f64 / started.elapsed().as_secs_f64();
    println!("published one by one by {PUBLISHERS}: {rate:.0}/s");
}

async fn filled(broker: &Arc<Amqp>) {
    let started = Instant::now();
    for first in (0..JOBS).step_by(BATCH) {
        let jobs = (first..first + BATCH).map(|number| job(&format!("n{number}"), 0)).collect();
        broker.publish(jobs).await.expect("kept");
    }
    println!("published in batches of {BATCH}: {:.0}/s", JOBS as f64 / started.elapsed().as_secs_f64());
}

fn consuming(broker: &Arc<Amqp>, jobs: usize, batch: usize) {
    let started = Instant::now();
    let left = AtomicI64::new(jobs as i64);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while left.load(Ordering::Relaxed) > 0 {
                    let claimed = broker.claim(&request(batch)).expect("claimed");
                    let ends = claimed.iter().map(|job| (job.lease, Finish::Done)).collect();
                    assert!(broker.finish(ends).expect("ended").is_empty());
                    left.fetch_sub(claimed.len() as i64, Ordering::Relaxed);
                }
            });
        }
    });
    let rate = jobs as f64 / started.elapsed().as_secs_f64();
    println!("claimed and ended, batches of {batch}, two threads: {rate:.0}/s");
}
