//! What the broker refused for a bound of its own, as half of the queue for one key: it waits in its folder, is tried again
//! from time to time, and holds nobody else up. Whoever publishes meanwhile is answered by the broker itself.

use crate::{JobId, QueueError};
use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A job that its broker refuses is tried again after this,
const PAUSE: Duration = Duration::from_secs(2);
/// and many together no oftener than this: asking costs the broker more than they are worth while it refuses them.
const TRIED_PER_SECOND: u64 = 1_000;
/// Bounds of the queue as a whole are called by the keys of the configuration.
const OF_THE_QUEUE: &str = "queue.";

/// The jobs of one folder that wait so.
#[derive(Default)]
pub(super) struct Apart(Mutex<HashSet<JobId>>);

impl Apart {
    pub fn put<'a>(&self, ids: impl Iterator<Item = &'a JobId>) {
        self.lock().extend(ids.cloned());
    }

    pub fn take<'a>(&self, ids: impl Iterator<Item = &'a JobId>) {
        let mut apart = self.lock();
        for id in ids {
            apart.remove(id);
        }
    }

    pub fn count(&self) -> u64 {
        self.lock().len() as u64
    }

    /// Until they are tried again.
    pub fn pause(&self) -> Duration {
        PAUSE.max(Duration::from_secs(self.count() / TRIED_PER_SECOND))
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<JobId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What need not be asked for again in the same batch.
#[derive(Default)]
pub(super) struct Refused {
    keys: HashSet<u64>,
    is_queue_full: bool,
}

impl Refused {
    /// The broker refused a job of this key that was published alone. A bound that is not known is taken for one of that job
    /// alone, so that no other waits for it.
    pub fn note(&mut self, key: u64, error: &QueueError) {
        let QueueError::Full { bound } = error else { return };
        if *bound == crate::broker::KEYS_SHARE {
            self.keys.insert(key);
        }
        self.is_queue_full |= bound.starts_with(OF_THE_QUEUE);
    }

    pub fn has(&self, key: u64) -> bool {
        self.is_queue_full || self.keys.contains(&key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_wait_apart_the_longer_each_does() {
        let apart = Apart::default();
        assert_eq!(apart.pause(), PAUSE);
        let ids: Vec<JobId> = (0..30_000).map(|number| JobId::new(&number.to_string())).collect();
        apart.put(ids.iter());
        assert_eq!(apart.pause(), Duration::from_secs(30));
        apart.take(ids.iter().take(29_000));
        assert_eq!((apart.count(), apart.pause()), (1_000, PAUSE));
    }

    #[test]
    fn a_refusal_is_of_a_key_of_the_queue_or_of_one_job() {
        let check = |bound: &'static str, own: bool, others: bool| {
            let mut refused = Refused::default();
            refused.note(1, &QueueError::Full { bound });
            assert_eq!((refused.has(1), refused.has(2)), (own, others), "{bound}");
        };
        check(crate::broker::KEYS_SHARE, true, false);
        check("queue.max-jobs", true, true);
        check("bytes of one job", false, false);
    }
}
