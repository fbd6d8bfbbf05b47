//! Who asks: a bearer token, or the session of somebody who reads in the browser.

use axum::http::request::Parts;
use http::{Method, header};
use ops::sessions::{self, SESSION_COOKIE};
use ops::{Actor, ApiError, Caller, Channel, Ops, tokens};
use std::time::Duration;

/// Who calls from within the process: an extension of the request, which no socket can bring along.
#[derive(Clone, Debug)]
pub(crate) struct InProcess(pub Caller);

/// Longest time a request may take; whoever sent it has given up by then.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(60);

/// Returns who sent the request, and how long it may take.
pub(super) async fn caller(ops: &Ops, parts: &Parts) -> Result<Caller, ApiError> {
    match parts.extensions.get::<InProcess>() {
        Some(InProcess(caller)) => Ok(caller.clone()),
        None => Ok(Caller::new(actor(ops, parts).await?, Channel::Api).within(REQUEST_TIME_MAX)),
    }
}

/// Returns who sent the request. A cookie counts for reading only: a page of somebody else can make a browser send it,
/// but cannot read the answer; what changes something needs a token, which no browser adds on its own.
async fn actor(ops: &Ops, parts: &Parts) -> Result<Actor, ApiError> {
    if let Some(value) = parts.headers.get(header::AUTHORIZATION) {
        let text = value.to_str().map_err(|_| ApiError::InvalidToken)?;
        let token = bearer(text).ok_or(ApiError::InvalidToken)?;
        return tokens::authenticate(ops, token).await;
    }
    let is_reading = parts.method == Method::GET || parts.method == Method::HEAD;
    match session_cookie(parts) {
        Some(token) if is_reading => sessions::lookup(ops, token).await,
        _ => Ok(Actor::Anonymous),
    }
}

fn bearer(text: &str) -> Option<&str> {
    let (scheme, token) = text.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

fn session_cookie(parts: &Parts) -> Option<&str> {
    let headers = parts.headers.get_all(header::COOKIE).iter();
    let pairs = headers.filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(';'));
    pairs.filter_map(|pair| pair.trim().split_once('=')).find(|(name, _)| *name == SESSION_COOKIE).map(|(_, v)| v)
}
