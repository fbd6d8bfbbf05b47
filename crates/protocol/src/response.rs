//! What an SDK endpoint answers: the closed list of refusals with status, text and reason, and the bodies of successes.
//! Knows no HTTP library; the endpoint turns this into a response.
//!
//! SDKs back off after 429, drop after any other 4xx, and may resend after 5xx: the status decides what is lost.

use crate::encoding::EncodingError;
use crate::envelope::EnvelopeError;
use crate::event_id::EventId;
use crate::legacy::LegacyError;
use crate::limits::LimitError;
use std::borrow::Cow;
use std::error::Error;

/// Longest `X-Sentry-Error`.
pub const HEADER_TEXT_BYTES_MAX: usize = 200;
/// Causes shown under one refusal.
const CAUSES_MAX: usize = 8;

/// Why a request is refused. The `Display` text is the answer's `detail`.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("missing authorization information")]
    MissingAuth,
    #[error("multiple authorization payloads detected")]
    MultipleAuth,
    #[error("bad x-sentry-auth header")]
    BadAuthHeader { cause: &'static str },
    #[error("bad envelope authentication header")]
    BadEnvelopeAuth,
    #[error("bad sentry DSN public key")]
    BadPublicKey,
    #[error("bad project path parameter")]
    BadProjectPath,
    #[error("unsupported protocol version ({0})")]
    UnsupportedVersion(u64),
    /// The key is unknown, disabled or another project's, or the project is gone: one answer, so nobody can probe.
    #[error("event submission rejected with_reason: ProjectId")]
    UnknownProject,
    #[error("event submission rejected with_reason: Cors")]
    OriginNotAllowed,
    #[error("empty request body")]
    EmptyBody,
    /// The body could not be decoded, or the client stopped sending in the middle.
    #[error("invalid request body")]
    InvalidBody { causes: Vec<String> },
    #[error("invalid JSON data: {cause}")]
    InvalidJson { cause: String },
    #[error("invalid event envelope")]
    InvalidEnvelope { causes: Vec<String> },
    #[error("invalid multipart data")]
    InvalidMultipart { cause: String },
    #[error("missing minidump")]
    MissingMinidump,
    #[error("invalid minidump")]
    InvalidMinidump,
    #[error("invalid security report: {cause}")]
    InvalidReport { cause: String },
    #[error("invalid event id")]
    InvalidEventId,
    #[error("{0}")]
    OverLimit(LimitError),
    #[error("request body exceeded the limit of {limit} bytes")]
    BodyTooLarge { limit: u64 },
    #[error("unsupported media type")]
    UnsupportedMediaType,
    #[error("unknown endpoint")]
    UnknownEndpoint,
    #[error("method not allowed")]
    MethodNotAllowed,
    #[error("request body was not sent in time")]
    BodyTimeout,
    #[error("rate limit exceeded: {reason}")]
    RateLimited { reason: String },
    /// The queue's or the disk's bound is reached; what waits is safe and the client should come back.
    #[error("queue is full, retry later")]
    QueueFull,
    #[error("the broker is away and the spool is full (queue.spool-max-bytes), retry later")]
    SpoolFull,
    #[error("the broker is away and its spool cannot be written (disk full or failing), retry later")]
    SpoolUnwritable,
    #[error("what is received cannot be written (disk full or failing), retry later")]
    Unwritable,
    #[error("failed to queue envelope: the queue does not answer, retry later")]
    NotQueued,
    #[error("the service is overloaded")]
    Overloaded,
    #[error("the service is shutting down")]
    ShuttingDown,
    #[error("request was not handled in time")]
    HandlerTimeout,
    #[error("internal error")]
    Internal,
}

impl Refusal {
    pub const fn status(&self) -> u16 {
        self.row().0
    }

