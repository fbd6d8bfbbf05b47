//! What a thread does: it claims, runs one batch after the other, and ends their leases; which task runs them, in which
//! batches, and what their outcomes mean for the queue.

use super::seat::{Current, Run, Seat};
use super::{FAILED_PAUSE, Shared};
use crate::{ClaimRequest, Claimed, DeadReason, Finish, LeaseId, Outcome, Policy, QueueError, RunContext, Task};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// An unknown task is said so often, and so many are remembered.
const SAID_EVERY: Duration = Duration::from_secs(60);
const UNKNOWN_MAX: usize = 1_000;
/// Runs that ended are told the broker together; the keeper tells those behind which a long one runs.
pub(super) const ENDS_WITHIN: Duration = Duration::from_millis(20);

impl Shared {
    /// Serves the queues in turns until told to stop.
    pub(super) fn work(&self, seat: &Seat, number: usize) {
        let mut queues = self.served();
        if queues.is_empty() {
            return;
        }
        let turns = number % queues.len();
        queues.rotate_left(turns);
        let mut is_failing = false;
        while !self.is_stopping() && !seat.is_abandoned() {
            let request = ClaimRequest { queues: queues.iter().map(|queue| self.bounds_of(queue.clone())).collect() };
            // Jobs that were claimed in a turn that panics come back when their leases end.
            let served = catch_unwind(AssertUnwindSafe(|| self.serve(seat, &request)));
            let failure = match served {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(stdx::causes::on_one_line(&error)),
                Err(panic) => Some(panic_text(&*panic).to_owned()),
            };
            match failure {
                None if is_failing => {
                    tracing::info!("queues are served again");
                    self.note_error(None);
                    is_failing = false;
                }
                None => {}
                Some(error) => {
                    if !is_failing {
                        tracing::error!(error, "queues not served, tried again");
                    }
                    is_failing = true;
                    self.progress.failed.fetch_add(1, Ordering::Relaxed);
                    self.note_error(Some(error));
                    std::thread::sleep(FAILED_PAUSE);
                }
            }
            queues.rotate_left(1);
        }
    }

