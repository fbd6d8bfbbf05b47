//! A request of the API as handlers see it, and what they answer.

use super::file_body::FileBody;
use super::pagination;
use axum::body::Body;
use axum::extract::RawPathParams;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use ops::events::EventRef;
use ops::issues::IssueRef;
use ops::projects::ProjectRef;
use ops::{ApiError, Caller, Ops, Page, PageRequest};
use serde_json::Value;
use std::sync::Arc;

/// A request whose sender is known and whose body was read.
pub(super) struct ApiRequest {
    pub ops: Arc<Ops>,
    pub caller: Caller,
    /// Path with prefix, for links.
    pub path: String,
    pub query: Vec<(String, String)>,
    pub body: Bytes,
    params: Vec<(String, String)>,
}

/// What a handler answers.
pub(super) enum Answer {
    Json(StatusCode, Value),
    Page {
        rows: Value,
        link: String,
    },
    /// JSON text as it is.
    JsonText(Vec<u8>),
    Download {
        name: String,
        body: FileBody,
    },
    Nothing,
}

impl ApiRequest {
    pub fn new(ops: Arc<Ops>, caller: Caller, parts: &Parts, params: &RawPathParams, body: Bytes) -> ApiRequest {
        ApiRequest {
            ops,
            caller,
            path: parts.uri.path().to_owned(),
            query: pagination::query_pairs(parts.uri.query().unwrap_or_default()),
            body,
            params: params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        }
    }

    /// Returns a path parameter; a name the route does not have is empty and so finds nothing.
    pub fn param(&self, name: &str) -> &str {
        self.params.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// Returns a query parameter's first value.
    pub fn first(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Returns every value of a query parameter that may be repeated; empty ones are left out.
    pub fn all(&self, name: &str) -> Vec<String> {
        let values = self.query.iter().filter(|(key, value)| key == name && !value.is_empty());
        values.map(|(_, value)| value.clone()).collect()
    }

    pub fn project(&self) -> ProjectRef {
        ProjectRef { org: self.param("org").to_owned(), project: self.param("project").to_owned() }
    }

    pub fn event(&self) -> EventRef {
        EventRef { project: self.project(), event_id: self.param("event_id").to_owned() }
    }

    /// The issue of the path, within the path's organization where the path names one.
    pub fn issue(&self) -> IssueRef {
        let org = self.param("org");
        IssueRef { org: (!org.is_empty()).then(|| org.to_owned()), issue: self.param("issue").to_owned() }
    }

    /// # Errors
    /// `Invalid` if `limit` or `per_page` is not a number.
    pub fn page(&self) -> Result<PageRequest, ApiError> {
        let limit = match self.first("per_page").or_else(|| self.first("limit")) {
            None | Some("") => None,
            Some(text) => {
                Some(text.parse().map_err(|_| ApiError::invalid("Invalid limit parameter: a number is expected."))?)
            }
        };
        Ok(PageRequest { cursor: self.first("cursor").map(str::to_owned), limit })
    }

    /// # Errors
    /// `Invalid` if the body is not a JSON object.
    pub fn json(&self) -> Result<Value, ApiError> {
        match serde_json::from_slice(&self.body) {
            Ok(value @ Value::Object(_)) => Ok(value),
            Ok(_) | Err(_) => Err(ApiError::invalid("JSON parse error: an object is expected.")),
        }
    }

    /// Answers a page of a list with its `Link` header.
    pub fn answer_page<T>(&self, page: &Page<T>, shape: impl Fn(&T) -> Value) -> Answer {
        let base = format!("{}{}", self.ops.public_url(), self.path);
        Answer::Page {
            rows: page.items.iter().map(shape).collect(),
            link: pagination::link(&base, &self.query, &page.previous, &page.next),
        }
    }
}

impl Answer {
    pub fn ok(value: Value) -> Answer {
        Answer::Json(StatusCode::OK, value)
    }

    pub fn list<T>(items: &[T], shape: impl Fn(&T) -> Value) -> Answer {
        Answer::ok(items.iter().map(shape).collect())
    }
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let private = (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        match self {
            Answer::Json(status, value) => {
                (status, [(header::CONTENT_TYPE, JSON), private], value.to_string()).into_response()
            }
            Answer::Page { rows, link } => {
                let mut response = ([(header::CONTENT_TYPE, JSON), private], rows.to_string()).into_response();
                // Link texts are made of percent-encoded parts and always fit a header.
                if let Ok(link) = HeaderValue::from_str(&link) {
                    response.headers_mut().insert(header::LINK, link);
                }
                response
            }
            Answer::JsonText(text) => ([(header::CONTENT_TYPE, JSON), private], text).into_response(),
            Answer::Download { name, body } => download(&name, body),
            Answer::Nothing => StatusCode::NO_CONTENT.into_response(),
        }
    }
}

/// Content of strangers is never shown by the browser, only saved: no type of theirs, no sniffing, no scripts.
fn download(name: &str, body: FileBody) -> Response {
    let disposition = format!("attachment; filename=\"attachment\"; filename*=UTF-8''{}", pagination::encoded(name));
    let disposition = HeaderValue::from_str(&disposition).unwrap_or(HeaderValue::from_static("attachment"));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")),
        (header::CONTENT_DISPOSITION, disposition),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox; default-src 'none'")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (headers, Body::new(body)).into_response()
}
