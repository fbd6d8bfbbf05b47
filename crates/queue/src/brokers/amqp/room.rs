//! How much more fits. Counting all jobs of a long queue takes a while, so it is done neither in a transaction that others
//! wait for nor for each batch: far from the bounds an estimate is enough, and near them a count that cost something stands
//! for a moment. What other processes publish in that moment may go over a bound.

use super::Shared;
use super::link::lock;
use super::tables::jobs::{self, Size};
use super::watch::LOOK_SHARE;
use crate::broker::KEYS_SHARE;
use crate::{NewJob, QueueError};
use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

/// What was counted longer ago says nothing, unless counting takes its time.
const STALE_AFTER: Duration = Duration::from_secs(5);
/// A count that takes less is always made anew.
const CHEAP: Duration = Duration::from_millis(1);

/// What was counted, and what we published since.
#[derive(Clone, Copy)]
struct Counted {
    size: Size,
    at: Instant,
    took: Duration,
}

impl Counted {
    fn of(size: Size, began: Instant) -> Counted {
        Counted { size, at: Instant::now(), took: began.elapsed() }
    }

    /// Whether it need not be counted again, so that counting takes its share of the time and no more.
    fn is_fresh(&self) -> bool {
        self.took >= CHEAP && self.at.elapsed() < self.took * LOOK_SHARE
    }

    fn is_stale(&self) -> bool {
        self.at.elapsed() > STALE_AFTER.max(self.took * LOOK_SHARE * 2)
    }

    fn add(&mut self, job: &NewJob) {
        self.size.jobs += 1;
        self.size.bytes += job.payload.len() as u64;
    }
}

/// What is known of how much there is.
#[derive(Default)]
pub(super) struct Sizes {
    all: Option<Counted>,
    /// Of fairness keys whose count is fresh.
    keys: HashMap<u64, Counted>,
}

impl Sizes {
    fn is_near(&self, coming: Size, jobs_max: u64, bytes_max: u64) -> bool {
        self.all.filter(|all| !all.is_stale()).is_none_or(|all| {
            let jobs = all.size.jobs.saturating_add(coming.jobs);
            // From half of the bound on one key may have too much.
            jobs.saturating_mul(2) >= jobs_max || all.size.bytes.saturating_add(coming.bytes) >= bytes_max
        })
    }

    fn add(&mut self, job: &NewJob) {
        self.all.iter_mut().for_each(|all| all.add(job));
        self.keys.get_mut(&job.fairness_key).into_iter().for_each(|key| key.add(job));
    }
}

/// How much more fits.
#[derive(Debug)]
pub(super) struct Room {
    jobs_max: u64,
    bytes_max: u64,
    all: Size,
    keys: HashMap<u64, u64>,
}

impl Room {
    /// Takes room for all or for none.
    pub fn take<'a>(&mut self, new: impl Iterator<Item = &'a NewJob>) -> Result<(), QueueError> {
        let (mut all, mut keys) = (self.all, self.keys.clone());
        for job in new {
            Room { all, keys: HashMap::new(), ..*self }.check()?;
            let share = keys.get(&job.fairness_key).copied().unwrap_or(0);
            // Unless it is the only one that waits.
            if job.fairness_key != 0 && share != all.jobs && share >= self.jobs_max / 2 {
                return Err(QueueError::Full { bound: KEYS_SHARE });
            }
            all.jobs += 1;
            all.bytes += job.payload.len() as u64;
            keys.insert(job.fairness_key, share + 1);
        }
        (self.all, self.keys) = (all, keys);
        Ok(())
    }

    /// Whether one more job may come.
    pub fn check(&self) -> Result<(), QueueError> {
        if self.all.bytes >= self.bytes_max {
            return Err(QueueError::Full { bound: "queue.max-bytes" });
        }
        if self.all.jobs >= self.jobs_max {
            return Err(QueueError::Full { bound: "queue.max-jobs" });
        }
        Ok(())
    }
}

