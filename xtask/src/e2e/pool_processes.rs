//! A worker whose runs happen in child processes: a job that faults, one that eats memory and one that hangs become dead
//! letters with their reasons, the jobs beside them are done, children are replaced, tell their logs and metrics, and go
//! with their worker however that ends.

use super::house::{House, Process, signal_to};
use super::redis::{self, Options};
use super::{Case, Verdict, eventually, place};
use anyhow::{Context, ensure};
use bench::http;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

const MEMORY: (&str, &str) = ("VIGIE_WORKER__MAX_MEMORY_PER_CHILD", "200MiB");
const POOL: &[&str] = &["-c", "2", "-Q", "debug", "--pool", "processes", "--max-tasks-per-child", "10"];
const HOG_MIB: u64 = 1_000;
const BESIDE: usize = 40;
const DEATHS: u64 = 3;
const DEAD_WITHIN: Duration = Duration::from_secs(60);
const DONE_WITHIN: Duration = Duration::from_secs(30);
/// A worker says what its children are every five seconds.
const SAID_WITHIN: Duration = Duration::from_secs(15);
const GONE_WITHIN: Duration = Duration::from_secs(5);
/// Longer than a worker is silent: it must say that the job runs.
const SLEEP_S: u64 = 8;
const EVENTS: usize = 5;

pub fn run(case: &Case<'_>) -> anyhow::Result<Verdict> {
    let folder = place::fresh_folder(case)?;
    let redis = redis::start(&folder, Options { appendonly: true, ..Options::default() })?;
    let embedded = house(case, &folder, "embedded", &[MEMORY])?;
    let on_redis = house(case, &folder, "redis", &[MEMORY, ("BROKER_URL", &redis.url(0))])?;
    for (name, house) in [("embedded", &embedded), ("Redis", &on_redis)] {
        let web = house.web()?;
        ends(house).with_context(|| format!("jobs that end badly, on {name}"))?;
        stops(house).with_context(|| format!("ends of the worker, on {name}"))?;
        drop(web);
    }
    left_alone(&embedded).context("beside a worker of threads")?;
    metrics(&house(case, &folder, "whole", &[MEMORY, ("VIGIE_WORKER__POOL", "processes")])?).context("metrics")?;
    // What cannot be removed lies under target/ and harms nobody.
    let _ = std::fs::remove_dir_all(&folder);
    let saw =
        "crashed, memory limit, time limit; the others done; children replaced, heard, and gone with their worker";
    Ok(Verdict::Passed(saw.to_owned()))
}

fn house(case: &Case<'_>, folder: &Path, name: &str, environment: &[(&str, &str)]) -> anyhow::Result<House> {
    let folder = folder.join(name);
    std::fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    Ok(House::in_folder(case, &folder, "data", environment))
}

/// What a worker says of its pool.
fn pool(house: &House, worker: &Process) -> anyhow::Result<Option<Value>> {
    Ok(row(house, worker)?.map(|row| row["pool"].clone()))
}

fn row(house: &House, worker: &Process) -> anyhow::Result<Option<Value>> {
    let workers = house.json(&["workers", "list"])?;
    Ok(workers.as_array().into_iter().flatten().find(|row| row["pid"] == worker.pid()).cloned())
}

/// Waits until a worker says that a job runs, begun at another time than `not`; returns since when.
fn running_since(house: &House, worker: &Process, not: &Value) -> anyhow::Result<Value> {
    eventually("the worker to say what runs", SAID_WITHIN, || {
        let since = row(house, worker)?.map(|row| row["running"][0]["since"].clone()).unwrap_or_default();
        Ok((!since.is_null() && since != *not).then_some(since))
    })
}

/// Waits until both children of a worker are there; returns their numbers.
fn children(worker: &Process) -> anyhow::Result<Vec<u32>> {
    eventually("the children", DONE_WITHIN, || {
        let mut pids = Vec::new();
        for entry in std::fs::read_dir("/proc").context("list processes")?.flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            if state_and_parent(pid).is_some_and(|(state, parent)| state != 'Z' && parent == worker.pid()) {
                pids.push(pid);
            }
        }
        Ok((pids.len() == 2).then_some(pids))
    })
}

/// Of `/proc/PID/stat`, behind the name in brackets.
fn state_and_parent(pid: u32) -> Option<(char, u32)> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut rest = text.rsplit(") ").next()?.split(' ');
    Some((rest.next()?.chars().next()?, rest.next()?.parse().ok()?))
}

/// Neither gone nor waiting for somebody to ask how it ended.
fn is_alive(pid: u32) -> bool {
    state_and_parent(pid).is_some_and(|(state, _)| !matches!(state, 'Z' | 'X'))
}

fn gone(pids: &[u32]) -> anyhow::Result<()> {
    eventually("the end of its children", GONE_WITHIN, || Ok((!pids.iter().any(|pid| is_alive(*pid))).then_some(())))
}

