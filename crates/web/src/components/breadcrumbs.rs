//! What happened before the event, last first, with times relative to it.

use crate::event_json::{field, pairs, shown, text, values};
use askama::Template;
use serde_json::Value;
use stdx::Timestamp;

/// Rows in sight; earlier ones are folded.
const ROWS_OPEN: usize = 25;
const ROWS_MAX: usize = 300;
const DATA_CHARS_MAX: usize = 400;

#[derive(Clone, Debug, Template)]
#[template(path = "components/breadcrumbs.html")]
pub struct Breadcrumbs {
    recent: Vec<Crumb>,
    earlier: Vec<Crumb>,
}

impl askama::filters::HtmlSafe for Breadcrumbs {}

#[derive(Clone, Debug)]
struct Crumb {
    offset: String,
    moment: String,
    category: String,
    level: &'static str,
    message: String,
    data: Vec<(String, String)>,
}

impl Breadcrumbs {
    pub fn of(interface: &Value, event_at: Timestamp) -> Breadcrumbs {
        let last_first = values(interface).iter().rev().filter(|value| value.is_object()).take(ROWS_MAX);
        let mut recent: Vec<Crumb> = last_first.map(|value| Crumb::of(value, event_at)).collect();
        let earlier = recent.split_off(recent.len().min(ROWS_OPEN));
        Breadcrumbs { recent, earlier }
    }

    pub fn is_empty(&self) -> bool {
        self.recent.is_empty()
    }
}

impl Crumb {
    fn of(value: &Value, event_at: Timestamp) -> Crumb {
        let at = field(value, &["timestamp"]).and_then(moment);
        let data = field(value, &["data"]).map(pairs).unwrap_or_default();
        let data = data
            .into_iter()
            .map(|(key, value)| (key, crate::event_json::cut_to(&shown(value), DATA_CHARS_MAX).into_owned()));
        Crumb {
            offset: at.map(|at| offset(at, event_at)).unwrap_or_default(),
            moment: at.map(crate::format::absolute).unwrap_or_default(),
            category: text(value, &["category", "type"]).unwrap_or_else(|| "default".to_owned()),
            level: crate::level::known(&text(value, &["level"]).unwrap_or_else(|| "info".to_owned())),
            message: text(value, &["message"]).unwrap_or_default(),
            data: data.collect(),
        }
    }
}

fn moment(value: &Value) -> Option<Timestamp> {
    match value {
        Value::Number(seconds) => Timestamp::from_seconds_f64(seconds.as_f64()?),
        Value::String(text) => Timestamp::parse_rfc3339(text),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Returns `−12 ms`, `−1.2 s`, `−4 min`, `+100 ms`.
fn offset(at: Timestamp, event_at: Timestamp) -> String {
    let (sign, distance) = if at <= event_at { ('−', event_at.since(at)) } else { ('+', at.since(event_at)) };
    let seconds = distance.as_secs_f64();
    match seconds {
        seconds if seconds < 1.0 => format!("{sign}{} ms", distance.as_millis()),
        seconds if seconds < 60.0 => format!("{sign}{seconds:.1} s"),
        _ => format!("{sign}{}", crate::format::span(distance)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_relative_to_the_event() {
        let event = Timestamp::from_seconds(1_000);
        assert_eq!(offset(Timestamp::from_micros(998_800_000), event), "−1.2 s");
        assert_eq!(offset(Timestamp::from_seconds(700), event), "−5 min");
        assert_eq!(offset(Timestamp::from_micros(1_000_100_000), event), "+100 ms");
    }
}
