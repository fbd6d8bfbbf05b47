//! What `vigie cleanup` says: lines for people, a bar on a terminal, JSON for scripts. With `--json` nothing else is on
//! standard output, and progress goes to standard error; with `--silent` there is none.

use super::{output, print, seconds};
use crate::cli::Cleanup;
use pipeline::retention::sweep::Progress;
use pipeline::retention::{Ask, Freed, POLICIES, Plan, Report};
use serde_json::{Value, json};
use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use stdx::ByteSize;
use store::clock_leaps::Leap;

const BAR_CELLS: usize = 24;
/// Plain progress lines come no more often.
const LINE_EVERY: Duration = Duration::from_secs(5);

pub struct Show<'a> {
    input: &'a Cleanup,
    ask: &'a Ask,
    started: Instant,
    said_at: Mutex<Instant>,
    has_bar: bool,
}

impl<'a> Show<'a> {
    pub fn new(input: &'a Cleanup, ask: &'a Ask) -> Show<'a> {
        let now = Instant::now();
        let has_bar = std::io::stderr().is_terminal() && !input.silent;
        Show { input, ask, started: now, said_at: Mutex::new(now), has_bar }
    }

    /// Names every model: what is removed, and what is left alone and why.
    pub fn beginning(&self) -> anyhow::Result<()> {
        if self.input.silent || self.input.listing.json {
            return Ok(());
        }
        let days = self.ask.days.unwrap_or(self.ask.installation_days);
        let project = self.input.project.as_deref().unwrap_or("*");
        for policy in POLICIES {
            if self.ask.covers(policy.model) {
                print(&format!("Removing {} for days={days} project={project}", policy.name))?;
            } else {
                print(&format!(">> Skipping {}", policy.name))?;
            }
        }
        Ok(())
    }

    /// Asks for the rows that went so far only where they are shown.
    pub fn progress(&self, progress: Progress, rows_gone: impl Fn() -> u64) {
        if self.has_bar {
            let end = if progress.units_ended == progress.units { "\n" } else { "" };
            tell(&format!("\r\x1b[K{}{end}", self.bar(progress, rows_gone())));
        } else if !self.input.silent {
            let mut said_at = self.said_at.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            if said_at.elapsed() >= LINE_EVERY {
                *said_at = Instant::now();
                tell(&format!("{}\n", self.figures(progress, rows_gone())));
            }
        }
    }

    fn bar(&self, progress: Progress, gone: u64) -> String {
        let full = BAR_CELLS * progress.units_ended / progress.units.max(1);
        format!("[{}{}] {}", "#".repeat(full), ".".repeat(BAR_CELLS - full), self.figures(progress, gone))
    }

    fn figures(&self, progress: Progress, gone: u64) -> String {
        let Progress { units, units_ended, rows } = progress;
        let elapsed = self.started.elapsed().as_secs_f64().max(0.001);
        let rate = gone as f64 / elapsed;
        let left = if gone == 0 { "?".to_owned() } else { format!("{:.0}", rows.saturating_sub(gone) as f64 / rate) };
        format!("{units_ended}/{units} units, {gone}/{rows} rows, {rate:.0} rows/s, {left} s left")
    }

    pub fn plan(&self, plan: &Plan, took: Duration) -> anyhow::Result<()> {
        let report = plan.report();
        if self.input.listing.json {
            return output::json(&shape(plan, &report));
        }
        self.table(plan, &report)?;
        print(&format!("{}; nothing was changed", totals("would remove", &report)))?;
        self.time(took)
    }

    /// After a dry run: what a cleanup would say instead of going on.
    pub fn doubt(&self, leap: &Leap) {
        if !self.input.silent {
            tell(&format!("{}; a cleanup takes --force\n", leap.text()));
        }
    }

    fn time(&self, took: Duration) -> anyhow::Result<()> {
        match self.input.timed && !self.input.listing.json {
            true => print(&format!("Clean up took {} second(s).", seconds(took))),
            false => Ok(()),
        }
    }

    pub fn done(&self, plan: &Plan, report: &Report, took: Duration) -> anyhow::Result<()> {
        if self.input.listing.json {
            let mut shape = shape(plan, report);
            shape["returned_bytes"] = report.returned_bytes.into();
            shape["duration_s"] = took.as_secs_f64().into();
            shape["set_aside"] = json!(report.skipped);
            output::json(&shape)?;
        } else if !self.input.silent {
            self.table(plan, report)?;
            let returned = ByteSize(report.returned_bytes);
            let skipped = report.skipped.len();
            print(&format!("{}; {returned} returned to the operating system", totals("removed", report)))?;
            print(&format!("{} units done, {} retried, {skipped} skipped", report.units, report.retried))?;
            for retry in &report.retries {
                print(&format!("retried: {retry}"))?;
            }
        }
        for lost in &report.lost {
            tell(&format!("a place of work was given up: {lost}\n"));
        }
        for skipped in &report.skipped {
            tell(&format!("skipped: {skipped}\n"));
        }
        self.time(took)
    }

    fn table(&self, plan: &Plan, report: &Report) -> anyhow::Result<()> {
        let row = |freed: Freed| {
            let project = plan.project_name(freed.project_id).unwrap_or("-").to_owned();
            vec![freed.model.name().to_owned(), project, freed.rows.to_string(), ByteSize(freed.bytes).to_string()]
        };
        let rows: Vec<Vec<String>> = report.rows().map(row).collect();
        if rows.is_empty() {
            return print("nothing is past its retention");
        }
        output::table(&["MODEL", "PROJECT", "ROWS", "BYTES"], &rows)
    }
}

fn totals(verb: &str, report: &Report) -> String {
    format!("{verb} {} rows, {}", report.rows_total(), ByteSize(report.bytes_total()))
}

/// The shape that scripts use.
fn shape(plan: &Plan, report: &Report) -> Value {
    let model = |freed: Freed| {
        json!({
            "model": freed.model.name(), "project": plan.project_name(freed.project_id), "rows": freed.rows,
            "bytes": freed.bytes,
        })
    };
    json!({
        "cutoff": plan.cutoff.start().to_rfc3339(), "models": report.rows().map(model).collect::<Vec<Value>>(),
        "rows": report.rows_total(), "bytes": report.bytes_total(), "units": report.units,
        "retried": report.retried, "skipped": report.skipped.len(),
    })
}

/// Progress is no output: where nobody reads it, it is lost.
fn tell(text: &str) {
    let mut out = std::io::stderr();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
