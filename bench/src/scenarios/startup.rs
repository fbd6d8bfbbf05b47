//! `startup`: how long an empty directory takes to become a ready server, and what it uses at rest.

use crate::Place;
use bench::load::round;
use bench::usage;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Memory is read after this rest.
const REST: Duration = Duration::from_secs(2);

/// Starts the server some times, each on an empty directory.
///
/// # Errors
/// If a start fails.
pub fn run(times: usize, place: &Place) -> anyhow::Result<Value> {
    let mut starts = Vec::new();
    for _ in 0..times {
        let started = Instant::now();
        let server = place.start()?;
        let ms = round(started.elapsed().as_secs_f64() * 1e3);
        std::thread::sleep(REST);
        starts.push(json!({ "ready_ms": ms, "rss_idle_mib": round(usage::of_process(server.pid()).rss_mib) }));
    }
    Ok(json!({ "scenario": "startup", "starts": starts }))
}
