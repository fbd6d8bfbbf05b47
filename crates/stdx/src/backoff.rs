//! Exponential backoff with full jitter: the wait before attempt n is uniform in `0..=min(cap, base * 2^n)`.

use std::time::Duration;

/// How long to wait before the next attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    pub base: Duration,
    pub cap: Duration,
}

impl Backoff {
    pub const fn new(base: Duration, cap: Duration) -> Self {
        Backoff { base, cap }
    }

    /// Returns the longest wait before attempt `attempt` (the first retry is 1).
    pub fn ceiling(self, attempt: u32) -> Duration {
        let doublings = attempt.saturating_sub(1).min(30);
        self.base.saturating_mul(1u32 << doublings).min(self.cap)
    }

    /// Returns the wait for `attempt`, `random` being uniform over all of `u64`.
    pub fn delay(self, attempt: u32, random: u64) -> Duration {
        let ceiling_us = u64::try_from(self.ceiling(attempt).as_micros()).unwrap_or(u64::MAX - 1);
        Duration::from_micros(random % (ceiling_us + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ceiling_doubles_up_to_the_cap() {
        let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(10));
        let ceilings: Vec<u64> = (1..7).map(|attempt| backoff.ceiling(attempt).as_secs()).collect();
        assert_eq!(ceilings, [1, 2, 4, 8, 10, 10]);
        assert_eq!(backoff.ceiling(u32::MAX).as_secs(), 10);
        assert!(backoff.delay(3, u64::MAX) <= Duration::from_secs(4));
    }
}
