//! MessagePack as sentry-native writes it, read as JSON: events and breadcrumbs that lie beside a minidump. Kinder than
//! the format: names that are no texts are written as texts, bytes are read as text, extensions are null.

use serde_json::{Map, Number, Value};

/// Lists and maps within each other. Events nest some ten deep.
const DEPTH_MAX: u32 = 64;

/// The bytes are no MessagePack, end early or nest too deep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid messagepack data")]
pub struct MsgpackError;

/// Returns the first value, and what stands after it.
///
/// # Errors
/// If there is no whole value.
pub fn read(bytes: &[u8]) -> Result<(Value, &[u8]), MsgpackError> {
    let mut reader = Reader { rest: bytes };
    let value = reader.value(0)?;
    Ok((value, reader.rest))
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn value(&mut self, depth: u32) -> Result<Value, MsgpackError> {
        if depth > DEPTH_MAX {
            return Err(MsgpackError);
        }
        let [tag] = self.array::<1>()?;
        Ok(match tag {
            0x00..=0x7f => Value::from(tag),
            0xe0..=0xff => Value::from(i8::from_be_bytes([tag])),
            0x80..=0x8f => self.map(u64::from(tag & 0x0f), depth)?,
            0x90..=0x9f => self.list(u64::from(tag & 0x0f), depth)?,
            0xa0..=0xbf => self.text(u64::from(tag & 0x1f))?,
            0xc2 => Value::Bool(false),
            0xc3 => Value::Bool(true),
            0xca => number(f64::from(f32::from_be_bytes(self.array()?))),
            0xcb => number(f64::from_be_bytes(self.array()?)),
            0xcc..=0xcf => Value::from(self.unsigned(1 << (tag - 0xcc))?),
            0xd0 => Value::from(i8::from_be_bytes(self.array()?)),
            0xd1 => Value::from(i16::from_be_bytes(self.array()?)),
            0xd2 => Value::from(i32::from_be_bytes(self.array()?)),
            0xd3 => Value::from(i64::from_be_bytes(self.array()?)),
            0xc4..=0xc6 | 0xd9..=0xdb => {
                // Bytes and texts, each with a length of one, two or four bytes.
                let length = self.unsigned(1 << ((tag - 0xc4) % 7))?;
                self.text(length)?
            }
            0xdc | 0xdd => {
                let length = self.unsigned(2 << (tag - 0xdc))?;
                self.list(length, depth)?
            }
            0xde | 0xdf => {
                let length = self.unsigned(2 << (tag - 0xde))?;
                self.map(length, depth)?
            }
            0xd4..=0xd8 => self.extension(1 << (tag - 0xd4))?,
            0xc7..=0xc9 => {
                let length = self.unsigned(1 << (tag - 0xc7))?;
                self.extension(length)?
            }
            // Nil, and the one tag that means nothing.
            0xc0 | 0xc1 => Value::Null,
        })
    }

    /// Every element takes a byte at least, so a list that claims more than there is fails before it grows.
    fn list(&mut self, length: u64, depth: u32) -> Result<Value, MsgpackError> {
        (0..length).map(|_| self.value(depth + 1)).collect::<Result<Vec<_>, _>>().map(Value::Array)
    }

    fn map(&mut self, length: u64, depth: u32) -> Result<Value, MsgpackError> {
        let mut map = Map::new();
        for _ in 0..length {
            let name = match self.value(depth + 1)? {
                Value::String(name) => name,
                other => other.to_string(),
            };
            map.insert(name, self.value(depth + 1)?);
        }
        Ok(Value::Object(map))
    }

    fn text(&mut self, length: u64) -> Result<Value, MsgpackError> {
        Ok(Value::String(String::from_utf8_lossy(self.take(length)?).into_owned()))
    }

    fn extension(&mut self, length: u64) -> Result<Value, MsgpackError> {
        self.take(length + 1).map(|_| Value::Null)
    }

    fn unsigned(&mut self, bytes: usize) -> Result<u64, MsgpackError> {
        let taken = self.take(bytes as u64)?;
        Ok(taken.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], MsgpackError> {
        let (array, rest) = self.rest.split_first_chunk::<N>().ok_or(MsgpackError)?;
        self.rest = rest;
        Ok(*array)
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], MsgpackError> {
        let length = usize::try_from(length).map_err(|_| MsgpackError)?;
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(MsgpackError)?;
        self.rest = rest;
        Ok(taken)
    }
}

/// JSON has no infinities.
fn number(value: f64) -> Value {
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn every_kind_of_value_is_read() {
        let bytes = b"\x8b\xa1a\x01\xa1b\xff\xa1c\xc3\xa1d\xc0\xa1e\xcb\x3f\xf8\0\0\0\0\0\0\xa1f\xcd\x01\x00\
            \xa1g\x92\x01\xa1x\xa1h\xd9\x02hi\xa1i\xd1\xff\x00\xa1j\xd4\x01\x02\x05\xc4\x01z!";
        let expected = json!({"a": 1, "b": -1, "c": true, "d": null, "e": 1.5, "f": 256, "g": [1, "x"], "h": "hi",
            "i": -256, "j": null, "5": "z"});
        assert_eq!(read(bytes), Ok((expected, b"!".as_slice())));
    }

    #[test]
    fn lengths_that_lie_and_endless_nesting_are_errors() {
        for bytes in [b"".as_slice(), b"\xdd\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xffx", b"\xdf\xff\xff\xff\xff\xa1a"] {
            assert_eq!(read(bytes), Err(MsgpackError), "{bytes:?}");
        }
        assert_eq!(read(&[0x91; 10_000]), Err(MsgpackError));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&bytes);
        }
    }
}