impl Shared {
    /// Returns the room that is left where a bound may be met by these jobs, `None` where all are far away.
    pub(super) fn room_for<'a>(&self, jobs: impl Iterator<Item = &'a NewJob>) -> Result<Option<Room>, QueueError> {
        let (mut coming, mut keys) = (Size::default(), BTreeSet::new());
        for job in jobs {
            coming.jobs += 1;
            coming.bytes += job.payload.len() as u64;
            keys.extend(Some(job.fairness_key).filter(|key| *key != 0));
        }
        let (jobs_max, bytes_max) = (self.config.jobs_max, self.config.bytes_max);
        if !lock(&self.sizes).is_near(coming, jobs_max, bytes_max) {
            return Ok(None);
        }
        let all = lock(&self.sizes).all.filter(Counted::is_fresh).map(|all| all.size);
        let all = all.map_or_else(|| self.count_all(), Ok)?;
        let keys = self.count_keys(keys)?;
        Ok(Some(Room { jobs_max, bytes_max, all, keys }))
    }

    /// Counts all jobs, for whoever asks later too.
    pub(super) fn count_all(&self) -> Result<Size, QueueError> {
        let began = Instant::now();
        let size = self.tables.read(jobs::size)?;
        lock(&self.sizes).all = Some(Counted::of(size, began));
        Ok(size)
    }

    /// Counts all jobs, if it is time.
    pub(super) fn look_at_size(&self) -> Result<(), QueueError> {
        let is_due = lock(&self.sizes).all.is_none_or(|all| all.at.elapsed() >= all.took * LOOK_SHARE);
        if is_due { self.count_all().map(drop) } else { Ok(()) }
    }

    fn count_keys(&self, keys: BTreeSet<u64>) -> Result<HashMap<u64, u64>, QueueError> {
        let mut counts: HashMap<u64, u64> = HashMap::with_capacity(keys.len());
        let mut known = {
            let mut sizes = lock(&self.sizes);
            sizes.keys.retain(|_, counted| counted.is_fresh());
            sizes.keys.clone()
        };
        let counted = self.tables.read(|tx| {
            let mut counted = Vec::new();
            for key in keys {
                if let Some(known) = known.remove(&key) {
                    counts.insert(key, known.size.jobs);
                    continue;
                }
                let began = Instant::now();
                let size = Size { jobs: jobs::count_key(tx, key)?, bytes: 0 };
                counts.insert(key, size.jobs);
                counted.push((key, Counted::of(size, began)));
            }
            Ok(counted)
        })?;
        let dear = counted.into_iter().filter(|(_, counted)| counted.is_fresh());
        lock(&self.sizes).keys.extend(dear);
        Ok(counts)
    }

    /// Notes what was published, until it is counted.
    pub(super) fn note_published<'a>(&self, jobs: impl Iterator<Item = &'a NewJob>) {
        let mut sizes = lock(&self.sizes);
        jobs.for_each(|job| sizes.add(job));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::JobId;

    const SECOND: Duration = Duration::from_secs(1);

    fn counted(jobs: u64, bytes: u64, ago: Duration, took: Duration) -> Counted {
        Counted { size: Size { jobs, bytes }, at: Instant::now() - ago, took }
    }

    fn job_of(fairness_key: u64, bytes: usize) -> NewJob {
        NewJob { fairness_key, ..NewJob::new(JobId::new("a"), "t", "q", vec![0; bytes].into()) }
    }

    #[test]
    fn far_from_its_bounds_nothing_is_counted_and_what_was_published_brings_them_nearer() {
        let one = Size { jobs: 1, bytes: 10 };
        let mut sizes = Sizes { all: Some(counted(10, 100, Duration::ZERO, Duration::ZERO)), ..Sizes::default() };
        assert!(!sizes.is_near(one, 1_000, 10_000));
        assert!(sizes.is_near(one, 20, 10_000), "half of the jobs is near");
        assert!(sizes.is_near(one, 1_000, 110));
        (0..9).for_each(|_| sizes.add(&job_of(1, 1_000)));
        assert!(sizes.is_near(Size { jobs: 1, bytes: 1_000 }, 1_000, 10_000), "bytes published since count too");
        let old = Sizes { all: Some(counted(10, 100, STALE_AFTER * 2, Duration::ZERO)), ..Sizes::default() };
        assert!(old.is_near(one, 1_000, 10_000) && Sizes::default().is_near(one, 1_000, 10_000), "not known");
    }

    #[test]
    fn a_count_that_cost_something_stands_for_a_moment() {
        assert!(!counted(1, 1, Duration::ZERO, CHEAP / 2).is_fresh(), "a cheap one is made anew");
        assert!(counted(1, 1, SECOND, SECOND / 4).is_fresh());
        assert!(!counted(1, 1, SECOND * 6, SECOND / 4).is_fresh());
    }

    #[test]
    fn a_request_gets_room_for_all_of_its_jobs_or_for_none() {
        let all = Size { jobs: 6, bytes: 0 };
        let mut room = Room { jobs_max: 10, bytes_max: 100, all, keys: [(1, 4), (2, 2)].into() };
        let mut refusal = |key, count, bytes| room.take(vec![job_of(key, bytes); count].iter()).err().map(bound_of);
        assert_eq!(refusal(1, 2, 0), Some(KEYS_SHARE));
        assert_eq!(refusal(1, 1, 0), None, "the one that was refused took nothing");
        assert_eq!(refusal(2, 1, 100), None);
        assert_eq!(refusal(2, 1, 0), Some("queue.max-bytes"));
    }

    fn bound_of(error: QueueError) -> &'static str {
        match error {
            QueueError::Full { bound } => bound,
            other => panic!("{other}"),
        }
    }
}
