//! Where a thread's runs happen: in the thread, or in a child process that the thread owns.

use super::keeper::HARD_GRACE;
use super::run::How;
use super::seat::{Current, Run, Seat};
use super::{FAILED_PAUSE, RunEnd, Shared};
use crate::pool::{Death, Process, Ran, Watch};
use crate::{DeadReason, Finish, Outcome, RunContext};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// With jobs in hand a thread does not wait long before it starts a new child: others may run them. While the child starts
/// the keeper gives back what waits.
const PATIENCE_WITH_JOBS: Duration = FAILED_PAUSE;

pub(super) enum Place {
    Thread,
    Child(Box<Process>),
}

impl Shared {
    pub(super) fn place(&self) -> Place {
        match &self.children {
            None => Place::Thread,
            Some(children) => Place::Child(Box::new(Process::new(children.clone()))),
        }
    }

    /// Whether something can be run, before anything is claimed.
    pub(super) fn is_ready(&self, place: &mut Place) -> Result<(), String> {
        self.ready(place, Duration::MAX)
    }

    /// Whether what was claimed can be run soon.
    pub(super) fn is_ready_soon(&self, seat: &Seat, place: &mut Place) -> bool {
        if matches!(place, Place::Thread) {
            return true;
        }
        match seat.wait_for_child(|| self.ready(place, PATIENCE_WITH_JOBS)) {
            Ok(()) => true,
            Err(why) => {
                tracing::debug!(why, "jobs go back");
                false
            }
        }
    }

    fn ready(&self, place: &mut Place, patience: Duration) -> Result<(), String> {
        match place {
            Place::Thread => Ok(()),
            Place::Child(process) => process.ready(patience, &|| self.is_stopping()),
        }
    }

    /// Runs a batch and notes how it ended.
    pub(super) fn run_batch(&self, seat: &Seat, place: &mut Place, run: Run) {
        let Some(run) = self.admit(seat, run) else { return };
        let jobs = Arc::new(run.jobs.clone());
        self.leases.run(&run.leases, run.policy.lease, run.time_limit + HARD_GRACE);
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
        let ran = match place {
            Place::Thread => Ran::Outcomes(super::run_jobs(&run.task, &jobs, &context)),
            Place::Child(process) => {
                let watch = Watch {
                    time_limit: run.time_limit,
                    over_time: &context.over_time,
                    is_stopping: &|| self.is_stopping(),
                    is_abandoned: &|| seat.is_abandoned(),
                };
                process.run(run.task.name(), &jobs, &watch)
            }
        };
        let took = since.elapsed();
        if matches!(ran, Ran::Outcomes(_) | Ran::OverTime) {
            self.credit.note(&jobs[0].queue, jobs.len(), took);
        }
        self.tell_of_run(&run, &ran, took);
        if !seat.end() {
            tracing::warn!(task = run.task.name(), "a run ended after its time limit; its result is void");
            return;
        }
        let last_reason = if context.is_over_time() { DeadReason::TimeLimit } else { DeadReason::Attempts };
        let policy = run.policy;
        self.note_ran(seat, ran, &How { policy: &policy, last_reason, took }, run);
    }

    fn tell_of_run(&self, run: &Run, ran: &Ran, took: Duration) {
        let is_failure = |outcome: &&Outcome| matches!(outcome, Outcome::Retry { .. } | Outcome::Dead { .. });
        let failed = match ran {
            Ran::Outcomes(outcomes) => outcomes.iter().filter(is_failure).count(),
            Ran::OverTime | Ran::Died(_) => run.jobs.len(),
            Ran::NotBegun(_) | Ran::Abandoned => return,
        };
        let (task, jobs, time_limit) = (run.task.name(), run.jobs.as_slice(), run.time_limit);
        (self.config.on_run)(&RunEnd { task, jobs, failed, took, time_limit });
    }

    fn note_ran(&self, seat: &Seat, ran: Ran, how: &How<'_>, run: Run) {
        let outcomes = match ran {
            Ran::Outcomes(outcomes) => outcomes,
            Ran::OverTime => {
                let error = run.over_time_text();
                tracing::error!(task = run.task.name(), jobs = run.jobs.len(), "a run did not end at its time limit");
                self.note_error(Some(error.clone()));
                vec![Outcome::Retry { error }; run.jobs.len()]
            }
            Ran::Died(death) => return self.note_death(seat, run, &death, how.took),
            Ran::NotBegun(death) => return self.note_unbegun(seat, run, &death, how.took),
            // Whoever left it has ended it.
            Ran::Abandoned => return,
        };
        self.suspects.forget(&run.jobs);
        seat.note_ended(self.ends_of(&run.jobs, outcomes, how));
    }

    /// The child was gone before it began. It may have been about to end anyway; but a job can be what ends it, as by its
    /// size. So they run again one by one, and the second time it is the run that died.
    fn note_unbegun(&self, seat: &Seat, run: Run, death: &Death, took: Duration) {
        if run.jobs.len() == 1 && self.suspects.has(&run.jobs[0]) {
            return self.note_death(seat, run, death, took);
        }
        tracing::warn!(
            task = run.task.name(),
            jobs = run.jobs.len(),
            how = death.error,
            "a child ended before its run"
        );
        self.suspects.note(&run.jobs);
        let at_most = run.time_limit * u32::try_from(run.jobs.len()).unwrap_or(u32::MAX);
        self.leases.wait(&run.leases, run.policy.lease, at_most);
        seat.put_first(run.each_alone());
    }

    /// Exactly these jobs were in the process that died. Of several nobody knows which was to blame: they run again in
    /// halves, so that the deaths of the others are not counted for the one that kills; and alone, if they went back before
    /// that was known.
    fn note_death(&self, seat: &Seat, run: Run, death: &Death, took: Duration) {
        let text = format!("{} in {}", death.error, run.task.name());
        tracing::error!(
            task = run.task.name(),
            job = %run.jobs[0].id,
            jobs = run.jobs.len(),
            how = death.error,
            "a run died with its process"
        );
        self.note_error(Some(text));
        if run.jobs.len() > 1 {
            self.suspects.note(&run.jobs);
            let halves = run.halves();
            for half in &halves {
                self.leases.wait(&half.leases, half.policy.lease, half.time_limit * 2);
            }
            return seat.put_first(halves);
        }
        self.progress.failed.fetch_add(1, Ordering::Relaxed);
        let died = Finish::Died { reason: death.reason, error: death.error.clone() };
        self.note_end(&run.jobs[0], &died, took);
        seat.note_ended([(run.leases[0], died)]);
    }
}
