//! Answers of the SDK endpoints: success bodies, refusals with `X-Sentry-Error`, and the CORS headers that every one of
//! them carries (without them a browser SDK cannot read its rate limits).

use crate::server::Body;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use protocol::cors;
use protocol::response::Refusal;

/// Seconds a client is told to wait when the queue is full or the disk is: long enough to drain, short enough to lose
/// little.
pub const RETRY_AFTER_SECONDS: u64 = 30;

pub fn body(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// 200 with `{"id": …}`.
pub fn accepted(event_id: Option<protocol::EventId>) -> Response<Body> {
    let text = match event_id {
        Some(id) => format!("{{\"id\":\"{id}\"}}"),
        None => "{}".to_owned(),
    };
    let mut response = Response::new(body(text));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    add_cors(response.headers_mut());
    response
}

/// 200 without a word: browsers that report do not listen.
pub fn empty() -> Response<Body> {
    let mut response = Response::new(body(Bytes::new()));
    add_cors(response.headers_mut());
    response
}

/// 200 with the id as crash reporters know ids, as text.
pub fn crash_accepted(event_id: protocol::EventId) -> Response<Body> {
    let mut response = Response::new(body(event_id.hyphenated()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    add_cors(response.headers_mut());
    response
}

/// 200 with the 1×1 transparent GIF that `GET store/` answers.
pub fn pixel() -> Response<Body> {
    const GIF: &[u8] = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\xff\xff\xff\x00\x00\x00!\xf9\x04\x01\x00\x00\x00\x00,\
        \x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;";
    let mut response = Response::new(body(GIF));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("image/gif"));
    add_cors(response.headers_mut());
    response
}

/// The answer to a preflight: 200, empty, with what the page asked for allowed.
pub fn preflight(requested_headers: Option<&str>) -> Response<Body> {
    let mut response = Response::new(body(Bytes::new()));
    let headers = response.headers_mut();
    add_cors(headers);
    for (name, value) in cors::preflight_headers(requested_headers) {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
    response
}

/// An error: status, JSON body, `X-Sentry-Error`, and how long to wait where waiting helps.
pub fn refused(refusal: &Refusal) -> Response<Body> {
    let mut response = Response::new(body(refusal.json()));
    *response.status_mut() = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::BAD_REQUEST);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Ok(text) = HeaderValue::from_str(&refusal.header_text()) {
        headers.insert("x-sentry-error", text);
    }
    if matches!(refusal.status(), 429 | 503) {
        headers.insert(RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS));
    }
    if refusal.status() == 429 {
        let limits = format!("{RETRY_AFTER_SECONDS}::organization:queue_full");
        if let Ok(limits) = HeaderValue::from_str(&limits) {
            headers.insert("x-sentry-rate-limits", limits);
        }
    }
    add_cors(headers);
    response
}

fn add_cors(headers: &mut HeaderMap) {
    for (name, value) in cors::RESPONSE_HEADERS {
        headers.insert(*name, HeaderValue::from_static(value));
    }
}
