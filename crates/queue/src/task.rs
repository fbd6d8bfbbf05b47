//! What a kind of work says about itself.

use crate::Claimed;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use stdx::Backoff;

/// How a task's jobs are run.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    pub queue: &'static str,
    /// Jobs of one run; 1 for tasks that do not ask for batches.
    pub batch_jobs_max: usize,
    pub batch_bytes_max: usize,
    pub attempts_max: u32,
    pub backoff: Backoff,
    pub lease: Duration,
    /// A run that takes longer is reported; its lease is not extended beyond it.
    pub time_limit: Duration,
}

/// How one job of a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Done,
    /// Done, with a value for whoever asks.
    Returned {
        value: serde_json::Value,
    },
    /// Failed; tried again while attempts last.
    Retry {
        error: String,
    },
    /// Not now, through no fault of the job: no attempt is spent.
    Snooze {
        after: Duration,
    },
    /// Trying again is no use.
    Dead {
        error: String,
    },
}

/// What a run may ask of its worker.
#[derive(Clone, Default)]
pub struct RunContext {
    pub(crate) stopping: Arc<AtomicBool>,
}

impl RunContext {
    /// A long run may stop early and give its jobs back.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }
}

/// A kind of work. Runs block their worker thread.
pub trait Task: Send + Sync + 'static {
    fn name(&self) -> &'static str;
    fn policy(&self) -> Policy;
    /// Runs a batch and returns an outcome for each job, in order. It may be run again with the same jobs.
    fn run(&self, jobs: &[Claimed], cx: &RunContext) -> Vec<Outcome>;
}
