//! `accept` and `sustained`: the main job under full load.

use crate::Run;
use bench::accounts;
use bench::event::Shape;
use bench::load::{self, Outcome, round};
use bench::server::Server;
use bench::usage::{self, Usage};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const DRAIN_WITHIN: Duration = Duration::from_secs(1_200);

/// Accepts for a while; the queue is left as it is.
///
/// # Errors
/// If the server fails.
pub fn accept(run: &Run) -> anyhow::Result<Value> {
    let server = run.place.start()?;
    let (outcome, memory) = send(run, &server)?;
    Ok(json!({ "scenario": "accept", "send": outcome.report(), "server": memory }))
}

/// Accepts, drains, and looks every id up.
///
/// # Errors
/// If the server fails, or is not drained in time.
pub fn sustained(run: &Run) -> anyhow::Result<Value> {
    let mut server = run.place.start()?;
    let started = Instant::now();
    let (outcome, memory) = send(run, &server)?;
    // Building the requests came before the first was sent.
    let building = started.elapsed() - outcome.took;
    server.drained(DRAIN_WITHIN)?;
    let took = started.elapsed() - building;
    let after = usage::of_process(server.pid());
    let token = server.token()?;
    let stored = accounts::stored_ids(server.address, &token, "default/default")?;
    let compared = accounts::account(&outcome.accepted, &outcome.unanswered, &stored);
    let verdict = server.command(&["check"])?.status.success();
    Ok(json!({
        "scenario": "sustained",
        "send": outcome.report(),
        "stored_per_second": round(outcome.accepted.len() as f64 / took.as_secs_f64()),
        "seconds_to_drained": round(took.as_secs_f64()),
        "server": memory,
        "server_cpu_ms_per_event": round(after.cpu_seconds * 1e3 / outcome.accepted.len().max(1) as f64),
        "rss_peak_mib": round(after.rss_peak_mib),
        "ids": compared.report(),
        "vigie_check": verdict,
        "good": compared.is_good() && verdict,
    }))
}

fn send(run: &Run, server: &Server) -> anyhow::Result<(Outcome, Value)> {
    let dsn = server.dsn("default/default")?;
    eprintln!("building {} requests", run.prebuild);
    let shape = Shape { groups: run.body.groups, bytes: run.body.bytes };
    let requests = load::prepare(shape, run.prebuild, run.body.seed, &dsn.project, &dsn.key);
    let idle = usage::of_process(server.pid());
    eprintln!("sending over {} connections for at most {} s", run.connections, run.seconds);
    let own = usage::of_process(std::process::id());
    let outcome = load::send(server.address, &requests, run.connections, Duration::from_secs(run.seconds));
    let memory = memory(idle, usage::of_process(server.pid()));
    let generator = usage::of_process(std::process::id()).cpu_seconds - own.cpu_seconds;
    eprintln!("accepted {:.0}/s; the generator used {generator:.1} s of processor time", outcome.rate());
    Ok((outcome, memory))
}

fn memory(idle: Usage, after: Usage) -> Value {
    json!({
        "rss_idle_mib": round(idle.rss_mib),
        "rss_peak_mib": round(after.rss_peak_mib),
        "cpu_seconds": round(after.cpu_seconds - idle.cpu_seconds),
    })
}
