//! Events on their way to monitors: a bounded list that jobs add to and one thread empties. Where the broker is slower than
//! the jobs the oldest stay and the newest are dropped, counted.

use super::super::{Shared, lock};
use crate::broadcast::Broadcast;
use crate::celery::events::{self, HEARTBEAT_EVERY, MULTI, Stamp};
use crate::{Claimed, Finish, QueueError};
use serde_json::Value;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Events that wait; at a few hundred bytes each some megabytes at most.
const WAITING_MAX: usize = 10_000;
/// Events of one message.
const TOLD_MAX: usize = 200;
/// Events wait so long for others to go with.
const GATHERED_WITHIN: Duration = Duration::from_millis(100);

#[derive(Default)]
pub(super) struct Events {
    /// Whether events of tasks are wanted.
    is_on: AtomicBool,
    /// Whether anybody empties the list.
    is_open: AtomicBool,
    waiting: Mutex<VecDeque<Value>>,
    filled: Condvar,
    heartbeat_wanted: AtomicBool,
    told: AtomicU64,
    dropped: AtomicU64,
}

impl Events {
    pub fn open(&self, is_on: bool) {
        self.is_open.store(true, Ordering::Relaxed);
        self.is_on.store(is_on, Ordering::Relaxed);
    }

    /// Returns whether that changed anything.
    pub fn switch(&self, is_on: bool) -> bool {
        self.is_on.swap(is_on, Ordering::Relaxed) != is_on
    }

    pub fn told(&self) -> u64 {
        self.told.load(Ordering::Relaxed)
    }

    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    pub fn want_heartbeat(&self) {
        self.heartbeat_wanted.store(true, Ordering::Relaxed);
        self.wake();
    }

    pub fn wake(&self) {
        self.filled.notify_all();
    }

    fn is_wanted(&self) -> bool {
        self.is_on.load(Ordering::Relaxed) && self.is_open.load(Ordering::Relaxed)
    }

    fn add(&self, event: Value) {
        let mut waiting = lock(&self.waiting);
        if waiting.len() >= WAITING_MAX {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        waiting.push_back(event);
    }

    fn take(&self) -> Vec<Value> {
        let mut waiting = lock(&self.waiting);
        let count = waiting.len().min(TOLD_MAX);
        waiting.drain(..count).collect()
    }

    /// Waits until there is something to tell, at most so long.
    fn wait(&self, at_most: Duration) {
        let waiting = lock(&self.waiting);
        let is_idle = waiting.is_empty() && !self.heartbeat_wanted.load(Ordering::Relaxed);
        if is_idle && !at_most.is_zero() {
            drop(self.filled.wait_timeout(waiting, at_most).unwrap_or_else(PoisonError::into_inner));
        }
    }
}

impl Shared {
    /// Adds an event of a task, if anybody wants it.
    pub(super) fn event(&self, kind: &str, fields: impl FnOnce() -> Value) {
        if self.remote.events.is_wanted() {
            self.remote.events.add(self.stamped(kind, fields()));
        }
    }

    /// Tells of a job whose run ended, and counts it where that is progress: what will be tried again, or was given back
    /// because a store cannot be written, is not.
    pub(in crate::worker) fn note_end(&self, job: &Claimed, finish: &Finish, took: Duration) {
        match finish {
            Finish::Done | Finish::Returned { .. } | Finish::Dead { .. } | Finish::Park => {
                self.progress.note_ended(&job.queue);
            }
            Finish::Retry { .. } | Finish::GiveBack { .. } | Finish::Died { .. } => {}
        }
        if self.remote.events.is_wanted()
            && let Some((kind, fields)) = events::of_end(job, finish, took)
        {
            self.remote.events.add(self.stamped(kind, fields));
        }
    }

    fn stamped(&self, kind: &str, fields: Value) -> Value {
        let clock = self.remote.clock.forward();
        let stamp = Stamp { node: &self.config.name, clock, now: self.config.clock.now() };
        events::event(kind, &stamp, fields)
    }

    /// Tells monitors until the worker is over.
    pub(super) fn tell_events(&self, broadcast: &dyn Broadcast) {
        let mut is_failing = false;
        let mut beaten = Instant::now();
        let mut said = self.tell_worker(broadcast, "worker-online");
        while !self.remote.is_over() {
            self.report_telling(&mut is_failing, said);
            let left = HEARTBEAT_EVERY.saturating_sub(beaten.elapsed());
            self.remote.events.wait(left.min(GATHERED_WITHIN));
            said = self.tell_waiting(broadcast);
            let is_wanted = self.remote.events.heartbeat_wanted.swap(false, Ordering::Relaxed);
            if is_wanted || beaten.elapsed() >= HEARTBEAT_EVERY {
                beaten = Instant::now();
                said = said.and(self.tell_worker(broadcast, "worker-heartbeat"));
            }
        }
        let last = self.tell_waiting(broadcast).and_then(|()| self.tell_worker(broadcast, "worker-offline"));
        self.report_telling(&mut is_failing, last);
    }

    /// Tells all that waits. What cannot be told is dropped: tomorrow nobody wants to know.
    fn tell_waiting(&self, broadcast: &dyn Broadcast) -> Result<(), QueueError> {
        loop {
            let some = self.remote.events.take();
            if some.is_empty() {
                return Ok(());
            }
            let count = some.len() as u64;
            let told = broadcast.tell(MULTI, &events::notice(&self.config.name, &Value::Array(some)));
            let counter = if told.is_ok() { &self.remote.events.told } else { &self.remote.events.dropped };
            counter.fetch_add(count, Ordering::Relaxed);
            told?;
        }
    }

    fn tell_worker(&self, broadcast: &dyn Broadcast, kind: &str) -> Result<(), QueueError> {
        let active = usize::try_from(self.progress.running.load(Ordering::Relaxed)).unwrap_or(usize::MAX);
        let processed = self.progress.finished.load(Ordering::Relaxed);
        let fields = events::of_worker(&self.config.version, active, processed, super::shown::load());
        let event = self.stamped(kind, fields);
        broadcast.tell(&events::key_of(kind), &events::notice(&self.config.name, &event))
    }

    /// Logs a change from telling to not telling, and back; not each failure.
    fn report_telling(&self, is_failing: &mut bool, told: Result<(), QueueError>) {
        match told {
            Err(error) if !*is_failing => {
                *is_failing = true;
                tracing::warn!(error = %error, "events were not told");
            }
            Ok(()) if *is_failing => {
                *is_failing = false;
                tracing::info!(dropped = self.remote.events.dropped(), "events are told again");
            }
            Err(_) | Ok(()) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_broker_costs_events_and_no_memory() {
        let events = Events::default();
        assert!(!events.is_wanted());
        events.open(false);
        assert!(events.switch(true) && !events.switch(true));
        for number in 0..WAITING_MAX + 5 {
            events.add(number.into());
        }
        assert_eq!((events.dropped(), lock(&events.waiting).len()), (5, WAITING_MAX));
        assert_eq!(events.take().len(), TOLD_MAX);
    }
}
