//! Text to tree, within bounds of depth, nodes and keys. It never repairs by itself: see `repair`.

use super::{Number, Object, Str, Value, repair};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// Nesting that is still read; serde_json's own limit, which protects the stack.
pub const DEPTH_MAX: usize = 127;
/// Values in one document: a tree of this many takes about 30 MB, the most one event may cost.
pub const NODES_MAX: usize = 500_000;
/// Object keys in one document.
pub const KEYS_MAX: usize = 200_000;

/// Room made for an object's entries at once: most of an event's objects fit.
const OBJECT_CAPACITY: usize = 8;
/// Marks of UTF-8 at the start of a text, written by some Windows clients.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Why a text was not read.
#[derive(Debug, thiserror::Error)]
pub enum JsonError {
    #[error("read json as utf-8")]
    NotUtf8(#[source] std::str::Utf8Error),
    #[error("read json")]
    Syntax(#[source] serde_json::Error),
    #[error("read json nested deeper than {DEPTH_MAX}")]
    TooDeep,
    #[error("read json of more than {NODES_MAX} values")]
    TooManyNodes,
    #[error("read json of more than {KEYS_MAX} keys")]
    TooManyKeys,
}

impl JsonError {
    /// Returns whether `repair` could help: the text is malformed, not merely too large.
    pub fn is_repairable(&self) -> bool {
        match self {
            JsonError::NotUtf8(_) | JsonError::Syntax(_) => true,
            JsonError::TooDeep | JsonError::TooManyNodes | JsonError::TooManyKeys => false,
        }
    }
}

/// Reads one JSON document; strings without escapes borrow from `bytes`. A leading byte order mark is skipped.
///
/// # Errors
/// Malformed, truncated or trailing text, and texts beyond `DEPTH_MAX`, `NODES_MAX`, `KEYS_MAX`.
pub fn parse(bytes: &[u8]) -> Result<Value<'_>, JsonError> {
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    // One check of the whole text is quicker than serde_json's check of each string.
    let text = std::str::from_utf8(bytes).map_err(JsonError::NotUtf8)?;
    let mut budget = Budget { nodes: NODES_MAX, keys: KEYS_MAX, exceeded: None };
    let mut reader = serde_json::Deserializer::from_str(text);
    let read = Seed(&mut budget).deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
    read.map_err(|error| match budget.exceeded {
        Some(Bound::Nodes) => JsonError::TooManyNodes,
        Some(Bound::Keys) => JsonError::TooManyKeys,
        None if error.to_string().starts_with("recursion limit") => JsonError::TooDeep,
        None => JsonError::Syntax(error),
    })
}

/// Reads one JSON document as `parse` does, and once more after `repair` if it is malformed.
/// The repaired text, if one was needed, is left in `repaired`, from which the result then borrows.
///
/// # Errors
/// What `parse` says of the repaired text.
pub fn parse_or_repair<'a>(bytes: &'a [u8], repaired: &'a mut Vec<u8>) -> Result<Value<'a>, JsonError> {
    match parse(bytes) {
        Ok(value) => Ok(value),
        Err(error) if error.is_repairable() => match repair(bytes) {
            Cow::Borrowed(_) => Err(error),
            Cow::Owned(text) => {
                *repaired = text;
                parse(repaired)
            }
        },
        Err(error) => Err(error),
    }
}

#[derive(Clone, Copy)]
enum Bound {
    Nodes,
    Keys,
}

/// What may still be read.
struct Budget {
    nodes: usize,
    keys: usize,
    exceeded: Option<Bound>,
}

impl Budget {
    fn take_node<E: serde::de::Error>(&mut self) -> Result<(), E> {
        match self.nodes.checked_sub(1) {
            Some(left) => self.nodes = left,
            None => {
                self.exceeded = Some(Bound::Nodes);
                return Err(E::custom("too many values"));
            }
        }
        Ok(())
    }

    fn take_key<E: serde::de::Error>(&mut self) -> Result<(), E> {
        match self.keys.checked_sub(1) {
            Some(left) => self.keys = left,
            None => {
                self.exceeded = Some(Bound::Keys);
                return Err(E::custom("too many keys"));
            }
        }
        Ok(())
    }
}

struct Seed<'b>(&'b mut Budget);

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value<'de>, D::Error> {
        self.0.take_node()?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any json value")
    }

    fn visit_unit<E>(self) -> Result<Value<'de>, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value<'de>, E> {
        Ok(Value::Bool(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value<'de>, E> {
        Ok(Value::Number(Number::Signed(number)))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value<'de>, E> {
        Ok(Value::Number(Number::Unsigned(number)))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value<'de>, E> {
        Ok(Value::Number(Number::Float(number)))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Value<'de>, E> {
        Ok(Value::Str(Str(Cow::Borrowed(text))))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value<'de>, E> {
        Ok(Value::Str(Str(Cow::Owned(text.to_owned()))))
    }

    fn visit_string<E>(self, text: String) -> Result<Value<'de>, E> {
        Ok(Value::Str(Str(Cow::Owned(text))))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value<'de>, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = sequence.next_element_seed(Seed(self.0))? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value<'de>, A::Error> {
        let mut entries = Vec::with_capacity(OBJECT_CAPACITY);
        while let Some(key) = map.next_key_seed(KeySeed)? {
            self.0.take_key::<A::Error>()?;
            entries.push((key, map.next_value_seed(Seed(self.0))?));
        }
        Ok(Value::Object(Object(entries)))
    }
}

struct KeySeed;

impl<'de> DeserializeSeed<'de> for KeySeed {
    type Value = Str<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Str<'de>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for KeySeed {
    type Value = Str<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object key")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Str<'de>, E> {
        Ok(Str(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Str<'de>, E> {
        Ok(Str(Cow::Owned(text.to_owned())))
    }
}
