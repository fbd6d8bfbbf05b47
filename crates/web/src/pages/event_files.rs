//! An event's raw JSON, and its attachments. Both are a stranger's bytes: they are never a document of ours.

use super::issue::event_ref;
use crate::error::PageError;
use crate::headers::SANDBOX_POLICY;
use crate::state::WebState;
use crate::viewer::Viewer;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use ops::attachments;
use ops::events;
use ops::issues::{self, IssueRef};

/// `GET /issues/{id}/events/{event_id}/json/`: the payload as it was received.
pub async fn raw_json(
    State(state): State<WebState>,
    viewer: Viewer,
    Path((id, event_id)): Path<(String, String)>,
) -> Result<Response, PageError> {
    let issue = issues::get(&state.ops, &viewer.caller, &IssueRef { org: None, issue: id }).await?;
    let body = events::raw_json(&state.ops, &viewer.caller, &event_ref(&issue, &event_id)).await?;
    let headers = [
        (header::CONTENT_TYPE, "application/json".to_owned()),
        (header::CONTENT_DISPOSITION, format!("inline; filename=\"{}.json\"", file_name(&event_id))),
        (header::CONTENT_SECURITY_POLICY, SANDBOX_POLICY.to_owned()),
        (header::CACHE_CONTROL, "private, no-cache".to_owned()),
    ];
    Ok((headers, body).into_response())
}

/// `GET /issues/{id}/events/{event_id}/attachments/{attachment_id}/`: always a download of unknown type.
pub async fn attachment(
    State(state): State<WebState>,
    viewer: Viewer,
    Path((id, event_id, attachment_id)): Path<(String, String, i64)>,
) -> Result<Response, PageError> {
    let issue = issues::get(&state.ops, &viewer.caller, &IssueRef { org: None, issue: id }).await?;
    let reference = event_ref(&issue, &event_id);
    let content = attachments::download(&state.ops, &viewer.caller, &reference, attachment_id).await?;
    let name = &content.attachment.name;
    let disposition =
        format!("attachment; filename=\"{}\"; filename*=UTF-8''{}", file_name(name), crate::format::url_part(name));
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_DISPOSITION, disposition),
        (header::CONTENT_SECURITY_POLICY, SANDBOX_POLICY.to_owned()),
        (header::CACHE_CONTROL, "private, no-cache".to_owned()),
    ];
    Ok((headers, content.bytes).into_response())
}

/// Returns a name that is safe within quotes of a header and as a file name: letters, digits, dots, hyphens.
fn file_name(name: &str) -> String {
    const CHARS_MAX: usize = 100;
    let safe = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '_' };
    name.chars().take(CHARS_MAX).map(safe).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_cannot_leave_their_quotes() {
        assert_eq!(file_name("a\"b\r\nc/../d.txt"), "a_b__c_.._d.txt");
    }
}
