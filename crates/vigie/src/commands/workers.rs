//! `vigie workers list`: who runs jobs, and what each does now.

use super::output;
use crate::cli::Workers;
use crate::config::Config;
use crate::local::Local;
use ops::workers::Worker;
use queue::WorkerRow;
use std::process::ExitCode;

pub fn run(config: &Config, command: &Workers) -> anyhow::Result<ExitCode> {
    let Workers::List(listing) = command;
    let local = Local::open(config)?;
    let workers = local.wait(ops::workers::list(&local.ops, &local.caller()))?;
    if listing.json {
        output::json(&workers.iter().map(ops::shapes::worker).collect())?;
        return Ok(ExitCode::SUCCESS);
    }
    let now = local.ops.clock.now();
    let row = |worker: &Worker| {
        let row = &worker.row;
        let state = match (worker.is_alive, row.is_stopping) {
            (false, _) => "dead",
            (true, true) => "stopping",
            (true, false) => "alive",
        };
        let runs: Vec<String> = row
            .running
            .iter()
            .map(|run| format!("{} ×{} for {} s", run.task, run.jobs, now.since(run.since).as_secs()))
            .collect();
        vec![
            row.name.clone(),
            state.to_owned(),
            format!("{} s ago", now.since(row.heard_at).as_secs()),
            if row.slots == 0 { "scheduler".to_owned() } else { format!("{}/{}", row.running.len(), row.slots) },
            pool_text(row),
            row.finished.to_string(),
            row.failed.to_string(),
            row.dead.to_string(),
            row.queues.join(","),
            runs.join("; "),
        ]
    };
    let rows: Vec<Vec<String>> = workers.iter().map(row).collect();
    let heads = ["NAME", "STATE", "HEARD", "SLOTS", "POOL", "FINISHED", "FAILED", "DEAD", "QUEUES", "RUNNING"];
    output::table(&heads, &rows)?;
    Ok(ExitCode::SUCCESS)
}

/// `threads`, or how many children with how much memory.
fn pool_text(row: &WorkerRow) -> String {
    if row.slots == 0 || row.pool.children.is_empty() {
        return if row.slots == 0 { "-".to_owned() } else { row.pool.kind.clone() };
    }
    let resident: u64 = row.pool.children.iter().map(|child| child.resident_bytes).sum();
    format!("{} {}, {} MiB, {} died", row.pool.children.len(), row.pool.kind, resident >> 20, row.pool.died)
}
