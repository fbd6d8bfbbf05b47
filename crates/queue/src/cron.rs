//! Work by the clock. Each occurrence has an id made of its entry and its time; whoever asks the ledger first publishes
//! it, so any number of schedulers may run and each occurrence is one job. Nothing is decided by what a process
//! remembers: how far an entry has come stands in the ledger, and the next occurrence follows from the schedule alone.

mod steps;
mod when;

use crate::pool::PoolRow;
use crate::{
    Cursor, DeadLetter, JobId, JobOptions, JobResult, JobState, NewJob, Queue, QueueError, WORKER_BEAT_EVERY,
    WorkerRow, tend,
};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use stdx::{Clock, Timestamp};
use steps::Line;
pub use when::{When, WhenError};

/// An occurrence later than this was missed: its entry's policy says what becomes of it.
pub const LATE_MAX: Duration = Duration::from_secs(60);
/// The scheduler looks at least so often at the clock, whatever it has reckoned.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Missed occurrences that are made up, whatever the policy says.
const MADE_UP_MAX: usize = 1_000;

/// What happens by the clock.
#[derive(Clone, Debug)]
pub struct Entry {
    pub name: &'static str,
    pub when: When,
    pub task: &'static str,
    pub queue: &'static str,
    pub missed: Missed,
    pub overlap: Overlap,
    /// An occurrence that has not begun so long after its time is dropped.
    pub expires: Option<Duration>,
}

/// What becomes of occurrences that nobody fired in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missed {
    /// Nothing.
    Skip,
    /// The latest is made up for, however many there were.
    Once,
    /// The latest so many are made up for.
    All { max: usize },
}

/// What becomes of an occurrence while the one before still waits or runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overlap {
    Allow,
    Skip,
}

/// How an entry stands.
#[derive(Clone, Debug)]
pub struct ScheduleRow {
    pub name: String,
    pub when: String,
    pub task: String,
    pub queue: String,
    pub last: Option<Cursor>,
    /// How late the last one was published.
    pub lateness: Option<Duration>,
    /// What the last one came to; `None` while it waits or runs, and a day later.
    pub result: Option<JobResult>,
    pub state: Option<JobState>,
    /// The latest occurrence that failed to its end and is still among the dead letters.
    pub last_failure: Option<DeadLetter>,
    pub next: Option<Timestamp>,
}

impl ScheduleRow {
    /// Returns what the last occurrence came to, in a word or two; empty if nothing is known any more.
    pub fn outcome(&self) -> String {
        match (&self.result, self.state) {
            (_, Some(JobState::Leased)) => "running".to_owned(),
            (_, Some(JobState::Ready | JobState::Delayed)) => "waiting".to_owned(),
            (_, Some(JobState::Parked)) => "parked".to_owned(),
            (Some(JobResult::Success { .. }), _) => "done".to_owned(),
            (Some(JobResult::Failure { error }), _) => format!("failed: {error}"),
            (Some(JobResult::Retry { error }), _) => format!("tried again: {error}"),
            (None, Some(JobState::Dead)) => "failed".to_owned(),
            (None, None) => String::new(),
        }
    }
}

/// Fires the entries of a table.
pub struct Cron {
    queue: Arc<dyn Queue>,
    entries: Vec<Entry>,
    clock: Arc<dyn Clock>,
    started_at: Timestamp,
    /// Entries that were never fired count from here: from the start, or from where the clock stepped back to.
    counted_from: Mutex<Timestamp>,
    /// What failed last, by entry: said once.
    failing: Mutex<HashMap<&'static str, String>>,
}

impl Cron {
    /// # Panics
    /// If two entries have one name: the table is code.
    pub fn new(queue: Arc<dyn Queue>, entries: Vec<Entry>, clock: Arc<dyn Clock>) -> Cron {
        for (index, entry) in entries.iter().enumerate() {
            assert!(entries[..index].iter().all(|other| other.name != entry.name), "names of entries are unique");
        }
        let started_at = clock.now();
        let counted_from = Mutex::new(started_at);
        Cron { queue, entries, clock, started_at, counted_from, failing: Mutex::default() }
    }

