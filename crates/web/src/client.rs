//! The web API from within the process: `get`, `put`, `post` and `delete` on its paths, through the same routes as over
//! HTTP and without a socket, so that results and error bodies cannot differ.
//!
//! Who calls is said when the client is made and decides as a token's holder would: there is no flag for trust, so a
//! client may do what its caller may and nothing else.

use crate::api;
use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, header};
use bytes::Bytes;
use ops::{Caller, Ops};
use serde::Serialize;
use serde_json::{Value, json};
use std::sync::Arc;
use tower::ServiceExt;

/// Longest answer that is read; a page of the API is far below.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// The API as one caller sees it.
pub struct ApiClient {
    router: Router,
    caller: Caller,
}

/// What the API answered with a status below 400.
#[derive(Clone, Debug)]
pub struct ApiReply {
    pub status: u16,
    pub body: Bytes,
    /// The ways to the neighbouring pages of a list.
    pub link: Option<String>,
}

/// What the API refused, in the status and body of HTTP.
#[derive(Clone, Debug, thiserror::Error)]
#[error("status={status} body={body}")]
pub struct ApiFailure {
    pub status: u16,
    pub body: Value,
}

impl ApiReply {
    /// Returns the body as JSON; `null` where there is none, or it is something else.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

impl ApiClient {
    pub fn new(ops: Arc<Ops>, caller: Caller) -> ApiClient {
        ApiClient { router: api::router(ops), caller }
    }

    /// # Errors
    /// What the API refused; so for all methods. A path may leave `/api/0` out, and may have a query.
    pub async fn get(&self, path: &str) -> Result<ApiReply, ApiFailure> {
        self.send(Method::GET, path, None).await
    }

    /// # Errors
    /// As `get`.
    pub async fn put(&self, path: &str, data: &impl Serialize) -> Result<ApiReply, ApiFailure> {
        self.send(Method::PUT, path, Some(json!(data))).await
    }

    /// # Errors
    /// As `get`.
    pub async fn post(&self, path: &str, data: &impl Serialize) -> Result<ApiReply, ApiFailure> {
        self.send(Method::POST, path, Some(json!(data))).await
    }

    /// # Errors
    /// As `get`.
    pub async fn delete(&self, path: &str) -> Result<ApiReply, ApiFailure> {
        self.send(Method::DELETE, path, None).await
    }

    /// # Errors
    /// As `get`.
    pub async fn send(&self, method: Method, path: &str, data: Option<Value>) -> Result<ApiReply, ApiFailure> {
        let path = path.strip_prefix(api::PREFIX).unwrap_or(path);
        let data = data.map(|data| data.to_string()).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(format!("{}/{}", api::PREFIX, path.trim_start_matches('/')))
            .extension(api::InProcess(self.caller.clone()))
            .body(Body::from(data));
        // What is no path leads nowhere, and is answered as such.
        let Ok(request) = request else { return Err(failure(404, b"")) };
        let Ok(response) = self.router.clone().oneshot(request).await;
        let (parts, body) = response.into_parts();
        let status = parts.status.as_u16();
        let Ok(body) = axum::body::to_bytes(body, ANSWER_BYTES_MAX).await else { return Err(failure(500, b"")) };
        if parts.status.is_client_error() || parts.status.is_server_error() {
            return Err(failure(status, &body));
        }
        let link = parts.headers.get(header::LINK).and_then(|link| link.to_str().ok()).map(str::to_owned);
        Ok(ApiReply { status, body, link })
    }
}

fn failure(status: u16, body: &[u8]) -> ApiFailure {
    let body = serde_json::from_slice(body).unwrap_or_else(|_| json!({"detail": "The request led nowhere."}));
    ApiFailure { status, body }
}
