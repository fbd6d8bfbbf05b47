//! The way in and out of the API: bounded body, actor, scope, handler, answer or error.

use super::authenticate;
use super::request::{Answer, ApiRequest};
use super::routes::RouteInfo;
use axum::body::Body;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{RawPathParams, Request};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter};
use http::request::Parts;
use http::{HeaderValue, StatusCode, header};
use ops::{ApiError, Caller, Ops};
use serde_json::json;
use std::future::Future;
use std::sync::Arc;

/// Longest body of an API request; today's bodies are a few hundred bytes.
const BODY_BYTES_MAX: usize = 256 << 10;

/// The number of a request, as the audit log has it.
const REQUEST_ID: &str = "x-request-id";

/// Adds a route to what its path answers already.
pub(super) fn add(
    methods: MethodRouter,
    filter: MethodFilter,
    ops: Arc<Ops>,
    route: &'static RouteInfo,
) -> MethodRouter {
    methods.on(filter, move |params: Result<RawPathParams, RawPathParamsRejection>, request: Request| async move {
        // A path whose parts are not UTF-8 names nothing.
        let Ok(params) = params else { return refusal(&ApiError::NotFound) };
        let (parts, body) = request.into_parts();
        let caller = match authenticate::caller(&ops, &parts).await {
            Ok(caller) => caller,
            Err(error) => return refusal(&error),
        };
        let answered = within(&caller, run(ops, route, &caller, &params, (parts, body))).await;
        let mut response = answered.map_or_else(|error| refusal(&error), IntoResponse::into_response);
        if let Ok(id) = HeaderValue::from_str(caller.request_id()) {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        response
    })
}

/// Gives up when nobody waits for the answer any more.
async fn within<T>(caller: &Caller, work: impl Future<Output = Result<T, ApiError>>) -> Result<T, ApiError> {
    match caller.deadline() {
        None => work.await,
        Some(deadline) => tokio::time::timeout_at(deadline.into(), work).await.unwrap_or(Err(ApiError::TimedOut)),
    }
}

async fn run(
    ops: Arc<Ops>,
    route: &'static RouteInfo,
    caller: &Caller,
    params: &RawPathParams,
    (parts, body): (Parts, Body),
) -> Result<Answer, ApiError> {
    caller.require_known()?;
    if let Some(scope) = route.scope {
        caller.require(scope)?;
    }
    let body = axum::body::to_bytes(body, BODY_BYTES_MAX)
        .await
        .map_err(|_| ApiError::invalid("The body could not be read or is too large."))?;
    let request = ApiRequest::new(ops, caller.clone(), &parts, params, body);
    (route.run)(request).await
}

/// Renders an error as Sentry does: `{"detail": …}`. Internal causes are logged here, once, and not shown.
pub(super) fn refusal(error: &ApiError) -> Response {
    match error.log_level() {
        Some(tracing::Level::ERROR) => {
            tracing::error!(error = %error, cause = %causes(error), "api request failed");
        }
        Some(_) => tracing::debug!(error = %error, "api request refused"),
        None => {}
    }
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = detail(status, &error.detail());
    match error {
        ApiError::RateLimited { retry_after } => {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(retry_after.as_secs().max(1)));
        }
        ApiError::Unauthenticated | ApiError::InvalidToken => {
            let scheme = HeaderValue::from_static("Bearer realm=\"api\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        }
        ApiError::WrongPassword
        | ApiError::Forbidden { .. }
        | ApiError::SuperuserNeeded
        | ApiError::PermissionMissing { .. }
        | ApiError::Refused { .. }
        | ApiError::TimedOut
        | ApiError::NotFound
        | ApiError::Invalid { .. }
        | ApiError::Conflict { .. }
        | ApiError::Queue { .. }
        | ApiError::Store { .. } => {}
    }
    response
}

fn causes(error: &ApiError) -> String {
    let mut chain = Vec::new();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        chain.push(cause.to_string());
        source = cause.source();
    }
    chain.join(": ")
}

pub(super) async fn unknown_path() -> Response {
    refusal(&ApiError::NotFound)
}

pub(super) async fn method_not_allowed(method: http::Method) -> Response {
    detail(StatusCode::METHOD_NOT_ALLOWED, &format!("Method \"{method}\" not allowed."))
}

fn detail(status: StatusCode, text: &str) -> Response {
    let body = Body::from(json!({ "detail": text }).to_string());
    (status, [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")], body).into_response()
}
