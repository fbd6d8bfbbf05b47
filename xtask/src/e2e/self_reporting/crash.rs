//! Check 9: the digest is made to fail on Vigie's own reports, and only on these. Each failure is an error that could be a
//! report; none becomes one. What reports there are stay few, the queue stays as it is, the drops are counted with their
//! reason, and other projects' events go on being stored.

use super::{Case, Place, Verdict, eventually, reports};
use crate::e2e::place::fresh_folder;
use crate::root::root;
use anyhow::{Context, ensure};
use serde_json::Value;
use std::process::Command;
use std::time::{Duration, Instant};

const REPORTED_WITHIN: Duration = Duration::from_secs(60);
/// Errors at once, each of which would be a report: more than a minute's.
const ERRORS: u64 = 25;
/// Reports that pass a minute; one more comes every six seconds.
const REPORTS_A_MINUTE: u64 = 10;
/// How long is watched that nothing grows; the failing jobs are tried again meanwhile.
const WATCH: Duration = Duration::from_secs(40);
const LOOK_EVERY: Duration = Duration::from_secs(2);
const TRAP: &str = "e2e/clients/trap_reports.py";

pub fn run(case: &Case<'_>) -> anyhow::Result<Verdict> {
    let folder = fresh_folder(case)?;
    let (data_dir, log) = (folder.join("data"), folder.join("server.log"));
    let mut place = Place::start_in(case, folder, &data_dir, &log, &[])?;
    fail(&place, "the.first")?;
    eventually("the first report", REPORTED_WITHIN, || Ok((reports(&mut place, "internal")? == 1).then_some(())))?;
    let mut trap = Command::new("python3");
    let trapped = trap.arg(root().join(TRAP)).arg(data_dir.join("metadata.sqlite")).arg("internal").output();
    let trapped = trapped.context("run python3, which sets the trap")?;
    ensure!(trapped.status.success(), "{}", String::from_utf8_lossy(&trapped.stderr));

    let started = Instant::now();
    for number in 0..ERRORS {
        fail(&place, &format!("no.such.task.{number}"))?;
    }
    eventually("an error about a report, kept back", REPORTED_WITHIN, || {
        let said = relay(&place)?;
        Ok((number(&said, "uncaptured_self") > 0 && number(&said, "uncaptured_rate") > 0).then_some(()))
    })?;
    let event = place.command(&["event", "send", "-m", "of a customer"])?;
    ensure!(event.status.success(), "event send: {}", String::from_utf8_lossy(&event.stderr));
    eventually("a customer's event beside them", REPORTED_WITHIN, || {
        let (_, issues) = place.api("/projects/default/default/issues/?query=")?;
        Ok(issues.as_array().is_some_and(|issues| issues.len() == 1).then_some(()))
    })?;
    let (most, kept) = watch(&place, started)?;
    ensure!(reports(&mut place, "internal")? == 1, "the trap let a report through");
    let text = place.http(b"GET /metrics HTTP/1.1\r\nHost: v\r\nConnection: close\r\n\r\n")?.text();
    let line = "internal_uncaptured_events_relay_total{reason=\"self\"} ";
    ensure!(text.lines().any(|said| said.starts_with(line)), "/metrics does not say {line}");
    place.end()?;
    Ok(Verdict::Passed(format!(
        "{ERRORS} errors and a digest that fails on its own reports: at most {most} of them waited, {kept} errors about \
         reports were kept back"
    )))
}

/// Makes an error of Vigie's own.
fn fail(place: &Place, task: &str) -> anyhow::Result<()> {
    let sent = place.command(&["queues", "send", task, "--queue", "debug"])?;
    ensure!(sent.status.success(), "send a job of an unknown task: {}", String::from_utf8_lossy(&sent.stderr));
    Ok(())
}

/// Looks for a while, and returns the most reports in the queue and how many errors were kept from becoming one.
fn watch(place: &Place, started: Instant) -> anyhow::Result<(u64, u64)> {
    let until = Instant::now() + WATCH;
    let mut most = 0;
    while Instant::now() < until {
        let said = relay(place)?;
        let (captured, sent, dropped) = (number(&said, "captured"), number(&said, "sent"), number(&said, "dropped"));
        ensure!(captured == sent + dropped + number(&said, "waiting"), "the tally does not add up: {said}");
        // The first report came before.
        let allowed = 1 + REPORTS_A_MINUTE + started.elapsed().as_secs() / 6 + 1;
        ensure!(captured <= allowed, "{captured} reports, {allowed} are allowed: {said}");
        let waiting = waiting(place)?;
        ensure!(waiting <= captured, "{waiting} jobs wait, of {captured} reports");
        most = most.max(waiting);
        std::thread::sleep(LOOK_EVERY);
    }
    Ok((most, number(&relay(place)?, "uncaptured_self")))
}

/// What became of reports to the project `internal`.
fn relay(place: &Place) -> anyhow::Result<Value> {
    let status = place.json(&["status"])?;
    let destinations = status["self_reporting"]["destinations"].as_array().context("destinations")?;
    let relay = destinations.iter().find(|destination| destination["destination"] == "relay");
    Ok(relay.context("the relay is among the destinations")?["reports"].clone())
}

/// Events in the queue, in whatever state.
fn waiting(place: &Place) -> anyhow::Result<u64> {
    let queues = place.json(&["queues", "list"])?;
    let queues = queues.as_array().context("queues are a list")?;
    let events = queues.iter().find(|queue| queue["queue"] == "events").context("the events' queue")?;
    Ok(["ready", "delayed", "leased", "dead"].iter().map(|state| number(events, state)).sum())
}

fn number(value: &Value, name: &str) -> u64 {
    value[name].as_u64().unwrap_or_default()
}
