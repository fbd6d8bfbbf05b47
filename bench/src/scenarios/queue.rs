//! `queue`: durable publishing, claiming and ending, and the time from publishing to the start of a run, on the embedded
//! queue, on Redis and on RabbitMQ (classic queues and quorum queues), with no-op tasks of 1 KB; and real Celery on the same
//! servers in the same run. It drives the queue crate itself: no command or request is as fast as what is to be measured
//! (decision 0060).

mod celery;
mod nothing;

use crate::Place;
use anyhow::Context;
use bench::load::{latency, round};
use bench::rabbit::Rabbit;
use bench::redis::{self, Redis};
use bench::usage;
use nothing::{Nothing, job};
use queue::brokers::amqp::{Amqp, AmqpConfig};
use queue::brokers::embedded::{self, Durability, Embedded};
use queue::brokers::redis::RedisConfig;
use queue::{Queue, Worker, WorkerConfig};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use stdx::SystemClock;
use tokio::runtime::Runtime;

const CONSUMED_WITHIN: Duration = Duration::from_secs(300);
const POLL_EVERY: Duration = Duration::from_millis(1);
/// Between two jobs while latency is measured: an idle worker, as in `measured-queues`.
const IDLE_EVERY: Duration = Duration::from_millis(5);
/// A worker's memory is read after this rest.
const REST: Duration = Duration::from_secs(3);

/// What is measured.
#[derive(clap::Args, Clone)]
pub struct Options {
    /// Jobs published and consumed
    #[arg(long, default_value_t = 200_000)]
    jobs: u64,
    /// Publishers, each publishing its next job when the last is durable
    #[arg(long, default_value_t = 64)]
    producers: u64,
    /// Threads of the worker
    #[arg(short, long, default_value_t = 2)]
    concurrency: usize,
    /// Jobs published one by one to an idle worker
    #[arg(long, default_value_t = 1_000)]
    idle_jobs: u64,
    /// Redis writes every job to its log before it answers
    #[arg(long)]
    appendonly: bool,
    /// Jobs that real Celery consumes; 0 leaves it out
    #[arg(long, default_value_t = 10_000)]
    celery_jobs: u64,
    /// Only these of embedded, redis, rabbitmq and quorum; all unless given
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// A Python with Celery; `cargo xtask e2e celery` installs this one
    #[arg(long, default_value = "target/xtask/celery/bin/python")]
    python: PathBuf,
    #[command(flatten)]
    place: Place,
}

/// Measures each queue, and Celery behind it on the same server.
///
/// # Errors
/// If one cannot be started or jobs are missing at the end.
pub fn run(options: &Options) -> anyhow::Result<Value> {
    let folder = PathBuf::from(format!("target/bench/queue-{}", std::process::id()));
    std::fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    let folder = folder.canonicalize().context("find the folder")?;
    let mut report = json!({
        "scenario": "queue", "jobs": options.jobs, "producers": options.producers, "bytes": nothing::BYTES,
        "appendonly": options.appendonly,
    });
    if options.wants("embedded") {
        report["embedded"] = measure("embedded", options, None, &|| open_embedded(&folder))?;
        report["embedded"]["worker_rss_mib"] = worker_memory(&options.place, &folder.join("alone"), "embedded:")?;
    }
    if options.wants("redis") {
        report["redis"] = on_redis(options, &folder)?;
    }
    if options.wants("rabbitmq") || options.wants("quorum") {
        report["rabbitmq"] = on_rabbitmq(options, &folder)?;
    }
    if !options.place.keep {
        // What cannot be removed lies under target/ and harms nobody.
        let _ = std::fs::remove_dir_all(&folder);
    }
    Ok(report)
}

impl Options {
    fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == name)
    }
}

fn on_redis(options: &Options, folder: &Path) -> anyhow::Result<Value> {
    let redis = Redis::start(folder, redis::Options { appendonly: options.appendonly, ..redis::Options::default() })?;
    let mut report = measure("redis", options, Some(redis.pid()), &|| open_redis(&redis.url(0)))?;
    report["worker_rss_mib"] = worker_memory(&options.place, &folder.join("over-redis"), &redis.url(1))?;
    beside_celery(&mut report, options, &celery::OverRedis(&redis), folder)?;
    Ok(report)
}

