//! What every response of the pages carries: the content policy, the other guards, and gzip for pages.
//!
//! Nothing here depends on who asks. A response that sets its own policy (raw JSON, attachments) keeps it.

use crate::assets::{accepts_gzip, gzip};
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::Response;
use flate2::Compression;

/// No inline script or style, no other host, no frame around us.
const CONTENT_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
/// For bodies that strangers wrote: nothing runs, not even as a document of ours.
pub const SANDBOX_POLICY: &str = "default-src 'none'; sandbox; frame-ancestors 'none'";

/// `same-origin` and not `no-referrer`: with the latter browsers send `Origin: null` with forms, and the origin check
/// could not tell them from a stranger's.
const GUARDS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "same-origin"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=(), payment=()"),
];

/// A page smaller than this gains nothing from compression.
const GZIP_BYTES_MIN: usize = 1_024;
/// A page is rendered whole in memory; more than this is a mistake somewhere, and is left as it is.
const GZIP_BYTES_MAX: usize = 32 << 20;

/// Middleware: adds the guards, and compresses HTML for who takes it.
pub async fn guard(request: Request, next: Next) -> Response {
    let takes_gzip = accepts_gzip(request.headers()) && *request.method() != Method::HEAD;
    let mut response = next.run(request).await;
    for (name, value) in GUARDS {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    let is_html =
        response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    if !is_html {
        return response;
    }
    let headers = response.headers_mut();
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("private, no-cache"));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding, cookie"));
    if takes_gzip { compress(response).await } else { response }
}

async fn compress(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let Ok(plain) = axum::body::to_bytes(body, GZIP_BYTES_MAX).await else {
        // Pages are whole in memory, so reading one cannot fail short of the bound.
        tracing::error!("page larger than the bound for compression");
        parts.status = axum::http::StatusCode::INTERNAL_SERVER_ERROR;
        return Response::from_parts(parts, Body::empty());
    };
    if plain.len() < GZIP_BYTES_MIN {
        return Response::from_parts(parts, Body::from(plain));
    }
    parts.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(gzip(&plain, Compression::fast())))
}
