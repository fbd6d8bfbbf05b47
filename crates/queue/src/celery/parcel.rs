//! kombu's outer message, here called a parcel: what stands in a list of its Redis transport. Values that mean nothing to us are kept as they came.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;

pub(crate) type Fields = BTreeMap<String, Box<RawValue>>;

#[derive(Serialize, Deserialize, Debug)]
pub(crate) struct Parcel<'a> {
    #[serde(borrow)]
    pub body: Cow<'a, str>,
    #[serde(rename = "content-encoding", default)]
    pub content_encoding: Option<Cow<'a, str>>,
    #[serde(rename = "content-type", default)]
    pub content_type: Option<Cow<'a, str>>,
    #[serde(default)]
    pub headers: Fields,
    #[serde(default)]
    pub properties: Fields,
}

impl<'a> Parcel<'a> {
    /// # Errors
    /// Says why it is no parcel.
    pub fn parse(text: &'a [u8]) -> Result<Parcel<'a>, String> {
        serde_json::from_slice(text).map_err(|error| format!("it is no parcel of kombu's: {error}"))
    }

    pub fn to_text(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts and values that were read can be written")
    }

    /// Returns the body's bytes, still compressed.
    ///
    /// # Errors
    /// Says why it cannot be read.
    pub fn body(&self) -> Result<Vec<u8>, String> {
        let encoding: Option<String> = field(&self.properties, "body_encoding");
        match encoding.as_deref() {
            Some("base64") => {
                STANDARD.decode(self.body.as_bytes()).map_err(|error| format!("its body is no base64: {error}"))
            }
            None | Some("utf-8" | "utf8") => Ok(self.body.as_bytes().to_vec()),
            Some(other) => Err(format!("its body has the unknown encoding {other:.64}")),
        }
    }
}

/// Returns a field if it is there and of the type; anything else counts as absent.
pub(crate) fn field<T: serde::de::DeserializeOwned>(fields: &Fields, name: &str) -> Option<T> {
    fields.get(name).and_then(|value| serde_json::from_str(value.get()).ok())
}

pub(crate) fn set(fields: &mut Fields, name: &str, value: &impl Serialize) {
    let value = serde_json::value::to_raw_value(value).expect("plain values can be written");
    fields.insert(name.to_owned(), value);
}
