//! Real Celery, prefork with two children, on the same server: a queue filled before, then a worker, from the first task
//! taken to the last one ended.

use anyhow::{Context, bail, ensure};
use bench::load::round;
use bench::rabbit::Rabbit;
use bench::redis::Redis;
use queue::Broker;
use queue::brokers::amqp::{Amqp, AmqpConfig, Naming};
use serde_json::{Value, json};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use stdx::SystemClock;

/// The database that holds nothing else.
const DB: u32 = 2;
const QUEUE: &str = "bench";
const TAKEN_WITHIN: Duration = Duration::from_secs(60);
const CONSUMED_WITHIN: Duration = Duration::from_secs(600);
const POLL_EVERY: Duration = Duration::from_millis(50);

/// A server that Celery's jobs go through.
pub trait Server {
    fn url(&self) -> String;

    /// Returns how many jobs Celery has not ended.
    ///
    /// # Errors
    /// If the server does not say.
    fn waiting(&self) -> anyhow::Result<u64>;
}

pub struct OverRedis<'a>(pub &'a Redis);

impl Server for OverRedis<'_> {
    fn url(&self) -> String {
        self.0.url(DB)
    }

    fn waiting(&self) -> anyhow::Result<u64> {
        let ready: u64 = self.0.ask(DB, &["LLEN", QUEUE])?.parse().context("read LLEN")?;
        let held: u64 = self.0.ask(DB, &["HLEN", "unacked"])?.parse().context("read HLEN")?;
        Ok(ready + held)
    }
}

/// RabbitMQ does not tell a client what others hold: the last eight of Celery's jobs are not waited for.
pub struct OverRabbit {
    url: String,
    broker: Amqp,
}

impl OverRabbit {
    /// # Errors
    /// If the server does not let us in.
    pub fn new(rabbit: &Rabbit, folder: &Path) -> anyhow::Result<OverRabbit> {
        let url = format!("{}?celery_queues={QUEUE}", rabbit.url());
        let config = AmqpConfig::parse(&url, folder.join("celery.db")).context("read the address of RabbitMQ")?;
        // Of its own names: those of the product are the worker's whose memory is looked at.
        let naming = Naming { prefix: "bench.celery.".to_owned(), ..config.naming.clone() };
        let config = AmqpConfig { naming, ..config };
        let broker = Amqp::open(config, Arc::new(SystemClock)).context("open the queue on RabbitMQ")?;
        broker.declare(QUEUE).context("declare Celery's queue")?;
        Ok(OverRabbit { url: rabbit.url(), broker })
    }
}

impl Server for OverRabbit {
    fn url(&self) -> String {
        self.url.clone()
    }

    fn waiting(&self) -> anyhow::Result<u64> {
        let depths = self.broker.depths().context("look at Celery's queue")?;
        let depth = depths.into_iter().find(|depth| depth.queue == QUEUE).context("Celery's queue is there")?;
        Ok(depth.ready)
    }
}

/// Returns what Celery published and consumed a second.
///
/// # Errors
/// If it is not there, or does not come to an end.
pub fn consume(python: &Path, server: &dyn Server, jobs: u64, folder: &Path) -> anyhow::Result<Value> {
    ensure!(python.exists(), "no Python with Celery at {}: run cargo xtask e2e celery", python.display());
    let python = std::path::absolute(python).context("find the Python with Celery")?;
    let application = std::path::absolute("e2e/celery").context("find e2e/celery")?;
    let command = |arguments: &[&str]| {
        let mut command = Command::new(&python);
        command.args(arguments).env("PYTHONPATH", &application).env("PYTHONDONTWRITEBYTECODE", "1");
        command.env("INTEROP_CONFIG", json!({ "broker_url": server.url() }).to_string()).current_dir(folder);
        command
    };
    let fill: PathBuf = application.join("fill.py");
    let filled = command(&[&fill.display().to_string(), &jobs.to_string()]).output().context("fill Celery's queue")?;
    let said = String::from_utf8_lossy(&filled.stdout).into_owned();
    ensure!(filled.status.success(), "fill Celery's queue: {}", String::from_utf8_lossy(&filled.stderr));
    let published: f64 = said.trim().parse().with_context(|| format!("read the rate {said}"))?;

    let log = File::create(folder.join("celery.log")).context("make Celery's log")?;
    let mut worker = command(&["-m", "celery", "-A", "app", "worker", "-P", "prefork", "-c", "2", "-Q", QUEUE]);
    worker.args(["-l", "ERROR"]).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    let mut worker = worker.spawn().context("start a Celery worker")?;
    let rate = time(server, jobs);
    let _ = Command::new("kill").arg(worker.id().to_string()).status();
    worker.wait().context("wait for the Celery worker")?;
    Ok(json!({ "jobs": jobs, "published_per_second": round(published), "consumed_per_second": round(rate?) }))
}

/// The time before the first task was seen taken is the worker's start, and does not count.
fn time(server: &dyn Server, jobs: u64) -> anyhow::Result<f64> {
    let started = Instant::now();
    let (mut first, mut at_first) = (None, jobs);
    loop {
        let now = server.waiting()?;
        if now < jobs && first.is_none() {
            (first, at_first) = (Some(Instant::now()), now);
        }
        match first {
            Some(first) if now == 0 => return Ok(at_first as f64 / first.elapsed().as_secs_f64()),
            None if started.elapsed() > TAKEN_WITHIN => bail!("Celery took nothing within {TAKEN_WITHIN:?}"),
            _ if started.elapsed() > CONSUMED_WITHIN => bail!("Celery left {now} of {jobs} jobs"),
            _ => std::thread::sleep(POLL_EVERY),
        }
    }
}
