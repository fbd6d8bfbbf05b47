//! What the queue holds of events, in one look of several steps.

use super::letters::Letters;
use queue::{DeadNames, QueueDepth, QueueError};

/// What the queue holds of events.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// Jobs that wait or run.
    pub queued: i64,
    pub letters: Letters,
    /// As the queue told them, of all queues.
    pub depths: Vec<QueueDepth>,
}

impl Held {
    /// The letters are named before the jobs are counted and after: one that is retried in between was a letter before,
    /// and what dies in between is one after. `names` gives some names and where to go on.
    ///
    /// A letter that is retried between the first names and the count is in both: that hides a loss of one for one look,
    /// and makes none.
    pub fn look(
        event_queues: &[String],
        mut names: impl FnMut(Option<&str>) -> Result<DeadNames, QueueError>,
        depths: impl FnOnce() -> Result<Vec<QueueDepth>, QueueError>,
    ) -> Result<Held, QueueError> {
        let mut letters = Letters::default();
        letters.see(&mut names, event_queues)?;
        let depths = depths()?;
        letters.see(&mut names, event_queues)?;
        let held = depths.iter().filter(|depth| event_queues.contains(&depth.queue));
        let jobs: u64 = held.map(|depth| depth.ready + depth.delayed + depth.leased + depth.parked).sum();
        Ok(Held { queued: i64::try_from(jobs).unwrap_or(i64::MAX), letters, depths })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use queue::DeadName;
    use std::cell::RefCell;
    use stdx::Timestamp;

    const EVENT: &str = "00112233445566778899aabbccddeeff";

    /// A queue with so many jobs and these letters, of which something changes while the jobs are counted.
    fn check(before: (u64, &[i64]), after: (u64, &[i64]), expected: (i64, i64)) {
        let letters = RefCell::new(before.1.to_vec());
        let name = |project: &i64| DeadName {
            id: format!("{project}-{EVENT}"),
            queue: "q".to_owned(),
            enqueued_at: Timestamp::EPOCH,
        };
        let names = |_: Option<&str>| {
            Ok(DeadNames { names: letters.borrow().iter().map(name).collect(), ..DeadNames::default() })
        };
        let depths = || {
            *letters.borrow_mut() = after.1.to_vec();
            Ok(vec![QueueDepth { queue: "q".to_owned(), ready: before.0, ..QueueDepth::default() }])
        };
        let held = Held::look(&["q".to_owned()], names, depths).unwrap();
        assert_eq!((held.queued, held.letters.by_row.values().sum::<i64>()), expected, "{before:?} → {after:?}");
    }

    #[test]
    fn a_letter_that_is_retried_while_the_jobs_are_counted_is_in_the_look() {
        check((5, &[1, 2]), (5, &[1, 2]), (5, 2));
        check((5, &[1, 2]), (6, &[2]), (5, 2));
        check((5, &[1]), (4, &[1, 2]), (5, 2));
    }
}
