//! What a kind of work says about itself.

use crate::Claimed;
use crate::call::Call;
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
    /// A run that takes longer is told so, and fails a few seconds later; a job may name its own.
    pub time_limit: Duration,
}

/// How one job of a run ended.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
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
    pub(crate) over_time: Arc<AtomicBool>,
}

impl RunContext {
    /// A long run may stop early and give its jobs back.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// The run's time limit has passed: it should end by itself. If it does not, its jobs fail and its result is void.
    pub fn is_over_time(&self) -> bool {
        self.over_time.load(Ordering::Relaxed)
    }
}

/// A kind of work. Runs block their worker thread.
pub trait Task: Send + Sync + 'static {
    fn name(&self) -> &'static str;
    fn policy(&self) -> Policy;
    /// Whether it must not run beside others in one process, as what hands hostile input to native code. A worker of
    /// threads does not know such a task.
    fn needs_process(&self) -> bool {
        false
    }
    /// Runs a batch and returns an outcome for each job, in order. It may be run again with the same jobs.
    fn run(&self, jobs: &[Claimed], cx: &RunContext) -> Vec<Outcome>;
}

/// A kind of work that takes arguments, one call a run.
pub trait CallTask: Send + Sync + 'static {
    fn name(&self) -> &'static str;
    /// `batch_jobs_max` is one.
    fn policy(&self) -> Policy;
    /// As of `Task`.
    fn needs_process(&self) -> bool {
        false
    }
    fn call(&self, job: &Claimed, call: Call, cx: &RunContext) -> Outcome;
}

/// Runs a `CallTask`: a payload that is no call ends as a dead letter.
pub struct Calls<T>(pub T);

impl<T: CallTask> Task for Calls<T> {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn policy(&self) -> Policy {
        Policy { batch_jobs_max: 1, ..self.0.policy() }
    }

    fn needs_process(&self) -> bool {
        self.0.needs_process()
    }

    fn run(&self, jobs: &[Claimed], cx: &RunContext) -> Vec<Outcome> {
        let run = |job: &Claimed| match Call::parse(&job.payload) {
            Ok(call) => self.0.call(job, call, cx),
            Err(error) => Outcome::Dead { error: format!("TypeError: {}", stdx::causes::on_one_line(&error)) },
        };
        jobs.iter().map(run).collect()
    }
}
