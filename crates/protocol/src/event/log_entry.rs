//! The log message: a template, its parameters, and the text they make.

use super::interface::interface;
use super::reader::{Field, Reader};
use crate::json::{Str, Value};

interface! {
    /// A log message. Sent as an object, or as a text alone (kept in `formatted`).
    pub struct LogEntry<'a> {
        /// The template, before parameters.
        message: Str<'a> = "message",
        formatted: Str<'a> = "formatted",
        /// A list or an object.
        params: Value<'a> = "params",
    }
}

/// Reads a log entry, or a text alone.
pub(in crate::event) fn entry_or_text<'a>(value: Value<'a>, reader: &mut Reader<'a>) -> Option<LogEntry<'a>> {
    match value {
        Value::Str(text) => Some(LogEntry { formatted: Some(text), ..LogEntry::default() }),
        value => LogEntry::read(value, reader),
    }
}
