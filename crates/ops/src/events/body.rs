//! The stored body: one header line written when the event was accepted, then the payload as it was sent.

use crate::context::Failure;
use processing::Context;
use serde_json::{Map, Value};
use std::net::IpAddr;
use stdx::Timestamp;
use store::StoreError;
use store::events::StoredEvent;

/// A body taken apart.
pub(super) struct Body {
    header: Map<String, Value>,
    bytes: Vec<u8>,
    payload_at: usize,
}

impl Body {
    /// # Errors
    /// `Damaged` if there is no header line.
    pub fn read(bytes: Vec<u8>) -> Result<Body, Failure> {
        let end = bytes.iter().position(|byte| *byte == b'\n').ok_or_else(damaged)?;
        let header = serde_json::from_slice(&bytes[..end]).map_err(|_| damaged())?;
        Ok(Body { header, payload_at: end + 1, bytes })
    }

    pub fn payload(&self) -> &[u8] {
        &self.bytes[self.payload_at..]
    }

    /// Returns how the event was grouped when it was stored; nothing if an earlier release did.
    pub fn grouping(&self) -> Option<&Value> {
        self.header.get("grouping").filter(|grouping| grouping.is_object())
    }

    /// Returns the title that a rule of the project gave the event when it was stored.
    pub fn title(&self) -> Option<&str> {
        self.grouping()?.get("title").and_then(Value::as_str)
    }

    /// Returns what normalisation is told beside the payload, as the digest was.
    pub fn context(&self, event: &StoredEvent) -> Context<'_> {
        Context {
            event_id: event.event_id,
            received_at: event.received_at,
            sent_at: self.header.get("sent_at").and_then(time),
            client_ip: self.text("client_ip").and_then(|text| text.parse::<IpAddr>().ok()),
            auth_client: self.text("client").or_else(|| self.text("auth_client")),
            user_agent: self.text("user_agent"),
        }
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.header.get(name).and_then(Value::as_str)
    }

    /// Returns the payload as received, with `received` and `project` added where it has none, and the id the event is
    /// stored under. Members keep their order and their very text.
    pub fn raw_json(&self, event: &StoredEvent) -> Result<Vec<u8>, Failure> {
        let payload: RawObject<'_> = serde_json::from_slice(self.payload()).map_err(|_| damaged())?;
        let has = |name: &str| payload.0.iter().any(|(key, _)| key == name);
        let mut out = format!("{{\"event_id\":\"{}\"", stdx::hex::encode(&event.event_id)).into_bytes();
        if !has("received") {
            out.extend_from_slice(format!(",\"received\":{}", event.received_at.seconds_f64()).as_bytes());
        }
        if !has("project") {
            out.extend_from_slice(format!(",\"project\":{}", event.project_id).as_bytes());
        }
        for (key, value) in &payload.0 {
            if key == "event_id" {
                continue;
            }
            out.push(b',');
            out.extend_from_slice(Value::from(key.as_str()).to_string().as_bytes());
            out.push(b':');
            out.extend_from_slice(value.get().as_bytes());
        }
        out.push(b'}');
        Ok(out)
    }
}

fn damaged() -> Failure {
    StoreError::Damaged { what: "read an event's body".to_owned() }.into()
}

/// Microseconds, as we write them, or RFC 3339.
fn time(value: &Value) -> Option<Timestamp> {
    match value {
        Value::Number(micros) => micros.as_i64().map(Timestamp::from_micros),
        Value::String(text) => Timestamp::parse_rfc3339(text),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// An object whose values are kept as text: numbers of any size and repeated keys survive.
struct RawObject<'a>(Vec<(String, &'a serde_json::value::RawValue)>);

impl<'de: 'a, 'a> serde::Deserialize<'de> for RawObject<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> serde::de::Visitor<'de> for Members {
            type Value = RawObject<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(RawObject(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> StoredEvent {
        StoredEvent {
            seq: 1,
            project_id: 7,
            event_id: [1; 16],
            group_key: 0,
            received_at: Timestamp::from_micros(1_500_000),
            dictionary_id: 0,
            body: Vec::new(),
        }
    }

    #[test]
    fn nothing_of_the_payload_is_missing_from_the_raw_json() {
        let payload =
            r#"{"event_id":"x","big":12345678901234567890.10,"a":{"b":[1,null]},"a":2,"k\"ey":"\ud83d\ude00"}"#;
        let body = Body::read(format!("{{\"client\":\"py/1\",\"sent_at\":5}}\n{payload}").into_bytes()).ok().unwrap();
        let text = String::from_utf8(body.raw_json(&event()).ok().unwrap()).unwrap();
        assert_eq!(
            text,
            "{\"event_id\":\"01010101010101010101010101010101\",\"received\":1.5,\"project\":7,\
             \"big\":12345678901234567890.10,\"a\":{\"b\":[1,null]},\"a\":2,\"k\\\"ey\":\"\\ud83d\\ude00\"}"
        );
        let event = event();
        let context = body.context(&event);
        assert_eq!((context.auth_client, context.sent_at), (Some("py/1"), Some(Timestamp::from_micros(5))));
    }

    #[test]
    fn a_title_is_that_of_a_rule() {
        let title = |header: &str| {
            let body = Body::read(format!("{header}\n{{}}").into_bytes()).ok().unwrap();
            body.title().map(str::to_owned)
        };
        assert_eq!(title(r#"{"grouping":{"title":"Cart: x"}}"#).as_deref(), Some("Cart: x"));
        assert_eq!(title(r#"{"grouping":{"title":7}}"#), None);
        assert_eq!(title(r#"{"grouping":{}}"#), None);
        assert_eq!(title("{}"), None);
    }

    #[test]
    fn a_damaged_body_is_an_error_and_no_panic() {
        for bytes in ["", "{}", "[]\n{}", "x\n{}"] {
            assert!(Body::read(bytes.as_bytes().to_vec()).is_err(), "{bytes}");
        }
        assert!(Body::read(b"{}\n[1]".to_vec()).ok().unwrap().raw_json(&event()).is_err());
    }
}
