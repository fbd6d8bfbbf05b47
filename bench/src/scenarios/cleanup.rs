//! `cleanup`: retention beside a running server. How long thirty of sixty days take to go and whether their disk comes
//! back, whether the time to drop a day grows with it, how many rows of a project go a second from days that others keep,
//! and what ingest feels of it.

use super::place::Placed;
use crate::Place;
use anyhow::{Context, ensure};
use bench::event::Shape;
use bench::fill::{Fill, fill};
use bench::load::{self, Outcome, round};
use bench::server::Dsn;
use bench::usage::disk_bytes;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use stdx::{Clock, SystemClock};

const DAYS: i64 = 60;
const KEPT: i64 = 30;
/// Days and rows a day of the project with a shorter limit.
const SHARED_DAYS: i64 = 20;
const WORKERS: [&str; 3] = ["1", "2", "4"];
/// Load beside which cleanups run.
const RATE: usize = 1_000;
const LOAD_TIME: Duration = Duration::from_secs(15);
const CONNECTIONS: usize = 16;
const SHAPE: Shape = Shape { groups: 200, bytes: 5_000 };

#[derive(clap::Args, Clone)]
pub struct Options {
    /// Events over sixty days
    #[arg(long, default_value_t = 1_000_000)]
    pub events: usize,
    /// Events of a project that is cleaned from days that others keep
    #[arg(long, default_value_t = 200_000)]
    pub shared_events: usize,
    #[command(flatten)]
    pub place: Place,
}

/// Runs all of it on one server.
///
/// # Errors
/// If the server or a cleanup fails.
pub fn run(options: &Options) -> anyhow::Result<Value> {
    let server = options.place.start()?;
    for slug in ["site", "small"] {
        let created = server.command(&["projects", "create", &format!("default/{slug}")])?;
        ensure!(created.status.success(), "create a project: {}", String::from_utf8_lossy(&created.stderr));
    }
    let per_day = options.events / DAYS.unsigned_abs() as usize;
    put(&server, "default/default", DAYS, per_day, 1)?;
    let whole = whole_days(&server)?;
    eprintln!("{whole}");
    let shared = shared_days(&server, options.shared_events)?;
    eprintln!("{shared}");
    let beside = beside_ingest(&server, options.shared_events)?;
    eprintln!("{beside}");
    // Last, for it removes all days: those that are over take no more events.
    let sizes = day_sizes(&server, per_day)?;
    Ok(json!({
        "scenario": "cleanup", "events": options.events, "whole_days": whole, "one_day": sizes, "shared_days": shared,
        "ingest": beside,
    }))
}

fn put(server: &Placed, project: &str, days: i64, events_per_day: usize, seed: u64) -> anyhow::Result<usize> {
    let what = Fill { days, events_per_day, groups: 200, body_bytes: 1_000, attachment_every: 0, seed };
    eprintln!("{project}: {days} days of {events_per_day} events");
    fill(&server.data_dir, project, what, SystemClock.now())
}

/// Seconds of the whole command, as its caller waits, and its summary.
fn cleanup(server: &Placed, arguments: &[&str]) -> anyhow::Result<(f64, Value)> {
    let started = Instant::now();
    let summary = server.json(&[&["cleanup"], arguments].concat())?;
    ensure!(summary["skipped"] == 0, "units were skipped: {summary}");
    Ok((started.elapsed().as_secs_f64(), summary))
}

fn whole_days(server: &Placed) -> anyhow::Result<Value> {
    let before = disk_bytes(&server.data_dir);
    let (seconds, summary) = cleanup(server, &["--days", &KEPT.to_string()])?;
    let after = disk_bytes(&server.data_dir);
    Ok(json!({
        "rows": summary["rows"], "seconds": round(seconds), "bytes_reported": summary["bytes"],
        "bytes_du_fell": before.saturating_sub(after), "bytes_left": after,
    }))
}

/// A day goes with all its events: how long that takes for one of this size, and for one ten times as large. Only the
/// model of events, for rows of the metadata go by rows.
fn day_sizes(server: &Placed, events: usize) -> anyhow::Result<Value> {
    let mut days = Vec::new();
    for (seed, events) in [(2, events), (3, events * 10)] {
        cleanup(server, &["--days", "0", "--force", "--model", "Event"])?;
        put(server, "default/small", 1, events, seed)?;
        let (seconds, summary) = cleanup(server, &["--days", "0", "--force", "--model", "Event"])?;
        days.push(json!({
            "events": summary["rows"], "seconds": round(seconds),
            "bytes": summary["bytes"],
        }));
    }
    Ok(json!(days))
}

/// A project's shorter limit over days that another project keeps: those of the beginning.
fn shared_days(server: &Placed, events: usize) -> anyhow::Result<Value> {
    let per_day = events / SHARED_DAYS.unsigned_abs() as usize;
    let mut runs = Vec::new();
    for (seed, workers) in (5..).zip(WORKERS) {
        put(server, "default/site", SHARED_DAYS, per_day, seed)?;
        let scope = ["--project", "default/site", "--model", "Event", "--days", "1", "--concurrency", workers];
        let (seconds, summary) = cleanup(server, &scope)?;
        let rows = summary["rows"].as_f64().context("rows")?;
        ensure!(rows > 0.0, "nothing was removed: {summary}");
        runs.push(json!({
            "workers": workers, "rows": rows, "seconds": round(seconds), "rows_per_second": round(rows / seconds),
            "bytes_reported": summary["bytes"], "bytes_returned": summary["returned_bytes"],
        }));
    }
    Ok(json!(runs))
}

/// The same load alone, and beside cleanups of shared days, one after the other until it is over.
fn beside_ingest(server: &Placed, events: usize) -> anyhow::Result<Value> {
    let dsn = server.dsn("default/small")?;
    let alone = load(server, &dsn, 11);
    put(server, "default/site", SHARED_DAYS, events / SHARED_DAYS.unsigned_abs() as usize, 12)?;
    let (beside, (seconds, summary)) = std::thread::scope(|scope| {
        let sending = scope.spawn(|| load(server, &dsn, 13));
        let scope = ["--project", "default/site", "--model", "Event", "--days", "1", "--concurrency", "2"];
        let cleaned = cleanup(server, &scope)?;
        let sent = sending.join().map_err(|_| anyhow::anyhow!("sending panicked"))?;
        Ok::<_, anyhow::Error>((sent, cleaned))
    })?;
    Ok(json!({
        "wanted_per_second": RATE, "alone": alone.report(), "beside": beside.report(),
        "cleanup_seconds": round(seconds), "cleanup_rows": summary["rows"],
        "good": beside.rate() >= alone.rate() * 0.9,
    }))
}

fn load(server: &Placed, dsn: &Dsn, seed: u64) -> Outcome {
    let count = RATE * usize::try_from(LOAD_TIME.as_secs()).unwrap_or(1);
    let requests = load::prepare(SHAPE, count, seed, &dsn.project, &dsn.key);
    load::send_paced(server.address, &requests, CONNECTIONS, RATE)
}
