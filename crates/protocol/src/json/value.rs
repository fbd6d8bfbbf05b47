//! The tree: values that borrow from the text they were read from. Reading and writing are elsewhere.

use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::ops::{Deref, DerefMut};

/// Text that borrows from the input, except where escapes or a change forced a copy.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Str<'a>(pub Cow<'a, str>);

/// A JSON number. Integers within 64 bits are exact; all others are doubles.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    Signed(i64),
    Unsigned(u64),
    Float(f64),
}

/// The entries of a JSON object in the order they came, duplicates included.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Object<'a>(pub Vec<(Str<'a>, Value<'a>)>);

/// Any JSON value.
#[derive(Clone, Debug, PartialEq, Default)]
pub enum Value<'a> {
    #[default]
    Null,
    Bool(bool),
    Number(Number),
    Str(Str<'a>),
    Array(Vec<Value<'a>>),
    Object(Object<'a>),
}

impl<'a> Str<'a> {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn into_owned(self) -> String {
        self.0.into_owned()
    }

    /// Returns the same text without outer blanks, borrowing where the original does.
    pub fn trimmed(self) -> Self {
        if self.0.trim().len() == self.0.len() {
            return self;
        }
        match self.0 {
            Cow::Borrowed(text) => Str(Cow::Borrowed(text.trim())),
            Cow::Owned(text) => Str(Cow::Owned(text.trim().to_owned())),
        }
    }
}

impl<'a> Object<'a> {
    /// Returns the value of `key`; of several, the last.
    pub fn get(&self, key: &str) -> Option<&Value<'a>> {
        self.0.iter().rev().find(|(name, _)| name.as_str() == key).map(|(_, value)| value)
    }

    /// Returns the text under `key`, if it is text and not empty.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    /// Sets `key`, replacing every entry of that name.
    pub fn set(&mut self, key: &'static str, value: Value<'a>) {
        self.0.retain(|(name, _)| name.as_str() != key);
        self.0.push((Str::from(key), value));
    }
}

impl<'a> Value<'a> {
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::Str(text) => Some(text),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => None,
        }
    }

    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Bool(flag) => Some(*flag),
            Value::Null | Value::Number(_) | Value::Str(_) | Value::Array(_) | Value::Object(_) => None,
        }
    }

    pub fn as_object(&self) -> Option<&Object<'a>> {
        match self {
            Value::Object(object) => Some(object),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Str(_) | Value::Array(_) => None,
        }
    }

    pub fn as_array(&self) -> Option<&[Value<'a>]> {
        match self {
            Value::Array(values) => Some(values),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Str(_) | Value::Object(_) => None,
        }
    }

    /// Returns the value under `key` if this is an object that has it.
    pub fn get(&self, key: &str) -> Option<&Value<'a>> {
        self.as_object().and_then(|object| object.get(key))
    }

    /// Returns what the value holds as an unsigned number, if it is one.
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Value::Number(number) => number.as_u64(),
            Value::Null | Value::Bool(_) | Value::Str(_) | Value::Array(_) | Value::Object(_) => None,
        }
    }

    pub fn text(text: impl Into<Str<'a>>) -> Self {
        Value::Str(text.into())
    }

    /// Returns a number of things as a value.
    pub fn length(length: usize) -> Self {
        Value::Number(Number::Unsigned(length as u64))
    }

    /// Sorts the keys of this and all inner objects; of equal keys the last stays.
    pub fn sort_keys(&mut self) {
        match self {
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Str(_) => {}
            Value::Array(values) => values.iter_mut().for_each(Value::sort_keys),
            Value::Object(Object(entries)) => {
                // Reversed first: the sort is stable, so the last of equal keys becomes the first, which stays.
                entries.reverse();
                entries.sort_by(|left, right| left.0.cmp(&right.0));
                entries.dedup_by(|later, earlier| later.0 == earlier.0);
                entries.iter_mut().for_each(|(_, value)| value.sort_keys());
            }
        }
    }

    /// Returns the value with every text copied, borrowing nothing.
    pub fn into_static(self) -> Value<'static> {
        let owned = |text: Str<'a>| Str(Cow::Owned(text.into_owned()));
        match self {
            Value::Null => Value::Null,
            Value::Bool(flag) => Value::Bool(flag),
            Value::Number(number) => Value::Number(number),
            Value::Str(text) => Value::Str(owned(text)),
            Value::Array(values) => Value::Array(values.into_iter().map(Value::into_static).collect()),
            Value::Object(object) => {
                let entries = object.0.into_iter().map(|(key, value)| (owned(key), value.into_static()));
                Value::Object(Object(entries.collect()))
            }
        }
    }
}

impl Number {
    /// Returns the number if it is a whole one that is not negative; `3.0` counts as whole.
    pub fn as_u64(self) -> Option<u64> {
        match self {
            Number::Unsigned(number) => Some(number),
            Number::Signed(number) => u64::try_from(number).ok(),
            Number::Float(number) if number.fract() == 0.0 && (0.0..=9.0e15).contains(&number) => Some(number as u64),
            Number::Float(_) => None,
        }
    }

    pub fn as_f64(self) -> f64 {
        match self {
            Number::Unsigned(number) => number as f64,
            Number::Signed(number) => number as f64,
            Number::Float(number) => number,
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Number::Signed(number) => write!(f, "{number}"),
            Number::Unsigned(number) => write!(f, "{number}"),
            Number::Float(number) => write!(f, "{number:?}"),
        }
    }
}

impl Deref for Str<'_> {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Str<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl fmt::Display for Str<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'a> From<&'a str> for Str<'a> {
    fn from(text: &'a str) -> Self {
        Str(Cow::Borrowed(text))
    }
}

impl From<String> for Str<'_> {
    fn from(text: String) -> Self {
        Str(Cow::Owned(text))
    }
}

impl PartialEq<str> for Str<'_> {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Str<'_> {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl<'a> Deref for Object<'a> {
    type Target = Vec<(Str<'a>, Value<'a>)>;
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for Object<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl Serialize for Str<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }
}

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in &self.0 {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(flag) => serializer.serialize_bool(*flag),
            Value::Number(Number::Signed(number)) => serializer.serialize_i64(*number),
            Value::Number(Number::Unsigned(number)) => serializer.serialize_u64(*number),
            Value::Number(Number::Float(number)) => serializer.serialize_f64(*number),
            Value::Str(text) => serializer.serialize_str(text),
            Value::Array(values) => {
                let mut sequence = serializer.serialize_seq(Some(values.len()))?;
                for value in values {
                    sequence.serialize_element(value)?;
                }
                sequence.end()
            }
            Value::Object(object) => object.serialize(serializer),
        }
    }
}
