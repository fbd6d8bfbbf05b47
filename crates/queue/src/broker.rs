//! The two seams. Every implementation passes the same conformance suite.

use crate::broadcast::Broadcast;
use crate::letters::{DeadNames, LETTERS_PAGE_MAX, LetterPage, Letters};
use crate::pool::PoolRow;
use crate::{Claimed, Finish, JobId, JobResult, JobState, LeaseId, NewJob, Published, QueueDepth, QueueError};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use stdx::Timestamp;

pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The longest wait without looking again, whatever wake-up was missed.
pub const POLL_MAX: Duration = Duration::from_millis(500);

/// Why a publisher refuses when its own requests wait for a broker that is slow to answer.
pub(crate) const CROWDED: &str = "requests waiting to be sent";

/// Why a broker refuses jobs of a key that fills half of it, and takes others.
pub(crate) const KEYS_SHARE: &str = "half of the queue for one key";

/// What a worker asks for: the first of the queues that has ready jobs is served, by its bounds. Whoever asks rotates
/// them, so that none starves.
#[derive(Clone, Debug)]
pub struct ClaimRequest {
    pub queues: Vec<QueueBounds>,
}

/// How much of one queue a worker takes at once.
#[derive(Clone, Debug)]
pub struct QueueBounds {
    pub queue: String,
    pub jobs_max: usize,
    /// A single job may be larger.
    pub bytes_max: usize,
    pub lease: Duration,
}

/// Moves jobs.
pub trait Broker: Send + Sync + 'static {
    /// Keeps the jobs; durable when it returns. All of a call are kept or none.
    ///
    /// Fails with `Full` or `Unwritable` when the queue refuses, with `IdTooLong` for an id or name beyond its bound.
    fn publish(&self, jobs: Vec<NewJob>) -> BoxFuture<'_, Result<Vec<Published>, QueueError>>;

    /// Takes what is ready now, fairly, and waits at most `POLL_MAX` for the first job.
    ///
    /// # Errors
    /// If the jobs cannot be read.
    fn claim(&self, request: &ClaimRequest) -> Result<Vec<Claimed>, QueueError>;

    /// Extends leases; returns those that were lost.
    ///
    /// # Errors
    /// If the broker does not answer: whether the leases hold is not known then.
    fn extend(&self, leases: &[LeaseId], lease: Duration) -> Result<Vec<LeaseId>, QueueError>;

    /// Ends runs; returns the leases that were lost before, whose results are void.
    ///
    /// # Errors
    /// If a dead letter cannot be kept: its run is then not ended, the others are.
    fn finish(&self, finished: Vec<(LeaseId, Finish)>) -> Result<Vec<LeaseId>, QueueError>;

    /// Makes a queue known, so that it has a row in `depths` although nothing was ever published to it.
    ///
    /// # Errors
    /// If the broker does not answer.
    fn declare(&self, queue: &str) -> Result<(), QueueError>;

    /// A row for every queue that was ever used or declared.
    ///
    /// # Errors
    /// If the broker does not answer.
    fn depths(&self) -> Result<Vec<QueueDepth>, QueueError>;

    /// # Errors
    /// If the broker does not answer.
    fn locate(&self, id: &JobId) -> Result<Option<JobState>, QueueError>;

    /// Does what must be done whether or not anybody claims: frees the leases of dead workers, makes delayed jobs ready.
    /// Every worker calls it each second; a broker that needs only one at a time sees to that itself.
    ///
    /// # Errors
    /// If the broker does not answer.
    fn upkeep(&self) -> Result<(), QueueError>;

    /// Whether a job could be kept durably now.
    ///
    /// # Errors
    /// Why not.
    fn accepting(&self) -> Result<(), QueueError>;

    /// Returns what a person must look at although the queue works: a line for each, none if all is well.
    ///
    /// # Errors
    /// If the broker does not answer.
    fn troubles(&self) -> Result<Vec<String>, QueueError> {
        Ok(Vec::new())
    }

    /// Returns what a person should know and need not act on: a line for each. From memory.
    fn remarks(&self) -> Vec<String> {
        Vec::new()
    }

    /// Somebody has seen that the broker was emptied, and has accounted for it. Returns whether it was.
    ///
    /// # Errors
    /// If that cannot be written.
    fn write_off(&self) -> Result<bool, QueueError> {
        Ok(false)
    }

    /// Returns what carries the requests and events of Celery's tools, if they can speak to this broker.
    fn broadcast(&self) -> Option<Arc<dyn Broadcast>> {
        None
    }
}

