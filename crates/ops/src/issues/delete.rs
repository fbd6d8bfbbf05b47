//! Deleting issues: who may, and which. What was received of an issue until now goes; what comes later makes a new one.

use super::find;
use crate::audit::{self, Note};
use crate::context::Failure;
use crate::{ApiError, Caller, Ops, Scope, lookup};
use db::Tx;
use store::issues::{IssueRow, deletion};

/// Most issues of one deletion: a page of the list.
const ISSUES_MAX: usize = 100;

/// Which issues to delete.
#[derive(Clone, Debug)]
pub struct DeleteIssues {
    /// Organization, by slug or id text, where the caller named one.
    pub org: Option<String>,
    /// Projects, by slug or id text, where the caller named any: ids of others are passed over.
    pub projects: Vec<String>,
    /// At most 100 ids or short ids.
    pub issues: Vec<String>,
}

/// Deletes issues: they are not found any more, and their events and counters are removed within seconds to minutes.
/// Returns the ids that were. With one issue an unknown id is `NotFound`; of several, those that are not there (or not the
/// actor's) are passed over.
///
/// # Errors
/// `NotFound` as said, `Invalid` for no ids or too many, `Forbidden` without `event:admin`.
pub async fn delete(cx: &Ops, caller: &Caller, input: DeleteIssues) -> Result<Vec<i64>, ApiError> {
    caller.require(Scope::EventAdmin)?;
    if input.issues.is_empty() || input.issues.len() > ISSUES_MAX {
        return Err(ApiError::invalid(format!("From 1 to {ISSUES_MAX} issues can be deleted at once.")));
    }
    let (now, caller) = (cx.clock.now(), caller.clone());
    cx.write("delete issues", move |tx| {
        let mut deleted = Vec::new();
        for row in chosen(tx, &caller, &input)? {
            deletion::begin(tx, row.id, row.project_id, now)?;
            let note = note(tx, &row)?;
            audit::note(tx, &caller, &note, now)?;
            deleted.push(row.id);
        }
        Ok(deleted)
    })
    .await
}

fn chosen(tx: &mut Tx<'_>, caller: &Caller, input: &DeleteIssues) -> Result<Vec<IssueRow>, Failure> {
    let project_ids = find::named(tx, caller, input.org.as_deref(), &input.projects, Scope::EventAdmin)?;
    let mut chosen: Vec<IssueRow> = Vec::new();
    for text in &input.issues {
        let found = match find::row(tx, caller, input.org.as_deref(), text, Scope::EventAdmin) {
            Ok(row) => Some(row),
            Err(Failure::Refused(ApiError::NotFound)) => None,
            Err(failure) => return Err(failure),
        };
        // The id of an issue that was merged leads to another one, which nobody asked to delete.
        let is_meant = |row: &IssueRow| text.parse::<i64>().map_or(true, |id| id == row.id);
        let found =
            found.filter(|row| is_meant(row) && project_ids.as_ref().is_none_or(|ids| ids.contains(&row.project_id)));
        match found {
            Some(row) if chosen.iter().all(|known| known.id != row.id) => chosen.push(row),
            None if input.issues.len() == 1 => return Err(ApiError::NotFound.into()),
            Some(_) | None => {}
        }
    }
    Ok(chosen)
}

fn note(tx: &mut Tx<'_>, row: &IssueRow) -> Result<Note, Failure> {
    let project = lookup::project_by_id(tx, row.project_id)?;
    let target = format!("{}/{} issue {}", project.organization.slug, project.slug, row.id);
    let detail = format!("{} ({} events)", row.title, row.event_count);
    Ok(Note::new("issue.delete", &target).detail(&detail).of_organization(row.org_id))
}
