//! Deleting an issue, by a form that says what it does.

use crate::error::PageError;
use crate::local_path;
use crate::state::WebState;
use crate::viewer::Viewer;
use axum::extract::{Form, Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use ops::ApiError;
use ops::issues::{self, DeleteIssues};

/// `POST /issues/{id}/delete/` with `sure` and `next`.
pub async fn delete(
    State(state): State<WebState>,
    viewer: Viewer,
    Path(id): Path<String>,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, PageError> {
    let find = |name: &str| fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    if find("sure") != Some("yes") {
        return Err(ApiError::invalid("Deleting an issue needs the box to be ticked: it cannot be undone.").into());
    }
    let input = DeleteIssues { org: None, projects: vec![], issues: vec![id] };
    issues::delete(&state.ops, &viewer.caller, input).await?;
    Ok(Redirect::to(local_path::or_home(find("next"))).into_response())
}
