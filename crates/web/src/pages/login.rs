//! Log in and out.

use super::{html, is_secure};
use crate::error::PageError;
use crate::shell::Shell;
use crate::state::WebState;
use crate::viewer::{self, Browser};
use crate::{cookies, local_path};
use askama::Template;
use axum::extract::{Form, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use ops::sessions::{self, LogIn};
use ops::{Actor, ApiError};
use serde::Deserialize;
use stdx::Redacted;

#[derive(Template)]
#[template(path = "login.html")]
pub(super) struct LoginPage {
    pub shell: Shell,
    pub next: String,
    pub email: String,
    pub problem: Option<String>,
}

#[derive(Deserialize)]
pub struct LoginQuery {
    next: Option<String>,
}

#[derive(Deserialize)]
pub struct LoginForm {
    email: String,
    password: String,
    next: Option<String>,
}

/// `GET /auth/login/`: the form; who has a session goes on at once.
pub async fn show(
    State(state): State<WebState>,
    browser: Browser,
    headers: HeaderMap,
    Query(query): Query<LoginQuery>,
) -> Result<Response, PageError> {
    let next = local_path::or_home(query.next.as_deref());
    if let Actor::User(_) = viewer::actor(&headers, &state).await? {
        return Ok(Redirect::to(next).into_response());
    }
    form(&state, &browser, next, "", None)
}

/// `POST /auth/login/`: opens a session and goes to `next`.
pub async fn log_in(
    State(state): State<WebState>,
    browser: Browser,
    headers: HeaderMap,
    Form(input): Form<LoginForm>,
) -> Result<Response, PageError> {
    let next = local_path::or_home(input.next.as_deref());
    let user_agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    let attempt = LogIn {
        email: input.email.clone(),
        password: Redacted::new(input.password),
        address: browser.address,
        user_agent: user_agent.to_owned(),
    };
    let (status, problem) = match sessions::log_in(&state.ops, attempt).await {
        Ok(opened) => {
            let cookie = cookies::session(opened.token.expose(), is_secure(&state));
            return Ok((AppendHeaders([(header::SET_COOKIE, cookie)]), Redirect::to(next)).into_response());
        }
        Err(ApiError::WrongPassword | ApiError::Invalid { .. }) => {
            (StatusCode::UNAUTHORIZED, "Email or password is wrong.".to_owned())
        }
        Err(ApiError::RateLimited { retry_after }) => {
            let wait = crate::format::span(retry_after.max(std::time::Duration::from_secs(1)));
            (StatusCode::TOO_MANY_REQUESTS, format!("Too many attempts. Try again in {wait}."))
        }
        Err(error) => return Err(error.into()),
    };
    Ok((status, form(&state, &browser, next, &input.email, Some(problem))?).into_response())
}

/// `POST /auth/logout/`: ends the session.
pub async fn log_out(State(state): State<WebState>, headers: HeaderMap) -> Result<Response, PageError> {
    if let Some(token) = cookies::read(&headers, sessions::SESSION_COOKIE) {
        sessions::log_out(&state.ops, token).await?;
    }
    let cookie = cookies::end_session(is_secure(&state));
    Ok((AppendHeaders([(header::SET_COOKIE, cookie)]), Redirect::to("/auth/login/")).into_response())
}

fn form(
    state: &WebState,
    browser: &Browser,
    next: &str,
    email: &str,
    problem: Option<String>,
) -> Result<Response, PageError> {
    let shell = Shell::anonymous(state, browser, "Log in");
    html(&LoginPage { shell, next: next.to_owned(), email: email.to_owned(), problem })
}