    /// Fires what is due and returns when something is due next.
    ///
    /// # Errors
    /// If the ledger does not say how far the entries have come. What fails of one entry is logged and stops no other.
    pub fn tick(&self) -> Result<Timestamp, QueueError> {
        let now = self.clock.now();
        let cursors: HashMap<String, Cursor> =
            self.queue.cursors()?.into_iter().map(|cursor| (cursor.entry.clone(), cursor)).collect();
        let counted_from = self.count_from(now);
        let mut next = now.plus(LOOK_EVERY);
        for entry in &self.entries {
            let fired = match steps::pick(entry.name, &cursors, now) {
                Some(line) => self.fire_due(entry, &line, counted_from, now),
                None => Ok(()),
            };
            self.note(entry.name, fired.err());
            if let Some(at) = entry.when.next_after(now) {
                next = next.min(at);
            }
        }
        Ok(next)
    }

    /// A clock that was ahead at the start must not keep new entries from firing until it is there again.
    fn count_from(&self, now: Timestamp) -> Timestamp {
        let mut from = self.counted_from.lock().unwrap_or_else(PoisonError::into_inner);
        *from = now.min(*from);
        *from
    }

    fn fire_due(
        &self,
        entry: &Entry,
        line: &Line<'_>,
        counted_from: Timestamp,
        now: Timestamp,
    ) -> Result<(), QueueError> {
        let cursor = line.cursor;
        let since = cursor.map_or(counted_from, |cursor| cursor.scheduled_at);
        let mut due = due(entry, since, now);
        if entry.overlap == Overlap::Skip && !due.is_empty() {
            if self.is_busy(cursor)? {
                return Ok(());
            }
            // Several at once would run beside each other: the latest stands for all.
            due.drain(..due.len() - 1);
        }
        for scheduled_at in due {
            let fired = self.queue.fire(&line.name, scheduled_at, job_of(entry, scheduled_at, now))?;
            if fired {
                tracing::debug!(entry = entry.name, at = %scheduled_at, "occurrence published");
            }
        }
        Ok(())
    }

    fn is_busy(&self, cursor: Option<&Cursor>) -> Result<bool, QueueError> {
        let Some(cursor) = cursor else { return Ok(false) };
        let state = self.queue.locate(&JobId::new(&cursor.job))?;
        Ok(matches!(state, Some(JobState::Ready | JobState::Delayed | JobState::Leased)))
    }

    /// Logs what changed.
    fn note(&self, entry: &'static str, error: Option<QueueError>) {
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        match error {
            None => {
                if failing.remove(entry).is_some() {
                    tracing::info!(entry, "occurrences are published again");
                }
            }
            Some(error) => {
                let text = stdx::causes::on_one_line(&error);
                if failing.insert(entry, text.clone()).is_none() {
                    tracing::error!(entry, error = text, "occurrence not published, tried again");
                }
            }
        }
    }

    /// Returns how each entry stands.
    ///
    /// # Errors
    /// If the ledger does not answer.
    pub fn rows(&self) -> Result<Vec<ScheduleRow>, QueueError> {
        let now = self.clock.now();
        let cursors: HashMap<String, Cursor> =
            self.queue.cursors()?.into_iter().map(|cursor| (cursor.entry.clone(), cursor)).collect();
        let letters = self.queue.dead_letters()?;
        let mut rows = Vec::with_capacity(self.entries.len());
        for entry in &self.entries {
            let last = steps::pick(entry.name, &cursors, now)
                .and_then(|line| line.cursor.cloned())
                .or_else(|| cursors.get(entry.name).cloned());
            let job = last.as_ref().map(|cursor| JobId::new(&cursor.job));
            let (result, state) = match &job {
                Some(job) => (self.queue.result(job)?, self.queue.locate(job)?),
                None => (None, None),
            };
            rows.push(ScheduleRow {
                name: entry.name.to_owned(),
                when: entry.when.to_string(),
                task: entry.task.to_owned(),
                queue: entry.queue.to_owned(),
                lateness: last.as_ref().map(|cursor| cursor.fired_at.since(cursor.scheduled_at)),
                result,
                state,
                last_failure: last_failure(entry, &letters),
                next: entry.when.next_after(now),
                last,
            });
        }
        Ok(rows)
    }
}

/// The occurrences after `since` that are to be fired now, oldest first.
fn due(entry: &Entry, since: Timestamp, now: Timestamp) -> Vec<Timestamp> {
    let made_up = match entry.missed {
        Missed::Skip => 0,
        Missed::Once => 1,
        Missed::All { max } => max.min(MADE_UP_MAX),
    };
    let latest = entry.when.latest(since, now, made_up.max(1) + MADE_UP_MAX);
    let (missed, in_time): (Vec<Timestamp>, Vec<Timestamp>) =
        latest.into_iter().partition(|at| now.since(*at) > LATE_MAX);
    let skipped = missed.len().saturating_sub(made_up);
    // What is in time stands for what was missed before it, if only one is to be made up for.
    let stands_for = entry.missed == Missed::Once && !in_time.is_empty();
    let missed = missed.into_iter().skip(skipped).filter(|_| !stands_for);
    missed.chain(in_time).collect()
}

