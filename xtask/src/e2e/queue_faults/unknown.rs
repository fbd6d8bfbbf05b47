//! Tasks that nobody knows are parked and reported, and stop nobody; a paused queue keeps its jobs, and a purge says
//! truly how many it removed.

use super::Brokers;
use crate::e2e::house::House;
use crate::e2e::{Case, Verdict, eventually};
use anyhow::{Context, ensure};
use bench::http;
use serde_json::{Value, json};
use std::time::Duration;

const REPORTED_WITHIN: Duration = Duration::from_secs(60);
/// A paused queue is watched for so long.
const STAYS: Duration = Duration::from_secs(2);
const TASK: &str = "somebody.elses_task";
const PARKED: u64 = 30;

pub fn run(case: &Case<'_>) -> anyhow::Result<Verdict> {
    let brokers = Brokers::start(case)?;
    for (name, house) in [("embedded", &brokers.embedded), ("redis", &brokers.on_redis)] {
        let mut web = house.web()?;
        let mut worker = house.worker("unknown", &[])?;
        let ready = || web.http(&http::request("GET", "/health/ready", &[("Connection", "close")], b""));
        parked(house, || Ok(serde_json::from_slice(&ready()?.body)?)).with_context(|| format!("parked on {name}"))?;
        paused(house).with_context(|| format!("paused on {name}"))?;
        worker.terminate()?;
        ensure!(web.terminate()?, "the web role did not end well:\n{}", web.log_tail());
    }
    brokers.end();
    Ok(Verdict::Passed(format!("{PARKED} unknown tasks parked and reported; pause, resume, purge")))
}

fn parked(house: &House, health: impl Fn() -> anyhow::Result<Value>) -> anyhow::Result<()> {
    for _ in 0..PARKED {
        house.send(TASK, &json!([]), &["--queue", "default"])?;
    }
    let came = house.call("debug.echo", &json!(["flows"]), &[])?;
    ensure!(came == "flows", "another queue's call came to {came}");
    let came = house.call("debug.echo", &json!(["flows"]), &["--queue", "default"])?;
    ensure!(came == "flows", "a known task of the same queue came to {came}");
    eventually("the unknown tasks parked and reported", REPORTED_WITHIN, || {
        let is_parked = house.queue("default")?["parked"] == PARKED;
        let health = health()?;
        let checks = health["checks"].as_array().cloned().unwrap_or_default();
        let is_named = |check: &Value| check["detail"].as_str().is_some_and(|detail| detail.contains(TASK));
        Ok((is_parked && checks.iter().any(is_named)).then_some(()))
    })?;
    let purged = house.json(&["queues", "purge", "default", "--force"])?;
    ensure!(purged["purged"] == PARKED, "a purge of parked jobs says {purged}");
    Ok(())
}

fn paused(house: &House) -> anyhow::Result<()> {
    const FILE: &str = "paused";
    house.text(&["queues", "pause", "debug"])?;
    for number in 0..5 {
        house.send("debug.append", &json!([FILE, format!("line-{number}")]), &[])?;
    }
    house.send("debug.append", &json!([FILE, "delayed"]), &["--delay", "600"])?;
    std::thread::sleep(STAYS);
    let row = house.queue("debug")?;
    ensure!(row["paused"] == true && row["ready"] == 5 && row["delayed"] == 1, "a paused queue reads {row}");
    ensure!(house.appended(FILE).is_empty(), "a paused queue's jobs were run");
    house.text(&["queues", "resume", "debug"])?;
    eventually("the jobs of a resumed queue", REPORTED_WITHIN, || Ok((house.appended(FILE).len() == 5).then_some(())))?;

    house.text(&["queues", "pause", "debug"])?;
    for number in 5..8 {
        house.send("debug.append", &json!([FILE, format!("line-{number}")]), &[])?;
    }
    let purged = house.json(&["queues", "purge", "debug", "--force"])?;
    ensure!(purged["purged"] == 4, "three ready and one delayed job were purged, it says {purged}");
    house.text(&["queues", "resume", "debug"])?;
    let row = house.queue("debug")?;
    ensure!(row["paused"] == false && row["ready"] == 0 && row["delayed"] == 0, "after the purge it reads {row}");
    Ok(())
}
