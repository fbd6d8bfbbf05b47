//! When an entry occurs: every so often, counted from 1970 and not from the last time, or by a crontab's text in a time
//! zone. In a crontab a day matches if its day of the month or its day of the week does, when both are given (Vixie's
//! rule). A time that a clock change leaves out occurs at once after it; one that comes twice occurs once.

use croner::Cron;
use jiff::Zoned;
use jiff::tz::TimeZone;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;
use stdx::Timestamp;

#[derive(Clone)]
pub enum When {
    Every(Duration),
    Crontab { text: String, pattern: Box<Cron>, zone: TimeZone, zone_name: String },
}

#[derive(Debug, thiserror::Error)]
pub enum WhenError {
    #[error("an interval must be at least a second")]
    TooOften,
    #[error("'{text}' is no crontab text: {why}")]
    Text { text: String, why: String },
    #[error("'{name}' is no time zone: {why}")]
    Zone { name: String, why: String },
}

impl When {
    /// # Errors
    /// If it is less than a second.
    pub fn every(interval: Duration) -> Result<When, WhenError> {
        if interval < Duration::from_secs(1) {
            return Err(WhenError::TooOften);
        }
        Ok(When::Every(interval))
    }

    /// Five fields, or a nickname such as `@daily`, read in a time zone such as `Europe/Paris`.
    ///
    /// # Errors
    /// If the text or the zone cannot be read.
    pub fn crontab(text: &str, zone: &str) -> Result<When, WhenError> {
        let pattern =
            Cron::from_str(text).map_err(|error| WhenError::Text { text: text.to_owned(), why: error.to_string() })?;
        let found =
            TimeZone::get(zone).map_err(|error| WhenError::Zone { name: zone.to_owned(), why: error.to_string() })?;
        Ok(When::Crontab { text: text.to_owned(), pattern: Box::new(pattern), zone: found, zone_name: zone.to_owned() })
    }

    /// Returns the first occurrence after a time, `None` if there is none any more.
    pub fn next_after(&self, at: Timestamp) -> Option<Timestamp> {
        match self {
            When::Every(interval) => {
                let micros = i64::try_from(interval.as_micros()).ok()?;
                Some(Timestamp::from_micros((at.micros().div_euclid(micros) + 1).checked_mul(micros)?))
            }
            When::Crontab { pattern, zone, .. } => {
                let from = jiff::Timestamp::from_microsecond(at.micros()).ok()?.to_zoned(zone.clone());
                let next: Zoned = pattern.find_next_occurrence(&from, false).ok()?;
                Some(Timestamp::from_micros(next.timestamp().as_microsecond()))
            }
        }
    }

    /// Returns the latest occurrence up to a time, `None` if there was none.
    fn latest_until(&self, at: Timestamp) -> Option<Timestamp> {
        match self {
            When::Every(interval) => {
                let micros = i64::try_from(interval.as_micros()).ok()?;
                Some(Timestamp::from_micros(at.micros().div_euclid(micros).checked_mul(micros)?))
            }
            When::Crontab { pattern, zone, .. } => {
                let from = jiff::Timestamp::from_microsecond(at.micros()).ok()?.to_zoned(zone.clone());
                let found: Zoned = pattern.find_previous_occurrence(&from, true).ok()?;
                Some(Timestamp::from_micros(found.timestamp().as_microsecond()))
            }
        }
    }

    /// Returns the latest occurrences after `since` and up to `until`, at most so many, oldest first.
    pub fn latest(&self, since: Timestamp, until: Timestamp, count: usize) -> Vec<Timestamp> {
        let mut found: Vec<Timestamp> = Vec::new();
        let mut at = until;
        while found.len() < count {
            let Some(before) = self.latest_until(at).filter(|before| *before > since) else { break };
            // What is found must lie before what was found last, whatever a clock change does to the search.
            if found.last().is_none_or(|last| before < *last) {
                found.push(before);
            }
            at = before.minus(Duration::from_secs(1)).min(at.minus(Duration::from_secs(1)));
        }
        found.reverse();
        found
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            When::Every(interval) => write!(f, "every {} s", interval.as_secs()),
            When::Crontab { text, zone_name, .. } => write!(f, "{text} ({zone_name})"),
        }
    }
}

impl fmt::Debug for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        let at: jiff::Timestamp = text.parse().expect("a time");
        Timestamp::from_micros(at.as_microsecond())
    }

    fn next(text: &str, zone: &str, after: &str) -> String {
        When::crontab(text, zone).expect("a crontab").next_after(at(after)).expect("an occurrence").to_string()
    }

    #[test]
    fn intervals_are_counted_from_1970_and_do_not_drift() {
        let when = When::every(Duration::from_secs(600)).expect("an interval");
        assert_eq!(when.next_after(at("2026-11-21T10:03:07Z")), Some(at("2026-11-21T10:10:00Z")));
        assert_eq!(when.next_after(at("2026-11-21T10:10:00Z")), Some(at("2026-11-21T10:20:00Z")));
        let missed = when.latest(at("2020-01-01T00:00:00Z"), at("2026-11-21T10:03:07Z"), 2);
        assert_eq!(missed, [at("2026-11-21T09:50:00Z"), at("2026-11-21T10:00:00Z")]);
        assert!(When::every(Duration::from_millis(10)).is_err());
    }

    #[test]
    fn crontabs_are_read_in_their_zone() {
        assert_eq!(next("30 3 * * *", "UTC", "2026-11-21T03:30:00Z"), "2026-11-22T03:30:00.000000Z");
        assert_eq!(next("30 3 * * *", "Europe/Paris", "2026-11-21T03:30:00Z"), "2026-11-22T02:30:00.000000Z");
        assert_eq!(next("@daily", "Europe/Paris", "2026-07-01T12:00:00Z"), "2026-07-01T22:00:00.000000Z");
        assert!(When::crontab("61 * * * *", "UTC").is_err());
        assert!(When::crontab("* * * * *", "Europe/Nowhere").is_err());
    }

    #[test]
    fn a_clock_change_neither_doubles_nor_forgets_an_occurrence() {
        // On 2026-03-29 Paris has no 02:30; on 2026-10-25 it has two.
        let spring = When::crontab("30 2 * * *", "Europe/Paris").expect("a crontab");
        let days = spring.latest(at("2026-03-27T12:00:00Z"), at("2026-03-30T12:00:00Z"), 10);
        assert_eq!(days.len(), 3, "{days:?}");
        assert_eq!(days[1], at("2026-03-29T01:00:00Z"), "at once after the gap");
        let autumn = spring.latest(at("2026-10-24T12:00:00Z"), at("2026-10-26T12:00:00Z"), 10);
        assert_eq!(autumn.len(), 2, "{autumn:?}");
        let hourly = When::crontab("0 * * * *", "Europe/Paris").expect("a crontab");
        let hours = hourly.latest(at("2026-10-24T22:00:00Z"), at("2026-10-25T03:00:00Z"), 10);
        assert_eq!(hours.len(), 5, "an hourly entry runs in both hours: {hours:?}");
    }

    #[test]
    fn a_day_matches_by_month_or_week() {
        // The 1st is a Sunday, the 2nd a Monday.
        let when = When::crontab("0 0 1 * MON", "UTC").expect("a crontab");
        let found = when.latest(at("2026-10-31T00:00:00Z"), at("2026-11-03T00:00:00Z"), 10);
        assert_eq!(found, [at("2026-11-01T00:00:00Z"), at("2026-11-02T00:00:00Z")]);
    }
}
