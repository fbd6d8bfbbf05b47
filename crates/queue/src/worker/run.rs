//! What a thread does: it claims, runs one batch after the other, and ends their leases; which task runs them, in which
//! batches, and what their outcomes mean for the queue.

use super::place::Place;
use super::seat::{Run, Seat};
use super::{FAILED_PAUSE, Shared};
use crate::{ClaimRequest, Claimed, DeadReason, Finish, LeaseId, Outcome, Policy, QueueError, RunContext, Task};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
pub(crate) use stdx::causes::of_panic as panic_text;

/// An unknown task is said so often, and so many are remembered.
const SAID_EVERY: Duration = Duration::from_secs(60);
const UNKNOWN_MAX: usize = 1_000;
/// Runs that ended are told the broker together; the keeper tells those behind which a long one runs.
pub(super) const ENDS_WITHIN: Duration = Duration::from_millis(20);

/// So long the broker is asked to take what cannot be run here, while its leases are kept.
const PARKING_MAX: Duration = Duration::from_secs(600);

/// What becomes of claimed jobs.
struct Plan {
    runs: Vec<Run>,
    /// Leases of jobs whose task nobody here knows.
    strange: Vec<LeaseId>,
}

/// What is to be known of a run beside its outcomes.
pub(super) struct How<'a> {
    pub policy: &'a Policy,
    /// Said of a job whose attempts are at their end.
    pub last_reason: DeadReason,
    pub took: Duration,
}

