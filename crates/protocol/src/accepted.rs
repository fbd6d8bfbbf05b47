//! The job that ingest writes and the digest reads: who sent what when, and the body as it came over the wire. It outlives
//! the process that wrote it, so its shape has a version and golden files; the queue sees only bytes.
//!
//! Layout of version 1: the byte 1, the header's length as four bytes little-endian, the header as JSON, and the body up to
//! the end when it is not a blob.

use crate::encoding::Encoding;
use crate::event_id::EventId;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use stdx::Timestamp;

/// The version that is written.
pub const VERSION: u8 = 1;
/// Longest header that is read.
pub const HEADER_BYTES_MAX: usize = 64 << 10;
/// The version and the header's length.
const PREFIX_BYTES: usize = 5;
/// Room for a usual header.
const HEADER_BYTES_EXPECTED: usize = 512;

/// One accepted request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AcceptedJob<'a> {
    pub org_id: i64,
    pub project_id: i64,
    pub key_id: i64,
    pub event_id: EventId,
    /// Stamped once; its day is the event's day.
    pub received_at: Timestamp,
    /// The client's clock when it sent this.
    pub sent_at: Option<Timestamp>,
    pub client_ip: Option<Cow<'a, str>>,
    /// `name/version` from the authentication.
    pub auth_client: Option<Cow<'a, str>>,
    /// The request's `User-Agent`, from which browser and system follow.
    pub user_agent: Option<Cow<'a, str>>,
    pub endpoint: Endpoint,
    pub content_encoding: Encoding,
    pub body: AcceptedBody<'a>,
}

/// How the body is to be read, once decoded.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Endpoint {
    Envelope,
    Store,
}

/// The body as it came, still encoded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AcceptedBody<'a> {
    Inline(&'a [u8]),
    /// Too large for a job: stored under `key`.
    Blob {
        key: Cow<'a, str>,
        raw_bytes: u64,
    },
}

/// Why bytes are no accepted job.
#[derive(Debug, thiserror::Error)]
pub enum AcceptedError {
    #[error("read accepted job: unknown version {0}")]
    Version(u8),
    #[error("read accepted job: ends early")]
    Truncated,
    #[error("read accepted job: header longer than {HEADER_BYTES_MAX} bytes")]
    HeaderTooLong,
    #[error("read accepted job: header")]
    Header(#[source] serde_json::Error),
    #[error("read accepted job: bytes after a body that is a blob")]
    Trailing,
}

impl<'a> AcceptedJob<'a> {
    /// Returns the job as bytes for the queue.
    pub fn encode(&self) -> Vec<u8> {
        let (blob, inline): (_, &[u8]) = match &self.body {
            AcceptedBody::Inline(bytes) => (None, bytes),
            AcceptedBody::Blob { key, raw_bytes } => {
                (Some(Blob { key: Cow::Borrowed(key.as_ref()), raw_bytes: *raw_bytes }), &[])
            }
        };
        let mut encoded = Vec::with_capacity(PREFIX_BYTES + HEADER_BYTES_EXPECTED + inline.len());
        encoded.extend_from_slice(&[VERSION, 0, 0, 0, 0]);
        serde_json::to_writer(&mut encoded, &self.header(blob)).expect("a header of numbers and text serializes");
        let length = u32::try_from(encoded.len() - PREFIX_BYTES).expect("ingest bounds the texts in a header");
        encoded[1..PREFIX_BYTES].copy_from_slice(&length.to_le_bytes());
        encoded.extend_from_slice(inline);
        encoded
    }

    /// Reads a job; the body borrows from `encoded`.
    ///
    /// # Errors
    /// When the bytes are not what `encode` of a known version writes.
    pub fn decode(encoded: &'a [u8]) -> Result<Self, AcceptedError> {
        match encoded.first() {
            None => return Err(AcceptedError::Truncated),
            Some(&VERSION) => {}
            Some(version) => return Err(AcceptedError::Version(*version)),
        }
        let (prefix, rest) = encoded.split_first_chunk::<PREFIX_BYTES>().ok_or(AcceptedError::Truncated)?;
        let [_, length @ ..] = *prefix;
        let length = u32::from_le_bytes(length) as usize;
        if length > HEADER_BYTES_MAX {
            return Err(AcceptedError::HeaderTooLong);
        }
        let (header, inline) = rest.split_at_checked(length).ok_or(AcceptedError::Truncated)?;
        let header: Header<'a> = serde_json::from_slice(header).map_err(AcceptedError::Header)?;
        header.into_job(inline)
    }

    fn header<'b>(&'b self, blob: Option<Blob<'b>>) -> Header<'b> {
        Header {
            org_id: self.org_id,
            project_id: self.project_id,
            key_id: self.key_id,
            event_id: self.event_id,
            received_at: self.received_at,
            sent_at: self.sent_at,
            client_ip: self.client_ip.as_deref().map(Cow::Borrowed),
            auth_client: self.auth_client.as_deref().map(Cow::Borrowed),
            user_agent: self.user_agent.as_deref().map(Cow::Borrowed),
            endpoint: self.endpoint,
            content_encoding: self.content_encoding,
            blob,
        }
    }
}

/// The stored header. A field that is added needs a default, one that is taken away a new version.
#[derive(Serialize, Deserialize)]
struct Header<'a> {
    org_id: i64,
    project_id: i64,
    key_id: i64,
    event_id: EventId,
    received_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sent_at: Option<Timestamp>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    client_ip: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    auth_client: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    user_agent: Option<Cow<'a, str>>,
    endpoint: Endpoint,
    content_encoding: Encoding,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    blob: Option<Blob<'a>>,
}

#[derive(Serialize, Deserialize)]
struct Blob<'a> {
    #[serde(borrow)]
    key: Cow<'a, str>,
    raw_bytes: u64,
}

impl<'a> Header<'a> {
    fn into_job(self, inline: &'a [u8]) -> Result<AcceptedJob<'a>, AcceptedError> {
        let body = match self.blob {
            None => AcceptedBody::Inline(inline),
            Some(Blob { key, raw_bytes }) if inline.is_empty() => AcceptedBody::Blob { key, raw_bytes },
            Some(_) => return Err(AcceptedError::Trailing),
        };
        Ok(AcceptedJob {
            org_id: self.org_id,
            project_id: self.project_id,
            key_id: self.key_id,
            event_id: self.event_id,
            received_at: self.received_at,
            sent_at: self.sent_at,
            client_ip: self.client_ip,
            auth_client: self.auth_client,
            user_agent: self.user_agent,
            endpoint: self.endpoint,
            content_encoding: self.content_encoding,
            body,
        })
    }
}
