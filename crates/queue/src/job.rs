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
    /// Since when it waits, where that began before it is published: its age is told from this time, and whoever accounts
    /// for it finds it again. `None` means now.
    pub enqueued_at: Option<Timestamp>,
    pub payload: Bytes,
    pub options: JobOptions,
}

/// Priority of a job whose publisher named none.
pub const PRIORITY_DEFAULT: u8 = 5;

impl NewJob {
    /// A job to be run as soon as may be, of the default priority, with no key and no options.
    pub fn new(id: JobId, task: &str, queue: &str, payload: Bytes) -> NewJob {
        NewJob {
            id,
            task: task.into(),
            queue: queue.into(),
            fairness_key: 0,
            priority: PRIORITY_DEFAULT,
            delay: Duration::ZERO,
            enqueued_at: None,
            payload,
            options: JobOptions::default(),
        }
    }
}

/// What a job may ask for beyond being run.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct JobOptions {
    /// Not begun after this time; it then ends as a dead letter with the reason `expired`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// While a job with this key lives, another is not kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unique_key: Option<String>,
    /// What the payload is: bytes that only its task understands, or a call (`queue::call`).
    pub is_call: bool,
    /// Its result is kept for whoever asks.
    pub keeps_result: bool,
    /// In place of its task's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_limit_s: Option<u32>,
    /// Headers of Celery's that travel along with a call and mean nothing to the queue: an object as JSON text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headers: Option<String>,
    /// Where whoever called waits for the result, on brokers that send results (Celery's `rpc://`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
    /// Bytes that lie elsewhere on this machine for as long as the job waits: a queue on its disk counts them as its own.
    #[serde(skip_serializing_if = "is_zero")]
    pub outside_bytes: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Bytes of a unique key.
pub const UNIQUE_KEY_BYTES_MAX: usize = 256;
/// Bytes of the headers that travel along.
pub const HEADERS_BYTES_MAX: usize = 64 << 10;
/// So long a result is kept.
pub const RESULT_KEPT: Duration = Duration::from_secs(24 * 3600);
/// Bytes of one result; a larger one is replaced by a failure that says so.
pub const RESULT_BYTES_MAX: usize = 1 << 20;

/// What a job that keeps its result came to.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum JobResult {
    Success {
        value: serde_json::Value,
    },
    Failure {
        error: String,
    },
    /// Failed, and will be tried again.
    Retry {
        error: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    Accepted,
    /// A job with this id or unique key lives already; this one was not kept.
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
    pub options: JobOptions,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finish {
    Done,
    /// Done, with a value for whoever asks. Of a job that keeps no result it is forgotten.
    Returned {
        value: serde_json::Value,
    },
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
    /// It ran alone and took its process with it. It is run again; the third such death ends it, with this reason.
    Died {
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
    /// Its time had passed before it began.
    Expired,
    /// Somebody with a tool of Celery's took it back.
    Revoked,
    /// The process it ran in ended by a signal or by itself, too often.
    Crashed,
    /// The process it ran in was ended because it took too much memory, too often.
    MemoryLimit,
    /// Its last attempt ran beyond its time limit.
    TimeLimit,
}

impl DeadReason {
    pub fn as_str(self) -> &'static str {
        match self {
            DeadReason::Attempts => "attempts",
            DeadReason::Poison => "poison",
            DeadReason::Rejected => "rejected",
            DeadReason::Damaged => "damaged",
            DeadReason::Expired => "expired",
            DeadReason::Revoked => "revoked",
            DeadReason::Crashed => "crashed",
            DeadReason::MemoryLimit => "memory limit",
            DeadReason::TimeLimit => "time limit",
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
