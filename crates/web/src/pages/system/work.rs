//! Rows of who works and of what stopped.

use crate::format::{absolute, grouped, span};
use ops::dead_letters::DeadLetter;
use ops::schedules::ScheduleRow;
use ops::workers::{Parked, Worker};
use stdx::Timestamp;

/// Dead letters on the page; the command line lists all.
pub const LETTERS_SHOWN: usize = 20;
/// Characters of an error in a row.
const ERROR_CHARS: usize = 200;

/// What the page tells of workers and of jobs that do not run.
#[derive(Default)]
pub struct Work {
    pub workers: Vec<WorkerView>,
    pub letters: Vec<LetterView>,
    /// All dead letters, also those not shown.
    pub letters_count: String,
    pub parked: Vec<ParkedView>,
    pub schedules: Vec<ScheduleView>,
}

pub struct ScheduleView {
    pub name: String,
    pub when: String,
    pub last: String,
    pub result: String,
    pub is_bad: bool,
    pub lateness: String,
    pub next: String,
}

pub struct WorkerView {
    pub name: String,
    pub state: &'static str,
    pub is_alive: bool,
    pub heard: String,
    /// Runs now and at most; a scheduler has none.
    pub slots: String,
    pub running: Vec<String>,
    pub finished: String,
    pub failed: String,
    pub dead: String,
    pub queues: String,
    pub last_error: Option<String>,
}

pub struct LetterView {
    pub at: String,
    pub id: String,
    pub queue: String,
    pub task: String,
    pub reason: String,
    pub attempts: u32,
    pub error: String,
}

pub struct ParkedView {
    pub task: String,
    pub queue: String,
    pub jobs: String,
    pub since: String,
}

impl Work {
    pub fn of(workers: &[Worker], letters: &[DeadLetter], parked: &[Parked], now: Timestamp) -> Work {
        let shown = letters.iter().rev().take(LETTERS_SHOWN);
        Work {
            workers: workers.iter().map(|worker| WorkerView::of(worker, now)).collect(),
            letters: shown.map(LetterView::of).collect(),
            letters_count: count(letters.len() as u64),
            parked: parked.iter().map(ParkedView::of).collect(),
            schedules: Vec::new(),
        }
    }

    #[must_use]
    pub fn with_schedules(mut self, rows: &[ScheduleRow]) -> Work {
        self.schedules = rows.iter().map(ScheduleView::of).collect();
        self
    }
}

fn count(number: u64) -> String {
    grouped(i64::try_from(number).unwrap_or(i64::MAX))
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
        let run =
            |run: &ops::workers::RunningRow| format!("{} ×{}, {}", run.task, run.jobs, span(now.since(run.since)));
        WorkerView {
            name: row.name.clone(),
            state,
            is_alive: worker.is_alive,
            heard: span(now.since(row.heard_at)),
            slots: if row.slots == 0 { "–".to_owned() } else { format!("{}/{}", row.running.len(), row.slots) },
            running: row.running.iter().map(run).collect(),
            finished: count(row.finished),
            failed: count(row.failed),
            dead: count(row.dead),
            queues: row.queues.join(", "),
            last_error: row.last_error.clone(),
        }
    }
}

impl LetterView {
    fn of(letter: &DeadLetter) -> LetterView {
        LetterView {
            at: absolute(letter.at),
            id: letter.id.clone(),
            queue: letter.queue.clone(),
            task: letter.task.clone(),
            reason: letter.reason.clone(),
            attempts: letter.attempts,
            error: letter.error.chars().take(ERROR_CHARS).collect(),
        }
    }
}

impl ScheduleView {
    fn of(row: &ScheduleRow) -> ScheduleView {
        let outcome = row.outcome();
        ScheduleView {
            name: row.name.clone(),
            when: row.when.clone(),
            last: row.last.as_ref().map_or_else(|| "never".to_owned(), |cursor| absolute(cursor.scheduled_at)),
            is_bad: outcome.starts_with("failed"),
            result: outcome,
            lateness: row.lateness.map(span).unwrap_or_default(),
            next: row.next.map(absolute).unwrap_or_default(),
        }
    }
}

impl ParkedView {
    fn of(parked: &Parked) -> ParkedView {
        ParkedView {
            task: parked.task.clone(),
            queue: parked.queue.clone(),
            jobs: count(parked.jobs),
            since: absolute(parked.since),
        }
    }
}
