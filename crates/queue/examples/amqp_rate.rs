//! Measures the RabbitMQ broker on the server at the address given: publishing, and claiming and ending no-op jobs of 1 KB, on
//! queues of its own; with each rate the processor time that a job takes here, which a busy machine does not change.
//! `cargo run --release -p queue --example amqp_rate amqp://guest:guest@localhost/`

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
    let left = broker.purge("q", &mut |_| Ok(())).expect("purged");
    println!("left over: {left}");
}

async fn publishing(broker: &Arc<Amqp>) {
    let measure = Measure::start();
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
    measure.print(&format!("published one by one by {PUBLISHERS}"), PUBLISHERS * JOBS_EACH);
}

async fn filled(broker: &Arc<Amqp>) {
    let measure = Measure::start();
    for first in (0..JOBS).step_by(BATCH) {
        let jobs = (first..first + BATCH).map(|number| job(&format!("n{number}"), 0)).collect();
        broker.publish(jobs).await.expect("kept");
    }
    measure.print(&format!("published in batches of {BATCH}"), JOBS);
}

fn consuming(broker: &Arc<Amqp>, jobs: usize, batch: usize) {
    let measure = Measure::start();
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
    measure.print(&format!("claimed and ended, batches of {batch}, two threads"), jobs);
}

struct Measure {
    started: Instant,
    processor_before: f64,
}

impl Measure {
    fn start() -> Measure {
        Measure { started: Instant::now(), processor_before: processor_seconds() }
    }

    fn print(&self, what: &str, jobs: usize) {
        let rate = jobs as f64 / self.started.elapsed().as_secs_f64();
        let micros = (processor_seconds() - self.processor_before) * 1e6 / jobs as f64;
        println!("{what}: {rate:.0}/s, {micros:.0} µs of processor time each");
    }
}

/// Of this process so far.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    // User and system time, in hundredths of a second.
    let ticks = |index: usize| fields.get(index).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}