    fn serve(&self, seat: &Seat, request: &ClaimRequest) -> Result<(), QueueError> {
        let claimed = self.queue.claim(request)?;
        let count = claimed.len() as u64;
        self.progress.running.fetch_add(count, Ordering::Relaxed);
        let result = catch_unwind(AssertUnwindSafe(|| self.run_claimed(seat, claimed)));
        self.progress.running.fetch_sub(count, Ordering::Relaxed);
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Runs what was claimed, one batch after the other, and ends every lease. After a stop the rest goes back.
    fn run_claimed(&self, seat: &Seat, claimed: Vec<Claimed>) -> Result<(), QueueError> {
        self.note_received(&claimed);
        let runs = self.plan(claimed)?;
        // Batches behind others wait for them at most as long as they all may take.
        let mut at_most = Duration::ZERO;
        for run in &runs {
            at_most += run.time_limit;
            self.leases.wait(&run.leases, run.policy.lease, at_most);
        }
        seat.fill(runs);
        let mut result = Ok(());
        while !self.is_stopping() && !seat.is_abandoned() {
            let Some(run) = seat.next() else { break };
            self.run_batch(seat, run);
            result = result.and(self.tell(seat.take_ended(ENDS_WITHIN)));
        }
        let rest = seat.take_waiting();
        result.and(self.tell(seat.take_ended(Duration::ZERO))).and(self.give_back(rest))
    }

    /// Sorts jobs by task, in batches that its policy allows. Jobs of tasks that nobody here knows are parked.
    fn plan(&self, mut claimed: Vec<Claimed>) -> Result<Vec<Run>, QueueError> {
        let mut runs = Vec::new();
        while let Some(first) = claimed.first() {
            let name = first.task.clone();
            let (mut jobs, rest): (Vec<Claimed>, Vec<Claimed>) = claimed.into_iter().partition(|job| job.task == name);
            claimed = rest;
            let Some(task) = self.find(&name) else {
                self.park(&name, &jobs)?;
                continue;
            };
            let policy = task.policy();
            while !jobs.is_empty() {
                let later = jobs.split_off(policy.batch_jobs_max.clamp(1, jobs.len()));
                let leases = jobs.iter().map(|job| job.lease).collect();
                let own = jobs[0].options.time_limit_s.filter(|_| policy.batch_jobs_max <= 1);
                let time_limit = own.map_or(policy.time_limit, |seconds| Duration::from_secs(seconds.into()));
                runs.push(Run { task: task.clone(), policy, jobs, leases, time_limit });
                jobs = later;
            }
        }
        Ok(runs)
    }

    fn park(&self, name: &str, jobs: &[Claimed]) -> Result<(), QueueError> {
        if self.is_to_be_said(name) {
            tracing::error!(task = name, jobs = jobs.len(), "unknown task, its jobs are parked");
        }
        self.note_error(Some(format!("unknown task {name}, its jobs are parked")));
        self.queue.finish(jobs.iter().map(|job| (job.lease, Finish::Park)).collect()).map(|_lost| ())
    }

    /// Whether an unknown task was not said within the last minute.
    fn is_to_be_said(&self, name: &str) -> bool {
        let mut unknown = super::lock(&self.unknown);
        if unknown.len() >= UNKNOWN_MAX {
            unknown.clear();
        }
        let said = unknown.insert(name.to_owned(), Instant::now());
        match said {
            Some(said) if said.elapsed() < SAID_EVERY => {
                unknown.insert(name.to_owned(), said);
                false
            }
            Some(_) | None => true,
        }
    }

    /// Jobs that were not started. The last goes first, so that they stand in their order again.
    pub(super) fn give_back(&self, runs: Vec<Run>) -> Result<(), QueueError> {
        let leases: Vec<LeaseId> = runs.into_iter().flat_map(|run| run.leases).collect();
        if leases.is_empty() {
            return Ok(());
        }
        self.leases.let_go(&leases);
        let back = |lease: &LeaseId| (*lease, Finish::GiveBack { after: Duration::ZERO });
        self.queue.finish(leases.iter().rev().map(back).collect()).map(|_lost| ())
    }

    fn run_batch(&self, seat: &Seat, run: Run) {
        let Some(run) = self.admit(seat, run) else { return };
        let jobs = Arc::new(run.jobs);
        self.leases.run(&run.leases, run.policy.lease, run.time_limit + super::keeper::HARD_GRACE);
        let current = Current {
            task: run.task.name(),
            policy: run.policy,
            jobs: jobs.clone(),
            since: Instant::now(),
            started_at: self.config.clock.now(),
            time_limit: run.time_limit,
            is_over_time: Arc::default(),
        };
        let context = RunContext { stopping: self.is_stopping.clone(), over_time: current.is_over_time.clone() };
        let since = current.since;
        seat.begin(current);
        self.note_begun(run.task.name(), &jobs);
        let outcomes = self.outcomes(&run.task, &jobs, &context);
        let took = since.elapsed();
        self.credit.note(&jobs[0].queue, jobs.len(), took);
        if !seat.end() {
            tracing::warn!(task = run.task.name(), "a run ended after its time limit; its result is void");
            return;
        }
        seat.note_ended(self.ends_of(&jobs, outcomes, &run.policy, took));
    }

    /// Tells the broker what ended; until then the leases are kept.
    pub(super) fn tell(&self, finished: Vec<(LeaseId, Finish)>) -> Result<(), QueueError> {
        if finished.is_empty() {
            return Ok(());
        }
        let count = finished.len() as u64;
        let leases: Vec<LeaseId> = finished.iter().map(|(lease, _)| *lease).collect();
        let ended = self.finish(finished);
        self.leases.let_go(&leases);
        let lost = ended?;
        if !lost.is_empty() {
            tracing::warn!(jobs = lost.len(), "leases were lost before the run ended");
        }
        self.progress.finished.fetch_add(count, Ordering::Relaxed);
        Ok(())
    }

    /// Ends runs. What cannot be told now is tried again while that may help: letting leases end would look like a
    /// death of the worker. A broker that was away for long has freed them, and the fence holds.
    pub(super) fn finish(&self, finished: Vec<(LeaseId, Finish)>) -> Result<Vec<LeaseId>, QueueError> {
        let is_dead = |one: &&(LeaseId, Finish)| matches!(one.1, Finish::Dead { .. });
        let dead: Vec<(LeaseId, Finish)> = finished.iter().filter(is_dead).cloned().collect();
        let mut ended = self.queue.finish(finished.clone());
        let mut is_said = false;
        while let Err(error) = &ended {
            let again = match error {
                QueueError::Unreachable { .. } => &finished,
                _ if dead.is_empty() => break,
                _ => &dead,
            };
            if self.is_stopping() {
                break;
            }
            if !is_said {
                tracing::error!(
                    error = stdx::causes::on_one_line(error),
                    jobs = again.len(),
                    "runs not ended, tried again"
                );
                self.note_error(Some(stdx::causes::on_one_line(error)));
                is_said = true;
            }
            std::thread::sleep(FAILED_PAUSE);
            ended = self.queue.finish(again.clone());
        }
        if is_said && ended.is_ok() {
            self.note_error(None);
        }
        ended
    }

    /// Runs jobs and returns an outcome for each. A batch that panics is run again in halves, so that the attempts of the
    /// others are not spent on the one that panics.
    fn outcomes(&self, task: &Arc<dyn Task>, jobs: &[Claimed], context: &RunContext) -> Vec<Outcome> {
        let ran = catch_unwind(AssertUnwindSafe(|| task.run(jobs, context)));
        let mut outcomes = match ran {
            Ok(outcomes) => outcomes,
            Err(_) if jobs.len() > 1 => {
                let (left, right) = jobs.split_at(jobs.len() / 2);
                [self.outcomes(task, left, context), self.outcomes(task, right, context)].concat()
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

    pub(super) fn finish_of(&self, job: &Claimed, outcome: Outcome, policy: &Policy) -> Finish {
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
