//! Organizations and projects as the actor sees them. Everything an operation touches is reached through here, so what
//! is somebody else's cannot be told from what is not there.

use crate::context::Failure;
use crate::organizations::Organization;
use crate::projects::Project;
use crate::{Actor, ApiError, Scope};
use db::Tx;
use store::organizations::OrganizationRow;
use store::projects::ProjectRow;

/// Returns the organizations the actor belongs to, by slug.
pub(crate) fn organizations(tx: &mut Tx<'_>, actor: &Actor) -> Result<Vec<Organization>, Failure> {
    let rows = store::organizations::list(tx)?;
    Ok(rows.into_iter().filter(|row| actor.belongs_to(row.id)).map(organization_of).collect())
}

/// Returns the organization with this slug or id text, if the actor may do `scope` there.
pub(crate) fn organization(tx: &mut Tx<'_>, actor: &Actor, text: &str, scope: Scope) -> Result<Organization, Failure> {
    actor.require(scope)?;
    let row = match store::organizations::by_slug(tx, text)? {
        Some(row) => Some(row),
        None => match text.parse() {
            Ok(id) => store::organizations::by_id(tx, id)?,
            Err(_) => None,
        },
    };
    let row = row.ok_or(ApiError::NotFound)?;
    actor.require_in(row.id, scope)?;
    Ok(organization_of(row))
}

/// Returns the project with this slug or id text in the organization, if the actor may do `scope` there.
pub(crate) fn project(tx: &mut Tx<'_>, actor: &Actor, org: &str, text: &str, scope: Scope) -> Result<Project, Failure> {
    let organization = organization(tx, actor, org, scope)?;
    let row = project_row(tx, organization.id, text)?.ok_or(ApiError::NotFound)?;
    Ok(project_of(row, &organization))
}

/// A slug is never all digits, so a number is an id.
fn project_row(tx: &mut Tx<'_>, org_id: i64, text: &str) -> Result<Option<ProjectRow>, Failure> {
    match text.parse() {
        Ok(id) => Ok(store::projects::by_id(tx, id)?.filter(|row| row.org_id == org_id)),
        Err(_) => Ok(store::projects::by_slug(tx, org_id, text)?),
    }
}

/// Returns the chosen projects (slugs or id texts; none = all) of one organization or of all the actor belongs to.
pub(crate) fn projects(
    tx: &mut Tx<'_>,
    actor: &Actor,
    org: Option<&str>,
    chosen: &[String],
    scope: Scope,
) -> Result<Vec<Project>, Failure> {
    actor.require(scope)?;
    let organizations = match org {
        Some(org) => vec![organization(tx, actor, org, scope)?],
        None => organizations(tx, actor)?,
    };
    let mut projects = Vec::new();
    for organization in &organizations {
        // Without a name, organizations where the actor's role is too weak are passed over.
        if org.is_none() && actor.require_in(organization.id, scope).is_err() {
            continue;
        }
        if chosen.is_empty() {
            let rows = store::projects::list(tx, organization.id)?;
            projects.extend(rows.into_iter().map(|row| project_of(row, organization)));
        }
        for text in chosen {
            let Some(row) = project_row(tx, organization.id, text)? else { continue };
            if projects.iter().all(|project: &Project| project.id != row.id) {
                projects.push(project_of(row, organization));
            }
        }
    }
    if !chosen.is_empty() && projects.is_empty() {
        return Err(ApiError::NotFound.into());
    }
    Ok(projects)
}

/// Returns the project of an object the actor was already let through to.
pub(crate) fn project_by_id(tx: &mut Tx<'_>, id: i64) -> Result<Project, Failure> {
    let row = store::projects::by_id(tx, id)?.ok_or(ApiError::NotFound)?;
    let organization = store::organizations::by_id(tx, row.org_id)?.ok_or(ApiError::NotFound)?;
    Ok(project_of(row, &organization_of(organization)))
}

pub(crate) fn organization_of(row: OrganizationRow) -> Organization {
    Organization { id: row.id, slug: row.slug, name: row.name, created_at: row.created_at }
}

pub(crate) fn project_of(row: ProjectRow, organization: &Organization) -> Project {
    Project {
        id: row.id,
        is_active: row.is_active(),
        slug: row.slug,
        name: row.name,
        platform: row.platform,
        created_at: row.created_at,
        first_event_at: row.first_event_at,
        last_event_at: row.last_event_at,
        short_prefix: row.short_prefix,
        organization: organization.clone(),
    }
}

/// Longest slug, as Sentry has it.
const SLUG_CHARS_MAX: usize = 50;

/// Checks a slug for a new organization or project: lower case, and never all digits, which would read as an id.
pub(crate) fn check_slug(slug: &str) -> Result<(), ApiError> {
    let is_fine = (1..=SLUG_CHARS_MAX).contains(&slug.len())
        && slug.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, b'-' | b'_'))
        && slug.starts_with(|c: char| c.is_ascii_alphanumeric())
        && !slug.bytes().all(|c| c.is_ascii_digit());
    if is_fine {
        return Ok(());
    }
    Err(ApiError::invalid(format!(
        "The slug \"{slug}\" is not valid: 1 to {SLUG_CHARS_MAX} of a-z, 0-9, - and _, not only digits."
    )))
}
