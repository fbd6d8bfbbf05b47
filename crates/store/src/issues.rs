//! Issues as they are read: lists, rows, tags, series and history; and the changes of status that people make.
//! What the digest counts is written by `digest`, not here.

mod candidates;
pub mod deletion;
mod filter;
pub mod import;
pub mod merge;
mod series;
pub mod strands;
mod tags;

pub use candidates::{FoundIssues, IssueList, Place, SortBy, find};
pub use filter::{Field, Pattern, Term};
pub use series::{hours_of_issue, hours_of_issues};
pub use tags::{TagKeyRow, TagValueRow, tag_key, tag_keys, tag_values};

use crate::StoreError;
use db::{DbError, FromRow, Row, Tx, Val};
pub(crate) use filter::Statement;
use stdx::Timestamp;

/// Lines of an issue's history that are read.
pub const ACTIVITY_ROWS_MAX: i64 = 100;

/// An issue as stored.
#[derive(Clone, Debug)]
pub struct IssueRow {
    pub id: i64,
    pub org_id: i64,
    pub project_id: i64,
    pub short_no: i64,
    pub kind: String,
    pub title: String,
    pub culprit: String,
    pub metadata: String,
    pub platform: String,
    pub logger: String,
    pub level: String,
    pub status: String,
    pub substatus: String,
    pub status_at: Timestamp,
    pub is_unhandled: bool,
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
    pub event_count: i64,
    pub user_count: i64,
    pub first_release: Option<String>,
    pub last_release: Option<String>,
}

impl FromRow for IssueRow {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(IssueRow {
            id: row.get(0)?,
            org_id: row.get(1)?,
            project_id: row.get(2)?,
            short_no: row.get(3)?,
            kind: row.get(4)?,
            title: row.get(5)?,
            culprit: row.get(6)?,
            metadata: row.get(7)?,
            platform: row.get(8)?,
            logger: row.get(9)?,
            level: row.get(10)?,
            status: row.get(11)?,
            substatus: row.get(12)?,
            status_at: row.get(13)?,
            is_unhandled: row.get(14)?,
            first_seen: row.get(15)?,
            last_seen: row.get(16)?,
            event_count: row.get(17)?,
            user_count: row.get(18)?,
            first_release: row.get(19)?,
            last_release: row.get(20)?,
        })
    }
}

/// Returns the issues with these ids, in no particular order; at most a page of them, by primary key.
///
/// # Errors
/// Any database error.
pub fn rows(tx: &mut Tx<'_>, ids: &[i64]) -> Result<Vec<IssueRow>, StoreError> {
    let statement = rows_statement(ids);
    Ok(tx.query(&statement.sql, &statement.values)?)
}

fn rows_statement(ids: &[i64]) -> Statement<'_> {
    let mut statement = Statement::default();
    statement.push(
        "SELECT id, org_id, project_id, short_no, kind, title, culprit, metadata, platform, logger, level, status,
                substatus, status_at, is_unhandled, first_seen, last_seen, event_count, user_count, first_release,
                last_release
         FROM issue WHERE id IN (",
    );
    statement.bind_list(ids.iter().map(|id| Val::Int(*id)));
    statement.push(")");
    statement
}

/// Returns one issue by id, or `None`.
///
/// # Errors
/// Any database error.
pub fn row(tx: &mut Tx<'_>, id: i64) -> Result<Option<IssueRow>, StoreError> {
    Ok(rows(tx, &[id])?.pop())
}

/// Returns the id of an issue by its number within its project, through the unique index.
///
/// # Errors
/// Any database error.
pub fn id_by_short_no(tx: &mut Tx<'_>, project_id: i64, short_no: i64) -> Result<Option<i64>, StoreError> {
    let row: Option<(i64,)> = tx.query_opt(
        "SELECT id FROM issue WHERE project_id = $1 AND short_no = $2",
        &[Val::Int(project_id), Val::Int(short_no)],
    )?;
    Ok(row.map(|(id,)| id))
}

/// Returns the issue a group belongs to, by primary key.
///
/// # Errors
/// Any database error.
pub fn id_by_group(tx: &mut Tx<'_>, project_id: i64, group_key: i64) -> Result<Option<i64>, StoreError> {
    let row: Option<(i64,)> = tx.query_opt(
        "SELECT issue_id FROM issue_group WHERE project_id = $1 AND group_key = $2",
        &[Val::Int(project_id), Val::Int(group_key)],
    )?;
    Ok(row.map(|(id,)| id))
}

/// A change of status that a person makes.
#[derive(Clone, Copy, Debug)]
pub struct StatusChange {
    pub status: &'static str,
    pub substatus: &'static str,
    /// The kind of the line in the history.
    pub activity: &'static str,
    pub user_id: Option<i64>,
    pub at: Timestamp,
}

/// Sets an issue's status and writes its history. Returns whether anything changed: setting the same status twice
/// leaves one line.
///
/// # Errors
/// Any database error; nothing is changed then.
pub fn set_status(tx: &mut Tx<'_>, issue_id: i64, change: StatusChange) -> Result<bool, StoreError> {
    let changed = tx.execute(
        "UPDATE issue SET status = $2, substatus = $3, status_at = $4 WHERE id = $1 AND status <> $2",
        &[Val::Int(issue_id), Val::Text(change.status), Val::Text(change.substatus), Val::Int(change.at.micros())],
    )?;
    if changed == 0 {
        return Ok(false);
    }
    tx.execute(
        "INSERT INTO issue_activity (issue_id, kind, user_id, at) VALUES ($1, $2, $3, $4)",
        &[Val::Int(issue_id), Val::Text(change.activity), Val::from(change.user_id), Val::Int(change.at.micros())],
    )?;
    Ok(true)
}

/// A line of an issue's history.
#[derive(Clone, Debug)]
pub struct ActivityRow {
    pub id: i64,
    pub kind: String,
    pub user_name: Option<String>,
    /// JSON object of what the line is about; empty for most.
    pub data: String,
    pub at: Timestamp,
}

/// Returns the newest lines of an issue's history, newest first, through `issue_activity_by_issue`.
///
/// # Errors
/// Any database error.
pub fn activity(tx: &mut Tx<'_>, issue_id: i64) -> Result<Vec<ActivityRow>, StoreError> {
    let rows: Vec<(i64, String, Option<String>, String, Timestamp)> = tx.query(
        "SELECT a.id, a.kind, u.name, a.data, a.at
         FROM issue_activity a LEFT JOIN user_account u ON u.id = a.user_id
         WHERE a.issue_id = $1
         ORDER BY a.id DESC
         LIMIT $2",
        &[Val::Int(issue_id), Val::Int(ACTIVITY_ROWS_MAX)],
    )?;
    let line = |(id, kind, user_name, data, at)| ActivityRow { id, kind, user_name, data, at };
    Ok(rows.into_iter().map(line).collect())
}

#[cfg(test)]
mod plans;
