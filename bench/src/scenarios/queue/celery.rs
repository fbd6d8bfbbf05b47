//! Real Celery, prefork with two children, on the same Redis: a queue filled before, then a worker, from the first task
//! taken to the last one ended.

use anyhow::{Context, bail, ensure};
use bench::load::round;
use bench::redis::Redis;
use serde_json::{Value, json};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The database that holds nothing else.
const DB: u32 = 2;
const QUEUE: &str = "bench";
const TAKEN_WITHIN: Duration = Duration::from_secs(60);
const CONSUMED_WITHIN: Duration = Duration::from_secs(600);
const POLL_EVERY: Duration = Duration::from_millis(50);

/// Returns what Celery published and consumed a second.
///
/// # Errors
/// If it is not there, or does not come to an end.
pub fn consume(python: &Path, redis: &Redis, jobs: u64, folder: &Path) -> anyhow::Result<Value> {
    ensure!(python.exists(), "no Python with Celery at {}: run cargo xtask e2e celery", python.display());
    let python = std::path::absolute(python).context("find the Python with Celery")?;
    let application = std::path::absolute("e2e/celery").context("find e2e/celery")?;
    let command = |arguments: &[&str]| {
        let mut command = Command::new(&python);
        command.args(arguments).env("PYTHONPATH", &application).env("PYTHONDONTWRITEBYTECODE", "1");
        command.env("INTEROP_CONFIG", json!({ "broker_url": redis.url(DB) }).to_string()).current_dir(folder);
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
    let rate = time(redis, jobs);
    let _ = Command::new("kill").arg(worker.id().to_string()).status();
    worker.wait().context("wait for the Celery worker")?;
    Ok(json!({ "jobs": jobs, "published_per_second": round(published), "consumed_per_second": round(rate?) }))
}

/// The time before the first task was seen taken is the worker's start, and does not count.
fn time(redis: &Redis, jobs: u64) -> anyhow::Result<f64> {
    let waiting = || -> anyhow::Result<u64> {
        let ready: u64 = redis.ask(DB, &["LLEN", QUEUE])?.parse().context("read LLEN")?;
        let held: u64 = redis.ask(DB, &["HLEN", "unacked"])?.parse().context("read HLEN")?;
        Ok(ready + held)
    };
    let started = Instant::now();
    let (mut first, mut at_first) = (None, jobs);
    loop {
        let now = waiting()?;
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
