//! Points in time as SDKs write them.

use super::reader::{Field, Reader};
use crate::json::{Number, Value};
use stdx::Timestamp;

/// Numbers from here on are milliseconds: as seconds they would be in the year 5138.
const MILLISECONDS_FROM: f64 = 1e11;

impl<'a> Field<'a> for Timestamp {
    /// Reads RFC 3339 text or seconds since the epoch. More lenient than Sentry: seconds may be text, and milliseconds
    /// are told by their size.
    fn read(value: Value<'a>, reader: &mut Reader<'a>) -> Option<Self> {
        let time = match &value {
            Value::Str(text) => Timestamp::parse_rfc3339(text).or_else(|| text.parse().ok().and_then(from_number)),
            Value::Number(number) => from_number(number.as_f64()),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        };
        match time {
            Some(time) => Some(time),
            None => reader.wrong(value),
        }
    }

    fn into_value(self) -> Value<'a> {
        Value::Number(Number::Float(self.seconds_f64()))
    }
}

fn from_number(number: f64) -> Option<Timestamp> {
    let seconds = if number.abs() > MILLISECONDS_FROM { number / 1e3 } else { number };
    Timestamp::from_seconds_f64(seconds)
}
