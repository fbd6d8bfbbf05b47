//! What a deleted project leaves behind once no event of it is stored: issues with their counts, and what it alone had. Its
//! own row stays, for outcomes and the audit log name it.

use crate::issues::deletion;
use crate::{StoreError, attachments};
use db::{Tx, Val};
use stdx::Timestamp;

/// Issues deleted in one transaction; what hangs on them is the task's to remove.
const ISSUES_AT_ONCE: i64 = 20;
const ROWS_AT_ONCE: i64 = 1_000;
/// About what a row takes, with its part of indexes; an issue has more, which its deletion removes.
const ROW_BYTES: i64 = 200;

/// What is left of one project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remains {
    pub project_id: i64,
    pub rows: i64,
    pub bytes: i64,
}

/// Returns the deleted projects of which no event is stored and something else is.
///
/// # Errors
/// If the database fails; so for all of this file.
pub fn due(tx: &mut Tx<'_>) -> Result<Vec<Remains>, StoreError> {
    let deleted: Vec<(i64,)> = tx.query("SELECT id FROM project WHERE status = 'deleted' ORDER BY id", &[])?;
    let mut found = Vec::new();
    for (project_id,) in deleted {
        if has_events(tx, project_id)? {
            continue;
        }
        let (rows, dictionary_bytes): (i64, i64) = tx.query_one(
            "SELECT (SELECT COUNT(*) FROM issue WHERE project_id = $1)
                  + (SELECT COUNT(*) FROM project_release WHERE project_id = $1)
                  + (SELECT COUNT(*) FROM project_environment WHERE project_id = $1)
                  + (SELECT COUNT(*) FROM project_hour WHERE project_id = $1)
                  + (SELECT COUNT(*) FROM project_option WHERE project_id = $1)
                  + (SELECT COUNT(*) FROM event_dictionary WHERE project_id = $1),
                    (SELECT COALESCE(SUM(length(bytes)), 0) FROM event_dictionary WHERE project_id = $1)",
            &[Val::Int(project_id)],
        )?;
        if rows > 0 {
            found.push(Remains { project_id, rows, bytes: rows * ROW_BYTES + dictionary_bytes });
        }
    }
    Ok(found)
}

/// What a step removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Removed {
    /// Of what `due` counts.
    pub rows: u64,
    pub is_all: bool,
}

impl Removed {
    fn some(rows: usize) -> Removed {
        Removed { rows: rows as u64, is_all: false }
    }

    fn rest(rows: usize) -> Removed {
        Removed { rows: rows as u64, is_all: true }
    }
}

/// Removes some of it, if it is still true that no event is stored.
pub fn remove(tx: &mut Tx<'_>, project_id: i64, now: Timestamp) -> Result<Removed, StoreError> {
    let project = [Val::Int(project_id)];
    let is_deleted = tx.query_opt::<(i64,)>("SELECT 1 FROM project WHERE id = $1 AND status = 'deleted'", &project)?;
    if is_deleted.is_none() || has_events(tx, project_id)? {
        return Ok(Removed::rest(0));
    }
    let issues: Vec<(i64,)> = tx.query(
        "SELECT id FROM issue WHERE project_id = $1 ORDER BY id LIMIT $2",
        &[Val::Int(project_id), Val::Int(ISSUES_AT_ONCE)],
    )?;
    for (issue_id,) in &issues {
        deletion::begin(tx, *issue_id, project_id, now)?;
    }
    if !issues.is_empty() {
        return Ok(Removed::some(issues.len()));
    }
    for statement in [
        "DELETE FROM project_release WHERE (project_id, version) IN (
             SELECT project_id, version FROM project_release WHERE project_id = $1 LIMIT $2)",
        "DELETE FROM project_environment WHERE (project_id, name) IN (
             SELECT project_id, name FROM project_environment WHERE project_id = $1 LIMIT $2)",
    ] {
        let rows = tx.execute(statement, &[Val::Int(project_id), Val::Int(ROWS_AT_ONCE)])?;
        if rows > 0 {
            return Ok(Removed::some(rows));
        }
    }
    // Hours and days in one transaction, for `check` compares their sums; of either there is a bounded number by now.
    tx.execute("DELETE FROM group_day WHERE project_id = $1", &project)?;
    let mut rows = 0;
    for statement in [
        "DELETE FROM project_hour WHERE project_id = $1",
        "DELETE FROM project_option WHERE project_id = $1",
        "DELETE FROM event_dictionary WHERE project_id = $1",
    ] {
        rows += tx.execute(statement, &project)?;
    }
    Ok(Removed::rest(rows))
}

/// Counts by group stand under a real day as long as the day's events are stored.
fn has_events(tx: &mut Tx<'_>, project_id: i64) -> Result<bool, StoreError> {
    let counted: Option<(i64,)> =
        tx.query_opt("SELECT 1 FROM group_day WHERE project_id = $1 AND day >= 0 LIMIT 1", &[Val::Int(project_id)])?;
    Ok(counted.is_some() || attachments::has_any(tx, project_id)?)
}