/// A job that stopped.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize, PartialEq, Eq)]
pub struct DeadLetter {
    pub id: String,
    pub queue: String,
    pub task: String,
    pub reason: String,
    pub attempts: u32,
    pub deaths: u32,
    pub error: String,
    pub at: Timestamp,
    /// Since when the job waited: the time that tells it from another of its id.
    #[serde(default)]
    pub enqueued_at: Timestamp,
}

/// A job that somebody takes out of the queue by hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaving {
    pub id: JobId,
    /// Since when it waits.
    pub enqueued_at: Timestamp,
    /// `None` where it could not be read, or lies where it cannot be read now.
    pub payload: Option<Bytes>,
}

/// Is shown jobs before they go. They go once it has returned, so what it writes must be durable then; where it fails they
/// stay. It may be shown a job a second time, if the process died in between, or one that a worker has just taken: it is
/// for whoever accounts to tell by the job's name and time that it is accounted for, or was run.
pub type Account<'a> = &'a mut dyn FnMut(&[Leaving]) -> Result<(), QueueError>;

/// Jobs and payload bytes that are shown at once; a single job may be larger.
pub const LEAVING_JOBS_MAX: usize = 256;
pub const LEAVING_BYTES_MAX: usize = 8 << 20;

/// Jobs of a task that no worker knew.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize, PartialEq, Eq)]
pub struct Parked {
    pub queue: String,
    pub task: String,
    pub jobs: u64,
    /// When the first of them was parked.
    pub since: Timestamp,
}

/// What a worker says of itself every few seconds. One that was not heard for `WORKER_DEAD_AFTER` is dead.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize, PartialEq, Eq)]
pub struct WorkerRow {
    /// `name@host`, of one living worker at a time.
    pub name: String,
    pub host: String,
    pub pid: u32,
    pub version: String,
    pub started_at: Timestamp,
    pub heard_at: Timestamp,
    /// Runs at once.
    pub slots: u32,
    pub queues: Vec<String>,
    /// Names of the tasks it can run.
    pub tasks: Vec<String>,
    pub running: Vec<RunningRow>,
    /// Jobs since it started: finished, of them failed, of them dead.
    pub finished: u64,
    pub failed: u64,
    pub dead: u64,
    /// Jobs since it started whose run ended, by queue; of a release that did not say, nothing.
    #[serde(default)]
    pub finished_by_queue: BTreeMap<String, u64>,
    pub last_error: Option<String>,
    pub is_stopping: bool,
    /// Threads of its process that panicked within the last minute.
    #[serde(default)]
    pub fallen: Vec<String>,
    /// Where its runs happen.
    #[serde(default)]
    pub pool: PoolRow,
    /// Tasks whose starts somebody limited by remote control.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rate_limits: Vec<RateLimitRow>,
}

/// How often a task may start at a worker.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize, PartialEq, Eq)]
pub struct RateLimitRow {
    pub task: String,
    /// As it was said: `10/m`.
    pub rate: String,
    /// Jobs wait because of it.
    pub holds_jobs: bool,
}

impl RateLimitRow {
    /// In words, for pages and health.
    pub fn said(&self) -> String {
        let rate = if self.rate.contains('/') { self.rate.clone() } else { format!("{}/s", self.rate) };
        format!("rate limit of task {} set by remote control, {rate}", self.task)
    }
}

/// A run that goes on now.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize, PartialEq, Eq)]
pub struct RunningRow {
    pub task: String,
    /// The first job of a batch.
    pub job: String,
    pub jobs: u64,
    pub since: Timestamp,
}

/// Pause between two words of a worker.
pub const WORKER_BEAT_EVERY: Duration = Duration::from_secs(5);
/// A worker not heard for this long is dead; its leases are free.
pub const WORKER_DEAD_AFTER: Duration = Duration::from_secs(15);

/// How far a schedule entry has come.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize, PartialEq, Eq)]
pub struct Cursor {
    pub entry: String,
    /// The time of its last occurrence as scheduled, and when that was really published.
    pub scheduled_at: Timestamp,
    pub fired_at: Timestamp,
    /// Job of its last occurrence.
    pub job: String,
}

/// Why a dead letter stays: what it would be is there already.
pub(crate) fn lives_already(id: &str, by: &'static str) -> QueueError {
    QueueError::Lives { id: id.to_owned(), by }
}

