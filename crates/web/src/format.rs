//! Numbers and times as people read them on the pages. Pure; the present is a parameter.

use std::fmt;
use std::time::Duration;
use stdx::Timestamp;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Returns `1,234,567`.
pub fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3 + 1);
    if number < 0 {
        text.push('-');
    }
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Returns `999`, `1.2k`, `34k`, `5.6M`: at most four characters up to a billion.
pub fn short(number: i64) -> String {
    const STEPS: [(i64, &str); 3] = [(1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")];
    for (unit, suffix) in STEPS {
        if number >= unit {
            let tenths = number / (unit / 10);
            return match tenths {
                10..100 if tenths % 10 != 0 => format!("{}.{}{suffix}", tenths / 10, tenths % 10),
                _ => format!("{}{suffix}", tenths / 10),
            };
        }
    }
    number.to_string()
}

/// Returns `1 event`, `2,000 events`.
pub fn counted(number: i64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(number), if number == 1 { one } else { many })
}

/// Returns `3 min`, `5 h`, `12 d`: one unit, rounded down.
pub fn span(duration: Duration) -> String {
    match duration.as_secs() {
        seconds if seconds < MINUTE => format!("{seconds} s"),
        seconds if seconds < HOUR => format!("{} min", seconds / MINUTE),
        seconds if seconds < 2 * DAY => format!("{} h", seconds / HOUR),
        seconds if seconds < 730 * DAY => format!("{} d", seconds / DAY),
        seconds => format!("{} y", seconds / (365 * DAY)),
    }
}

/// Returns `412 B`, `3.4 KB`, `12 MB`, in powers of 1,000.
pub fn bytes(count: u64) -> String {
    const STEPS: [(u64, &str); 3] = [(1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "KB")];
    for (unit, name) in STEPS {
        if count >= unit {
            let tenths = count / (unit / 10);
            return format!("{}.{} {name}", tenths / 10, tenths % 10);
        }
    }
    format!("{count} B")
}

/// Returns the whole percentage of `part` in `whole`, never 0 for something and never 100 for less than all.
pub fn percent(part: i64, whole: i64) -> i64 {
    if part <= 0 || whole <= 0 {
        return 0;
    }
    if part >= whole {
        return 100;
    }
    let rounded = (i128::from(part) * 100 + i128::from(whole) / 2) / i128::from(whole);
    i64::try_from(rounded).unwrap_or(99).clamp(1, 99)
}

/// Returns `2026-11-21 04:06:00 UTC`.
pub fn absolute(time: Timestamp) -> String {
    let text = time.to_rfc3339();
    match (text.get(..10), text.get(11..19)) {
        (Some(date), Some(clock)) => format!("{date} {clock} UTC"),
        _ => text,
    }
}

/// Returns `04:06:00.123`.
pub fn clock(time: Timestamp) -> String {
    time.to_rfc3339().get(11..23).unwrap_or_default().to_owned()
}

/// A `<time>` element: how long ago in sight, the moment as its title.
#[derive(Clone, Copy, Debug)]
pub struct Ago {
    pub time: Timestamp,
    pub now: Timestamp,
}

impl Ago {
    /// Returns the words without the element.
    pub fn words(self) -> String {
        if self.time > self.now.plus(Duration::from_secs(MINUTE)) {
            return format!("in {}", span(self.time.since(self.now)));
        }
        match self.now.since(self.time) {
            past if past.as_secs() < 5 => "just now".to_owned(),
            past => format!("{} ago", span(past)),
        }
    }
}

impl fmt::Display for Ago {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (machine, title) = (self.time.to_rfc3339(), absolute(self.time));
        write!(f, "<time datetime=\"{machine}\" title=\"{title}\">{}</time>", self.words())
    }
}

// All of it is made of numbers and our own words.
impl askama::filters::HtmlSafe for Ago {}

/// Returns `text` percent-encoded for a query value or a path segment (RFC 3986: all but unreserved characters).
pub fn url_part(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(byte as char),
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    encoded
}

/// Returns a query string with its `?`, of the pairs that are not empty; nothing when all are.
pub fn query_string(pairs: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (key, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
        text.push(if text.is_empty() { '?' } else { '&' });
        text.push_str(key);
        text.push('=');
        text.push_str(&url_part(value));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_stay_short_and_readable() {
        let check = |number, expected: &str| assert_eq!(short(number), expected);
        check(0, "0");
        check(999, "999");
        check(1_000, "1k");
        check(1_250, "1.2k");
        check(34_999, "34k");
        check(5_600_000, "5.6M");
        assert_eq!(grouped(-1_234_567), "-1,234,567");
        assert_eq!(counted(1, "event", "events"), "1 event");
    }

    #[test]
    fn ages_are_one_unit_and_clocks_that_disagree_do_not_panic() {
        let now = Timestamp::from_seconds(1_000_000);
        let check = |seconds, expected: &str| {
            assert_eq!(Ago { time: Timestamp::from_seconds(seconds), now }.words(), expected);
        };
        check(1_000_000, "just now");
        check(1_000_030, "just now");
        check(1_000_600, "in 10 min");
        check(999_820, "3 min ago");
        check(1_000_000 - 90_000, "25 h ago");
        check(1_000_000 - 3 * 86_400, "3 d ago");
    }

    #[test]
    fn percentages_never_lie_about_nothing_and_all() {
        assert_eq!((percent(1, 100_000), percent(99_999, 100_000), percent(5, 5), percent(0, 5)), (1, 99, 100, 0));
        assert_eq!(percent(i64::MAX, i64::MAX), 100);
    }

    #[test]
    fn query_strings_carry_no_markup() {
        assert_eq!(query_string(&[("query", "a b\"<&"), ("sort", "")]), "?query=a%20b%22%3C%26");
        assert_eq!(query_string(&[("sort", "")]), "");
    }
}
