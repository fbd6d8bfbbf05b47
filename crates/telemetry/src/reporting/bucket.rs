//! A token bucket: the last bound on reports, whatever the reason of a flood.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Reports a minute and destination, and as many at once.
pub const REPORTS_A_MINUTE: u32 = 10;
const MINUTE: Duration = Duration::from_secs(60);

pub struct Bucket {
    /// When it was made, full: a minute after the beginning of its time.
    epoch: Instant,
    /// Up to where its time is spent on reports.
    spent: Mutex<Duration>,
    /// Of time, for each.
    interval: Duration,
}

impl Bucket {
    pub fn full(now: Instant, a_minute: u32) -> Bucket {
        Bucket { epoch: now, spent: Mutex::new(Duration::ZERO), interval: MINUTE / a_minute }
    }

    /// Takes one; returns whether there was one.
    pub fn take(&self, now: Instant) -> bool {
        let now = now.saturating_duration_since(self.epoch) + MINUTE;
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        let after = (*spent).max(now - MINUTE) + self.interval;
        let has_one = after <= now;
        if has_one {
            *spent = after;
        }
        has_one
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut_to_so_many_a_minute() {
        let start = Instant::now();
        let bucket = Bucket::full(start, REPORTS_A_MINUTE);
        let passed = |from: u32, until: u32| {
            (from..until).filter(|second| bucket.take(start + Duration::from_secs(u64::from(*second)))).count()
        };
        assert_eq!((0..1_000).filter(|_| bucket.take(start)).count(), REPORTS_A_MINUTE as usize);
        assert_eq!(passed(0, 61), REPORTS_A_MINUTE as usize);
        assert!(bucket.take(start + MINUTE * 10));
    }
}
