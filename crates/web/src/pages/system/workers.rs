//! `/system/workers/`: who works, on what, and since when.

use super::reasons::LONG_RUN;
use super::{Tab, count};
use crate::error::PageError;
use crate::format::{bytes, counted, span};
use crate::pages::html;
use crate::shell::{Nav, Shell};
use crate::state::WebState;
use crate::viewer::Viewer;
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use ops::workers::{self, PoolRow, RunningRow, Worker, WorkerRow};
use stdx::Timestamp;

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
    /// Where it runs jobs: threads of its own, or child processes.
    pub pool: PoolView,
    pub finished: String,
    pub failed: String,
    pub dead: String,
    pub queues: String,
    pub last_error: Option<String>,
}

pub struct PoolView {
    pub kind: String,
    /// How many children there are with how much memory; empty without any.
    pub children: String,
    pub replaced: String,
    pub died: Option<String>,
    /// Each child, for whoever points at them.
    pub each: String,
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
            is_long: long >= LONG_RUN,
            worker: worker.row.name.clone(),
        }
    }
}

impl PoolView {
    fn of(row: &WorkerRow) -> PoolView {
        let PoolRow { kind, children, died, replaced } = &row.pool;
        let said = |number: u64, one: &str, many: &str| counted(i64::try_from(number).unwrap_or(i64::MAX), one, many);
        let resident = children.iter().map(|child| child.resident_bytes).sum();
        let each = children.iter().map(|child| {
            format!("pid {}: {}, {}", child.pid, bytes(child.resident_bytes), said(child.jobs, "job", "jobs"))
        });
        PoolView {
            kind: if row.slots == 0 { "–".to_owned() } else { kind.clone() },
            children: match children.len() as u64 {
                0 => String::new(),
                number => format!("{}, {}", said(number, "child", "children"), bytes(resident)),
            },
            replaced: if *replaced > 0 { format!("{} replaced", count(*replaced)) } else { String::new() },
            died: (*died > 0).then(|| format!("{} died", count(*died))),
            each: each.collect::<Vec<_>>().join("; "),
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
            pool: PoolView::of(row),
            finished: count(row.finished),
            failed: count(row.failed),
            dead: count(row.dead),
            queues: row.queues.join(", "),
            last_error: row.last_error.clone(),
        }
    }
}