    /// Returns the reason under which the refusal is counted; one of a closed set.
    pub const fn reason(&self) -> &'static str {
        self.row().1
    }

    const fn row(&self) -> (u16, &'static str) {
        match self {
            Refusal::MissingAuth => (401, "auth_missing"),
            Refusal::MultipleAuth => (401, "auth_multiple"),
            Refusal::BadAuthHeader { .. } => (401, "auth_invalid"),
            Refusal::BadEnvelopeAuth => (401, "auth_envelope"),
            Refusal::BadPublicKey => (400, "auth_public_key"),
            Refusal::BadProjectPath => (400, "project_path"),
            Refusal::UnsupportedVersion(_) => (400, "auth_version"),
            Refusal::UnknownProject => (403, "project_id"),
            Refusal::OriginNotAllowed => (403, "cors"),
            Refusal::EmptyBody => (400, "no_data"),
            Refusal::InvalidBody { .. } => (400, "invalid_compression"),
            Refusal::InvalidJson { .. } => (400, "invalid_json"),
            Refusal::InvalidEnvelope { .. } => (400, "invalid_envelope"),
            Refusal::InvalidMultipart { .. } => (400, "invalid_multipart"),
            Refusal::MissingMinidump => (400, "missing_minidump_upload"),
            Refusal::InvalidMinidump => (400, "invalid_minidump"),
            Refusal::InvalidReport { .. } => (400, "security_report"),
            Refusal::InvalidEventId => (400, "invalid_event_id"),
            Refusal::OverLimit(_) => (413, "too_large"),
            Refusal::BodyTooLarge { .. } => (413, "too_large"),
            Refusal::UnsupportedMediaType => (415, "content_type"),
            Refusal::UnknownEndpoint => (404, "unknown_endpoint"),
            Refusal::MethodNotAllowed => (405, "method"),
            Refusal::BodyTimeout => (408, "body_timeout"),
            Refusal::RateLimited { .. } => (429, "rate_limited"),
            Refusal::QueueFull => (429, "queue_full"),
            Refusal::SpoolFull => (503, "spool_full"),
            Refusal::SpoolUnwritable => (503, "spool_unwritable"),
            Refusal::Unwritable => (503, "unwritable"),
            Refusal::NotQueued => (503, "not_queued"),
            Refusal::Overloaded => (503, "overloaded"),
            Refusal::ShuttingDown => (503, "shutting_down"),
            Refusal::HandlerTimeout => (504, "handler_timeout"),
            Refusal::Internal => (500, "internal"),
        }
    }

    /// Returns what stands behind the detail, outermost first; often empty.
    pub fn causes(&self) -> Vec<Cow<'_, str>> {
        match self {
            Refusal::BadAuthHeader { cause } => vec![Cow::Borrowed(*cause)],
            Refusal::InvalidBody { causes } | Refusal::InvalidEnvelope { causes } => {
                causes.iter().map(|cause| Cow::Borrowed(cause.as_str())).collect()
            }
            Refusal::InvalidMultipart { cause } => vec![Cow::Borrowed(cause.as_str())],
            Refusal::MissingAuth
            | Refusal::MultipleAuth
            | Refusal::BadEnvelopeAuth
            | Refusal::BadPublicKey
            | Refusal::BadProjectPath
            | Refusal::UnsupportedVersion(_)
            | Refusal::UnknownProject
            | Refusal::OriginNotAllowed
            | Refusal::EmptyBody
            | Refusal::InvalidJson { .. }
            | Refusal::MissingMinidump
            | Refusal::InvalidMinidump
            | Refusal::InvalidReport { .. }
            | Refusal::InvalidEventId
            | Refusal::OverLimit(_)
            | Refusal::BodyTooLarge { .. }
            | Refusal::UnsupportedMediaType
            | Refusal::UnknownEndpoint
            | Refusal::MethodNotAllowed
            | Refusal::BodyTimeout
            | Refusal::RateLimited { .. }
            | Refusal::QueueFull
            | Refusal::SpoolFull
            | Refusal::SpoolUnwritable
            | Refusal::Unwritable
            | Refusal::NotQueued
            | Refusal::Overloaded
            | Refusal::ShuttingDown
            | Refusal::HandlerTimeout
            | Refusal::Internal => Vec::new(),
        }
    }

    /// Returns the JSON body: `{"detail": …, "causes": […]}`, without `causes` when there are none.
    pub fn json(&self) -> String {
        #[derive(serde::Serialize)]
        struct Body<'a> {
            detail: String,
            #[serde(skip_serializing_if = "Vec::is_empty")]
            causes: Vec<Cow<'a, str>>,
        }
        let body = Body { detail: self.to_string(), causes: self.causes() };
        serde_json::to_string(&body).expect("two text fields always serialize")
    }

    /// Returns the text of `X-Sentry-Error`: the detail in printable ASCII, at most `HEADER_TEXT_BYTES_MAX` bytes.
    pub fn header_text(&self) -> String {
        printable_ascii(&self.to_string())
    }
}

/// Returns `text` with everything that is not printable ASCII replaced, cut to what fits into `X-Sentry-Error`.
pub fn printable_ascii(text: &str) -> String {
    let printable = |character: char| if matches!(character, ' '..='~') { character } else { '?' };
    text.chars().take(HEADER_TEXT_BYTES_MAX).map(printable).collect()
}

/// Returns the body of a success: `{"id":"…"}`, or `{}` when nothing event-bound was inside.
pub fn success_json(event_id: Option<EventId>) -> String {
    match event_id {
        Some(id) => format!("{{\"id\":\"{id}\"}}"),
        None => "{}".to_owned(),
    }
}

/// Returns the messages of `error` and of its sources.
fn chain(error: &dyn Error) -> Vec<String> {
    let mut messages = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next.filter(|_| messages.len() < CAUSES_MAX) {
        messages.push(error.to_string());
        next = error.source();
    }
    messages
}

// Each of these names the statuses of a closed error of this crate; there is no conversion from errors in general.

impl From<EncodingError> for Refusal {
    fn from(error: EncodingError) -> Self {
        match error {
            EncodingError::TooLarge { limit } => Refusal::BodyTooLarge { limit },
            EncodingError::Unsupported { .. } | EncodingError::Several | EncodingError::Corrupt { .. } => {
                Refusal::InvalidBody { causes: chain(&error) }
            }
        }
    }
}

impl From<LegacyError> for Refusal {
    fn from(error: LegacyError) -> Self {
        match error {
            LegacyError::Empty => Refusal::EmptyBody,
            LegacyError::Base64(_) => Refusal::InvalidBody { causes: chain(&error) },
            LegacyError::Encoding(error) => error.into(),
        }
    }
}

impl From<EnvelopeError> for Refusal {
    fn from(error: EnvelopeError) -> Self {
        match error {
            EnvelopeError::Empty => Refusal::EmptyBody,
            EnvelopeError::TooManyItems => Refusal::OverLimit(LimitError::TooManyItems),
            EnvelopeError::Header(_)
            | EnvelopeError::ItemHeader(_)
            | EnvelopeError::HeaderTooLong
            | EnvelopeError::MissingNewline
            | EnvelopeError::UnexpectedEnd
            | EnvelopeError::InternalItem => Refusal::InvalidEnvelope { causes: chain(&error) },
        }
    }
}

impl From<LimitError> for Refusal {
    fn from(error: LimitError) -> Self {
        Refusal::OverLimit(error)
    }
}
