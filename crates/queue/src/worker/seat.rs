//! A thread's place: what it runs now and what waits behind that. The keeper looks at it and may take what waits.

use super::lock;
use crate::{Claimed, Finish, LeaseId, Policy, Task};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use stdx::Timestamp;

/// Jobs of one task that are run together.
pub struct Run {
    pub task: Arc<dyn Task>,
    pub policy: Policy,
    pub jobs: Vec<Claimed>,
    pub leases: Vec<LeaseId>,
    pub time_limit: Duration,
}

impl Run {
    pub fn over_time_text(&self) -> String {
        over_time_text(self.task.name(), self.time_limit)
    }

    /// A run of each job.
    pub fn each_alone(self) -> Vec<Run> {
        let Run { task, policy, jobs, leases, time_limit } = self;
        let alone = |(job, lease)| Run { task: task.clone(), policy, jobs: vec![job], leases: vec![lease], time_limit };
        jobs.into_iter().zip(leases).map(alone).collect()
    }

    /// Of more than one job.
    pub fn halves(mut self) -> [Run; 2] {
        let jobs = self.jobs.split_off(self.jobs.len() / 2);
        let leases = self.leases.split_off(self.jobs.len());
        let other = Run { task: self.task.clone(), policy: self.policy, time_limit: self.time_limit, jobs, leases };
        [self, other]
    }
}

/// What is said of a run that did not end at its time limit.
pub fn over_time_text(task: &str, limit: Duration) -> String {
    format!("TimeLimitExceeded: {task} ran for longer than {} s", limit.as_secs())
}

/// A run that goes on.
#[derive(Clone)]
pub struct Current {
    pub task: &'static str,
    pub policy: Policy,
    pub jobs: Arc<Vec<Claimed>>,
    pub since: Instant,
    pub started_at: Timestamp,
    pub time_limit: Duration,
    /// Told to the task: it should end by itself.
    pub is_over_time: Arc<AtomicBool>,
}

/// Runs that ended and are not yet told to the broker; their leases are still kept.
#[derive(Default)]
pub struct Ended {
    pub finished: Vec<(LeaseId, Finish)>,
    /// When the first of them ended.
    pub since: Option<Instant>,
}

#[derive(Default)]
pub struct Seat {
    ended: Mutex<Ended>,
    waiting: Mutex<VecDeque<Run>>,
    current: Mutex<Option<Current>>,
    /// Since when its thread has waited for a child process with jobs in hand.
    childless_since: Mutex<Option<Instant>>,
    is_abandoned: AtomicBool,
}

impl Seat {
    pub fn fill(&self, runs: Vec<Run>) {
        lock(&self.waiting).extend(runs);
    }

    /// What is to run next, before what waits already.
    pub fn put_first(&self, runs: impl IntoIterator<Item = Run, IntoIter: DoubleEndedIterator>) {
        let mut waiting = lock(&self.waiting);
        for run in runs.into_iter().rev() {
            waiting.push_front(run);
        }
    }

    pub fn next(&self) -> Option<Run> {
        lock(&self.waiting).pop_front()
    }

    /// Takes what waits, so that it can go back.
    pub fn take_waiting(&self) -> Vec<Run> {
        lock(&self.waiting).drain(..).collect()
    }

    /// What waits, for people to see.
    pub fn waiting_jobs(&self) -> Vec<Claimed> {
        lock(&self.waiting).iter().flat_map(|run| run.jobs.iter().cloned()).collect()
    }

    pub fn note_ended(&self, finished: impl IntoIterator<Item = (LeaseId, Finish)>) {
        let mut ended = lock(&self.ended);
        ended.finished.extend(finished);
        ended.since.get_or_insert_with(Instant::now);
    }

    /// Takes what ended at least so long ago.
    pub fn take_ended(&self, age: Duration) -> Vec<(LeaseId, Finish)> {
        let mut ended = lock(&self.ended);
        match ended.since {
            Some(since) if since.elapsed() >= age => std::mem::take(&mut *ended).finished,
            Some(_) | None => Vec::new(),
        }
    }

    pub fn begin(&self, current: Current) {
        *lock(&self.current) = Some(current);
    }

    /// The run has ended. Returns whether it still was the seat's: a run that was ended from outside is void.
    pub fn end(&self) -> bool {
        lock(&self.current).take().is_some() && !self.is_abandoned()
    }

    pub fn current(&self) -> Option<Current> {
        lock(&self.current).clone()
    }

    /// Does what its thread must do before anything can run.
    pub fn wait_for_child<T>(&self, wait: impl FnOnce() -> T) -> T {
        *lock(&self.childless_since) = Some(Instant::now());
        let waited = wait();
        *lock(&self.childless_since) = None;
        waited
    }

    /// How long what waits has been held up by a run, or for want of a child.
    pub fn held_up(&self) -> Option<Duration> {
        let since = lock(&self.current).as_ref().map(|current| current.since);
        since.or(*lock(&self.childless_since)).map(|since| since.elapsed())
    }

    /// Ends the run from outside; the thread is left alone with it. Returns what ran, unless it ended just now.
    pub fn abandon(&self) -> Option<Current> {
        let mut current = lock(&self.current);
        let taken = current.take()?;
        self.is_abandoned.store(true, Ordering::SeqCst);
        Some(taken)
    }

    pub fn is_abandoned(&self) -> bool {
        self.is_abandoned.load(Ordering::SeqCst)
    }
}
