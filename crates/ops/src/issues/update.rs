//! Changes of an issue's status by people.

use super::{Issue, IssueStatus, UpdateIssues, find, rows};
use crate::context::Failure;
use crate::lookup;
use crate::{Actor, ApiError, Ops, Scope};
use db::Tx;
use stdx::Timestamp;
use store::issues::{IssueRow, StatusChange};

/// Most issues of one change: a page of the list.
const ISSUES_MAX: usize = 100;

/// Sets the status and returns the issues as they are now. With one issue an unknown id is `NotFound`; in a bulk of
/// several the ids that are not there (or not the actor's) are passed over.
///
/// # Errors
/// `NotFound` as said, `Invalid` for too many ids, `Forbidden` without `event:write`.
pub async fn update(cx: &Ops, actor: &Actor, input: UpdateIssues) -> Result<Vec<Issue>, ApiError> {
    actor.require(Scope::EventWrite)?;
    if input.issues.len() > ISSUES_MAX {
        return Err(ApiError::invalid(format!("At most {ISSUES_MAX} issues can be changed at once.")));
    }
    let (now, actor, public_url) = (cx.clock.now(), actor.clone(), cx.public_url());
    cx.write("change the status of issues", move |tx| {
        let change = status_change(input.status, actor.user_id(), now);
        let mut issues = Vec::new();
        for row in chosen(tx, &actor, &input)? {
            store::issues::set_status(tx, row.id, change)?;
            let row = store::issues::row(tx, row.id)?.ok_or(ApiError::NotFound)?;
            let project = lookup::project_by_id(tx, row.project_id)?;
            issues.push(rows::issue(row, &project, &public_url));
        }
        Ok(issues)
    })
    .await
}

fn chosen(tx: &mut Tx<'_>, actor: &Actor, input: &UpdateIssues) -> Result<Vec<IssueRow>, Failure> {
    let project_ids = find::named(tx, actor, input.org.as_deref(), &input.projects, Scope::EventWrite)?;
    if let Some(org) = &input.org {
        lookup::organization(tx, actor, org, Scope::EventWrite)?;
    }
    let mut chosen = Vec::new();
    for text in &input.issues {
        let row = match find::row(tx, actor, input.org.as_deref(), text, Scope::EventWrite) {
            Ok(row) if project_ids.as_ref().is_none_or(|ids| ids.contains(&row.project_id)) => row,
            Ok(_) | Err(Failure::Refused(ApiError::NotFound)) if input.issues.len() > 1 => continue,
            Ok(_) => return Err(ApiError::NotFound.into()),
            Err(failure) => return Err(failure),
        };
        chosen.push(row);
    }
    Ok(chosen)
}

fn status_change(status: IssueStatus, user_id: Option<i64>, at: Timestamp) -> StatusChange {
    let (substatus, activity) = match status {
        IssueStatus::Unresolved => ("ongoing", "set_unresolved"),
        IssueStatus::Resolved => ("resolved", "set_resolved"),
        IssueStatus::Ignored => ("archived", "set_ignored"),
    };
    StatusChange { status: status.as_str(), substatus, activity, user_id, at }
}
