//! Measures the embedded broker on this folder's disk: durable publishing by 64 publishers of 3.2 KB jobs, one at a time;
//! the memory that a million waiting jobs take; claiming and ending them. `cargo run --release -p queue --example publish_rate`

use bytes::Bytes;
use queue::brokers::embedded::{Config, Durability, Embedded};
use queue::{Broker, ClaimRequest, Finish, JobId, NewJob, QueueBounds};
use std::sync::Arc;
use std::time::{Duration, Instant};

const PUBLISHERS: usize = 64;
const JOBS_EACH: usize = 2_000;
const WAITING: usize = 1_000_000;
/// Jobs of one publish or claim while the million is made and taken.
const BATCH: usize = 1_000;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    publishing().await;
    waiting().await;
}

fn open(folder: &tempfile::TempDir, durability: Durability) -> Arc<Embedded> {
    let config = Config {
        folder: folder.path().to_owned(),
        durability,
        jobs_max: 10_000_000,
        bytes_max: 10 << 30,
        free_min: 0,
        free_space: Arc::new(|| Ok(u64::MAX)),
        reassert_grace: Duration::ZERO,
    };
    Arc::new(Embedded::open(config, Arc::new(stdx::SystemClock)).expect("the broker opens"))
}

fn job(id: &str, bytes: usize) -> NewJob {
    NewJob {
        id: JobId::new(id),
        task: "t".into(),
        queue: "q".into(),
        fairness_key: 1,
        priority: 5,
        delay: Duration::ZERO,
        enqueued_at: None,
        payload: Bytes::from(vec![7; bytes]),
        options: Default::default(),
    }
}

async fn publishing() {
    let folder = tempfile::tempdir_in(".").expect("a temporary folder");
    let broker = open(&folder, Durability::Power);
    let started = Instant::now();
    let publish = |number: usize| {
        let broker = broker.clone();
        async move {
            for index in 0..JOBS_EACH {
                broker.publish(vec![job(&format!("{number}-{index}"), 3_200)]).await.expect("a job is kept");
            }
        }
    };
    let publishers: Vec<_> = (0..PUBLISHERS).map(|number| tokio::spawn(publish(number))).collect();
    for publisher in publishers {
        publisher.await.expect("a publisher ends");
    }
    let rate = (PUBLISHERS * JOBS_EACH) as f64 / started.elapsed().as_secs_f64();
    println!("published durably: {rate:.0} jobs/s");
}

async fn waiting() {
    let folder = tempfile::tempdir_in(".").expect("a temporary folder");
    let broker = open(&folder, Durability::Process);
    let before = resident_bytes();
    for batch in 0..WAITING / BATCH {
        let jobs = (0..BATCH).map(|index| job(&format!("{batch}-{index}"), 100)).collect();
        broker.publish(jobs).await.expect("jobs are kept");
    }
    println!("a million waiting jobs: {} MB", (resident_bytes() - before) >> 20);
    drop(broker);
    let started = Instant::now();
    let broker = open(&folder, Durability::Process);
    println!("opened again in {} ms", started.elapsed().as_millis());
    let bounds =
        QueueBounds { queue: "q".to_owned(), jobs_max: BATCH, bytes_max: usize::MAX, lease: Duration::from_secs(20) };
    let request = ClaimRequest { queues: vec![bounds] };
    let started = Instant::now();
    for _ in 0..WAITING / BATCH {
        let claimed = broker.claim(&request).expect("jobs are claimed");
        broker.finish(claimed.iter().map(|job| (job.lease, Finish::Done)).collect()).expect("runs are ended");
    }
    println!("claimed and ended: {:.0} jobs/s", WAITING as f64 / started.elapsed().as_secs_f64());
}

fn resident_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = text.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or_default();
    pages * 4_096
}
