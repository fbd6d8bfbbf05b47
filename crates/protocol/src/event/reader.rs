//! Reading one field of an interface: where we are, what was wrong, and the types fields have.

use crate::json::{Number, Object, Str, Value};
use std::fmt::Write as _;

/// Remarks kept of one event; a hostile event cannot make more text than it brought.
pub const REMARKS_MAX: usize = 200;

/// What happened to a value. The names are those of Sentry's event errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemarkKind {
    /// Of a type or form the field does not take; left out.
    InvalidData,
    /// Not allowed for this field; left out.
    InvalidAttribute,
    /// Cut to the field's limit.
    ValueTooLong,
    /// The event's time was too long ago and was set to the time of receipt.
    PastTimestamp,
    /// The event's time was to come and was set to the time of receipt.
    FutureTimestamp,
    /// All times were moved by the difference between the client's clock and ours.
    ClockDrift,
}

impl RemarkKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            RemarkKind::InvalidData => "invalid_data",
            RemarkKind::InvalidAttribute => "invalid_attribute",
            RemarkKind::ValueTooLong => "value_too_long",
            RemarkKind::PastTimestamp => "past_timestamp",
            RemarkKind::FutureTimestamp => "future_timestamp",
            RemarkKind::ClockDrift => "clock_drift",
        }
    }
}

/// One thing that was changed or left out.
#[derive(Clone, Debug, PartialEq)]
pub struct Remark<'a> {
    /// Keys and indexes from the event's root, joined by dots: `exception.values.0.type`.
    pub path: String,
    pub kind: RemarkKind,
    /// What was there, or (for `ValueTooLong`) how long it was.
    pub value: Option<Value<'a>>,
}

/// Something a field can hold.
pub(in crate::event) trait Field<'a>: Sized {
    /// Reads a value that is not null; `None` with a remark when its type is wrong.
    fn read(value: Value<'a>, reader: &mut Reader<'a>) -> Option<Self>;
    fn into_value(self) -> Value<'a>;
}

#[derive(Clone, Copy)]
enum Step {
    Key(&'static str),
    Index(usize),
}

/// Where in the event we are, and the remarks so far.
#[derive(Default)]
pub(in crate::event) struct Reader<'a> {
    path: Vec<Step>,
    remarks: Vec<Remark<'a>>,
}

impl<'a> Reader<'a> {
    pub(in crate::event) fn field<T>(
        &mut self,
        key: &'static str,
        value: Value<'a>,
        read: impl FnOnce(Value<'a>, &mut Self) -> Option<T>,
    ) -> Option<T> {
        self.step(Step::Key(key), value, read)
    }

    pub(in crate::event) fn element<T>(
        &mut self,
        index: usize,
        value: Value<'a>,
        read: impl FnOnce(Value<'a>, &mut Self) -> Option<T>,
    ) -> Option<T> {
        self.step(Step::Index(index), value, read)
    }

    fn step<T>(
        &mut self,
        step: Step,
        value: Value<'a>,
        read: impl FnOnce(Value<'a>, &mut Self) -> Option<T>,
    ) -> Option<T> {
        if value.is_null() {
            return None;
        }
        self.path.push(step);
        let read = read(value, self);
        self.path.pop();
        read
    }

    /// Notes that `value` is not what the field takes. Returns `None` for the field.
    pub(in crate::event) fn wrong<T>(&mut self, value: Value<'a>) -> Option<T> {
        if self.remarks.len() < REMARKS_MAX {
            let path = self.path_text();
            self.remarks.push(Remark { path, kind: RemarkKind::InvalidData, value: Some(value) });
        }
        None
    }

    pub(in crate::event) fn into_remarks(self) -> Vec<Remark<'a>> {
        self.remarks
    }

    fn path_text(&self) -> String {
        let mut text = String::new();
        for step in &self.path {
            let dot = if text.is_empty() { "" } else { "." };
            let written = match step {
                Step::Key(key) => write!(text, "{dot}{key}"),
                Step::Index(index) => write!(text, "{dot}{index}"),
            };
            written.expect("writing to a string does not fail");
        }
        text
    }
}

impl<'a> Field<'a> for Str<'a> {
    fn read(value: Value<'a>, reader: &mut Reader<'a>) -> Option<Self> {
        match value {
            Value::Str(text) => Some(text),
            wrong => reader.wrong(wrong),
        }
    }

    fn into_value(self) -> Value<'a> {
        Value::Str(self)
    }
}

impl<'a> Field<'a> for bool {
    fn read(value: Value<'a>, reader: &mut Reader<'a>) -> Option<Self> {
        match value {
            Value::Bool(flag) => Some(flag),
            wrong => reader.wrong(wrong),
        }
    }

    fn into_value(self) -> Value<'a> {
        Value::Bool(self)
    }
}

impl<'a> Field<'a> for u64 {
    fn read(value: Value<'a>, reader: &mut Reader<'a>) -> Option<Self> {
        match value.as_u64() {
            Some(number) => Some(number),
            None => reader.wrong(value),
        }
    }

    fn into_value(self) -> Value<'a> {
        Value::Number(Number::Unsigned(self))
    }
}

impl<'a> Field<'a> for Object<'a> {
    fn read(value: Value<'a>, reader: &mut Reader<'a>) -> Option<Self> {
        match value {
            Value::Object(object) => Some(object),
            wrong => reader.wrong(wrong),
        }
    }

    fn into_value(self) -> Value<'a> {
        Value::Object(self)
    }
}

impl<'a> Field<'a> for Value<'a> {
    fn read(value: Value<'a>, _reader: &mut Reader<'a>) -> Option<Self> {
        Some(value)
    }

    fn into_value(self) -> Value<'a> {
        self
    }
}

