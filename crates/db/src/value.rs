//! Values of parameters: the five kinds that both engines share.

use rusqlite::ToSql;
use rusqlite::types::{ToSqlOutput, ValueRef};
use stdx::{Day, Hour, Timestamp};

/// One parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Val<'a> {
    Null,
    Int(i64),
    Real(f64),
    Text(&'a str),
    Blob(&'a [u8]),
}

impl ToSql for Val<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Val::Null => ValueRef::Null,
            Val::Int(number) => ValueRef::Integer(*number),
            Val::Real(number) => ValueRef::Real(*number),
            Val::Text(text) => ValueRef::Text(text.as_bytes()),
            Val::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

impl From<i64> for Val<'_> {
    fn from(number: i64) -> Self {
        Val::Int(number)
    }
}

impl From<bool> for Val<'_> {
    fn from(yes: bool) -> Self {
        Val::Int(i64::from(yes))
    }
}

impl<'a> From<&'a str> for Val<'a> {
    fn from(text: &'a str) -> Self {
        Val::Text(text)
    }
}

impl<'a> From<&'a String> for Val<'a> {
    fn from(text: &'a String) -> Self {
        Val::Text(text)
    }
}

impl<'a> From<&'a [u8]> for Val<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Val::Blob(bytes)
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Val<'a> {
    fn from(bytes: &'a [u8; N]) -> Self {
        Val::Blob(bytes)
    }
}

impl From<Timestamp> for Val<'_> {
    fn from(time: Timestamp) -> Self {
        Val::Int(time.micros())
    }
}

impl From<Day> for Val<'_> {
    fn from(day: Day) -> Self {
        Val::Int(day.0)
    }
}

impl From<Hour> for Val<'_> {
    fn from(hour: Hour) -> Self {
        Val::Int(hour.0)
    }
}

impl<'a, T: Into<Val<'a>>> From<Option<T>> for Val<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Val::Null, Into::into)
    }
}
