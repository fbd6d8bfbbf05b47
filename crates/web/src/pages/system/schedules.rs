//! `/system/schedules/`: what happens by the clock, what came of it last, and when it happens next.

use super::{Tab, dead_letters};
use crate::error::PageError;
use crate::format::{absolute, counted, span};
use crate::pages::html;
use crate::shell::{Nav, Shell};
use crate::state::WebState;
use crate::viewer::Viewer;
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use ops::dead_letters::DeadLetter;
use ops::schedules::{self, JobResult, ScheduleRow};
use ops::workers::{self, Worker};

#[derive(Template)]
#[template(path = "system/schedules.html")]
pub struct SchedulesPage {
    pub shell: Shell,
    pub rows: Vec<RowView>,
    /// Who fires them.
    pub schedulers: String,
}

pub struct RowView {
    pub name: String,
    pub when: String,
    pub task: String,
    pub queue: String,
    pub last: String,
    pub result: String,
    pub is_bad: bool,
    /// What the last failure said.
    pub error: Option<String>,
    pub last_failure: Option<FailureView>,
    pub lateness: String,
    pub next: String,
}

/// The latest run that failed to its end, with the page that tells all of it.
pub struct FailureView {
    pub at: String,
    pub error: String,
    pub url: String,
}

/// `GET /system/schedules/`
pub async fn show(State(state): State<WebState>, viewer: Viewer) -> Result<Response, PageError> {
    let rows = schedules::list(&state.ops, &viewer.caller).await?;
    let workers = workers::list(&state.ops, &viewer.caller).await?;
    html(&SchedulesPage::of(Shell::of(&state, &viewer, Nav::System, "Schedules"), &rows, &workers))
}

impl SchedulesPage {
    pub fn of(shell: Shell, rows: &[ScheduleRow], workers: &[Worker]) -> SchedulesPage {
        let alive = workers.iter().filter(|worker| worker.is_alive && worker.row.slots == 0).count();
        let schedulers = match alive {
            0 => "No scheduler is alive: nothing happens by the clock until vigie run cron is started.".to_owned(),
            some => format!(
                "{} alive; any number may run, each occurrence happens once.",
                counted(i64::try_from(some).unwrap_or(i64::MAX), "scheduler is", "schedulers are")
            ),
        };
        SchedulesPage { shell, rows: rows.iter().map(RowView::of).collect(), schedulers }
    }

    fn tab(&self) -> Tab {
        Tab::Schedules
    }
}

impl RowView {
    fn of(row: &ScheduleRow) -> RowView {
        let outcome = row.outcome();
        let (result, error) = match &row.result {
            Some(JobResult::Failure { error }) => ("failed".to_owned(), Some(error.clone())),
            Some(JobResult::Retry { error }) => ("tried again".to_owned(), Some(error.clone())),
            Some(JobResult::Success { .. }) | None => (outcome, None),
        };
        RowView {
            name: row.name.clone(),
            when: row.when.clone(),
            task: row.task.clone(),
            queue: row.queue.clone(),
            last: row.last.as_ref().map_or_else(|| "never".to_owned(), |cursor| absolute(cursor.scheduled_at)),
            is_bad: error.is_some() || result == "failed",
            result,
            error,
            last_failure: row.last_failure.as_ref().map(FailureView::of),
            lateness: row.lateness.map(span).unwrap_or_default(),
            next: row.next.map(absolute).unwrap_or_default(),
        }
    }
}

impl FailureView {
    fn of(letter: &DeadLetter) -> FailureView {
        FailureView { at: absolute(letter.at), error: dead_letters::said_by(letter), url: dead_letters::url_of(letter) }
    }
}
