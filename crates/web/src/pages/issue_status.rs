//! Resolve, ignore and unresolve: one issue or many, by a plain form.

use crate::components::notice::Notice;
use crate::error::PageError;
use crate::state::WebState;
use crate::viewer::Viewer;
use crate::{cookies, local_path};
use axum::extract::{Form, State};
use axum::http::header;
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use ops::ApiError;
use ops::issues::{self, IssueStatus, UpdateIssues};

/// `POST /issues/update/` with `id` (any number of times), `status`, `undo` and `next`; then back to `next` with a notice.
pub async fn update(
    State(state): State<WebState>,
    viewer: Viewer,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, PageError> {
    let find = |name: &str| fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let next = local_path::or_home(find("next"));
    let status = find("status").and_then(IssueStatus::parse);
    let status = status.ok_or_else(|| ApiError::invalid("The form names no state."))?;
    let undo = find("undo").and_then(IssueStatus::parse).unwrap_or(IssueStatus::Unresolved);
    let ids: Vec<String> = fields.iter().filter(|(key, _)| key == "id").map(|(_, value)| value.clone()).collect();
    if ids.is_empty() {
        return Ok(Redirect::to(next).into_response());
    }
    let input = UpdateIssues { org: None, projects: vec![], issues: ids, status };
    let changed = issues::update(&state.ops, &viewer.caller, input).await?;
    let ids = changed.iter().map(|issue| issue.id).collect();
    let notice = Notice { status, undo, ids, path: next.to_owned() };
    Ok((AppendHeaders([(header::SET_COOKIE, cookies::notice(&notice.text()))]), Redirect::to(next)).into_response())
}
