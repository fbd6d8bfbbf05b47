//! Severity of an event or breadcrumb.

use super::reader::{Field, Reader};
use crate::json::{Str, Value};

/// How severe something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    Debug,
    Info,
    Warning,
    Error,
    Fatal,
}

impl Level {
    pub const fn as_str(self) -> &'static str {
        match self {
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warning => "warning",
            Level::Error => "error",
            Level::Fatal => "fatal",
        }
    }

    /// Reads a level's name. More lenient than Sentry: upper case and `warn` are taken too.
    pub fn from_name(name: &str) -> Option<Level> {
        let names = [
            ("debug", Level::Debug),
            ("info", Level::Info),
            ("log", Level::Info),
            ("warning", Level::Warning),
            ("warn", Level::Warning),
            ("error", Level::Error),
            ("fatal", Level::Fatal),
            ("critical", Level::Fatal),
        ];
        names.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, level)| *level)
    }

    /// Reads a level as Python's `logging` numbers them.
    pub const fn from_number(number: u64) -> Option<Level> {
        match number {
            10 => Some(Level::Debug),
            20 => Some(Level::Info),
            30 => Some(Level::Warning),
            40 => Some(Level::Error),
            50 => Some(Level::Fatal),
            _ => None,
        }
    }
}

impl<'a> Field<'a> for Level {
    fn read(value: Value<'a>, reader: &mut Reader<'a>) -> Option<Self> {
        let level = match &value {
            Value::Str(name) => Level::from_name(name).or_else(|| Level::from_number(name.parse().ok()?)),
            number => number.as_u64().and_then(Level::from_number),
        };
        match level {
            Some(level) => Some(level),
            None => reader.wrong(value),
        }
    }

    fn into_value(self) -> Value<'a> {
        Value::Str(Str::from(self.as_str()))
    }
}