impl Shared {
    /// Serves the queues in turns until told to stop.
    pub(super) fn work(&self, seat: &Seat, place: &mut Place, number: usize) {
        let mut queues = self.served();
        if queues.is_empty() {
            return;
        }
        let turns = number % queues.len();
        queues.rotate_left(turns);
        let mut is_failing = false;
        while !self.is_stopping() && !seat.is_abandoned() {
            let request = ClaimRequest { queues: queues.iter().map(|queue| self.bounds_of(queue.clone())).collect() };
            match self.turn(seat, place, &request) {
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
                    self.note_error(Some(error));
                    std::thread::sleep(FAILED_PAUSE);
                }
            }
            queues.rotate_left(1);
        }
    }

    /// Claims and runs; returns what kept it from that. Jobs that were claimed in a turn that panics come back when their
    /// leases end.
    fn turn(&self, seat: &Seat, place: &mut Place, request: &ClaimRequest) -> Option<String> {
        if let Err(why) = self.is_ready(place) {
            return Some(why).filter(|_| !self.is_stopping());
        }
        match catch_unwind(AssertUnwindSafe(|| self.serve(seat, place, request))) {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(stdx::causes::on_one_line(&error)),
            Err(panic) => Some(panic_text(&*panic).to_owned()),
        }
    }

    fn serve(&self, seat: &Seat, place: &mut Place, request: &ClaimRequest) -> Result<(), QueueError> {
        let claimed = self.queue.claim(request)?;
        let count = claimed.len() as u64;
        self.progress.running.fetch_add(count, Ordering::Relaxed);
        let result = catch_unwind(AssertUnwindSafe(|| self.run_claimed(seat, place, claimed)));
        self.progress.running.fetch_sub(count, Ordering::Relaxed);
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Runs what was claimed, one batch after the other, and ends every lease. After a stop the rest goes back.
    fn run_claimed(&self, seat: &Seat, place: &mut Place, claimed: Vec<Claimed>) -> Result<(), QueueError> {
        self.note_received(&claimed);
        let Plan { runs, strange } = self.plan(claimed);
        // Batches behind others wait for them at most as long as they all may take.
        let mut at_most = Duration::ZERO;
        for run in &runs {
            at_most += run.time_limit;
            self.leases.wait(&run.leases, run.policy.lease, at_most);
        }
        seat.fill(runs);
        let mut result = self.park(strange);
        while !self.is_stopping() && !seat.is_abandoned() && self.is_ready_soon(seat, place) {
            let Some(run) = seat.next() else { break };
            self.run_batch(seat, place, run);
            result = result.and(self.tell(seat.take_ended(ENDS_WITHIN)));
        }
        let rest = seat.take_waiting();
        result.and(self.tell(seat.take_ended(Duration::ZERO))).and(self.give_back(seat, rest))
    }

    /// Sorts jobs by task, in batches that its policy allows.
    fn plan(&self, mut claimed: Vec<Claimed>) -> Plan {
        let (mut runs, mut strange) = (Vec::new(), Vec::new());
        while let Some(first) = claimed.first() {
            let name = first.task.clone();
            let (jobs, rest): (Vec<Claimed>, Vec<Claimed>) = claimed.into_iter().partition(|job| job.task == name);
            claimed = rest;
            let Some(task) = self.find(&name) else {
                self.say_strange(&name, jobs.len());
                strange.extend(jobs.iter().map(|job| job.lease));
                continue;
            };
            let policy = task.policy();
            let (suspects, jobs) = self.suspects.part(jobs);
            let alone = suspects.into_iter().map(|job| vec![job]);
            let mut jobs = jobs.into_iter();
            let batches = std::iter::from_fn(|| {
                let batch: Vec<Claimed> = jobs.by_ref().take(policy.batch_jobs_max.max(1)).collect();
                (!batch.is_empty()).then_some(batch)
            });
            for jobs in alone.chain(batches) {
                let first = &jobs[0];
                let own = first.options.time_limit_s.filter(|_| policy.batch_jobs_max <= 1);
                let time_limit = own.map_or(policy.time_limit, |seconds| Duration::from_secs(seconds.into()));
                let leases = jobs.iter().map(|job| job.lease).collect();
                runs.push(Run { task: task.clone(), policy, jobs, leases, time_limit });
            }
        }
        Plan { runs, strange }
    }

    /// Parks jobs of tasks that nobody here knows. What cannot be parked goes back: its lease must not end as if it had run
    /// and died.
    fn park(&self, leases: Vec<LeaseId>) -> Result<(), QueueError> {
        if leases.is_empty() {
            return Ok(());
        }
        self.leases.wait(&leases, super::STRANGE_LEASE, PARKING_MAX);
        let each = |finish: Finish| leases.iter().rev().map(|lease| (*lease, finish.clone())).collect();
        let parked = self.finish(each(Finish::Park));
        if parked.is_err()
            && let Err(error) = self.finish(each(Finish::GiveBack { after: Duration::ZERO }))
        {
            tracing::error!(error = %error, "jobs of unknown tasks not given back, their leases end by themselves");
        }
        self.leases.let_go(&leases);
        parked.map(|_lost| ())
    }

    fn say_strange(&self, name: &str, jobs: usize) {
        if self.is_to_be_said(name) {
            tracing::error!(task = name, jobs, "unknown task, its jobs are parked");
        }
        self.note_error(Some(format!("unknown task {name}, its jobs are parked")));
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

    /// Jobs that were not started. The last goes first, so that they stand in their order again. What the broker does not
    /// take stays in the seat with its leases kept: one that ended would count as a death of what never ran.
    pub(super) fn give_back(&self, seat: &Seat, runs: Vec<Run>) -> Result<(), QueueError> {
        let leases: Vec<LeaseId> = runs.iter().flat_map(|run| run.leases.iter().copied()).collect();
        if leases.is_empty() {
            return Ok(());
        }
        let back = |lease: &LeaseId| (*lease, Finish::GiveBack { after: Duration::ZERO });
        match self.queue.finish(leases.iter().rev().map(back).collect()) {
            Ok(_lost) => {
                self.leases.let_go(&leases);
                Ok(())
            }
            Err(error) => {
                seat.put_first(runs);
                if seat.is_abandoned() {
                    self.take_over(seat);
                }
                Err(error)
            }
        }
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
                // A server that takes no writes has ended none of them. The embedded queue has ended all but the dead
                // letters, and tells of the others as lost.
                QueueError::Unwritable { .. } | QueueError::Full { .. } => &finished,
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

    pub(super) fn finish_of(&self, job: &Claimed, outcome: Outcome, how: &How<'_>) -> Finish {
        let policy = how.policy;
        let dead = |reason, error| {
            self.progress.dead.fetch_add(1, Ordering::Relaxed);
            Finish::Dead { reason, error }
        };
        match outcome {
            Outcome::Done => Finish::Done,
            Outcome::Returned { value } => Finish::Returned { value },
            Outcome::Snooze { after } => Finish::GiveBack { after },
            Outcome::Dead { error } => dead(DeadReason::Rejected, error),
            Outcome::Retry { error } if job.attempt >= policy.attempts_max => dead(how.last_reason, error),
            Outcome::Retry { error } => {
                self.progress.failed.fetch_add(1, Ordering::Relaxed);
                Finish::Retry { after: policy.backoff.delay(job.attempt, stdx::random::u64()), error }
            }
        }
    }
}

/// Runs jobs and returns an outcome for each. A batch that panics is run again in halves, so that the attempts of the
/// others are not spent on the one that panics.
pub fn run_jobs(task: &Arc<dyn Task>, jobs: &[Claimed], context: &RunContext) -> Vec<Outcome> {
    let ran = catch_unwind(AssertUnwindSafe(|| task.run(jobs, context)));
    let mut outcomes = match ran {
        Ok(outcomes) => outcomes,
        Err(_) if jobs.len() > 1 => {
            let (left, right) = jobs.split_at(jobs.len() / 2);
            [run_jobs(task, left, context), run_jobs(task, right, context)].concat()
        }
        Err(panic) => {
            let text = panic_text(&*panic);
            tracing::error!(task = task.name(), job = %jobs[0].id, panic = text, "task panicked");
            vec![Outcome::Retry { error: format!("panic: {text}") }]
        }
    };
    let missing = Outcome::Retry { error: "the task gave no outcome".to_owned() };
    outcomes.resize(jobs.len(), missing);
    outcomes
}
