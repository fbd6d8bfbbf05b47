//! Why a page could not be shown. Each kind names its status; the body never shows internals, only an incident id that
//! leads to the log line.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use ops::ApiError;

/// Why a page could not be shown.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// The person must log in first; `next` is where they wanted to go.
    #[error("login is needed")]
    LoginNeeded { next: String },
    #[error("the operation was refused or failed")]
    Refused(#[source] ApiError),
    #[error("the page could not be rendered")]
    Render(#[source] askama::Error),
}

/// What the error page says; travels in the response's extensions to the middleware that draws it.
#[derive(Clone, Debug)]
pub struct ErrorFacts {
    pub status: StatusCode,
    pub incident: Option<String>,
    /// A sentence for people, ours.
    pub detail: Option<String>,
}

impl From<ApiError> for PageError {
    /// Every refusal of an operation carries its own status, so nothing is decided here.
    fn from(error: ApiError) -> PageError {
        PageError::Refused(error)
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let error = match self {
            PageError::LoginNeeded { next } => {
                let query = crate::format::query_string(&[("next", &next)]);
                return Redirect::to(&format!("/auth/login/{query}")).into_response();
            }
            PageError::Refused(error) => error,
            PageError::Render(error) => ApiError::Store { what: "render a page", source: Box::new(error) },
        };
        let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let incident = status.is_server_error().then(stdx::random::hex::<6>);
        if let Some(incident) = &incident {
            let error: &dyn std::error::Error = &error;
            let cause = error.source().map(ToString::to_string);
            tracing::error!(incident.id = %incident, error = %error, error.cause = cause, "page failed");
        }
        // Why somebody may not is as much worth saying as what is wrong with a form.
        let is_for_people = matches!(
            error,
            ApiError::Invalid { .. }
                | ApiError::Conflict { .. }
                | ApiError::SuperuserNeeded
                | ApiError::PermissionMissing { .. }
                | ApiError::Refused { .. }
        );
        let detail = is_for_people.then(|| error.detail());
        facts_response(ErrorFacts { status, incident, detail })
    }
}

/// Returns an empty response that the error page's middleware fills.
pub fn facts_response(facts: ErrorFacts) -> Response {
    let mut response = facts.status.into_response();
    response.extensions_mut().insert(facts);
    response
}