/// Keeps what a broker cannot: dead letters, pauses, results, workers, schedule cursors; and does what operators ask.
pub trait Ledger: Send + Sync + 'static {
    /// A page of dead letters, the oldest first.
    ///
    /// # Errors
    /// If the ledger does not answer; so for all that follows.
    fn letters(&self, page: &LetterPage) -> Result<Letters, QueueError>;

    /// All of them, page by page: at most about `LETTERS_MAX`.
    fn dead_letters(&self) -> Result<Vec<DeadLetter>, QueueError> {
        let mut letters = Vec::new();
        let mut page = LetterPage { most: LETTERS_PAGE_MAX, ..LetterPage::default() };
        loop {
            let some = self.letters(&page)?;
            letters.extend(some.letters);
            let Some(next) = some.next else { return Ok(letters) };
            page.after = Some(next);
        }
    }

    /// Some of the names of dead letters whose jobs wait since `since` or later; from the start without `from`.
    fn dead_names(&self, since: Timestamp, from: Option<&str>) -> Result<DeadNames, QueueError>;

    fn dead_letter(&self, id: &str) -> Result<Option<DeadLetter>, QueueError>;

    /// Puts a dead letter back into its queue with fresh attempts. Returns whether there was one; one whose payload was
    /// damaged cannot go back. Like all that follows it waits for the broker, however long that takes.
    ///
    /// # Errors
    /// If it cannot be published; `Lives` while a job of its id or its unique key does. It stays then.
    fn retry_dead(&self, id: &str) -> Result<bool, QueueError>;

    /// Forgets dead letters, batch by batch, each once it was accounted for. Returns how many of them there were.
    ///
    /// # Errors
    /// If that cannot be written, or not accounted for: the batches before it are gone, the rest stays.
    fn discard_letters(&self, ids: &[String], account: Account<'_>) -> Result<u64, QueueError>;

    /// Forgets one. Returns whether there was one.
    ///
    /// # Errors
    /// If that cannot be written, or not accounted for: it stays then.
    fn discard_dead(&self, id: &str, account: Account<'_>) -> Result<bool, QueueError> {
        self.discard_letters(&[id.to_owned()], account).map(|gone| gone > 0)
    }

    /// Stops claims from a queue; what runs goes on, publishing too. Holds over restarts.
    ///
    /// # Errors
    /// If that cannot be written: nothing is changed then.
    fn pause(&self, queue: &str) -> Result<(), QueueError>;

    /// # Errors
    /// If that cannot be written: nothing is changed then.
    fn resume(&self, queue: &str) -> Result<(), QueueError>;

    /// Removes every job of a queue that does not run, batch by batch, each once it was accounted for, and returns how many.
    /// Dead letters stay; what is published meanwhile may stay or go.
    ///
    /// # Errors
    /// If that cannot be written, or not accounted for: the batches before it are gone, the rest stays.
    fn purge(&self, queue: &str, account: Account<'_>) -> Result<u64, QueueError>;

    /// What no worker knows, by queue and task.
    fn parked(&self) -> Result<Vec<Parked>, QueueError>;

    /// Makes parked jobs of these tasks ready again: a worker that knows them has started. Returns how many.
    fn unpark(&self, tasks: &[&str]) -> Result<u64, QueueError>;

    /// The result of a job that keeps one, for `RESULT_KEPT` after its end.
    fn result(&self, id: &JobId) -> Result<Option<JobResult>, QueueError>;

    /// A worker says that it lives, and what it does.
    fn beat(&self, worker: &WorkerRow) -> Result<(), QueueError>;

    /// A worker has stopped in good order and holds nothing any more.
    fn leave(&self, name: &str) -> Result<(), QueueError>;

    /// All that were heard lately, dead ones too for an hour.
    fn workers(&self) -> Result<Vec<WorkerRow>, QueueError>;

    /// Publishes the job of an occurrence, unless this or a later one of the entry was fired before. Any number of
    /// processes may ask; one is told `true`.
    ///
    /// # Errors
    /// If the job cannot be kept; the occurrence is then still to be fired.
    fn fire(&self, entry: &str, scheduled_at: Timestamp, job: NewJob) -> Result<bool, QueueError>;

    /// How far each entry has come that was ever fired.
    fn cursors(&self) -> Result<Vec<Cursor>, QueueError>;
}

/// Both seams of one queue, as processes hold it.
pub trait Queue: Broker + Ledger {}

impl<T: Broker + Ledger> Queue for T {}
