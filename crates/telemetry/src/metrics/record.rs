//! What code calls to record: `incr`, `gauge`, `timing`, `distribution`, `timer`. A call finds its series in a table of its
//! own thread and adds to it; it takes no lock, waits for nobody and never fails, whatever backends do. Until metrics are
//! installed it does nothing. What a thread recorded last is gathered after it has ended.

use super::Kind;
use super::hub::{Found, Hub};
use super::key::{Asked, Key, Tags};
use super::slot::Slot;
use hashbrown::HashMap;
use std::cell::RefCell;
use std::sync::Arc;
use std::time::{Duration, Instant};

const MERGED: &str = "vigie_metrics_records_merged_total";

/// The label by which a `Timer` tells how what it timed has ended.
pub const RESULT_LABEL: &str = "result";

thread_local! {
    static BUFFER: RefCell<Buffer> = RefCell::default();
}

/// The series that one thread has met.
#[derive(Default)]
pub(super) struct Buffer {
    slots: HashMap<Key, Arc<Slot>>,
    /// By name: the slot for what is beyond the metric's bound.
    beyond: HashMap<&'static str, Arc<Slot>>,
}

/// Adds to a counter.
pub fn incr(name: &'static str, amount: u64, tags: Tags<'_>) {
    record(Kind::Counter, Asked { name, tags }, |slot| slot.add(amount));
}

/// Sets a level; the last one counts, whichever thread set it.
pub fn gauge(name: &'static str, level: f64, tags: Tags<'_>) {
    record(Kind::Gauge, Asked { name, tags }, |slot| slot.set(level));
}

/// Records how long something took, in seconds.
pub fn timing(name: &'static str, took: Duration, tags: Tags<'_>) {
    distribution(name, took.as_secs_f64(), tags);
}

/// Records one sample of a histogram, in the unit of its declaration.
pub fn distribution(name: &'static str, value: f64, tags: Tags<'_>) {
    record(Kind::Histogram, Asked { name, tags }, |slot| slot.sample(value));
}

/// Times from now until the timer is dropped, with the label `result`: `success` if it was told so, else `failure`, which
/// an early return or a panic is.
pub fn timer<'a>(name: &'static str, tags: Tags<'a>) -> Timer<'a> {
    Timer { name, tags, started: Instant::now(), has_succeeded: false }
}

/// Records when it is dropped.
#[must_use = "a timer that is dropped at once times nothing"]
pub struct Timer<'a> {
    name: &'static str,
    tags: Tags<'a>,
    started: Instant,
    has_succeeded: bool,
}

impl Timer<'_> {
    /// Ends with success.
    pub fn succeed(mut self) {
        self.has_succeeded = true;
    }
}

impl Drop for Timer<'_> {
    fn drop(&mut self) {
        let result = if self.has_succeeded { "success" } else { "failure" };
        let mut tags = self.tags.to_vec();
        tags.push((RESULT_LABEL, result));
        timing(self.name, self.started.elapsed(), &tags);
    }
}

fn record(kind: Kind, asked: Asked<'_>, add: impl FnOnce(&Slot)) {
    let Some(hub) = super::HUB.get() else { return };
    // A thread that is ending has no table any more; recording inside recording does not happen, and would be passed over.
    let _ = BUFFER.try_with(|buffer| {
        if let Ok(mut buffer) = buffer.try_borrow_mut() {
            buffer.record(hub, kind, asked, add);
        }
    });
}

impl Buffer {
    pub fn record(&mut self, hub: &Hub, kind: Kind, asked: Asked<'_>, add: impl FnOnce(&Slot)) {
        match self.slots.get(&asked) {
            Some(slot) => add(slot),
            None => add(&self.meet(hub, kind, asked)),
        }
    }

    /// Returns the slot of a series that this thread has not met, or that no slot is to be made for.
    #[cold]
    fn meet(&mut self, hub: &Hub, kind: Kind, asked: Asked<'_>) -> Arc<Slot> {
        let key = asked.to_key().without_ids();
        if let Some(slot) = self.slots.get(&key) {
            return slot.clone();
        }
        // Not asked of the hub again: a flood of new labels must not make its threads wait for each other.
        if let Some(slot) = self.beyond.get(asked.name).cloned() {
            self.count_merged(hub);
            return slot;
        }
        match hub.find(key.clone(), kind) {
            Found::Own(series) => {
                let slot = hub.slot(series);
                self.slots.insert(key, slot.clone());
                slot
            }
            Found::Other(series) => {
                let slot = hub.slot(series);
                self.beyond.insert(asked.name, slot.clone());
                self.count_merged(hub);
                slot
            }
        }
    }

    fn count_merged(&mut self, hub: &Hub) {
        self.record(hub, Kind::Counter, Asked { name: MERGED, tags: &[] }, |slot| slot.add(1));
    }
}
