//! The HTTP request during which the event happened.

use super::interface::interface;
use super::reader::{Field, Reader, scalar_text};
use crate::json::{Object, Str, Value, to_text};

interface! {
    /// An HTTP request as the SDK saw it.
    pub struct Request<'a> {
        url: Str<'a> = "url",
        method: Str<'a> = "method",
        /// The body: text, or what the SDK parsed it to.
        data: Value<'a> = "data",
        query_string: Pairs<'a> = "query_string" via query_string,
        fragment: Str<'a> = "fragment",
        cookies: Pairs<'a> = "cookies" via cookies,
        headers: Pairs<'a> = "headers",
        env: Object<'a> = "env",
        inferred_content_type: Str<'a> = "inferred_content_type",
        api_target: Str<'a> = "api_target",
        body_size: u64 = "body_size",
    }
}

/// Names and values in order, duplicates allowed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pairs<'a>(pub Vec<(Str<'a>, Option<Str<'a>>)>);

impl Pairs<'_> {
    /// Returns the first value of `name`, whatever its case.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.and_then(|(_, value)| value.as_deref())
    }
}

impl<'a> Field<'a> for Pairs<'a> {
    /// Reads an object, or a list of pairs.
    fn read(value: Value<'a>, reader: &mut Reader<'a>) -> Option<Self> {
        match value {
            Value::Object(object) => {
                Some(Pairs(object.0.into_iter().map(|(name, value)| (name, value_text(value))).collect()))
            }
            Value::Array(pairs) => {
                let mut read = Vec::with_capacity(pairs.len());
                for (index, pair) in pairs.into_iter().enumerate() {
                    read.extend(reader.element(index, pair, pair_of));
                }
                Some(Pairs(read))
            }
            wrong => reader.wrong(wrong),
        }
    }

    fn into_value(self) -> Value<'a> {
        let written = self
            .0
            .into_iter()
            .map(|(name, value)| Value::Array(vec![Value::Str(name), value.map_or(Value::Null, Value::Str)]));
        Value::Array(written.collect())
    }
}

fn pair_of<'a>(value: Value<'a>, reader: &mut Reader<'a>) -> Option<(Str<'a>, Option<Str<'a>>)> {
    let mut pair = match value {
        Value::Array(pair) if pair.len() == 2 => pair,
        wrong => return reader.wrong(wrong),
    };
    let value = value_text(pair.pop().unwrap_or_default());
    match scalar_text(pair.pop().unwrap_or_default()) {
        Ok(name) => Some((name, value)),
        Err(wrong) => reader.wrong(wrong),
    }
}

/// Header values may come as lists of texts; anything else that is not a scalar is shown as its JSON.
fn value_text(value: Value<'_>) -> Option<Str<'_>> {
    match scalar_text(value) {
        Ok(text) => Some(text),
        Err(Value::Null) => None,
        Err(Value::Array(values)) if values.iter().all(|value| value.as_str().is_some()) => {
            let texts: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
            Some(Str::from(texts.join(",")))
        }
        Err(other) => Some(Str::from(to_text(&other))),
    }
}

/// Reads `?a=1&b=2` too.
fn query_string<'a>(value: Value<'a>, reader: &mut Reader<'a>) -> Option<Pairs<'a>> {
    match value {
        Value::Str(text) => Some(Pairs::from_query(&text)),
        value => Pairs::read(value, reader),
    }
}

/// Reads `a=1; b=2` too.
fn cookies<'a>(value: Value<'a>, reader: &mut Reader<'a>) -> Option<Pairs<'a>> {
    match value {
        Value::Str(text) => Some(Pairs::from_cookies(&text)),
        value => Pairs::read(value, reader),
    }
}

impl<'a> Pairs<'a> {
    /// Reads a query string, with or without its question mark.
    pub fn from_query(text: &str) -> Pairs<'a> {
        let text = text.strip_prefix('?').unwrap_or(text);
        let parts = text.split('&').filter(|part| !part.is_empty());
        let pairs = parts.map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            (Str::from(percent_decoded(name)), Some(Str::from(percent_decoded(value))))
        });
        Pairs(pairs.collect())
    }

    /// Reads the value of a `Cookie` header.
    pub fn from_cookies(text: &str) -> Pairs<'a> {
        let parts = text.split(';').map(str::trim).filter(|part| !part.is_empty());
        let pairs = parts.map(|part| match part.split_once('=') {
            Some((name, value)) => (Str::from(name.to_owned()), Some(Str::from(value.to_owned()))),
            None => (Str::from(part.to_owned()), None),
        });
        Pairs(pairs.collect())
    }
}

/// Undoes form encoding; an escape that is none stays as it is, bytes that are no UTF-8 become U+FFFD.
fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let escaped = bytes.get(at + 1..at + 3).and_then(|digits| {
            let digits = std::str::from_utf8(digits).ok().filter(|_| *byte == b'%')?;
            u8::from_str_radix(digits, 16).ok()
        });
        match (byte, escaped) {
            (_, Some(decoded)) => {
                out.push(decoded);
                at += 2;
            }
            (b'+', None) => out.push(b' '),
            (byte, None) => out.push(*byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}
