//! One turn of a worker thread: what to ask for, which task runs the jobs, and what their outcomes mean for the queue.

use super::Shared;
use crate::{ClaimRequest, Claimed, DeadReason, Finish, LeaseId, Outcome, Policy, QueueError, Task};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

impl Shared {
    /// The widest bounds of the queue's tasks; jobs of different tasks are told apart after the claim.
    pub(super) fn claim_request(&self, queue: &str) -> ClaimRequest {
        let policies = self.tasks.iter().map(|task| task.policy()).filter(|policy| policy.queue == queue);
        let (mut jobs_max, mut bytes_max, mut lease) = (1, 0, Duration::from_secs(1));
        for policy in policies {
            jobs_max = jobs_max.max(policy.batch_jobs_max);
            bytes_max = bytes_max.max(policy.batch_bytes_max);
            lease = lease.max(policy.lease);
        }
        ClaimRequest { queue: queue.to_owned(), jobs_max, bytes_max, lease }
    }

    /// Runs what was claimed, one task after the other, and ends every lease.
    pub(super) fn run_claimed(&self, mut claimed: Vec<Claimed>) -> Result<(), QueueError> {
        let mut result = Ok(());
        while let Some(first) = claimed.first() {
            let name = first.task.clone();
            let (jobs, rest): (Vec<Claimed>, Vec<Claimed>) = claimed.into_iter().partition(|job| job.task == name);
            claimed = rest;
            let ended = match self.tasks.iter().find(|task| task.name() == &*name) {
                Some(task) => self.run_jobs(task, &jobs),
                None => self.park(&name, &jobs),
            };
            result = result.and(ended);
        }
        result
    }

    fn park(&self, name: &str, jobs: &[Claimed]) -> Result<(), QueueError> {
        tracing::error!(task = name, jobs = jobs.len(), "unknown task, its jobs are parked");
        self.broker.finish(jobs.iter().map(|job| (job.lease, Finish::Park)).collect()).map(|_lost| ())
    }

    fn run_jobs(&self, task: &Arc<dyn Task>, jobs: &[Claimed]) -> Result<(), QueueError> {
        let policy = task.policy();
        let leases: Vec<LeaseId> = jobs.iter().map(|job| job.lease).collect();
        self.leases.hold(&leases, policy.lease, policy.time_limit);
        let outcomes = self.outcomes(task, jobs);
        self.leases.let_go(&leases);
        let finished: Vec<(LeaseId, Finish)> = jobs
            .iter()
            .zip(outcomes)
            .map(|(job, outcome)| (job.lease, self.finish_of(job, outcome, &policy)))
            .collect();
        let lost = self.broker.finish(finished)?;
        if !lost.is_empty() {
            tracing::warn!(task = task.name(), jobs = lost.len(), "leases were lost before the run ended");
        }
        self.progress.finished.fetch_add(jobs.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    fn outcomes(&self, task: &Arc<dyn Task>, jobs: &[Claimed]) -> Vec<Outcome> {
        let ran = catch_unwind(AssertUnwindSafe(|| task.run(jobs, &self.context)));
        let mut outcomes = ran.unwrap_or_else(|panic| {
            let text = panic_text(&*panic);
            tracing::error!(task = task.name(), panic = text, "task panicked");
            vec![Outcome::Retry { error: format!("panic: {text}") }; jobs.len()]
        });
        let missing = Outcome::Retry { error: "the task gave no outcome".to_owned() };
        outcomes.resize(jobs.len(), missing);
        outcomes
    }

    fn finish_of(&self, job: &Claimed, outcome: Outcome, policy: &Policy) -> Finish {
        match outcome {
            Outcome::Done => Finish::Done,
            Outcome::Snooze { after } => Finish::GiveBack { after },
            Outcome::Dead { error } => Finish::Dead { reason: DeadReason::Rejected, error },
            Outcome::Retry { error } if job.attempt >= policy.attempts_max => {
                Finish::Dead { reason: DeadReason::Attempts, error }
            }
            Outcome::Retry { error } => {
                self.progress.failed.fetch_add(1, Ordering::Relaxed);
                Finish::Retry { after: policy.backoff.delay(job.attempt, stdx::random::u64()), error }
            }
        }
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}
