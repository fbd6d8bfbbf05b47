//! Tags as pairs of texts.

use super::reader::{Field, Reader, lenient_text, scalar_text};
use crate::json::{Object, Str, Value};

/// Tags in the order they came. Sent as an object or a list of pairs; duplicates are still there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tags<'a>(pub Vec<(Str<'a>, Str<'a>)>);

impl Tags<'_> {
    /// Returns the first value of `key`.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| name.as_str() == key).map(|(_, value)| value.as_str())
    }
}

impl<'a> Field<'a> for Tags<'a> {
    fn read(value: Value<'a>, reader: &mut Reader<'a>) -> Option<Self> {
        let mut tags = Vec::new();
        match value {
            Value::Object(object) => {
                tags.reserve(object.len());
                for (index, (key, value)) in object.0.into_iter().enumerate() {
                    let value = reader.element(index, value, lenient_text);
                    tags.extend(value.map(|value| (key, value)));
                }
            }
            Value::Array(pairs) => {
                tags.reserve(pairs.len());
                for (index, pair) in pairs.into_iter().enumerate() {
                    tags.extend(reader.element(index, pair, read_pair));
                }
            }
            wrong => return reader.wrong(wrong),
        }
        Some(Tags(tags))
    }

    fn into_value(self) -> Value<'a> {
        let pairs = self.0.into_iter().map(|(key, value)| Value::Array(vec![Value::Str(key), Value::Str(value)]));
        Value::Array(pairs.collect())
    }
}

/// Reads `[key, value]`, or `{"key": …, "value": …}` as some hand-made clients send.
fn read_pair<'a>(value: Value<'a>, reader: &mut Reader<'a>) -> Option<(Str<'a>, Str<'a>)> {
    let (key, value) = match value {
        Value::Array(mut pair) if pair.len() == 2 => {
            let value = pair.pop().unwrap_or_default();
            (pair.pop().unwrap_or_default(), value)
        }
        Value::Object(Object(entries)) if entries.len() == 2 => {
            let object = Object(entries);
            match (object.get("key").cloned(), object.get("value").cloned()) {
                (Some(key), Some(value)) => (key, value),
                _ => return reader.wrong(Value::Object(object)),
            }
        }
        wrong => return reader.wrong(wrong),
    };
    match (scalar_text(key), value) {
        (Ok(_), Value::Null) => None,
        (Ok(key), value) => lenient_text(value, reader).map(|value| (key, value)),
        (Err(wrong), _) => reader.wrong(wrong),
    }
}
