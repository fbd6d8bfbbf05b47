//! Measures the Redis broker on a server that it starts itself: publishing, claiming and ending no-op jobs of 1 KB, and the
//! time from publish to claim of an idle queue. `cargo run --release -p queue --example redis_rate`

use bytes::Bytes;
use queue::brokers::redis::{Redis, RedisConfig};
use queue::{Broker, ClaimRequest, Finish, JobId, NewJob, QueueBounds};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

const JOBS: usize = 200_000;
const BATCH: usize = 500;
const PUBLISHERS: usize = 64;
const JOBS_EACH: usize = 1_000;

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // A server that ended by itself needs no end.
        let _ = self.0.kill();
    }
}

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
    let mut command = Command::new("redis-server");
    command.args(["--port", "0", "--save", "", "--unixsocket", "r.sock"]).current_dir(folder.path());
    let _server = Server(command.stdout(Stdio::null()).spawn().expect("redis-server starts"));
    let address = format!("redis+socket://{}", folder.path().join("r.sock").display());
    let config = RedisConfig::parse(&address).expect("an address");
    let open = || Arc::new(Redis::open(config.clone(), Arc::new(stdx::SystemClock)).expect("opened"));
    let broker = open();
    while broker.depths().is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    publishing(&broker).await;
    consuming(&broker, PUBLISHERS * JOBS_EACH, 100);
    for batch in [1, 10, 100, 500] {
        filled(&broker).await;
        consuming(&broker, JOBS / 4, batch);
    }
    waiting(&broker, &open()).await;
}

async fn publishing(broker: &Arc<Redis>) {
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

async fn filled(broker: &Arc<Redis>) {
    let started = Instant::now();
    for first in (0..JOBS / 4).step_by(BATCH) {
        let jobs = (first..first + BATCH).map(|number| job(&format!("n{number}"), 0)).collect();
        broker.publish(jobs).await.expect("kept");
    }
    println!("published in batches of {BATCH}: {:.0}/s", (JOBS / 4) as f64 / started.elapsed().as_secs_f64());
}

fn consuming(broker: &Arc<Redis>, jobs: usize, batch: usize) {
    let started = Instant::now();
    let left = std::sync::atomic::AtomicI64::new(jobs as i64);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while left.load(std::sync::atomic::Ordering::Relaxed) > 0 {
                    let claimed = broker.claim(&request(batch)).expect("claimed");
                    let ends = claimed.iter().map(|job| (job.lease, Finish::Done)).collect();
                    assert!(broker.finish(ends).expect("ended").is_empty());
                    left.fetch_sub(claimed.len() as i64, std::sync::atomic::Ordering::Relaxed);
                }
            });
        }
    });
    let rate = jobs as f64 / started.elapsed().as_secs_f64();
    println!("claimed and ended, batches of {batch}, two threads: {rate:.0}/s");
}

async fn waiting(broker: &Arc<Redis>, publisher: &Arc<Redis>) {
    let mut waits = Vec::new();
    for number in 0..500 {
        let worker = broker.clone();
        let waiting = tokio::task::spawn_blocking(move || {
            let claimed = worker.claim(&request(1)).expect("claimed");
            let at = Instant::now();
            worker.finish(claimed.iter().map(|job| (job.lease, Finish::Done)).collect()).expect("ended");
            at
        });
        tokio::time::sleep(Duration::from_millis(5)).await;
        let began = Instant::now();
        publisher.publish(vec![job(&format!("w{number}"), 0)]).await.expect("kept");
        waits.push(waiting.await.expect("claimed").saturating_duration_since(began));
    }
    waits.sort();
    println!("from publish to claimed, idle: p50 {:?}, p99 {:?}", waits[250], waits[495]);
}
