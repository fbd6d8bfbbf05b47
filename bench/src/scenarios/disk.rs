//! `disk`: what an event costs on disk, once the queue is drained and everything rests.

use crate::{Body, Place};
use bench::event::Shape;
use bench::load::{self, round};
use bench::server::Server;
use bench::usage;
use serde_json::{Value, json};
use std::time::Duration;

/// Events sent before the measurement begins, so that the project's dictionary is trained.
const TRAINING_EVENTS: usize = 2_000;
/// After draining, queue segments and write-ahead logs go within a second; twice that is generous.
const REST: Duration = Duration::from_secs(3);
const WITHIN: Duration = Duration::from_secs(3_600);
/// Requests built at a time: 50,000 are about 150 MB.
const CHUNK: usize = 50_000;
const CONNECTIONS: usize = 32;

/// Stores `events` events and weighs the data folder before and after.
///
/// # Errors
/// If the server fails.
pub fn run(events: usize, body: Body, place: &Place) -> anyhow::Result<Value> {
    let server = place.start()?;
    let shape = Shape { groups: body.groups, bytes: body.bytes };
    fill(&server, shape, TRAINING_EVENTS, body.seed)?;
    std::thread::sleep(REST);
    let before = usage::disk_bytes(&server.data_dir);
    let stored = fill(&server, shape, events, body.seed + 1_000)?;
    std::thread::sleep(REST);
    let after = usage::disk_bytes(&server.data_dir);
    let files: Vec<Value> = usage::largest_files(&server.data_dir)
        .into_iter()
        .take(10)
        .map(|(path, bytes)| json!({ "file": path, "bytes": bytes }))
        .collect();
    Ok(json!({
        "scenario": "disk",
        "events": stored,
        "bytes_per_event": round(after.saturating_sub(before) as f64 / stored.max(1) as f64),
        "bytes_in_all": after,
        "largest_files": files,
    }))
}

/// Sends `count` events in chunks, each drained before the next; returns how many were accepted.
///
/// # Errors
/// If the server fails or does not drain.
pub fn fill(server: &Server, shape: Shape, count: usize, seed: u64) -> anyhow::Result<usize> {
    let dsn = server.dsn("default/default")?;
    let mut accepted = 0;
    let mut chunk = 0;
    while accepted < count {
        let requests = load::prepare(shape, CHUNK.min(count - accepted), seed + chunk, &dsn.project, &dsn.key);
        let outcome = load::send(server.address, &requests, CONNECTIONS, WITHIN);
        anyhow::ensure!(!outcome.accepted.is_empty(), "nothing was accepted: {}", outcome.report());
        accepted += outcome.accepted.len();
        chunk += 1;
        server.drained(WITHIN)?;
        eprintln!("{accepted} of {count} events stored");
    }
    Ok(accepted)
}
