//! Finding one issue by id or short id, and only if the actor may.

use super::IssueRef;
use crate::context::Failure;
use crate::lookup;
use crate::{Actor, ApiError, Scope};
use db::Tx;
use store::issues::IssueRow;

/// Returns the issue if it is there and the actor may do `scope` in its organization.
pub(crate) fn issue(tx: &mut Tx<'_>, actor: &Actor, input: &IssueRef, scope: Scope) -> Result<IssueRow, Failure> {
    row(tx, actor, input.org.as_deref(), &input.issue, scope)
}

/// The same with the parts given one by one.
pub(crate) fn row(
    tx: &mut Tx<'_>,
    actor: &Actor,
    org: Option<&str>,
    text: &str,
    scope: Scope,
) -> Result<IssueRow, Failure> {
    actor.require(scope)?;
    let org_id = match org {
        Some(org) => Some(lookup::organization(tx, actor, org, scope)?.id),
        None => None,
    };
    let id = match text.parse::<i64>() {
        Ok(id) => Some(id),
        Err(_) => id_of_short_id(tx, actor, org_id, text)?,
    };
    let row = match id {
        Some(id) => row_or_merged(tx, id)?,
        None => None,
    };
    let row = row.ok_or(ApiError::NotFound)?;
    if org_id.is_some_and(|org_id| org_id != row.org_id) {
        return Err(ApiError::NotFound.into());
    }
    actor.require_in(row.org_id, scope)?;
    Ok(row)
}

/// Returns the ids of the projects of an organization that a caller named; `None` = none was, and all are meant.
pub(crate) fn named(
    tx: &mut Tx<'_>,
    actor: &Actor,
    org: Option<&str>,
    projects: &[String],
    scope: Scope,
) -> Result<Option<Vec<i64>>, Failure> {
    let Some(org) = org.filter(|_| !projects.is_empty()) else { return Ok(None) };
    let ids = projects.iter().map(|project| Ok(lookup::project(tx, actor, org, project, scope)?.id));
    ids.collect::<Result<Vec<i64>, Failure>>().map(Some)
}

/// The id of an issue that was merged leads to the one it was merged into.
fn row_or_merged(tx: &mut Tx<'_>, id: i64) -> Result<Option<IssueRow>, Failure> {
    if let Some(row) = store::issues::row(tx, id)? {
        return Ok(Some(row));
    }
    match store::issues::strands::issue_of(tx, id)? {
        Some(issue_id) => Ok(store::issues::row(tx, issue_id)?),
        None => Ok(None),
    }
}

/// Without an organization, the first of the actor's that has the short id.
fn id_of_short_id(tx: &mut Tx<'_>, actor: &Actor, org_id: Option<i64>, text: &str) -> Result<Option<i64>, Failure> {
    let Some((prefix, number)) = store::short_id::parse(text) else { return Ok(None) };
    let org_ids = match org_id {
        Some(org_id) => vec![org_id],
        None => lookup::organizations(tx, actor)?.into_iter().map(|org| org.id).collect(),
    };
    for org_id in org_ids {
        let projects = store::projects::list(tx, org_id)?;
        let Some(project_id) = projects.iter().find(|p| p.short_prefix == prefix).map(|p| p.id) else { continue };
        let found = match store::issues::id_by_short_no(tx, project_id, number)? {
            Some(id) => Some(id),
            None => store::issues::strands::issue_by_short_no(tx, project_id, number)?,
        };
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}