impl<'a> Field<'a> for Vec<Value<'a>> {
    fn read(value: Value<'a>, reader: &mut Reader<'a>) -> Option<Self> {
        match value {
            Value::Array(values) => Some(values),
            wrong => reader.wrong(wrong),
        }
    }

    fn into_value(self) -> Value<'a> {
        Value::Array(self)
    }
}

impl<'a> Field<'a> for Vec<Str<'a>> {
    fn read(value: Value<'a>, reader: &mut Reader<'a>) -> Option<Self> {
        list(value, reader)
    }

    fn into_value(self) -> Value<'a> {
        Value::Array(self.into_iter().map(Value::Str).collect())
    }
}

impl<'a> Field<'a> for [u8; 16] {
    fn read(value: Value<'a>, reader: &mut Reader<'a>) -> Option<Self> {
        event_id(value, reader)
    }

    fn into_value(self) -> Value<'a> {
        Value::text(stdx::hex::encode(&self))
    }
}

/// Reads text; numbers and booleans become text the way Python writes them.
pub(in crate::event) fn lenient_text<'a>(value: Value<'a>, reader: &mut Reader<'a>) -> Option<Str<'a>> {
    match scalar_text(value) {
        Ok(text) => Some(text),
        Err(wrong) => reader.wrong(wrong),
    }
}

/// Returns the text of a scalar (`true` is `True`, as Sentry writes tags), or the value back.
pub(in crate::event) fn scalar_text(value: Value<'_>) -> Result<Str<'_>, Value<'_>> {
    match value {
        Value::Str(text) => Ok(text),
        Value::Bool(true) => Ok(Str::from("True")),
        Value::Bool(false) => Ok(Str::from("False")),
        Value::Number(number) => Ok(Str::from(number.to_string())),
        wrong => Err(wrong),
    }
}

/// Reads text; what is not text becomes its JSON, keys sorted, for it may enter a hash.
pub(in crate::event) fn json_text<'a>(value: Value<'a>, _reader: &mut Reader<'a>) -> Option<Str<'a>> {
    match value {
        Value::Str(text) => Some(text),
        other => Some(Str::from(crate::json::to_sorted_text(other))),
    }
}

/// Reads a bare list of fields; nulls and wrong elements are left out.
pub(in crate::event) fn list<'a, T: Field<'a>>(value: Value<'a>, reader: &mut Reader<'a>) -> Option<Vec<T>> {
    match value {
        Value::Array(values) => Some(elements(values, reader)),
        wrong => reader.wrong(wrong),
    }
}

/// Reads a list of interfaces: `{"values": […]}`, a bare list, or one object alone.
pub(in crate::event) fn values<'a, T: Field<'a>>(value: Value<'a>, reader: &mut Reader<'a>) -> Option<Vec<T>> {
    match value {
        Value::Array(values) => Some(elements(values, reader)),
        Value::Object(mut object) => match object.iter().rposition(|(key, _)| key.as_str() == "values") {
            Some(at) => reader.field("values", object.swap_remove(at).1, list),
            None if object.is_empty() => None,
            None => reader.element(0, Value::Object(object), T::read).map(|one| vec![one]),
        },
        wrong => reader.wrong(wrong),
    }
}

/// Wraps a list of interfaces the way they are stored.
pub(in crate::event) fn values_into<'a, T: Field<'a>>(list: Vec<T>) -> Value<'a> {
    let values = Value::Array(list.into_iter().map(T::into_value).collect());
    Value::Object(Object(vec![(Str::from("values"), values)]))
}

fn elements<'a, T: Field<'a>>(values: Vec<Value<'a>>, reader: &mut Reader<'a>) -> Vec<T> {
    let read = values.into_iter().enumerate().map(|(index, value)| reader.element(index, value, T::read));
    read.flatten().collect()
}

/// Reads 32 hexadecimal digits, hyphens allowed.
pub(in crate::event) fn event_id<'a>(value: Value<'a>, reader: &mut Reader<'a>) -> Option<[u8; 16]> {
    match value.as_str().and_then(parse_id) {
        Some(id) => Some(id),
        None => reader.wrong(value),
    }
}

fn parse_id(text: &str) -> Option<[u8; 16]> {
    let mut id = [0; 16];
    let mut digits = text.chars().filter(|c| *c != '-');
    for byte in &mut id {
        let high = digits.next()?.to_digit(16)?;
        let low = digits.next()?.to_digit(16)?;
        *byte = (high * 16 + low) as u8;
    }
    digits.next().is_none().then_some(id)
}

/// Whole doubles beyond this are written differently by every language, so Sentry drops them from fingerprints.
const FINGERPRINT_FLOAT_MAX: f64 = 9_007_199_254_740_992.0;

/// Reads a fingerprint: texts; numbers are cut to whole ones; nulls, lists and objects are left out.
pub(in crate::event) fn fingerprint<'a>(value: Value<'a>, reader: &mut Reader<'a>) -> Option<Vec<Str<'a>>> {
    let Value::Array(values) = value else {
        return reader.wrong(value);
    };
    let mut entries = Vec::with_capacity(values.len());
    for (index, value) in values.into_iter().enumerate() {
        let entry = reader.element(index, value, |value, reader| match value {
            Value::Number(Number::Float(number)) if number.abs() < FINGERPRINT_FLOAT_MAX => {
                Some(Str::from((number.trunc() as i64).to_string()))
            }
            Value::Number(Number::Float(_)) => reader.wrong(value),
            other => lenient_text(other, reader),
        });
        entries.extend(entry);
    }
    Some(entries)
}
