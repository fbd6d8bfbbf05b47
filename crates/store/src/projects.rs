//! Projects, found by id, by slug or by a slug they once had.

use crate::StoreError;
use crate::short_id;
use db::{FromRow, Row, Tx, Val};
use stdx::Timestamp;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectRow {
    pub id: i64,
    pub org_id: i64,
    pub slug: String,
    pub name: String,
    pub platform: Option<String>,
    pub status: String,
    pub short_prefix: String,
    pub created_at: Timestamp,
    pub first_event_at: Option<Timestamp>,
    pub last_event_at: Option<Timestamp>,
}

impl ProjectRow {
    pub fn is_active(&self) -> bool {
        self.status == "active"
    }
}

impl FromRow for ProjectRow {
    fn from_row(row: &Row<'_>) -> Result<Self, db::DbError> {
        Ok(ProjectRow {
            id: row.get(0)?,
            org_id: row.get(1)?,
            slug: row.get(2)?,
            name: row.get(3)?,
            platform: row.get(4)?,
            status: row.get(5)?,
            short_prefix: row.get(6)?,
            created_at: row.get(7)?,
            first_event_at: row.get(8)?,
            last_event_at: row.get(9)?,
        })
    }
}

/// A project to be made.
#[derive(Clone, Copy, Debug)]
pub struct NewProject<'a> {
    pub org_id: i64,
    pub slug: &'a str,
    pub name: &'a str,
    pub platform: Option<&'a str>,
}

/// Returns the projects of an organization by slug, without deleted ones.
///
/// # Errors
/// If the database fails.
pub fn list(tx: &mut Tx<'_>, org_id: i64) -> Result<Vec<ProjectRow>, StoreError> {
    Ok(tx.query(
        "SELECT id, org_id, slug, name, platform, status, short_prefix, created_at, first_event_at, last_event_at
         FROM project WHERE org_id = $1 AND status <> 'deleted' ORDER BY slug",
        &[Val::Int(org_id)],
    )?)
}

/// # Errors
/// If the database fails.
pub fn by_id(tx: &mut Tx<'_>, id: i64) -> Result<Option<ProjectRow>, StoreError> {
    Ok(tx.query_opt(
        "SELECT id, org_id, slug, name, platform, status, short_prefix, created_at, first_event_at, last_event_at
         FROM project WHERE id = $1 AND status <> 'deleted'",
        &[Val::Int(id)],
    )?)
}

/// Returns the project that has, or once had, the slug.
///
/// # Errors
/// If the database fails.
pub fn by_slug(tx: &mut Tx<'_>, org_id: i64, slug: &str) -> Result<Option<ProjectRow>, StoreError> {
    let current: Option<(i64,)> =
        tx.query_opt("SELECT id FROM project WHERE org_id = $1 AND slug = $2", &[Val::Int(org_id), Val::Text(slug)])?;
    let id = match current {
        Some(id) => Some(id),
        None => tx.query_opt(
            "SELECT target_id FROM slug_history WHERE org_id = $1 AND kind = 'project' AND slug = $2",
            &[Val::Int(org_id), Val::Text(slug)],
        )?,
    };
    match id {
        Some((id,)) => by_id(tx, id),
        None => Ok(None),
    }
}

/// Creates a project with a short prefix of its own.
///
/// # Errors
/// `Taken` if the slug is used in the organization; else if the database fails.
pub fn create(tx: &mut Tx<'_>, new: &NewProject<'_>, now: Timestamp) -> Result<ProjectRow, StoreError> {
    let prefix = free_prefix(tx, new.org_id, new.slug)?;
    let id: Option<(i64,)> = tx.query_opt(
        "INSERT INTO project (org_id, slug, name, platform, short_prefix, created_at)
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING RETURNING id",
        &[
            Val::Int(new.org_id),
            Val::Text(new.slug),
            Val::Text(new.name),
            Val::from(new.platform),
            Val::Text(&prefix),
            Val::from(now),
        ],
    )?;
    let taken = || StoreError::Taken { what: format!("project {}", new.slug) };
    let (id,) = id.ok_or_else(taken)?;
    by_id(tx, id)?.ok_or_else(taken)
}

/// The slug in capitals, numbered if another project of the organization has it.
fn free_prefix(tx: &mut Tx<'_>, org_id: i64, slug: &str) -> Result<String, StoreError> {
    let wanted = short_id::prefix_of(slug);
    for number in 1.. {
        let prefix = if number == 1 { wanted.clone() } else { format!("{wanted}{number}") };
        let taken: Option<(i64,)> = tx.query_opt(
            "SELECT id FROM project WHERE org_id = $1 AND short_prefix = $2",
            &[Val::Int(org_id), Val::Text(&prefix)],
        )?;
        if taken.is_none() {
            return Ok(prefix);
        }
    }
    Err(StoreError::Taken { what: format!("short prefix {wanted}") })
}

/// A project as retention sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetentionRow {
    pub id: i64,
    /// `org/project`
    pub name: String,
    /// Days its events are kept, where it has set less than the installation.
    pub days: Option<i64>,
}

