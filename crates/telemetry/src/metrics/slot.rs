//! What one thread has recorded of one series. Only that thread writes, with plain loads and stores of atomics, so that
//! recording waits for nobody; whoever gathers reads, and remembers how far.

use super::Kind;
use super::series::{Change, Series};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Single samples that a thread keeps of a series between two gatherings, for backends that want them; the first are kept.
pub(super) const SAMPLES_MAX: usize = 1 << 10;

pub(super) struct Slot {
    pub series: Arc<Series>,
    /// Grows for ever; of a histogram, `counts` are its counts.
    count: AtomicU64,
    counts: Box<[AtomicU64]>,
    /// Bits of a float.
    sum: AtomicU64,
    samples: Option<Samples>,
}

/// How much of a slot has been gathered.
#[derive(Default)]
pub(super) struct Seen {
    count: u64,
    counts: Vec<u64>,
    sum: f64,
    lost: u64,
}

/// A ring with one writer, the thread, and one reader, whoever gathers.
struct Samples {
    cells: Box<[AtomicU64]>,
    written: AtomicUsize,
    read: AtomicUsize,
    /// Samples that found no room.
    lost: AtomicU64,
    /// Share that is drawn.
    rate: f64,
    draws: AtomicU64,
}

impl Slot {
    /// `sample_rate` is the share of samples that backends want one by one; `None`: they want none.
    pub fn new(series: Arc<Series>, sample_rate: Option<f64>) -> Slot {
        let is_histogram = series.kind == Kind::Histogram;
        let counts = if is_histogram { series.bounds.len() + 1 } else { 0 };
        Slot {
            samples: sample_rate.filter(|_| is_histogram).map(Samples::new),
            series,
            count: AtomicU64::new(0),
            counts: (0..counts).map(|_| AtomicU64::new(0)).collect(),
            sum: AtomicU64::new(0),
        }
    }

    /// Adds to a counter; of another kind of series nothing.
    pub fn add(&self, amount: u64) {
        add(&self.count, amount);
    }

    pub fn set(&self, level: f64) {
        self.series.level.set(level);
    }

    /// Records a sample of a histogram; of another kind of series nothing.
    pub fn sample(&self, value: f64) {
        let at = self.series.bounds.iter().position(|bound| value <= *bound).unwrap_or(self.series.bounds.len());
        let Some(count) = self.counts.get(at) else { return };
        add(count, 1);
        let sum = f64::from_bits(self.sum.load(Ordering::Relaxed)) + value;
        self.sum.store(sum.to_bits(), Ordering::Relaxed);
        if let Some(samples) = &self.samples {
            samples.push(value);
        }
    }

    /// Returns what is new. One at a time may gather.
    pub fn gather(&self, seen: &mut Seen) -> Change {
        seen.counts.resize(self.counts.len(), 0);
        let counts = self.counts.iter().zip(&mut seen.counts).map(|(count, seen)| more(count, seen)).collect();
        let sum = f64::from_bits(self.sum.load(Ordering::Relaxed));
        let sum_before = std::mem::replace(&mut seen.sum, sum);
        let (samples, lost) = match &self.samples {
            Some(samples) => (samples.take(), more(&samples.lost, &mut seen.lost)),
            None => (Vec::new(), 0),
        };
        Change { count: more(&self.count, &mut seen.count), level: None, counts, sum: sum - sum_before, samples, lost }
    }
}

/// Only one thread writes: no read-modify-write is needed, which would cost ten times as much.
fn add(cell: &AtomicU64, amount: u64) {
    cell.store(cell.load(Ordering::Relaxed).wrapping_add(amount), Ordering::Relaxed);
}

fn more(cell: &AtomicU64, seen: &mut u64) -> u64 {
    let now = cell.load(Ordering::Relaxed);
    now.wrapping_sub(std::mem::replace(seen, now))
}

impl Samples {
    fn new(rate: f64) -> Samples {
        Samples {
            cells: (0..SAMPLES_MAX).map(|_| AtomicU64::new(0)).collect(),
            written: AtomicUsize::new(0),
            read: AtomicUsize::new(0),
            lost: AtomicU64::new(0),
            rate,
            draws: AtomicU64::new(0),
        }
    }

    fn push(&self, value: f64) {
        if !self.is_drawn() {
            return;
        }
        let written = self.written.load(Ordering::Relaxed);
        if written.wrapping_sub(self.read.load(Ordering::Acquire)) >= self.cells.len() {
            return add(&self.lost, 1);
        }
        self.cells[written % self.cells.len()].store(value.to_bits(), Ordering::Relaxed);
        self.written.store(written.wrapping_add(1), Ordering::Release);
    }

    /// Every n-th, which is as good a share as a lottery and costs no random number.
    fn is_drawn(&self) -> bool {
        if self.rate >= 1.0 {
            return true;
        }
        let draw = self.draws.load(Ordering::Relaxed);
        self.draws.store(draw.wrapping_add(1), Ordering::Relaxed);
        let draw = draw as f64;
        ((draw + 1.0) * self.rate).floor() > (draw * self.rate).floor()
    }

    fn take(&self) -> Vec<f64> {
        let (read, written) = (self.read.load(Ordering::Relaxed), self.written.load(Ordering::Acquire));
        let at = |index: usize| f64::from_bits(self.cells[index % self.cells.len()].load(Ordering::Relaxed));
        let taken = (0..written.wrapping_sub(read)).map(|step| at(read.wrapping_add(step))).collect();
        self.read.store(written, Ordering::Release);
        taken
    }
}
