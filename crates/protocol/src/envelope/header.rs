//! Header lines: the known keys of envelope and item headers, typed and borrowed. Unknown keys, and those that only relays
//! may set, are ignored; a known key that is there twice is an error, as for Relay.

use super::HEADER_DEPTH_MAX;
use crate::dsn::Dsn;
use crate::event_id::EventId;
use crate::item::ItemKind;
use serde::Deserialize;
use serde::de::{self, Deserializer};
use serde_json::value::RawValue;
use std::borrow::Cow;
use stdx::Timestamp;

/// Why a header cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum HeaderError {
    #[error("header is not a json object")]
    NotAnObject,
    #[error("header ends early")]
    Truncated,
    #[error("header nested deeper than {HEADER_DEPTH_MAX}")]
    TooDeep,
    #[error("header is no valid json of a header: {0}")]
    Json(serde_json::Error),
}

/// The first line of an envelope.
#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
pub struct EnvelopeHeader<'a> {
    /// Wins over the payload's id.
    #[serde(default)]
    pub event_id: Option<EventId>,
    #[serde(default, deserialize_with = "dsn")]
    pub dsn: Option<Dsn>,
    /// For items without an SDK of their own.
    #[serde(borrow, default, deserialize_with = "sdk")]
    pub sdk: Option<SdkInfo<'a>>,
    /// The client's clock when it sent this; unreadable means absent.
    #[serde(default, deserialize_with = "sent_at")]
    pub sent_at: Option<Timestamp>,
    /// The dynamic sampling context as JSON text; one that is no object is ignored.
    #[serde(borrow, default, deserialize_with = "trace")]
    pub trace: Option<Cow<'a, str>>,
}

#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
pub struct SdkInfo<'a> {
    #[serde(borrow, default, deserialize_with = "text")]
    pub name: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "text")]
    pub version: Option<Cow<'a, str>>,
}

/// The first line of an item. Fields other than `type` and `length` that have the wrong type count as absent.
#[derive(Clone, PartialEq, Debug, Deserialize)]
pub struct ItemHeader<'a> {
    #[serde(borrow, rename = "type", deserialize_with = "kind")]
    pub kind: ItemKind<'a>,
    /// Bytes of the payload; without it the payload ends at the line end.
    #[serde(default)]
    pub length: Option<u64>,
    #[serde(borrow, default, deserialize_with = "text")]
    pub content_type: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "text")]
    pub filename: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "text")]
    pub attachment_type: Option<Cow<'a, str>>,
    /// Items in a container; not believed where it matters.
    #[serde(default, deserialize_with = "count")]
    pub item_count: Option<u64>,
    #[serde(borrow, default, deserialize_with = "text")]
    pub platform: Option<Cow<'a, str>>,
    #[serde(default, deserialize_with = "count")]
    pub meta_length: Option<u64>,
    #[serde(default, deserialize_with = "count")]
    pub attachment_length: Option<u64>,
    #[serde(borrow, default, deserialize_with = "text")]
    pub sentry_release: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "text")]
    pub sentry_environment: Option<Cow<'a, str>>,
}

impl<'a> EnvelopeHeader<'a> {
    /// Reads the text of one header.
    ///
    /// # Errors
    /// `HeaderError::Json` for anything but an object whose known keys have their types.
    pub fn parse(text: &'a [u8]) -> Result<Self, HeaderError> {
        serde_json::from_slice(text).map_err(HeaderError::Json)
    }

    /// Returns the same header without borrowing.
    pub fn into_owned(self) -> EnvelopeHeader<'static> {
        let EnvelopeHeader { event_id, dsn, sdk, sent_at, trace } = self;
        let sdk = sdk.map(|SdkInfo { name, version }| SdkInfo { name: owned(name), version: owned(version) });
        EnvelopeHeader { event_id, dsn, sdk, sent_at, trace: owned(trace) }
    }
}

impl<'a> ItemHeader<'a> {
    /// Returns a header of `kind` with nothing else in it.
    pub const fn new(kind: ItemKind<'a>) -> Self {
        ItemHeader {
            kind,
            length: None,
            content_type: None,
            filename: None,
            attachment_type: None,
            item_count: None,
            platform: None,
            meta_length: None,
            attachment_length: None,
            sentry_release: None,
            sentry_environment: None,
        }
    }

    /// Reads the text of one header.
    ///
    /// # Errors
    /// `HeaderError::Json` for anything but an object with a `type`.
    pub fn parse(text: &'a [u8]) -> Result<Self, HeaderError> {
        serde_json::from_slice(text).map_err(HeaderError::Json)
    }

    /// Returns the same header without borrowing.
    pub fn into_owned(self) -> ItemHeader<'static> {
        ItemHeader {
            kind: self.kind.into_owned(),
            length: self.length,
            content_type: owned(self.content_type),
            filename: owned(self.filename),
            attachment_type: owned(self.attachment_type),
            item_count: self.item_count,
            platform: owned(self.platform),
            meta_length: self.meta_length,
            attachment_length: self.attachment_length,
            sentry_release: owned(self.sentry_release),
            sentry_environment: owned(self.sentry_environment),
        }
    }
}

fn owned(text: Option<Cow<'_, str>>) -> Option<Cow<'static, str>> {
    text.map(|text| Cow::Owned(text.into_owned()))
}

/// Borrows where serde alone would copy.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

fn raw<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    let raw = <&RawValue>::deserialize(deserializer)?;
    // Lenient: what does not fit counts as absent.
    Ok(serde_json::from_str(raw.get()).ok())
}

fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Cow<'de, str>>, D::Error> {
    Ok(raw::<Text<'de>, D>(deserializer)?.map(|text| text.0))
}

fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    raw(deserializer)
}

fn sdk<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SdkInfo<'de>>, D::Error> {
    raw(deserializer)
}

fn sent_at<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    Ok(text(deserializer)?.and_then(|text| Timestamp::parse_rfc3339(&text)))
}

fn trace<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Cow<'de, str>>, D::Error> {
    let raw = <&RawValue>::deserialize(deserializer)?;
    Ok(raw.get().starts_with('{').then(|| Cow::Borrowed(raw.get())))
}

fn kind<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ItemKind<'de>, D::Error> {
    Ok(ItemKind::from_name(Text::deserialize(deserializer)?.0))
}

/// Strict: a DSN decides who sends.
fn dsn<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Dsn>, D::Error> {
    match Option::<Text<'de>>::deserialize(deserializer)? {
        Some(text) => text.0.parse().map(Some).map_err(de::Error::custom),
        None => Ok(None),
    }
}
