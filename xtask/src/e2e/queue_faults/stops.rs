//! Stopping a worker: the first SIGTERM lets what runs finish, the second ends it at once and its job runs elsewhere; and
//! what a worker says when it is told to serve queues that are not there.

use super::Brokers;
use crate::e2e::house::House;
use crate::e2e::{Case, Verdict, eventually};
use anyhow::{Context, ensure};
use serde_json::json;
use std::time::{Duration, Instant};

const SLEEP: Duration = Duration::from_secs(4);
const TAKEN_WITHIN: Duration = Duration::from_secs(10);
const AT_ONCE: Duration = Duration::from_secs(2);
const GONE_WITHIN: Duration = Duration::from_secs(10);
/// A worker that was stopped coldly is noticed, and the job runs for its whole time.
const AGAIN_WITHIN: Duration = Duration::from_secs(30);

pub fn run(case: &Case<'_>) -> anyhow::Result<Verdict> {
    let brokers = Brokers::start(case)?;
    for (name, house) in [("embedded", &brokers.embedded), ("redis", &brokers.on_redis)] {
        let web = house.web()?;
        warm(house).with_context(|| format!("a warm stop on {name}"))?;
        cold(house).with_context(|| format!("a cold stop on {name}"))?;
        given_back(house).with_context(|| format!("what was not begun, on {name}"))?;
        drop(web);
    }
    unknown_queues(&brokers.embedded)?;
    brokers.end();
    Ok(Verdict::Passed("warm stop finishes, cold stop ends at once, the rest is given back; unknown queues".to_owned()))
}

fn leased(house: &House, jobs: u64) -> anyhow::Result<()> {
    eventually("the job to be taken", TAKEN_WITHIN, || Ok((house.queue("debug")?["leased"] == jobs).then_some(())))
}

fn sleep(house: &House) -> anyhow::Result<String> {
    house.send("debug.sleep", &json!([SLEEP.as_secs()]), &[])
}

fn warm(house: &House) -> anyhow::Result<()> {
    let mut worker = house.worker("warm", &["-c", "1"])?;
    let started = Instant::now();
    sleep(house)?;
    leased(house, 1)?;
    worker.signal("TERM")?;
    let status = worker.ended(SLEEP + GONE_WITHIN)?;
    ensure!(status.code() == Some(0), "it ended with {status}:\n{}", worker.log_tail());
    ensure!(started.elapsed() >= SLEEP, "it ended after {:?}, before its job could be finished", started.elapsed());
    let row = house.queue("debug")?;
    ensure!(row["ready"] == 0 && row["leased"] == 0 && row["delayed"] == 0, "its job is not finished: {row}");
    let known = house.json(&["workers", "list"])?;
    let is_there = known.as_array().into_iter().flatten().any(|row| row["pid"] == worker.pid());
    ensure!(!is_there, "a worker that left is still listed: {known}");
    Ok(())
}

fn cold(house: &House) -> anyhow::Result<()> {
    let mut worker = house.worker("cold", &["-c", "1"])?;
    sleep(house)?;
    leased(house, 1)?;
    worker.signal("TERM")?;
    std::thread::sleep(Duration::from_millis(300));
    ensure!(worker.is_alive(), "the first signal ended it although a job runs");
    worker.signal("TERM")?;
    let status = worker.ended(AT_ONCE)?;
    ensure!(status.code() == Some(1), "it ended with {status}:\n{}", worker.log_tail());
    let mut heir = house.worker("heir", &["-c", "1"])?;
    eventually("the job to be run again and finished", AGAIN_WITHIN, || {
        let row = house.queue("debug")?;
        Ok((row["ready"] == 0 && row["leased"] == 0 && row["delayed"] == 0).then_some(()))
    })?;
    heir.terminate()
}

/// Jobs that a worker has claimed and not begun go back at once: the next worker does not wait for its death.
fn given_back(house: &House) -> anyhow::Result<()> {
    const FILE: &str = "given-back";
    const JOBS: usize = 20;
    let mut worker = house.worker("giving", &["-c", "1"])?;
    sleep(house)?;
    leased(house, 1)?;
    for number in 0..JOBS {
        house.send("debug.append", &json!([FILE, format!("line-{number}")]), &[])?;
    }
    worker.terminate()?;
    let mut heir = house.worker("heir", &["-c", "1"])?;
    let started = Instant::now();
    eventually("the jobs that were not begun", GONE_WITHIN, || Ok((house.appended(FILE).len() == JOBS).then_some(())))?;
    ensure!(started.elapsed() < GONE_WITHIN, "the jobs waited for a death");
    ensure!(house.dead_letters("debug")?.is_empty(), "a stop cost an attempt");
    heir.terminate()
}

fn unknown_queues(house: &House) -> anyhow::Result<()> {
    let refused = house.run(&["run", "worker", "-Q", "debug,nowhere,neither"])?;
    let said = [refused.stdout, refused.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    ensure!(refused.status.code() == Some(1), "unknown queues: {}: {said}", refused.status);
    ensure!(said.contains("Following queues are not found: nowhere,neither"), "unknown queues: {said}");
    let refused = house.run(&["run", "worker", "-X", "nowhere"])?;
    let said = [refused.stdout, refused.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    ensure!(refused.status.code() == Some(1), "unknown exclusions: {}: {said}", refused.status);
    ensure!(
        said.contains("Following queues cannot be excluded as they don't exist: nowhere"),
        "unknown exclusions: {said}"
    );
    let mut worker = house.worker("lenient", &["-Q", "debug,nowhere", "--ignore-unknown-queues"])?;
    ensure!(worker.log_tail().contains("Following queues are not found: nowhere"), "it says nothing of nowhere");
    worker.terminate()
}
