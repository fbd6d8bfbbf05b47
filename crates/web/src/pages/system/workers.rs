//! `/system/workers/`: who works, on what, and since when.

use super::{Tab, count};
use crate::error::PageError;
use crate::format::span;
use crate::pages::html;
use crate::shell::{Nav, Shell};
use crate::state::WebState;
use crate::viewer::Viewer;
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use ops::workers::{self, RunningRow, Worker};
use std::time::Duration;
use stdx::Timestamp;

/// A run of this age is worth a look.
const LONG: Duration = Duration::from_secs(60);

#[derive(Template)]
#[template(path = "system/workers.html")]
pub struct WorkersPage {
    pub shell: Shell,
    /// The longest first.
    pub runs: Vec<RunView>,
    pub workers: Vec<WorkerView>,
}

pub struct RunView {
    pub task: String,
    pub job: String,
    pub jobs: String,
    pub long: String,
    pub is_long: bool,
    pub worker: String,
}

pub struct WorkerView {
    pub name: String,
    pub pid: u32,
    pub version: String,
    pub state: &'static str,
    pub is_alive: bool,
    pub heard: String,
    pub up: String,
    /// Runs now and at most; a scheduler has none.
    pub slots: String,
    pub finished: String,
    pub failed: String,
    pub dead: String,
    pub queues: String,
    pub last_error: Option<String>,
}

/// `GET /system/workers/`
pub async fn show(State(state): State<WebState>, viewer: Viewer) -> Result<Response, PageError> {
    let workers = workers::list(&state.ops, &viewer.caller).await?;
    let now = state.ops.clock.now();
    html(&WorkersPage::of(Shell::of(&state, &viewer, Nav::System, "Workers"), &workers, now))
}

impl WorkersPage {
    pub fn of(shell: Shell, workers: &[Worker], now: Timestamp) -> WorkersPage {
        let alive = workers.iter().filter(|worker| worker.is_alive);
        let mut runs: Vec<(&Worker, &RunningRow)> =
            alive.flat_map(|worker| worker.row.running.iter().map(move |run| (worker, run))).collect();
        runs.sort_by_key(|(_, run)| run.since);
        WorkersPage {
            shell,
            runs: runs.into_iter().map(|(worker, run)| RunView::of(worker, run, now)).collect(),
            workers: workers.iter().map(|worker| WorkerView::of(worker, now)).collect(),
        }
    }

    fn tab(&self) -> Tab {
        Tab::Workers
    }
}

impl RunView {
    fn of(worker: &Worker, run: &RunningRow, now: Timestamp) -> RunView {
        let long = now.since(run.since);
        RunView {
            task: run.task.clone(),
            job: run.job.clone(),
            jobs: count(run.jobs),
            long: span(long),
            is_long: long >= LONG,
            worker: worker.row.name.clone(),
        }
    }
}

impl WorkerView {
    fn of(worker: &Worker, now: Timestamp) -> WorkerView {
        let row = &worker.row;
        let state = match (worker.is_alive, row.is_stopping) {
            (false, _) => "dead",
            (true, true) => "stopping",
            (true, false) if row.slots == 0 => "scheduler",
            (true, false) => "alive",
        };
        WorkerView {
            name: row.name.clone(),
            pid: row.pid,
            version: row.version.clone(),
            state,
            is_alive: worker.is_alive,
            heard: span(now.since(row.heard_at)),
            up: span(now.since(row.started_at)),
            slots: if row.slots == 0 { "–".to_owned() } else { format!("{}/{}", row.running.len(), row.slots) },
            finished: count(row.finished),
            failed: count(row.failed),
            dead: count(row.dead),
            queues: row.queues.join(", "),
            last_error: row.last_error.clone(),
        }
    }
}