fn last_failure(entry: &Entry, letters: &[DeadLetter]) -> Option<DeadLetter> {
    let is_of_entry = |letter: &&DeadLetter| letter.id.split_once('@').is_some_and(|(name, _)| name == entry.name);
    letters.iter().filter(is_of_entry).max_by_key(|letter| letter.at).cloned()
}

fn job_of(entry: &Entry, scheduled_at: Timestamp, now: Timestamp) -> NewJob {
    let id = JobId::new(&format!("{}@{}", entry.name, scheduled_at.micros() / 1_000_000));
    let options = JobOptions {
        // Counted from now if it is made up for: it was late before anybody could begin it.
        expires_at: entry.expires.map(|expires| scheduled_at.max(now.minus(LATE_MAX)).plus(expires)),
        keeps_result: true,
        ..JobOptions::default()
    };
    NewJob { options, ..NewJob::new(id, entry.task, entry.queue, bytes::Bytes::new()) }
}

/// A scheduler's thread.
pub struct Scheduler {
    is_stopping: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Scheduler {
    /// Starts to fire, and to say that it lives: as a worker without slots.
    ///
    /// # Panics
    /// If the operating system gives no thread.
    pub fn start(cron: Arc<Cron>, name: String, host: String, version: String) -> Scheduler {
        let is_stopping = Arc::new(AtomicBool::new(false));
        let stop = is_stopping.clone();
        let identity = Identity { name, host, version };
        let run = move || {
            tend::tend("cron", || stop.load(Ordering::SeqCst), || cron.run(&stop, &identity));
            cron.leave(&identity);
        };
        let thread = std::thread::Builder::new().name("cron".to_owned()).spawn(run);
        let thread = thread.expect("a process can start its first threads");
        Scheduler { is_stopping, thread }
    }

    /// Stops and waits for the thread.
    pub fn stop(self) {
        self.is_stopping.store(true, Ordering::SeqCst);
        self.thread.thread().unpark();
        if self.thread.join().is_err() {
            tracing::error!("the scheduler was lost");
        }
    }
}

struct Identity {
    name: String,
    host: String,
    version: String,
}

impl Cron {
    fn run(&self, stop: &AtomicBool, identity: &Identity) {
        let mut said: Option<Instant> = None;
        let mut is_failing = false;
        while !stop.load(Ordering::SeqCst) {
            let ticked = self.tick();
            let now = self.clock.now();
            let next = *ticked.as_ref().unwrap_or(&now.plus(LOOK_EVERY));
            let mut told = ticked.map(|_| ());
            if told.is_ok() && said.is_none_or(|said| said.elapsed() >= WORKER_BEAT_EVERY) {
                told = self.queue.beat(&self.row(identity));
                if told.is_ok() {
                    said = Some(Instant::now());
                }
            }
            match told {
                Ok(()) if is_failing => tracing::info!("the scheduler's ledger answers again"),
                Err(error) if !is_failing => {
                    tracing::error!(
                        error = stdx::causes::on_one_line(&error),
                        "the scheduler's ledger does not answer"
                    );
                    is_failing = true;
                    continue;
                }
                Ok(()) => {}
                Err(_) => {
                    std::thread::park_timeout(LOOK_EVERY);
                    continue;
                }
            }
            is_failing = false;
            std::thread::park_timeout(next.since(now).clamp(Duration::from_millis(1), LOOK_EVERY));
        }
    }

    fn leave(&self, identity: &Identity) {
        if let Err(error) = self.queue.leave(&identity.name) {
            tracing::warn!(error = %error, "the ledger was not told that this scheduler ends");
        }
    }

    fn row(&self, identity: &Identity) -> WorkerRow {
        WorkerRow {
            name: identity.name.clone(),
            host: identity.host.clone(),
            pid: std::process::id(),
            version: identity.version.clone(),
            started_at: self.started_at,
            heard_at: self.clock.now(),
            slots: 0,
            queues: Vec::new(),
            tasks: Vec::new(),
            running: Vec::new(),
            finished: 0,
            failed: 0,
            dead: 0,
            finished_by_queue: Default::default(),
            last_error: self.failing.lock().unwrap_or_else(PoisonError::into_inner).values().next().cloned(),
            pool: PoolRow::default(),
            is_stopping: false,
            fallen: tend::told(),
            rate_limits: Vec::new(),
        }
    }
}
