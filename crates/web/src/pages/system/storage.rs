//! `/system/storage/`: what takes the disk, how fast it grows, how long it lasts, and what retention did last.

use super::{Tab, count};
use crate::error::PageError;
use crate::format::{absolute, bytes, grouped, span};
use crate::pages::html;
use crate::shell::{Nav, Shell};
use crate::state::WebState;
use crate::viewer::Viewer;
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use ops::storage::{self, Forecast, Leap, Said, Storage, Sweep};

/// Projects and days shown; the API has all.
const ROWS_MAX: usize = 50;

#[derive(Template)]
#[template(path = "system/storage.html")]
pub struct StoragePage {
    pub shell: Shell,
    pub total: String,
    pub free: String,
    pub free_min: String,
    pub governor: Option<GovernorView>,
    pub doubt: Option<DoubtView>,
    pub growth: String,
    pub forecast: String,
    /// Less than two weeks are left.
    pub is_short: bool,
    pub event_days: i64,
    pub stores: Vec<Part>,
    pub tables: Vec<Part>,
    pub projects: Vec<ProjectView>,
    pub projects_left_out: usize,
    pub days: Vec<Part>,
    pub days_left_out: usize,
    pub sweeps: Vec<SweepView>,
    pub seen: String,
}

/// Something that takes disk, and its part of the largest.
pub struct Part {
    pub name: String,
    pub bytes: String,
    pub percent: i64,
}

pub struct ProjectView {
    pub name: String,
    pub events: String,
    pub bytes: String,
    pub days: i64,
    pub percent: i64,
}

/// What the disk governor last said.
pub struct GovernorView {
    pub at: String,
    pub text: &'static str,
    pub is_bad: bool,
}

/// Why sweeps wait.
pub struct DoubtView {
    pub text: String,
    pub until: String,
}

pub struct SweepView {
    pub started: String,
    pub origin: String,
    pub state: String,
    pub is_bad: bool,
    pub took: String,
    pub rows: String,
    pub bytes: String,
    pub returned: String,
    pub retried: String,
    pub skipped: Vec<String>,
}

/// Below so many days the forecast is a warning.
const SHORT_DAYS: i64 = 14;

/// `GET /system/storage/`
pub async fn show(State(state): State<WebState>, viewer: Viewer) -> Result<Response, PageError> {
    let seen = storage::get(&state.ops, &viewer.caller).await?;
    html(&StoragePage::of(Shell::of(&state, &viewer, Nav::System, "Storage"), &seen))
}

impl StoragePage {
    pub fn of(shell: Shell, seen: &Storage) -> StoragePage {
        let by_name: Vec<(String, u64)> =
            seen.stores.iter().map(|(name, bytes)| ((*name).to_owned(), *bytes)).collect();
        let by_day: Vec<(String, u64)> = seen.days.iter().map(|size| (size.day.to_string(), size.bytes)).collect();
        let largest = seen.projects.iter().map(|project| project.bytes).max().unwrap_or_default();
        let projects = seen.projects.iter().take(ROWS_MAX).map(|project| ProjectView {
            name: project.name.clone(),
            events: grouped(project.events),
            bytes: bytes(project.bytes),
            days: project.days,
            percent: percent(project.bytes, largest),
        });
        StoragePage {
            shell,
            total: bytes(seen.stores.iter().map(|(_, bytes)| bytes).sum()),
            free: free(seen),
            free_min: bytes(seen.free_min_bytes),
            governor: seen.governor.map(GovernorView::of),
            doubt: seen.leap.map(DoubtView::of),
            growth: if seen.growth_bytes == 0 { "–".to_owned() } else { bytes(seen.growth_bytes) },
            is_short: matches!(seen.forecast, Forecast::Days(days) if days < SHORT_DAYS),
            forecast: forecast(seen.forecast),
            event_days: seen.event_days,
            stores: parts(&by_name),
            tables: parts(&seen.tables),
            projects: projects.collect(),
            projects_left_out: seen.projects.len().saturating_sub(ROWS_MAX),
            days_left_out: by_day.len().saturating_sub(ROWS_MAX),
            days: parts(&by_day[..by_day.len().min(ROWS_MAX)]),
            sweeps: seen.sweeps.iter().map(SweepView::of).collect(),
            seen: absolute(seen.seen_at),
        }
    }

    fn tab(&self) -> Tab {
        Tab::Storage
    }
}

impl GovernorView {
    fn of(said: Said) -> GovernorView {
        GovernorView { at: absolute(said.at), text: said.verdict.text(), is_bad: said.verdict.is_bad() }
    }
}

impl DoubtView {
    fn of(leap: Leap) -> DoubtView {
        DoubtView { text: leap.text(), until: absolute(leap.doubted_until()) }
    }
}

impl SweepView {
    fn of(sweep: &Sweep) -> SweepView {
        SweepView {
            started: absolute(sweep.started_at),
            origin: sweep.origin.clone(),
            is_bad: !matches!(sweep.state.as_str(), "done" | "running"),
            state: sweep.state.clone(),
            took: sweep.took.map(span).unwrap_or_default(),
            rows: count(sweep.rows),
            bytes: bytes(sweep.bytes),
            returned: bytes(sweep.returned_bytes),
            retried: count(sweep.retried),
            skipped: sweep.skipped.clone(),
        }
    }
}

fn parts(sizes: &[(String, u64)]) -> Vec<Part> {
    let largest = sizes.iter().map(|(_, bytes)| *bytes).max().unwrap_or_default();
    let part = |(name, size): &(String, u64)| Part {
        name: name.clone(),
        bytes: bytes(*size),
        percent: percent(*size, largest),
    };
    sizes.iter().map(part).collect()
}

fn percent(part: u64, whole: u64) -> i64 {
    i64::try_from(u128::from(part) * 100 / u128::from(whole.max(1))).unwrap_or(100)
}

fn free(seen: &Storage) -> String {
    match seen.free_bytes {
        Some(free) => bytes(free),
        None => "not known".to_owned(),
    }
}

fn forecast(forecast: Forecast) -> String {
    match forecast {
        Forecast::Unknown => "–".to_owned(),
        Forecast::Days(1) => "1 day left".to_owned(),
        Forecast::Days(days) => format!("{days} days left"),
        Forecast::Lasting => "over a year".to_owned(),
    }
}
