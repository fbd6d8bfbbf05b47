//! All series of the process, and the slots of the threads that record. A record touches its thread's slot alone. This is
//! asked only when a thread meets a series for the first time, and by those who gather, render and send.

use super::key::Key;
use super::series::{Change, Series};
use super::slot::{Seen, Slot};
use super::{Kind, Metric};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Series of a name that no table declares.
const UNDECLARED_SERIES_MAX: usize = 100;

pub(super) struct Hub {
    declared: HashMap<&'static str, &'static Metric>,
    /// Share of a histogram's samples that backends want one by one; `None`: they want none.
    sample_rate: Option<f64>,
    known: Mutex<Known>,
    /// Made by threads, not yet seen by those who gather.
    fresh: Mutex<Vec<Arc<Slot>>>,
    tracked: Mutex<Vec<Tracked>>,
}

#[derive(Default)]
struct Known {
    series: BTreeMap<Key, Arc<Series>>,
    /// Series by name.
    counts: HashMap<String, usize>,
}

struct Tracked {
    slot: Arc<Slot>,
    seen: Seen,
}

/// A series that was asked for.
pub(super) enum Found {
    Own(Arc<Series>),
    /// The metric is at its bound: what is beyond is counted together.
    Other(Arc<Series>),
}

impl Hub {
    pub fn new(tables: &[&'static [Metric]], sample_rate: Option<f64>) -> Hub {
        let metrics = tables.iter().copied().flatten();
        Hub {
            declared: metrics.map(|metric| (metric.name, metric)).collect(),
            sample_rate,
            known: Mutex::default(),
            fresh: Mutex::default(),
            tracked: Mutex::default(),
        }
    }

    /// Metrics without labels show zero before their first record: one that is missing looks like a dead process.
    pub fn show_zeroes(&self) {
        for metric in self.declared.values().filter(|metric| metric.labels.is_empty()) {
            let level = (metric.kind == Kind::Gauge).then_some(0.0);
            self.absorb(Key::of_name(metric.name), metric.kind, Change { level, ..Change::default() });
        }
    }

    pub fn declaration(&self, name: &str) -> Option<&'static Metric> {
        self.declared.get(name).copied()
    }

    /// Returns the series of a key without ids, and makes it if there is room for it.
    pub fn find(&self, key: Key, kind: Kind) -> Found {
        let declared = self.declaration(key.name());
        let kind = declared.map_or(kind, |metric| metric.kind);
        let max = declared.map_or(UNDECLARED_SERIES_MAX, |metric| metric.series_max);
        let mut known = lock(&self.known);
        if let Some(series) = known.series.get(&key) {
            return Found::Own(series.clone());
        }
        let count = known.counts.entry(key.name().to_owned()).or_default();
        let is_over = *count >= max;
        *count += usize::from(!is_over);
        let key = if is_over { key.other() } else { key };
        let make = || Arc::new(Series::new(key.clone(), kind));
        let series = known.series.entry(key.clone()).or_insert_with(make).clone();
        if is_over { Found::Other(series) } else { Found::Own(series) }
    }

    /// Returns a slot of the series for the thread that asks.
    pub fn slot(&self, series: Arc<Series>) -> Arc<Slot> {
        let slot = Arc::new(Slot::new(series, self.sample_rate));
        lock(&self.fresh).push(slot.clone());
        slot
    }

    /// Adds what was recorded elsewhere, in another process or by nobody in particular.
    pub fn absorb(&self, key: Key, kind: Kind, change: Change) {
        let (Found::Own(series) | Found::Other(series)) = self.find(key.without_ids(), kind);
        series.absorb(change);
    }

    /// Brings together what threads have recorded; slots of threads that have ended are emptied for the last time.
    pub fn gather(&self) {
        let mut tracked = lock(&self.tracked);
        let fresh = std::mem::take(&mut *lock(&self.fresh));
        tracked.extend(fresh.into_iter().map(|slot| Tracked { slot, seen: Seen::default() }));
        tracked.retain_mut(|tracked| {
            // Before its values are read: after this a thread that has ended writes no more.
            let has_ended = Arc::get_mut(&mut tracked.slot).is_some();
            let change = tracked.slot.gather(&mut tracked.seen);
            if !change.is_empty() {
                tracked.slot.series.absorb(change);
            }
            !has_ended
        });
    }

    /// Returns all series, those of one name together.
    pub fn series(&self) -> Vec<Arc<Series>> {
        lock(&self.known).series.values().cloned().collect()
    }

    #[cfg(test)]
    pub fn slots(&self) -> usize {
        lock(&self.fresh).len() + lock(&self.tracked).len()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
