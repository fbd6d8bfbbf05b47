//! Jobs and their states.

use bytes::Bytes;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use stdx::Timestamp;

/// A job's name, chosen by its publisher: publishing the same id twice while the job lives keeps one.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct JobId(Arc<str>);

impl JobId {
    pub const BYTES_MAX: usize = 128;

    pub fn new(text: &str) -> Self {
        JobId(text.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Bytes of a task's or queue's name.
pub const NAME_BYTES_MAX: usize = 128;

/// A job to be published.
#[derive(Clone, Debug)]
pub struct NewJob {
    pub id: JobId,
    pub task: Arc<str>,
    pub queue: Arc<str>,
    /// Keys take turns, whatever the length of their backlogs.
    pub fairness_key: u64,
    /// 0 to 9, 9 first.
    pub priority: u8,
    pub delay: Duration,
    pub payload: Bytes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    Accepted,
    /// A job with this id lives already; this one was not kept.
    AlreadyThere,
}

/// The fence of a run.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct LeaseId(pub u64);

/// A job that was claimed for a run.
#[derive(Clone, Debug)]
pub struct Claimed {
    pub lease: LeaseId,
    pub id: JobId,
    pub task: Arc<str>,
    pub queue: Arc<str>,
    /// 1 for the first run.
    pub attempt: u32,
    pub enqueued_at: Timestamp,
    pub payload: Bytes,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finish {
    Done,
    Retry {
        after: Duration,
        error: String,
    },
    /// Not run, or stopped by a shutdown: no attempt is spent.
    GiveBack {
        after: Duration,
    },
    /// Nobody here knows the task: kept aside until a worker that does starts.
    Park,
    Dead {
        reason: DeadReason,
        error: String,
    },
}

/// Why a job stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeadReason {
    /// Failed to the end of its attempts.
    Attempts,
    /// Its worker died while it ran alone, too often.
    Poison,
    /// The task said that trying again is no use.
    Rejected,
    /// The disk does not give back what was written; only the fact is kept.
    Damaged,
}

impl DeadReason {
    pub fn as_str(self) -> &'static str {
        match self {
            DeadReason::Attempts => "attempts",
            DeadReason::Poison => "poison",
            DeadReason::Rejected => "rejected",
            DeadReason::Damaged => "damaged",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobState {
    Ready,
    Delayed,
    Leased,
    Parked,
    Dead,
}

/// How much waits in one queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueDepth {
    pub queue: String,
    pub ready: u64,
    pub delayed: u64,
    pub leased: u64,
    pub dead: u64,
    pub parked: u64,
    pub oldest_age: Option<Duration>,
    pub paused: bool,
    pub bytes: u64,
}