/// Returns all projects, deleted ones too.
///
/// # Errors
/// If the database fails.
pub fn retention(tx: &mut Tx<'_>) -> Result<Vec<RetentionRow>, StoreError> {
    let rows: Vec<(i64, String, String, Option<i64>)> = tx.query(
        "SELECT p.id, o.slug, p.slug, p.retention_days FROM project p JOIN organization o ON o.id = p.org_id
         ORDER BY p.id",
        &[],
    )?;
    let row = |(id, org, slug, days)| RetentionRow { id, name: format!("{org}/{slug}"), days };
    Ok(rows.into_iter().map(row).collect())
}

/// Returns how many days a project's events are kept, where it has set so.
///
/// # Errors
/// If the database fails.
pub fn retention_days(tx: &mut Tx<'_>, id: i64) -> Result<Option<i64>, StoreError> {
    let row: Option<(Option<i64>,)> =
        tx.query_opt("SELECT retention_days FROM project WHERE id = $1", &[Val::Int(id)])?;
    Ok(row.and_then(|(days,)| days))
}

/// Sets how many days a project's events are kept; `None` = as long as the installation says.
///
/// # Errors
/// If the database fails.
pub fn set_retention(tx: &mut Tx<'_>, id: i64, days: Option<i64>) -> Result<(), StoreError> {
    tx.execute("UPDATE project SET retention_days = $2 WHERE id = $1", &[Val::Int(id), Val::from(days)])?;
    Ok(())
}

/// Sets `active`, `disabled` or `deleted`.
///
/// # Errors
/// If the database fails.
pub fn set_status(tx: &mut Tx<'_>, id: i64, status: &str) -> Result<(), StoreError> {
    tx.execute("UPDATE project SET status = $2 WHERE id = $1", &[Val::Int(id), Val::Text(status)])?;
    Ok(())
}

/// Changes name, slug and platform; the old slug goes on leading to the project until another one takes it.
///
/// # Errors
/// `Taken` if another project of the organization has the slug; else if the database fails.
pub fn change(tx: &mut Tx<'_>, before: &ProjectRow, new: &NewProject<'_>, now: Timestamp) -> Result<(), StoreError> {
    if before.slug != new.slug {
        let other: Option<(i64,)> = tx.query_opt(
            "SELECT id FROM project WHERE org_id = $1 AND slug = $2",
            &[Val::Int(before.org_id), Val::Text(new.slug)],
        )?;
        if other.is_some() {
            return Err(StoreError::Taken { what: format!("project {}", new.slug) });
        }
        tx.execute(
            "INSERT INTO slug_history (org_id, kind, slug, target_id, retired_at) VALUES ($1, 'project', $2, $3, $4)
             ON CONFLICT (org_id, kind, slug)
             DO UPDATE SET target_id = excluded.target_id, retired_at = excluded.retired_at",
            &[Val::Int(before.org_id), Val::Text(&before.slug), Val::Int(before.id), Val::from(now)],
        )?;
    }
    tx.execute(
        "UPDATE project SET name = $2, slug = $3, platform = $4 WHERE id = $1",
        &[Val::Int(before.id), Val::Text(new.name), Val::Text(new.slug), Val::from(new.platform)],
    )?;
    Ok(())
}

/// Deletes a project as people see it: it is not found any more, its keys are refused and its slug is free. What was
/// stored of it goes with its days, as retention has it.
///
/// # Errors
/// If the database fails.
pub fn delete(tx: &mut Tx<'_>, id: i64) -> Result<(), StoreError> {
    // No slug begins with a tilde, so the row never stands in another project's way.
    tx.execute(
        "UPDATE project SET status = 'deleted', slug = '~' || id WHERE id = $1 AND status <> 'deleted'",
        &[Val::Int(id)],
    )?;
    tx.execute("DELETE FROM slug_history WHERE kind = 'project' AND target_id = $1", &[Val::Int(id)])?;
    tx.execute("DELETE FROM project_key WHERE project_id = $1", &[Val::Int(id)])?;
    Ok(())
}

/// Returns the environments seen in a project, by name.
///
/// # Errors
/// If the database fails.
pub fn environments(tx: &mut Tx<'_>, project_id: i64, limit: usize) -> Result<Vec<String>, StoreError> {
    let rows: Vec<(String,)> = tx.query(
        "SELECT name FROM project_environment WHERE project_id = $1 ORDER BY name LIMIT $2",
        &[Val::Int(project_id), Val::Int(limit as i64)],
    )?;
    Ok(rows.into_iter().map(|(name,)| name).collect())
}

/// Returns the releases seen in a project, the last seen first.
///
/// # Errors
/// If the database fails.
pub fn releases(tx: &mut Tx<'_>, project_id: i64, limit: usize) -> Result<Vec<String>, StoreError> {
    let rows: Vec<(String,)> = tx.query(
        "SELECT version FROM project_release WHERE project_id = $1 ORDER BY last_seen DESC, version LIMIT $2",
        &[Val::Int(project_id), Val::Int(limit as i64)],
    )?;
    Ok(rows.into_iter().map(|(version,)| version).collect())
}

/// Returns stored events by hour of receipt from `since` on, hours without events left out.
///
/// # Errors
/// If the database fails.
pub fn hours(tx: &mut Tx<'_>, project_id: i64, since: stdx::Hour) -> Result<Vec<(stdx::Hour, i64)>, StoreError> {
    Ok(tx.query(
        "SELECT hour, event_count FROM project_hour WHERE project_id = $1 AND hour >= $2 ORDER BY hour",
        &[Val::Int(project_id), Val::from(since)],
    )?)
}
