//! The page for what could not be shown: it says what happened in a sentence, and an incident id that is in the log.

use crate::error::{ErrorFacts, facts_response};
use crate::shell::Shell;
use crate::state::WebState;
use crate::viewer::Browser;
use askama::Template;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Response as HttpResponse, StatusCode, header};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Response};
use std::any::Any;

#[derive(Template)]
#[template(path = "error.html")]
pub(super) struct ErrorPage {
    pub shell: Shell,
    pub status: u16,
    pub heading: &'static str,
    pub sentence: String,
    pub incident: Option<String>,
}

/// The fallback for paths nobody serves.
pub async fn unknown_path() -> Response {
    facts_response(ErrorFacts { status: StatusCode::NOT_FOUND, incident: None, detail: None })
}

/// The answer to a form that another site sent.
pub fn foreign_origin() -> HttpResponse<Body> {
    let detail = Some("The form came from another site, so it was not taken.".to_owned());
    facts_response(ErrorFacts { status: StatusCode::FORBIDDEN, incident: None, detail })
}

/// The answer when a handler panicked; the panic itself is already in the log.
pub fn panicked(_panic: Box<dyn Any + Send + 'static>) -> HttpResponse<Body> {
    let incident = stdx::random::hex::<6>();
    tracing::error!(incident.id = %incident, "page panicked");
    facts_response(ErrorFacts { status: StatusCode::INTERNAL_SERVER_ERROR, incident: Some(incident), detail: None })
}

/// Middleware: draws the error page into responses that are errors without a page: our own refusals, and those of the
/// router and the extractors, whose text is not for people.
pub async fn draw(State(state): State<WebState>, request: Request, next: Next) -> Response {
    let browser = Browser::of_request(&request);
    let has_notice = browser.notice.is_some();
    let mut response = next.run(request).await;
    let is_error = response.status().is_client_error() || response.status().is_server_error();
    let is_page =
        response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    if is_error && !is_page {
        let status = response.status();
        let facts = response.extensions_mut().remove::<ErrorFacts>();
        let facts = facts.unwrap_or(ErrorFacts { status, incident: None, detail: None });
        return page(&state, &browser, facts);
    }
    // A notice is shown once: on the first page after the form.
    if has_notice && is_page {
        response.headers_mut().append(header::SET_COOKIE, crate::cookies::end_notice());
    }
    response
}

fn page(state: &WebState, browser: &Browser, facts: ErrorFacts) -> Response {
    let heading = heading(facts.status);
    let sentence = facts.detail.unwrap_or_else(|| sentence(facts.status).to_owned());
    let shell = Shell::anonymous(state, browser, heading);
    let page = ErrorPage { shell, status: facts.status.as_u16(), heading, sentence, incident: facts.incident };
    // The error page has nothing that can fail to render; if it does, the status must do.
    let body = page.render().map(Html).ok();
    (facts.status, body.ok_or(facts.status)).into_response()
}

fn heading(status: StatusCode) -> &'static str {
    match status {
        StatusCode::NOT_FOUND => "Not found",
        StatusCode::FORBIDDEN => "Not permitted",
        StatusCode::METHOD_NOT_ALLOWED => "Not a page",
        StatusCode::PAYLOAD_TOO_LARGE => "Too large",
        status if status.is_server_error() => "Something broke on our side",
        _ => "That request could not be read",
    }
}

fn sentence(status: StatusCode) -> &'static str {
    match status {
        StatusCode::NOT_FOUND => "There is nothing at this address, or nothing you may see.",
        StatusCode::FORBIDDEN => "Your account may not do this. An owner of the organization can change that.",
        StatusCode::METHOD_NOT_ALLOWED => "This address takes forms only.",
        StatusCode::PAYLOAD_TOO_LARGE => "The form is larger than any of ours.",
        status if status.is_server_error() => "The page could not be made. Events are taken and stored all the same.",
        _ => "Something in the address or the form is not valid.",
    }
}