fn ends(house: &House) -> anyhow::Result<()> {
    const FILE: &str = "beside";
    let mut worker = house.worker("pool", POOL)?;
    house.send("debug.hang", &json!([]), &[])?;
    for number in 0..BESIDE {
        match number {
            10 => drop(house.send("debug.segfault", &json!([]), &[])?),
            20 => drop(house.send("debug.hog", &json!([HOG_MIB]), &[])?),
            _ => {}
        }
        house.send("debug.append", &json!([FILE, format!("line-{number}")]), &[])?;
    }
    let letters = eventually("three dead letters", DEAD_WITHIN, || {
        let letters = house.dead_letters("debug")?;
        Ok((letters.len() >= 3).then_some(letters))
    })?;
    let check = |task: &str, reason: &str, deaths: u64, error: &str| -> anyhow::Result<()> {
        let letter = letters.iter().find(|letter| letter["task"] == task);
        let letter = letter.with_context(|| format!("{task} among {letters:?}"))?;
        let says = letter["error"].as_str().unwrap_or_default();
        let is_right = letter["reason"] == reason && letter["deaths"] == deaths && says.starts_with(error);
        ensure!(is_right, "the dead letter of {task} reads {letter}");
        Ok(())
    };
    check("debug.segfault", "crashed", DEATHS, "crashed: signal 11 SIGSEGV")?;
    check("debug.hog", "memory limit", DEATHS, "memory limit: ")?;
    check("debug.hang", "time limit", 0, "TimeLimitExceeded: debug.hang ran for longer than 3 s")?;
    eventually("the other jobs", DONE_WITHIN, || Ok((house.appended(FILE).len() >= BESIDE).then_some(())))?;
    ensure!(house.appended(FILE).len() == BESIDE, "a job beside them was done twice");
    let row = house.queue("debug")?;
    ensure!(row["ready"] == 0 && row["leased"] == 0 && row["delayed"] == 0, "the queue is not empty: {row}");
    eventually("what the worker says of its children", SAID_WITHIN, || {
        let Some(pool) = pool(house, &worker)? else { return Ok(None) };
        ensure!(pool["kind"] == "processes", "its pool is {pool}");
        let (died, replaced) = (pool["died"].as_u64().unwrap_or(0), pool["replaced"].as_u64().unwrap_or(0));
        Ok((died == 2 * DEATHS + 1 && replaced >= 2).then_some(()))
    })?;
    let log = std::fs::read_to_string(house.folder.join("pool.log")).context("read the worker's log")?;
    ensure!(log.contains("child{pid="), "its children's lines are not in the worker's log:\n{log}");
    for letter in &letters {
        house.text(&["queues", "dead", "discard", letter["id"].as_str().context("an id")?])?;
    }
    worker.terminate()
}

/// A child that is killed costs one attempt; a signal to the whole group is a warm stop; a killed worker takes its
/// children along.
fn stops(house: &House) -> anyhow::Result<()> {
    let mut worker = house.worker("stopped", POOL)?;
    let pids = children(&worker)?;
    let sent = house.send("debug.sleep", &json!([SLEEP_S]), &[])?;
    let first = running_since(house, &worker, &Value::Null)?;
    for pid in &pids {
        signal_to(*pid, "KILL")?;
    }
    gone(&pids)?;
    let pids = children(&worker)?;
    // The lease of the run that died would look the same.
    running_since(house, &worker, &first)?;
    for pid in pids.iter().chain([&worker.pid()]) {
        signal_to(*pid, "TERM")?;
    }
    let status = worker.ended(Duration::from_secs(SLEEP_S) + GONE_WITHIN)?;
    ensure!(status.code() == Some(0), "it ended with {status}:\n{}", worker.log_tail());
    let row = house.queue("debug")?;
    let is_done = row["ready"] == 0 && row["leased"] == 0 && row["delayed"] == 0 && row["dead"] == 0;
    ensure!(is_done, "job {sent}, whose first child was killed, was not finished in a warm stop: {row}");
    gone(&pids)?;

    let mut worker = house.worker("killed", POOL)?;
    let pids = children(&worker)?;
    house.send("debug.sleep", &json!([SLEEP_S]), &[])?;
    leased(house)?;
    worker.kill()?;
    gone(&pids)?;
    let mut heir = house.worker("heir", POOL)?;
    eventually("the job of the killed worker", DEAD_WITHIN, || {
        let row = house.queue("debug")?;
        Ok((row["ready"] == 0 && row["leased"] == 0 && row["delayed"] == 0).then_some(()))
    })?;
    heir.terminate()
}

fn leased(house: &House) -> anyhow::Result<()> {
    eventually("the job to be taken", DONE_WITHIN, || Ok((house.queue("debug")?["leased"] == 1).then_some(())))
}

/// What needs a process is parked by a worker of threads, and run as soon as a pool is there.
fn left_alone(house: &House) -> anyhow::Result<()> {
    let web = house.web()?;
    let mut threads = house.worker("threads", &["-c", "1"])?;
    house.send("debug.hog", &json!([8]), &[])?;
    eventually("it to be parked", DONE_WITHIN, || Ok((house.queue("debug")?["parked"] == 1).then_some(())))?;
    let mut pool = house.worker("pool", POOL)?;
    eventually("a pool to run it", DONE_WITHIN, || {
        let row = house.queue("debug")?;
        Ok((row["parked"] == 0 && row["ready"] == 0 && row["leased"] == 0).then_some(()))
    })?;
    ensure!(house.dead_letters("debug")?.is_empty(), "it died");
    threads.terminate()?;
    pool.terminate()?;
    drop(web);
    Ok(())
}

/// What children count is shown where the worker's metrics are.
fn metrics(house: &House) -> anyhow::Result<()> {
    let web = house.server(["run", "all"])?;
    for number in 0..EVENTS {
        house.text(&["event", "send", "-m", &format!("event {number}")])?;
    }
    web.drained(DONE_WITHIN)?;
    let wanted = format!("vigie_digest_events_total{{fate=\"stored\"}} {EVENTS}");
    let mut last = String::new();
    let shown = eventually("the children's counts", DONE_WITHIN, || {
        last = web.http(&http::request("GET", "/metrics", &[("Connection", "close")], b""))?.text();
        Ok(last.contains(&wanted).then_some(()))
    });
    let digest: Vec<&str> = last.lines().filter(|line| line.contains("digest_events")).collect();
    shown.with_context(|| format!("wanted {wanted} among {digest:?}"))?;
    house.text(&["check"]).map(drop)
}
