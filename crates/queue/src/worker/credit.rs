//! How many jobs a thread takes at once: as many as start within a second, by what the queue's jobs took lately. Short
//! ones go by hundreds, which costs the broker one claim; long ones one by one, so that none waits behind another.

use super::lock;
use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

/// Jobs of one claim that start within this time.
const STARTS_WITHIN: Duration = Duration::from_secs(1);
const CREDIT_MAX: usize = 1_000;
/// Weight of the newest run, out of one.
const NEWEST_WEIGHT: f64 = 0.3;
/// After an hour nobody knows what jobs will take; queues are few.
const QUEUES_MAX: usize = 1_000;

#[derive(Default)]
pub struct Credit(Mutex<HashMap<String, Measured>>);

#[derive(Clone, Copy)]
struct Measured {
    /// Seconds of one job, lately.
    seconds: f64,
    /// What was granted last; it at most doubles, so that a wrong guess costs little.
    granted: usize,
}

impl Credit {
    /// Returns how many jobs of the queue to claim; the first time one.
    pub fn jobs(&self, queue: &str) -> usize {
        let mut measured = lock(&self.0);
        let Some(known) = measured.get_mut(queue) else { return 1 };
        let within = (STARTS_WITHIN.as_secs_f64() / known.seconds.max(1e-6)) as usize;
        known.granted = within.clamp(1, CREDIT_MAX).min(known.granted * 2);
        known.granted
    }

    /// Learns from a run.
    pub fn note(&self, queue: &str, jobs: usize, took: Duration) {
        let seconds = took.as_secs_f64() / jobs.max(1) as f64;
        let mut measured = lock(&self.0);
        let has_room = measured.len() < QUEUES_MAX;
        match measured.get_mut(queue) {
            // A longer run counts at once: the next claim must not reserve behind it.
            Some(known) if seconds > known.seconds => known.seconds = seconds.min(60.0),
            Some(known) => known.seconds += (seconds - known.seconds) * NEWEST_WEIGHT,
            None if has_room => {
                measured.insert(queue.to_owned(), Measured { seconds, granted: 1 });
            }
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_jobs_come_by_hundreds_and_long_ones_alone() {
        let credit = Credit::default();
        assert_eq!(credit.jobs("q"), 1, "nothing is known");
        for _ in 0..20 {
            credit.note("q", 1, Duration::from_micros(20));
            credit.jobs("q");
        }
        assert_eq!(credit.jobs("q"), CREDIT_MAX);
        credit.note("q", 1, Duration::from_secs(3));
        assert_eq!(credit.jobs("q"), 1, "one long run is enough");
        credit.note("other", 4, Duration::from_secs(2));
        assert_eq!((credit.jobs("other"), credit.jobs("other")), (2, 2));
    }
}
