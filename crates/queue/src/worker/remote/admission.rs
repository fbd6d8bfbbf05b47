//! What somebody has asked for comes between a claim and a run: revoked jobs are ended, jobs beyond their task's rate wait,
//! and a run that is terminated is told to end, then ended from outside.

use super::super::run::How;
use super::super::seat::{Run, Seat};
use super::super::{Shared, keeper, lock};
use crate::celery::events::{REVOKED, TERMINATED};
use crate::{Claimed, DeadReason, Finish, LeaseId, Outcome};
use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// A run that is told to end has as long as one over its time.
pub(super) const TERMINATE_GRACE: Duration = keeper::HARD_GRACE;
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60);

impl Shared {
    /// Takes those jobs out of a run that may not begin now. Returns `None` if none is left.
    pub(in crate::worker) fn admit(&self, seat: &Seat, run: Run) -> Option<Run> {
        let task = run.task.name();
        let is_limited = self.remote.rates.is_limited(task);
        let is_revoked = |job: &Claimed| self.remote.revoked.contains(job.id.as_str());
        if !is_limited && !run.jobs.iter().any(is_revoked) {
            return Some(run);
        }
        let (now, mut ended, mut left) = (Instant::now(), Vec::new(), Vec::new());
        for job in run.jobs {
            let finish = if is_revoked(&job) {
                tracing::info!(job.id = %job.id, task, "a revoked job was not run");
                self.dead(DeadReason::Revoked, REVOKED.to_owned())
            } else {
                match self.remote.rates.take(task, now) {
                    Ok(()) => {
                        left.push(job);
                        continue;
                    }
                    Err(after) => Finish::GiveBack { after },
                }
            };
            if !matches!(finish, Finish::GiveBack { .. }) {
                self.note_end(&job, &finish, Duration::ZERO);
            }
            ended.push((job.lease, finish));
        }
        seat.note_ended(ended);
        let leases = left.iter().map(|job| job.lease).collect();
        (!left.is_empty()).then_some(Run { jobs: left, leases, ..run })
    }

    /// Tells the run of a job to end. Returns whether it runs here.
    pub(super) fn terminate(&self, id: &str, grace: Duration) -> bool {
        let seats: Vec<_> = lock(&self.seats).clone();
        for seat in seats {
            let Some(current) = seat.current() else { continue };
            if !current.jobs.iter().any(|job| job.id.as_str() == id) {
                continue;
            }
            let mut terminated = lock(&self.remote.terminated);
            // A run that ended just now has not taken its entry along.
            terminated.retain(|_, until| until.elapsed() < FORGOTTEN_AFTER);
            terminated.insert(id.to_owned(), Instant::now() + grace);
            drop(terminated);
            self.remote.has_terminated.store(true, Ordering::SeqCst);
            current.is_over_time.store(true, Ordering::SeqCst);
            return true;
        }
        false
    }

    /// Whether a run of these jobs should have ended by now.
    pub(in crate::worker) fn is_kill_due(&self, jobs: &[Claimed]) -> bool {
        if !self.remote.has_terminated.load(Ordering::SeqCst) {
            return false;
        }
        let terminated = lock(&self.remote.terminated);
        jobs.iter().any(|job| terminated.get(job.id.as_str()).is_some_and(|until| *until <= Instant::now()))
    }

    /// Returns how the jobs of a run end. Of a run that was terminated the others go back: it was not their fault.
    pub(in crate::worker) fn ends_of(
        &self,
        jobs: &[Claimed],
        outcomes: Vec<Outcome>,
        how: &How<'_>,
    ) -> Vec<(LeaseId, Finish)> {
        let terminated = self.take_terminated(jobs);
        let end = |(job, outcome): (&Claimed, Outcome)| {
            let is_terminated = terminated.contains(job.id.as_str());
            let finish = match outcome {
                Outcome::Retry { .. } | Outcome::Dead { .. } | Outcome::Snooze { .. } if is_terminated => {
                    tracing::info!(job.id = %job.id, task = &*job.task, "a job was terminated");
                    self.dead(DeadReason::Revoked, TERMINATED.to_owned())
                }
                Outcome::Retry { .. } if !terminated.is_empty() => Finish::GiveBack { after: Duration::ZERO },
                outcome => self.finish_of(job, outcome, how),
            };
            self.note_end(job, &finish, how.took);
            (job.lease, finish)
        };
        jobs.iter().zip(outcomes).map(end).collect()
    }

    fn dead(&self, reason: DeadReason, error: String) -> Finish {
        self.progress.dead.fetch_add(1, Ordering::Relaxed);
        Finish::Dead { reason, error }
    }

    fn take_terminated(&self, jobs: &[Claimed]) -> HashSet<String> {
        if !self.remote.has_terminated.load(Ordering::SeqCst) {
            return HashSet::new();
        }
        let mut terminated = lock(&self.remote.terminated);
        let taken = jobs.iter().filter_map(|job| terminated.remove_entry(job.id.as_str())).map(|(id, _)| id).collect();
        self.remote.has_terminated.store(!terminated.is_empty(), Ordering::SeqCst);
        taken
    }
}
