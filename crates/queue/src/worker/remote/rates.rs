//! How often a task may start at this worker, where somebody has said so: a token for each start, as Celery counts them.
//! A job without a token goes back to the broker until there may be one, in the order in which they came.

use super::super::lock;
use crate::RateLimitRow;
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A job waits no longer before it asks again, so that a limit that was taken away is soon forgotten.
const POSTPONED_MAX: Duration = Duration::from_secs(60);
/// Of a job whose time has come.
const ASKS_AGAIN_WITHIN: Duration = Duration::from_secs(10);
const POSTPONED_MIN: Duration = Duration::from_millis(1);

/// Starts in a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rate(f64);

impl Rate {
    /// Reads `10/m`, `0.5/s`, `100/h`, `5`; nothing and zero are no limit.
    ///
    /// # Errors
    /// In Celery's words.
    pub fn parse(text: &str) -> Result<Option<Rate>, String> {
        let wrong = || {
            let error = format!("ValueError({})", crate::celery::repr::of_value(&text.into()));
            format!("Invalid rate limit string: {error}")
        };
        if text.is_empty() {
            return Ok(None);
        }
        let (count, unit) = text.split_once('/').unwrap_or((text, "s"));
        let count: f64 = count.trim().parse().map_err(|_| wrong())?;
        let seconds = match unit.trim() {
            "s" | "" => 1.0,
            "m" => 60.0,
            "h" => 3_600.0,
            _ => return Err(wrong()),
        };
        if !(0.0..=1e9).contains(&count) {
            return Err(wrong());
        }
        Ok((count > 0.0).then_some(Rate(count / seconds)))
    }

    fn between(self) -> Duration {
        Duration::try_from_secs_f64(1.0 / self.0).unwrap_or(Duration::MAX).min(Duration::from_secs(1 << 30))
    }
}

struct Bucket {
    rate: Rate,
    text: String,
    /// When the next token is there.
    next: Instant,
    /// Until when those that were sent back stand in line.
    line: Instant,
    /// When a job was sent back last.
    sent_back: Option<Instant>,
}

impl Bucket {
    /// Whether jobs stand in line. One that does asks again before long; what was revoked or purged does not.
    fn holds_jobs(&self, now: Instant) -> bool {
        let recently = |at: Instant| now.saturating_duration_since(at) <= POSTPONED_MAX + ASKS_AGAIN_WITHIN;
        self.line > now && self.sent_back.is_some_and(recently)
    }
}

#[derive(Default)]
pub(super) struct Rates {
    buckets: Mutex<HashMap<&'static str, Bucket>>,
    is_used: AtomicBool,
}

impl Rates {
    pub fn set(&self, task: &'static str, rate: Option<Rate>, text: &str, now: Instant) {
        let mut buckets = lock(&self.buckets);
        match rate {
            None => drop(buckets.remove(task)),
            Some(rate) => {
                drop(
                    buckets.insert(task, Bucket { rate, text: text.to_owned(), next: now, line: now, sent_back: None }),
                );
            }
        }
        self.is_used.store(!buckets.is_empty(), Ordering::SeqCst);
    }

    /// Returns the limit as it was said.
    pub fn text_of(&self, task: &str) -> Option<String> {
        lock(&self.buckets).get(task).map(|bucket| bucket.text.clone())
    }

    /// Returns the limits, by task.
    pub fn rows(&self, now: Instant) -> Vec<RateLimitRow> {
        let buckets = lock(&self.buckets);
        let row = |(task, bucket): (&&'static str, &Bucket)| RateLimitRow {
            task: (*task).to_owned(),
            rate: bucket.text.clone(),
            holds_jobs: bucket.holds_jobs(now),
        };
        let mut rows: Vec<RateLimitRow> = buckets.iter().map(row).collect();
        rows.sort_unstable_by(|one, other| one.task.cmp(&other.task));
        rows
    }

    pub fn is_limited(&self, task: &str) -> bool {
        self.is_used.load(Ordering::SeqCst) && lock(&self.buckets).contains_key(task)
    }

    /// Takes a token.
    ///
    /// # Errors
    /// How long to wait before asking again.
    pub fn take(&self, task: &str, now: Instant) -> Result<(), Duration> {
        let mut buckets = lock(&self.buckets);
        let Some(bucket) = buckets.get_mut(task) else { return Ok(()) };
        let between = bucket.rate.between();
        if bucket.next <= now {
            bucket.next = now + between;
            return Ok(());
        }
        bucket.sent_back = Some(now);
        bucket.line = bucket.line.max(bucket.next);
        let wait = bucket.line.saturating_duration_since(now);
        if wait < POSTPONED_MAX {
            bucket.line += between.min(POSTPONED_MAX);
        }
        Err(wait.clamp(POSTPONED_MIN, POSTPONED_MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_as_celery_reads_them() {
        let check = |text: &str, wanted: Option<f64>| assert_eq!(Rate::parse(text), Ok(wanted.map(Rate)), "{text}");
        check("10", Some(10.0));
        check("10/s", Some(10.0));
        check("30/m", Some(0.5));
        check("36/h", Some(0.01));
        check("0", None);
        check("", None);
        for text in ["a", "1/d", "-1/s", "nan", "1e99", "/"] {
            assert!(Rate::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn starts_are_as_far_apart_as_was_said_and_the_others_stand_in_line() {
        let rates = Rates::default();
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        assert_eq!(rates.take("t", at(0)), Ok(()), "no limit");
        rates.set("t", Rate::parse("6/m").expect("a rate"), "6/m", at(0));
        assert_eq!(rates.take("t", at(0)), Ok(()));
        assert_eq!(rates.take("t", at(0)), Err(Duration::from_secs(10)));
        assert_eq!(rates.take("t", at(0)), Err(Duration::from_secs(20)));
        assert_eq!(rates.take("t", at(9)), Err(Duration::from_secs(21)));
        assert_eq!(rates.take("t", at(10)), Ok(()));
        let holds = |seconds: u64| rates.rows(at(seconds)).iter().map(|row| row.holds_jobs).collect::<Vec<_>>();
        assert_eq!((holds(10), holds(100)), (vec![true], vec![false]), "they stand in line until their turns are over");
        rates.set("u", Rate::parse("1/h").expect("a rate"), "1/h", at(0));
        assert_eq!((rates.take("u", at(0)), rates.take("u", at(1))), (Ok(()), Err(POSTPONED_MAX)));
        assert_eq!((holds(60), holds(100)), (vec![false, true], vec![false, false]), "nobody asks any more");
        rates.set("u", None, "", at(0));
        assert_eq!(rates.rows(at(0))[0].rate, "6/m");
        for _ in 0..20 {
            assert!(rates.take("t", at(11)).expect_err("no token") <= POSTPONED_MAX);
        }
        rates.set("t", None, "", at(12));
        assert_eq!((rates.take("t", at(12)), rates.is_limited("t")), (Ok(()), false));
    }
}
