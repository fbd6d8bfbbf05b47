//! `vigie schedules list`: what happens by the clock.

use super::output;
use crate::cli::Schedules;
use crate::config::Config;
use crate::local::Local;
use ops::schedules::ScheduleRow;
use queue::JobResult;
use serde_json::json;
use std::process::ExitCode;

pub fn run(config: &Config, command: &Schedules) -> anyhow::Result<ExitCode> {
    let Schedules::List(listing) = command;
    let local = Local::open(config)?;
    let rows = local.wait(ops::schedules::list(&local.ops, &local.actor()))?;
    if listing.json {
        let shape = |row: &ScheduleRow| {
            json!({
                "name": row.name, "when": row.when, "task": row.task, "queue": row.queue,
                "last": row.last.as_ref().map(|cursor| cursor.scheduled_at.to_string()),
                "fired": row.last.as_ref().map(|cursor| cursor.fired_at.to_string()),
                "job": row.last.as_ref().map(|cursor| &cursor.job),
                "lateness_s": row.lateness.map(|lateness| lateness.as_secs_f64()),
                "next": row.next.map(|next| next.to_string()),
                "result": result(row),
            })
        };
        output::json(&rows.iter().map(shape).collect())?;
        return Ok(ExitCode::SUCCESS);
    }
    let line = |row: &ScheduleRow| {
        vec![
            row.name.clone(),
            row.when.clone(),
            row.last.as_ref().map_or("never".to_owned(), |cursor| cursor.scheduled_at.to_string()),
            result(row),
            row.lateness.map_or(String::new(), |lateness| format!("{:.1} s", lateness.as_secs_f64())),
            row.next.map_or(String::new(), |next| next.to_string()),
        ]
    };
    let lines: Vec<Vec<String>> = rows.iter().map(line).collect();
    output::table(&["NAME", "WHEN", "LAST", "RESULT", "LATE", "NEXT"], &lines)?;
    Ok(ExitCode::SUCCESS)
}

/// What the last occurrence came to.
fn result(row: &ScheduleRow) -> String {
    match (&row.result, row.state) {
        (_, Some(queue::JobState::Leased)) => "running".to_owned(),
        (_, Some(queue::JobState::Ready | queue::JobState::Delayed)) => "waiting".to_owned(),
        (_, Some(queue::JobState::Parked)) => "parked".to_owned(),
        (Some(JobResult::Success { .. }), _) => "done".to_owned(),
        (Some(JobResult::Failure { error }), _) => format!("failed: {error}"),
        (Some(JobResult::Retry { error }), _) => format!("retried: {error}"),
        (None, Some(queue::JobState::Dead)) => "failed".to_owned(),
        (None, None) => String::new(),
    }
}
