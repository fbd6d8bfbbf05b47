//! `vigie queues …`: how deep each queue is, and what an operator does with one.

mod dead;
mod send;
mod spools;

use super::{output, unknown};
use crate::cli::{Listing, Queues};
use crate::config::Config;
use crate::local::Local;
use anyhow::Context;
use ops::queues::QueueDepth;
use ops::workers::Parked;
use serde_json::json;
use std::io::{BufRead, IsTerminal, Write};
use std::process::ExitCode;

pub fn run(config: &Config, command: Queues) -> anyhow::Result<ExitCode> {
    match command {
        Queues::Unknown(words) => Err(unknown("queues", &words)),
        Queues::List(listing) => list(&Local::open(config)?, listing),
        Queues::Purge { queue, force, listing } => purge(&Local::open(config)?, &queue, force, listing),
        Queues::Pause { queue } => {
            let local = Local::open(config)?;
            local.wait(ops::queues::pause(&local.ops, &local.caller(), &queue))?;
            output::line(&format!("queue {queue} is paused; what runs goes on"))?;
            Ok(ExitCode::SUCCESS)
        }
        Queues::Resume { queue } => {
            let local = Local::open(config)?;
            local.wait(ops::queues::resume(&local.ops, &local.caller(), &queue))?;
            output::line(&format!("queue {queue} goes on"))?;
            Ok(ExitCode::SUCCESS)
        }
        Queues::Dead(command) => dead::run(&Local::open(config)?, command),
        Queues::Send(call) => send::run(config, call),
        Queues::Parked(listing) => parked(&Local::open(config)?, listing),
        Queues::Spools(command) => spools::run(&Local::open(config)?, command),
        Queues::WriteOff(listing) => write_off(&Local::open(config)?, listing),
    }
}

fn list(local: &Local, listing: Listing) -> anyhow::Result<ExitCode> {
    let queues = local.wait(ops::queues::list(&local.ops, &local.caller()))?;
    if listing.json {
        output::json(&queues.iter().map(ops::shapes::queue).collect())?;
        return Ok(ExitCode::SUCCESS);
    }
    let row = |depth: &QueueDepth| {
        let counts = [depth.ready, depth.delayed, depth.leased, depth.dead, depth.parked];
        let mut cells = vec![depth.queue.clone()];
        cells.extend(counts.iter().map(u64::to_string));
        cells.push(depth.oldest_age_s.map(|age| format!("{age} s")).unwrap_or_default());
        cells.push(if depth.paused { "paused" } else { "" }.to_owned());
        cells
    };
    let rows: Vec<Vec<String>> = queues.iter().map(row).collect();
    output::table(&["QUEUE", "READY", "DELAYED", "LEASED", "DEAD", "PARKED", "OLDEST", "STATE"], &rows)?;
    Ok(ExitCode::SUCCESS)
}

/// What waits for a worker that knows its task.
fn parked(local: &Local, listing: Listing) -> anyhow::Result<ExitCode> {
    let parked = local.wait(ops::workers::parked(&local.ops, &local.caller()))?;
    if listing.json {
        output::json(&parked.iter().map(ops::shapes::parked).collect())?;
        return Ok(ExitCode::SUCCESS);
    }
    let row = |one: &Parked| vec![one.queue.clone(), one.task.clone(), one.jobs.to_string(), one.since.to_string()];
    output::table(&["QUEUE", "TASK", "JOBS", "SINCE"], &parked.iter().map(row).collect::<Vec<_>>())?;
    Ok(ExitCode::SUCCESS)
}

/// Ends the alarm of a broker that was emptied.
fn write_off(local: &Local, listing: Listing) -> anyhow::Result<ExitCode> {
    let written = local.wait(ops::conservation::write_off(&local.ops, &local.caller()))?;
    if listing.json {
        output::json(&ops::shapes::written_off(&written))?;
    } else {
        output::line(&written.said())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Asks before it empties a queue, in the words operators know from Sentry.
fn purge(local: &Local, queue: &str, force: bool, listing: Listing) -> anyhow::Result<ExitCode> {
    let queues = local.wait(ops::queues::list(&local.ops, &local.caller()))?;
    let depth = queues.into_iter().find(|depth| depth.queue == queue);
    let depth = depth.with_context(|| format!("unknown queue: '{queue}'"))?;
    let waiting = depth.ready + depth.delayed + depth.parked;
    if waiting == 0 && !listing.json {
        output::line("Queue is empty, nothing to purge")?;
        return Ok(ExitCode::SUCCESS);
    }
    if !force && waiting > 0 && !is_agreed(waiting, queue)? {
        anyhow::bail!("nothing was purged");
    }
    let purged = local.wait(ops::queues::purge(&local.ops, &local.caller(), queue))?;
    if listing.json {
        output::json(&json!({ "queue": queue, "purged": purged }))?;
    } else {
        output::line(&format!("Poof, {purged} messages deleted"))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn is_agreed(waiting: u64, queue: &str) -> anyhow::Result<bool> {
    anyhow::ensure!(std::io::stdin().is_terminal(), "not asked on a terminal; say --force to purge {waiting} messages");
    let mut out = std::io::stdout();
    write!(out, "Are you sure you want to purge {waiting} messages from the queue '{queue}'? [y/N]: ")?;
    out.flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).context("read the answer")?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
