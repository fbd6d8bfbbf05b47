//! One series of the process: what all threads have recorded of it together.

use super::Kind;
use super::key::Key;
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Seconds, from half a millisecond to ten seconds: wide enough for a disk that stalls.
const DURATIONS: [f64; 13] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
/// Bytes, jobs and what else is counted: powers of eight to beyond a billion.
const AMOUNTS: [f64; 11] =
    [1.0, 8.0, 64.0, 512.0, 4_096.0, 32_768.0, 262_144.0, 2_097_152.0, 16_777_216.0, 134_217_728.0, 1_073_741_824.0];
/// Single samples that wait to be sent.
const SAMPLES_MAX: usize = super::slot::SAMPLES_MAX;

pub(super) struct Series {
    pub key: Key,
    pub kind: Kind,
    /// Upper ends of a histogram's buckets, both inside; the last has none.
    pub bounds: &'static [f64],
    pub level: Level,
    sums: Mutex<Sums>,
}

/// A gauge's value: the last one that any thread set.
#[derive(Default)]
pub(super) struct Level {
    bits: AtomicU64,
    is_set: AtomicBool,
}

#[derive(Default)]
struct Sums {
    total: Total,
    /// What has been told of it.
    told: Total,
    samples: Vec<f64>,
    lost: u64,
}

/// What a series has come to since the process began.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Total {
    pub count: u64,
    /// One for each bound and one beyond, not summed up.
    pub counts: Vec<u64>,
    pub sum: f64,
}

/// What is new of a series.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Change {
    pub count: u64,
    pub level: Option<f64>,
    pub counts: Vec<u64>,
    pub sum: f64,
    pub samples: Vec<f64>,
    /// Samples that nobody will be told of one by one.
    pub lost: u64,
}

impl Series {
    pub fn new(key: Key, kind: Kind) -> Series {
        let bounds: &'static [f64] = match kind {
            Kind::Histogram if key.name().ends_with("_seconds") => &DURATIONS,
            Kind::Histogram => &AMOUNTS,
            Kind::Counter | Kind::Gauge => &[],
        };
        Series { key, kind, bounds, level: Level::default(), sums: Mutex::default() }
    }

    pub fn absorb(&self, change: Change) {
        if let Some(level) = change.level {
            self.level.set(level);
        }
        let mut sums = self.sums();
        sums.total.count += change.count;
        sums.total.sum += change.sum;
        if self.kind == Kind::Histogram {
            sums.total.counts.resize(self.bounds.len() + 1, 0);
            sums.total.counts.iter_mut().zip(change.counts).for_each(|(total, more)| *total += more);
        }
        let room = SAMPLES_MAX - sums.samples.len();
        sums.lost += change.lost + change.samples.len().saturating_sub(room) as u64;
        sums.samples.extend(change.samples.into_iter().take(room));
    }

    pub fn total(&self) -> Total {
        self.sums().total.clone()
    }

    /// Returns what is new since the last telling. A level is told again although it did not change: a server forgets
    /// what it does not hear.
    pub fn tell(&self) -> Change {
        let mut sums = self.sums();
        let told = std::mem::take(&mut sums.told);
        let total = sums.total.clone();
        let before = told.counts.into_iter().chain(std::iter::repeat(0));
        let change = Change {
            count: total.count - told.count,
            level: self.level.get(),
            counts: total.counts.iter().zip(before).map(|(now, before)| now - before).collect(),
            sum: total.sum - told.sum,
            samples: std::mem::take(&mut sums.samples),
            lost: std::mem::take(&mut sums.lost),
        };
        sums.told = total;
        change
    }

    fn sums(&self) -> MutexGuard<'_, Sums> {
        self.sums.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Change {
    pub fn is_empty(&self) -> bool {
        let has_samples = self.counts.iter().any(|count| *count > 0);
        self.count == 0 && self.level.is_none() && self.lost == 0 && !has_samples
    }
}

impl Level {
    pub fn set(&self, level: f64) {
        self.bits.store(level.to_bits(), Ordering::Relaxed);
        self.is_set.store(true, Ordering::Release);
    }

    /// Returns the level and forgets that it was set.
    pub fn take(&self) -> Option<f64> {
        self.is_set.swap(false, Ordering::AcqRel).then(|| f64::from_bits(self.bits.load(Ordering::Relaxed)))
    }

    pub fn get(&self) -> Option<f64> {
        self.is_set.load(Ordering::Acquire).then(|| f64::from_bits(self.bits.load(Ordering::Relaxed)))
    }
}
