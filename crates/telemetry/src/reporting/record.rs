//! A log record as an event: the constant text is the message, so that records of one place are one issue; fields are
//! extra data.

use super::own::{self, About};
use sentry::protocol::{Event, Value};
use std::fmt;
use tracing::field::{Field, Visit};

/// Fields of one record that are kept.
const FIELDS_MAX: usize = 32;
/// Bytes of one field's text.
const FIELD_BYTES_MAX: usize = 4 << 10;
/// Fields whose text is a job's id.
const JOB_FIELDS: [&str; 2] = ["job", "job_id"];

#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<(&'static str, Value)>,
    about_own: bool,
}

/// Returns the event, and what the record speaks of.
pub fn event(record: &tracing::Event<'_>) -> (Event<'static>, About) {
    let mut fields = Fields::default();
    record.record(&mut fields);
    let metadata = record.metadata();
    let place = metadata.file().zip(metadata.line()).map(|(file, line)| format!("{file}:{line}"));
    let event = Event {
        level: sentry::Level::Error,
        logger: Some(metadata.target().to_owned()),
        message: Some(fields.message),
        culprit: place,
        extra: fields.others.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        ..Event::default()
    };
    let named = if fields.about_own { About::Own } else { About::Other };
    (event, named.max(own::handled_here()))
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        if self.others.len() < FIELDS_MAX {
            self.others.push((field.name(), value));
        }
    }

    fn put_text(&mut self, field: &Field, mut text: String) {
        let is_job = JOB_FIELDS.contains(&field.name());
        self.about_own |= is_job && own::is_job_of_internal(&text);
        if text.len() > FIELD_BYTES_MAX {
            text.truncate(text.floor_char_boundary(FIELD_BYTES_MAX));
        }
        if field.name() == "message" { self.message = text } else { self.put(field, Value::from(text)) }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put_text(field, format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put_text(field, value.to_owned());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.about_own |= field.name() == "project" && own::is_internal(value);
        self.put(field, Value::from(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.about_own |= field.name() == "project" && i64::try_from(value).is_ok_and(own::is_internal);
        self.put(field, Value::from(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, Value::from(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, Value::from(value));
    }
}
