//! Points in time as microseconds since the Unix epoch, and the UTC days and hours they fall in.
//! Formatting and parsing go through `jiff`; nothing here reads a clock.

use std::fmt;
use std::time::Duration;

const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_HOUR: i64 = 3_600 * MICROS_PER_SECOND;
const MICROS_PER_DAY: i64 = 24 * MICROS_PER_HOUR;

/// A point in time, microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

/// A UTC day, counted from 1970-01-01.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Day(pub i64);

/// A UTC hour, counted from 1970-01-01T00.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Hour(pub i64);

impl Timestamp {
    pub const EPOCH: Timestamp = Timestamp(0);

    pub const fn from_micros(micros: i64) -> Self {
        Timestamp(micros)
    }

    pub const fn from_seconds(seconds: i64) -> Self {
        Timestamp(seconds * MICROS_PER_SECOND)
    }

    /// Returns the time `seconds` after the epoch, or `None` outside the years 0001 to 9999.
    pub fn from_seconds_f64(seconds: f64) -> Option<Self> {
        const SECONDS_MAX: f64 = 253_402_207_200.0; // the last second jiff can show
        const SECONDS_MIN: f64 = -62_135_596_800.0;
        if !(SECONDS_MIN..=SECONDS_MAX).contains(&seconds) {
            return None;
        }
        Some(Timestamp((seconds * MICROS_PER_SECOND as f64).round() as i64))
    }

    /// Parses RFC 3339; a missing zone means UTC. Returns `None` for anything else.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        if !text.as_bytes().get(10).is_some_and(|c| *c == b'T' || *c == b't') {
            return None;
        }
        if let Ok(time) = text.parse::<jiff::Timestamp>() {
            return Some(Timestamp(time.as_microsecond()));
        }
        let civil = text.parse::<jiff::civil::DateTime>().ok()?;
        let zoned = civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
        Some(Timestamp(zoned.timestamp().as_microsecond()))
    }

    pub const fn micros(self) -> i64 {
        self.0
    }

    pub fn seconds_f64(self) -> f64 {
        self.0 as f64 / MICROS_PER_SECOND as f64
    }

    pub const fn day(self) -> Day {
        Day(self.0.div_euclid(MICROS_PER_DAY))
    }

    pub const fn hour(self) -> Hour {
        Hour(self.0.div_euclid(MICROS_PER_HOUR))
    }

    /// Returns the time from `earlier` to `self`, zero if `earlier` is later.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0).max(0) as u64)
    }

    pub fn plus(self, duration: Duration) -> Self {
        Timestamp(self.0.saturating_add(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }

    pub fn minus(self, duration: Duration) -> Self {
        Timestamp(self.0.saturating_sub(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }

    /// Returns the time as `2026-11-21T04:06:00.123456Z`, always with six digits of fraction.
    pub fn to_rfc3339(self) -> String {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(time) => format!("{time:.6}"),
            Err(_) => format!("{}us", self.0),
        }
    }
}

impl Day {
    pub const fn previous(self) -> Day {
        Day(self.0 - 1)
    }

    pub const fn start(self) -> Timestamp {
        Timestamp(self.0 * MICROS_PER_DAY)
    }
}

impl Hour {
    pub const fn start(self) -> Timestamp {
        Timestamp(self.0 * MICROS_PER_HOUR)
    }

    pub const fn day(self) -> Day {
        Day(self.0.div_euclid(24))
    }
}

impl fmt::Display for Day {
    /// Writes the day as `2026-11-21`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.start().to_rfc3339();
        f.write_str(text.get(..10).unwrap_or(&text))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_rfc3339())
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_rfc3339())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<&str>) {
        assert_eq!(Timestamp::parse_rfc3339(text).map(|t| t.to_rfc3339()).as_deref(), expected, "{text}");
    }

    #[test]
    fn rfc_3339_is_read_with_and_without_a_zone() {
        check("2026-11-21T04:06:00Z", Some("2026-11-21T04:06:00.000000Z"));
        check("2026-11-21T04:06:00.123456789Z", Some("2026-11-21T04:06:00.123456Z"));
        check("2026-11-21T04:06:00+02:00", Some("2026-11-21T02:06:00.000000Z"));
        check("2026-11-21T04:06:00", Some("2026-11-21T04:06:00.000000Z"));
        check("2026-11-21 04:06:00", None);
        check("1700000000", None);
        check("", None);
    }

    #[test]
    fn days_and_hours_before_the_epoch_round_down() {
        assert_eq!(Timestamp::from_micros(-1).day(), Day(-1));
        assert_eq!(Timestamp::from_micros(-1).hour(), Hour(-1));
        assert_eq!(Day(0).to_string(), "1970-01-01");
    }

    #[test]
    fn seconds_outside_the_calendar_are_refused() {
        assert_eq!(Timestamp::from_seconds_f64(f64::NAN), None);
        assert_eq!(Timestamp::from_seconds_f64(1e18), None);
        assert_eq!(Timestamp::from_seconds_f64(1.5).map(Timestamp::micros), Some(1_500_000));
    }
}
