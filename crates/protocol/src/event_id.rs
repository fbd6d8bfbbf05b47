//! The id of an event: 16 bytes, written as 32 hexadecimal digits. Makes no ids from clock or chance; callers bring the
//! random bytes.

use std::fmt;
use std::str::FromStr;

/// The id of an event, of a check-in or of anything else the protocol names by a UUID.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct EventId([u8; 16]);

/// Text that is no event id.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("read event id: neither 32 hexadecimal digits nor a hyphenated uuid")]
pub struct EventIdError;

/// Where the hyphens of a UUID stand.
const HYPHENS: [usize; 4] = [8, 13, 18, 23];

impl EventId {
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        EventId(bytes)
    }

    /// Returns an id made of random `bytes`, marked as a version 4 UUID, as SDKs mark theirs.
    pub fn random(bytes: [u8; 16]) -> Self {
        EventId(uuid::Builder::from_random_bytes(bytes).into_uuid().into_bytes())
    }

    pub const fn bytes(self) -> [u8; 16] {
        self.0
    }

    /// Returns whether every bit is zero, which some clients send for "none".
    pub fn is_nil(self) -> bool {
        self.0 == [0; 16]
    }

    /// Returns the id as `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx`.
    pub fn hyphenated(self) -> String {
        uuid::Uuid::from_bytes(self.0).hyphenated().to_string()
    }
}

impl FromStr for EventId {
    type Err = EventIdError;

    /// Reads either form in either case. Braces and `urn:uuid:` are refused: no SDK sends them.
    fn from_str(text: &str) -> Result<Self, EventIdError> {
        let bytes = match text.len() {
            32 => stdx::hex::decode(text),
            36 => decode_hyphenated(text.as_bytes()),
            _ => None,
        };
        bytes.map(EventId).ok_or(EventIdError)
    }
}

fn decode_hyphenated(text: &[u8]) -> Option<[u8; 16]> {
    let mut digits = [0; 32];
    let mut filled = 0;
    for (at, character) in text.iter().enumerate() {
        if HYPHENS.contains(&at) {
            if *character != b'-' {
                return None;
            }
            continue;
        }
        *digits.get_mut(filled)? = *character;
        filled += 1;
    }
    stdx::hex::decode(std::str::from_utf8(&digits).ok()?)
}

impl fmt::Display for EventId {
    /// Writes 32 lowercase digits, the form of every answer and of the web API.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&stdx::hex::encode(&self.0))
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl serde::Serialize for EventId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for EventId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl serde::de::Visitor<'_> for Text {
            type Value = EventId;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an event id")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<EventId, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Text)
    }
}
