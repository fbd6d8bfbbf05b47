//! Event payloads as ingest sees them: the few keys it needs, read in passing without building the event. The typed event
//! is `crate::event`'s.

use crate::event_id::EventId;
use crate::json::{self, JsonError};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// What ingest wants to know of a payload.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Glimpse {
    /// The payload's own id; one that cannot be read counts as absent.
    pub event_id: Option<EventId>,
    /// The payload's `type`, such as `transaction` in a `store/` body.
    pub kind: Option<String>,
}

/// Why a payload is no event.
#[derive(Debug, thiserror::Error)]
pub enum GlimpseError {
    #[error("read event payload")]
    Json(#[source] JsonError),
    #[error("read event payload: not an object")]
    NotAnObject,
}

/// Reads a payload in passing. Bare `NaN` and the like are repaired, as the digest will repair them.
///
/// # Errors
/// When the digest could not read the payload either: broken beyond repair, beyond the JSON bounds, no object.
pub fn glimpse(payload: &[u8]) -> Result<Glimpse, GlimpseError> {
    if let Ok(glimpse) = serde_json::from_slice::<Glimpse>(payload) {
        return Ok(glimpse);
    }
    let mut repaired = Vec::new();
    let value = json::parse_or_repair(payload, &mut repaired).map_err(GlimpseError::Json)?;
    let object = value.as_object().ok_or(GlimpseError::NotAnObject)?;
    Ok(Glimpse {
        event_id: object.text("event_id").and_then(|text| text.parse().ok()),
        kind: object.text("type").map(str::to_owned),
    })
}

impl<'de> Deserialize<'de> for Glimpse {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Keys)
    }
}

struct Keys;

impl<'de> Visitor<'de> for Keys {
    type Value = Glimpse;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event")
    }

    /// The last one of a key that is there twice wins, as everywhere in events.
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Glimpse, A::Error> {
        let mut glimpse = Glimpse::default();
        while let Some(Key(key)) = map.next_key::<Key<'de>>()? {
            match key.as_ref() {
                "event_id" => glimpse.event_id = text(map.next_value()?).and_then(|text| text.parse().ok()),
                "type" => glimpse.kind = text(map.next_value()?),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(glimpse)
    }
}

#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

fn text(value: &RawValue) -> Option<String> {
    serde_json::from_str(value.get()).ok()
}