fn on_rabbitmq(options: &Options, folder: &Path) -> anyhow::Result<Value> {
    let rabbit = Rabbit::start(folder)?;
    let mut report = json!({});
    for (name, kind) in [("rabbitmq", "classic"), ("quorum", "quorum")] {
        if options.wants(name) {
            // Each of its own names: a queue that is there is taken as it is.
            let url = format!("{}?queue_type={kind}", rabbit.url());
            report[kind] = measure(name, options, Some(rabbit.pid()), &|| open_rabbitmq(&url, kind, folder))?;
        }
    }
    report["worker_rss_mib"] = worker_memory(&options.place, &folder.join("over-rabbitmq"), &rabbit.url())?;
    let mut classic = report["classic"].take();
    beside_celery(&mut classic, options, &celery::OverRabbit::new(&rabbit, folder)?, folder)?;
    report["classic"] = classic;
    Ok(report)
}

/// Adds what Celery does on the same server, and how many times that ours is.
fn beside_celery(
    report: &mut Value,
    options: &Options,
    server: &dyn celery::Server,
    folder: &Path,
) -> anyhow::Result<()> {
    if options.celery_jobs == 0 || report.is_null() {
        return Ok(());
    }
    let celery = celery::consume(&options.python, server, options.celery_jobs, folder)?;
    eprintln!("celery: {celery}");
    let consumed = |report: &Value| report["consumed_per_second"].as_f64();
    let times = consumed(report).zip(consumed(&celery)).map(|(ours, theirs)| round(ours / theirs));
    report["celery"] = celery;
    report["times_celery"] = json!(times);
    Ok(())
}

fn open_embedded(folder: &Path) -> anyhow::Result<Arc<dyn Queue>> {
    let config = embedded::Config {
        folder: folder.join("embedded"),
        durability: Durability::Power,
        jobs_max: 100_000_000,
        bytes_max: 1 << 40,
        free_min: 0,
        free_space: Arc::new(|| Ok(u64::MAX)),
        reassert_grace: Duration::ZERO,
    };
    Ok(Arc::new(Embedded::open(config, Arc::new(SystemClock)).context("open the embedded queue")?))
}

fn open_redis(url: &str) -> anyhow::Result<Arc<dyn Queue>> {
    let config = RedisConfig::parse(url).context("read the address of Redis")?;
    Ok(Arc::new(queue::brokers::redis::Redis::open(config, Arc::new(SystemClock)).context("open the queue on Redis")?))
}

fn open_rabbitmq(url: &str, kind: &str, folder: &Path) -> anyhow::Result<Arc<dyn Queue>> {
    let config = AmqpConfig::parse(url, folder.join(format!("{kind}.db"))).context("read the address of RabbitMQ")?;
    let naming = queue::brokers::amqp::Naming { prefix: format!("bench.{kind}."), ..config.naming.clone() };
    let config = AmqpConfig { naming, ..config };
    Ok(Arc::new(Amqp::open(config, Arc::new(SystemClock)).context("open the queue on RabbitMQ")?))
}

fn measure(
    name: &str,
    options: &Options,
    server: Option<u32>,
    open: &dyn Fn() -> anyhow::Result<Arc<dyn Queue>>,
) -> anyhow::Result<Value> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let queue = open()?;
    let start = Spent::now(server);
    let published = publish(&runtime, &queue, options)?;
    let between = Spent::now(server);
    let consumed = consume(queue.clone(), options)?;
    let end = Spent::now(server);
    let idle = wait_times(&runtime, &queue, options)?;
    let report = json!({
        "published_per_second": round(published), "publishing_cpu_us": between.since(start, options.jobs),
        "consumed_per_second": round(consumed), "consuming_cpu_us": end.since(between, options.jobs),
        "publish_to_start_ms": latency(&idle),
    });
    // The whole report comes minutes later.
    eprintln!("{name}: {report}");
    Ok(report)
}

/// Processor time so far: what a job costs depends less on what else the machine does than how many there are a second.
#[derive(Clone, Copy)]
struct Spent {
    ours: f64,
    server: f64,
}

impl Spent {
    fn now(server: Option<u32>) -> Spent {
        let ours = usage::of_process(std::process::id()).cpu_seconds;
        Spent { ours, server: server.map_or(0.0, usage::cpu_with_group) }
    }

    /// Microseconds a job.
    fn since(self, before: Spent, jobs: u64) -> Value {
        let each = |seconds: f64| round(seconds * 1e6 / jobs as f64);
        json!({ "ours": each(self.ours - before.ours), "server": each(self.server - before.server) })
    }
}

