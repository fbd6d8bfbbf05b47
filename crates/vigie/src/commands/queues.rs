//! `vigie queues list`. The other queue commands come with the console.

use super::{output, unknown};
use crate::cli::Queues;
use crate::config::Config;
use crate::local::Local;
use serde_json::json;
use std::process::ExitCode;

const NOT_YET: &[&str] = &["purge", "pause", "resume", "dead", "send"];

pub fn run(config: &Config, command: Queues) -> anyhow::Result<ExitCode> {
    let listing = match command {
        Queues::List(listing) => listing,
        Queues::Unknown(words) => {
            let name = words.first().map(String::as_str).unwrap_or_default();
            if NOT_YET.contains(&name) {
                anyhow::bail!("'queues {name}' is not built yet (README, \"Not yet\")");
            }
            return Err(unknown("queues command", &words));
        }
    };
    let local = Local::open(config)?;
    let queues = local.wait(ops::queues::list(&local.ops, &local.actor()))?;
    if listing.json {
        let shape = |depth: &ops::queues::QueueDepth| {
            json!({
                "queue": depth.queue, "ready": depth.ready, "delayed": depth.delayed, "leased": depth.leased,
                "dead": depth.dead, "parked": depth.parked, "oldest_age_s": depth.oldest_age_s,
                "paused": depth.paused,
            })
        };
        output::json(&queues.iter().map(shape).collect())?;
    } else {
        let row = |depth: &ops::queues::QueueDepth| {
            let counts = [depth.ready, depth.delayed, depth.leased, depth.dead, depth.parked];
            let mut cells = vec![depth.queue.clone()];
            cells.extend(counts.iter().map(u64::to_string));
            cells.push(depth.oldest_age_s.map(|age| format!("{age} s")).unwrap_or_default());
            cells.push(if depth.paused { "paused" } else { "" }.to_owned());
            cells
        };
        let rows: Vec<Vec<String>> = queues.iter().map(row).collect();
        output::table(&["QUEUE", "READY", "DELAYED", "LEASED", "DEAD", "PARKED", "OLDEST", "STATE"], &rows)?;
    }
    Ok(ExitCode::SUCCESS)
}
