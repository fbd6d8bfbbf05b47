//! The process that owns the embedded log is stopped (SIGSTOP) and not dead: it keeps the folder. The others are told so in
//! bounded time and hang nowhere, health is red, and after SIGCONT everything goes on with nothing lost or doubled.

use super::appends;
use crate::e2e::house::{House, Process};
use crate::e2e::{Case, Verdict, eventually};
use anyhow::{Context, ensure};
use bench::http;
use bench::server::Server;
use serde_json::{Value, json};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

const FILE: &str = "frozen";
const JOBS: u64 = 600;
/// So many lines are there when the owner is stopped.
const LINES_BEFORE: usize = 10;
/// Runs when the owner is stopped, and ends meanwhile.
const SLEEP: Duration = Duration::from_secs(10);
/// Longer than a lease: what runs must not be given to others for it.
const FROZEN_FOR: Duration = Duration::from_secs(30);
/// A call, with the start of its process.
const ANSWERED_WITHIN: Duration = Duration::from_secs(15);
const RED_WITHIN: Duration = Duration::from_secs(60);
const GREEN_WITHIN: Duration = Duration::from_secs(60);
const ALL_WITHIN: Duration = Duration::from_secs(90);

pub fn run(case: &Case<'_>) -> anyhow::Result<Verdict> {
    let house = House::new(case, &[])?;
    // The first that comes owns the log. It serves a queue without jobs: the others do the work.
    let mut owner = house.worker("owner", &["-Q", "default", "-c", "1"])?;
    let mut web = house.web()?;
    let mut busy = house.worker("busy", &["-Q", "debug", "-c", "1"])?;
    let mut cron = house.start("cron", &["run", "cron"])?;
    eventually("green at first", GREEN_WITHIN, || Ok((ready(&web)?.0 == 200).then_some(())))?;
    house.text(&["queues", "pause", "debug"])?;
    house.send("debug.sleep", &json!([SLEEP.as_secs()]), &["--priority", "9"])?;
    let sent = appends::send(&house, FILE, JOBS, &AtomicBool::new(false));
    ensure!(sent.unknown.is_empty(), "{} commands failed beside a running owner", sent.unknown.len());
    house.text(&["queues", "resume", "debug"])?;
    let mut second = house.worker("second", &["-Q", "debug", "-c", "1"])?;
    eventually("the first lines", ALL_WITHIN, || Ok((house.appended(FILE).len() >= LINES_BEFORE).then_some(())))?;
    let (asked, red) = while_frozen(&house, &owner, &web)?;
    let continued = Instant::now();
    eventually("green again", GREEN_WITHIN, || Ok((ready(&web)?.0 == 200).then_some(())))?;
    let green = continued.elapsed();
    appends::all_there(&house, FILE, &sent, ALL_WITHIN)?;
    let lines = house.appended(FILE);
    let mut once = lines.clone();
    once.sort_unstable();
    once.dedup();
    ensure!(once.len() == lines.len(), "{} lines came twice", lines.len() - once.len());
    eventually("the long job to end", ALL_WITHIN, || {
        let row = house.queue("debug")?;
        Ok((row["ready"] == 0 && row["leased"] == 0 && row["delayed"] == 0).then_some(()))
    })?;
    let letters = house.dead_letters("debug")?;
    ensure!(letters.is_empty(), "a stop of the owner ended jobs: {letters:?}");
    let came = house.call("debug.echo", &json!(["still here"]), &[])?;
    ensure!(came == "still here", "afterwards a call came to {came}");
    for worker in [&mut busy, &mut second, &mut cron, &mut owner] {
        worker.terminate()?;
    }
    ensure!(web.terminate()?, "the web role did not end well:\n{}", web.log_tail());
    house.end();
    Ok(Verdict::Passed(format!(
        "owner stopped for {} s: a command said so after {:.1} s, red after {:.1} s, green {:.1} s after it went on; each of {JOBS} \
         jobs once",
        FROZEN_FOR.as_secs(),
        asked.as_secs_f64(),
        red.as_secs_f64(),
        green.as_secs_f64(),
    )))
}

/// Returns how long a command took to say what is wrong, and health to be red.
fn while_frozen(house: &House, owner: &Process, web: &Server) -> anyhow::Result<(Duration, Duration)> {
    owner.signal("STOP")?;
    let stopped = Instant::now();
    let seen = look_around(house, web, stopped);
    // As long as planned, so that leases would end.
    std::thread::sleep(FROZEN_FOR.saturating_sub(stopped.elapsed()));
    owner.signal("CONT")?;
    seen
}

fn look_around(house: &House, web: &Server, stopped: Instant) -> anyhow::Result<(Duration, Duration)> {
    let asked = Instant::now();
    let refused = house.run(&["queues", "list"])?;
    let took = asked.elapsed();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    ensure!(took <= ANSWERED_WITHIN, "a command waited {took:?} for an owner that does not run");
    ensure!(!refused.status.success(), "a command answered without an owner");
    for word in ["queue.sock", "no other takes over", "SIGCONT"] {
        ensure!(said.contains(word), "a command does not say {word}: {said}");
    }
    // It may be kept when the owner goes on, or not; but not twice.
    let sent = house.send("debug.append", &json!([FILE, "line-unknown"]), &[]);
    ensure!(sent.is_err(), "a job was accepted without an owner");
    let request = http::request("GET", "/health/accept", &[("Connection", "close")], b"");
    let asked = Instant::now();
    let status = web.http(&request)?.status;
    ensure!(status == 503, "events are said to be accepted without an owner: {status}");
    ensure!(asked.elapsed() <= ANSWERED_WITHIN, "the web waited {:?}", asked.elapsed());
    // The first look may see no more than that nobody answers.
    let red = eventually("red, and why", RED_WITHIN.saturating_sub(stopped.elapsed()), || {
        let (status, body) = ready(web)?;
        let failing = body["checks"].as_array().into_iter().flatten().filter(|check| check["ok"] == false);
        let mut details = failing.filter_map(|check| check["detail"].as_str());
        let says_why = details.any(|detail| detail.contains("queue.sock"));
        Ok((status == 503 && says_why).then(|| stopped.elapsed()))
    })?;
    Ok((took, red))
}

fn ready(web: &Server) -> anyhow::Result<(u16, Value)> {
    let response = web.http(&http::request("GET", "/health/ready", &[("Connection", "close")], b""))?;
    let body = serde_json::from_slice(&response.body).context("read the health")?;
    Ok((response.status, body))
}