/// Every producer publishes its next job when the last one is durable; returns jobs a second.
fn publish(runtime: &Runtime, queue: &Arc<dyn Queue>, options: &Options) -> anyhow::Result<f64> {
    let each = options.jobs / options.producers;
    let started = Instant::now();
    let producer = |number: u64| {
        let queue = queue.clone();
        async move {
            for index in 0..each {
                queue.publish(vec![job(&format!("{number}-{index}"), None)]).await?;
            }
            Ok::<(), queue::QueueError>(())
        }
    };
    runtime.block_on(async {
        let producers: Vec<_> = (0..options.producers).map(|number| tokio::spawn(producer(number))).collect();
        for producer in producers {
            producer.await.context("a producer")?.context("publish")?;
        }
        Ok::<(), anyhow::Error>(())
    })?;
    Ok((each * options.producers) as f64 / started.elapsed().as_secs_f64())
}

/// A worker takes what was published; returns jobs a second from its start to the last finish.
fn consume(queue: Arc<dyn Queue>, options: &Options) -> anyhow::Result<f64> {
    let wanted = options.jobs / options.producers * options.producers;
    let started = Instant::now();
    let worker = start_worker(queue.clone(), Nothing::default(), options.concurrency);
    let progress = worker.progress();
    while progress.finished.load(Ordering::Relaxed) < wanted {
        let done = progress.finished.load(Ordering::Relaxed);
        anyhow::ensure!(started.elapsed() < CONSUMED_WITHIN, "{done} of {wanted} jobs after {CONSUMED_WITHIN:?}");
        std::thread::sleep(POLL_EVERY);
    }
    let took = started.elapsed().as_secs_f64();
    worker.join();
    let depths = queue.depths().context("look at the queue")?;
    let left: u64 = depths.iter().map(|depth| depth.ready + depth.leased + depth.dead).sum();
    anyhow::ensure!(left == 0, "{left} jobs are left: {depths:?}");
    Ok(wanted as f64 / took)
}

/// Jobs published one by one to an idle worker; returns the times from publishing to the start of the run, sorted.
fn wait_times(runtime: &Runtime, queue: &Arc<dyn Queue>, options: &Options) -> anyhow::Result<Vec<Duration>> {
    let nothing = Nothing::default();
    let times = nothing.times.clone();
    let worker = start_worker(queue.clone(), nothing, options.concurrency);
    std::thread::sleep(REST);
    let base = nothing::base();
    for index in 0..options.idle_jobs {
        let job = job(&format!("idle-{index}"), Some(base.elapsed()));
        runtime.block_on(queue.publish(vec![job])).context("publish to an idle worker")?;
        std::thread::sleep(IDLE_EVERY);
    }
    let progress = worker.progress();
    let started = Instant::now();
    while progress.finished.load(Ordering::Relaxed) < options.idle_jobs {
        anyhow::ensure!(started.elapsed() < CONSUMED_WITHIN, "an idle worker did not finish its jobs");
        std::thread::sleep(POLL_EVERY);
    }
    worker.join();
    let mut times = times.lock().expect("no run panics").clone();
    times.sort_unstable();
    anyhow::ensure!(times.len() as u64 == options.idle_jobs, "{} of {} jobs ran", times.len(), options.idle_jobs);
    Ok(times)
}

fn start_worker(queue: Arc<dyn Queue>, task: Nothing, threads: usize) -> Worker {
    let config = WorkerConfig::new("bench@here", threads, Arc::new(SystemClock));
    Worker::start(queue, vec![Arc::new(task)], config)
}

/// Returns the resident MiB of the product's own worker at rest, nothing where the product was not built.
fn worker_memory(place: &Place, folder: &Path, broker: &str) -> anyhow::Result<Value> {
    if !place.exe.exists() {
        eprintln!("the worker's memory is left out: no {}", place.exe.display());
        return Ok(Value::Null);
    }
    std::fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    let log = std::fs::File::create(folder.join("worker.log")).context("make the worker's log")?;
    let mut command = std::process::Command::new(&place.exe);
    command.arg("--data-dir").arg(folder.join("data")).args(["run", "worker", "-c", "2"]).env("BROKER_URL", broker);
    let mut child = command.stdout(log.try_clone()?).stderr(log).spawn().context("start vigie run worker")?;
    std::thread::sleep(REST);
    let usage = usage::of_process(child.id());
    child.kill().context("end the worker")?;
    child.wait().context("wait for the worker")?;
    anyhow::ensure!(usage.rss_mib > 0.0, "the worker ended by itself; see {}", folder.display());
    Ok(json!(round(usage.rss_mib)))
}
