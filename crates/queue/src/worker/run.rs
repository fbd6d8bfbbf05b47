//! What a thread does with claimed jobs: which task runs them, in which batches, and what their outcomes mean for the queue.

use super::{FAILED_PAUSE, Shared};
use crate::{Claimed, DeadReason, Finish, LeaseId, Outcome, Policy, QueueError, Task};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Jobs of one task that are run together.
struct Run {
    task: Arc<dyn Task>,
    policy: Policy,
    jobs: Vec<Claimed>,
    leases: Vec<LeaseId>,
}

impl Shared {
    /// Runs what was claimed, one batch after the other, and ends every lease. After a stop the rest goes back.
    pub(super) fn run_claimed(&self, claimed: Vec<Claimed>) -> Result<(), QueueError> {
        let runs = self.plan(claimed)?;
        // Batches behind others wait for them at most as long as they all may take.
        let mut at_most = Duration::ZERO;
        for run in &runs {
            at_most += run.policy.time_limit;
            self.leases.wait(&run.leases, run.policy.lease, at_most);
        }
        let mut result = Ok(());
        let mut runs = runs.into_iter();
        while !self.context.is_stopping() {
            let Some(run) = runs.next() else { return result };
            let ended = self.run_batch(&run);
            self.leases.let_go(&run.leases);
            result = result.and(ended);
        }
        let unstarted: Vec<LeaseId> = runs.flat_map(|run| run.leases).collect();
        self.leases.let_go(&unstarted);
        result.and(self.give_back(&unstarted))
    }

    /// Sorts jobs by task, in batches that its policy allows. Jobs of tasks that nobody here knows are parked.
    fn plan(&self, mut claimed: Vec<Claimed>) -> Result<Vec<Run>, QueueError> {
        let mut runs = Vec::new();
        while let Some(first) = claimed.first() {
            let name = first.task.clone();
            let (mut jobs, rest): (Vec<Claimed>, Vec<Claimed>) = claimed.into_iter().partition(|job| job.task == name);
            claimed = rest;
            let Some(task) = self.tasks.iter().find(|task| task.name() == &*name) else {
                self.park(&name, &jobs)?;
                continue;
            };
            let policy = task.policy();
            while !jobs.is_empty() {
                let later = jobs.split_off(policy.batch_jobs_max.clamp(1, jobs.len()));
                let leases = jobs.iter().map(|job| job.lease).collect();
                runs.push(Run { task: task.clone(), policy, jobs, leases });
                jobs = later;
            }
        }
        Ok(runs)
    }

    fn park(&self, name: &str, jobs: &[Claimed]) -> Result<(), QueueError> {
        tracing::error!(task = name, jobs = jobs.len(), "unknown task, its jobs are parked");
        self.broker.finish(jobs.iter().map(|job| (job.lease, Finish::Park)).collect()).map(|_lost| ())
    }

    /// Jobs that were not started. The last goes first, so that they stand in their order again.
    fn give_back(&self, leases: &[LeaseId]) -> Result<(), QueueError> {
        let back = |lease: &LeaseId| (*lease, Finish::GiveBack { after: Duration::ZERO });
        self.broker.finish(leases.iter().rev().map(back).collect()).map(|_lost| ())
    }

    fn run_batch(&self, run: &Run) -> Result<(), QueueError> {
        self.leases.run(&run.leases, run.policy.lease, run.policy.time_limit);
        let outcomes = self.outcomes(&run.task, &run.jobs);
        let finished: Vec<(LeaseId, Finish)> = run
            .jobs
            .iter()
            .zip(outcomes)
            .map(|(job, outcome)| (job.lease, self.finish_of(job, outcome, &run.policy)))
            .collect();
        let lost = self.finish(finished)?;
        if !lost.is_empty() {
            tracing::warn!(task = run.task.name(), jobs = lost.len(), "leases were lost before the run ended");
        }
        self.progress.finished.fetch_add(run.jobs.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    /// Ends runs. Dead letters that cannot be kept now are tried again while their leases are held: letting them end
    /// would look like a death of the worker.
    fn finish(&self, finished: Vec<(LeaseId, Finish)>) -> Result<Vec<LeaseId>, QueueError> {
        let is_dead = |one: &&(LeaseId, Finish)| matches!(one.1, Finish::Dead { .. });
        let dead: Vec<(LeaseId, Finish)> = finished.iter().filter(is_dead).cloned().collect();
        let mut ended = self.broker.finish(finished);
        while let Err(error) = &ended {
            if dead.is_empty() || self.context.is_stopping() {
                break;
            }
            tracing::error!(error = ?error, jobs = dead.len(), "dead letters not kept, tried again");
            std::thread::sleep(FAILED_PAUSE);
            ended = self.broker.finish(dead.clone());
        }
        ended
    }

    /// Runs jobs and returns an outcome for each. A batch that panics is run again in halves, so that the attempts of the
    /// others are not spent on the one that panics.
    fn outcomes(&self, task: &Arc<dyn Task>, jobs: &[Claimed]) -> Vec<Outcome> {
        let ran = catch_unwind(AssertUnwindSafe(|| task.run(jobs, &self.context)));
        let mut outcomes = match ran {
            Ok(outcomes) => outcomes,
            Err(_) if jobs.len() > 1 => {
                let (left, right) = jobs.split_at(jobs.len() / 2);
                [self.outcomes(task, left), self.outcomes(task, right)].concat()
            }
            Err(panic) => {
                let text = panic_text(&*panic);
                tracing::error!(task = task.name(), panic = text, "task panicked");
                vec![Outcome::Retry { error: format!("panic: {text}") }]
            }
        };
        let missing = Outcome::Retry { error: "the task gave no outcome".to_owned() };
        outcomes.resize(jobs.len(), missing);
        outcomes
    }

    fn finish_of(&self, job: &Claimed, outcome: Outcome, policy: &Policy) -> Finish {
        let dead = |reason, error| {
            self.progress.dead.fetch_add(1, Ordering::Relaxed);
            Finish::Dead { reason, error }
        };
        match outcome {
            Outcome::Done => Finish::Done,
            Outcome::Returned { value } => Finish::Returned { value },
            Outcome::Snooze { after } => Finish::GiveBack { after },
            Outcome::Dead { error } => dead(DeadReason::Rejected, error),
            Outcome::Retry { error } if job.attempt >= policy.attempts_max => dead(DeadReason::Attempts, error),
            Outcome::Retry { error } => {
                self.progress.failed.fetch_add(1, Ordering::Relaxed);
                Finish::Retry { after: policy.backoff.delay(job.attempt, stdx::random::u64()), error }
            }
        }
    }
}

pub(super) fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}
