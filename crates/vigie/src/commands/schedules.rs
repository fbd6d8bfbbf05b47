//! `vigie schedules list`: what happens by the clock.

use super::output;
use crate::cli::Schedules;
use crate::config::Config;
use crate::local::Local;
use ops::schedules::ScheduleRow;
use std::process::ExitCode;

pub fn run(config: &Config, command: &Schedules) -> anyhow::Result<ExitCode> {
    let Schedules::List(listing) = command;
    let local = Local::open(config)?;
    let rows = local.wait(ops::schedules::list(&local.ops, &local.caller()))?;
    if listing.json {
        output::json(&rows.iter().map(ops::shapes::schedule).collect())?;
        return Ok(ExitCode::SUCCESS);
    }
    let line = |row: &ScheduleRow| {
        vec![
            row.name.clone(),
            row.when.clone(),
            row.last.as_ref().map_or("never".to_owned(), |cursor| cursor.scheduled_at.to_string()),
            row.outcome(),
            row.lateness.map_or(String::new(), |lateness| format!("{:.1} s", lateness.as_secs_f64())),
            row.next.map_or(String::new(), |next| next.to_string()),
        ]
    };
    let lines: Vec<Vec<String>> = rows.iter().map(line).collect();
    output::table(&["NAME", "WHEN", "LAST", "RESULT", "LATE", "NEXT"], &lines)?;
    Ok(ExitCode::SUCCESS)
}
