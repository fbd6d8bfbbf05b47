//! Rows of the metadata that expire by age: counted before, and deleted in bounded steps, so that no transaction holds the
//! writer for long. Which table is kept how long is not decided here.

use crate::StoreError;
use db::{Tx, Val};
use stdx::{Hour, Timestamp};

/// A table whose rows expire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aged {
    Digested,
    Receipt,
    Outcome,
    Accepted,
    Internal,
    Release,
    Session,
    Token,
    Removal,
    SpentBody,
    Withdrawn,
    Sweep,
    Audit,
}

/// How a table is cut.
struct Shape {
    table: &'static str,
    key: &'static str,
    project: &'static str,
    /// Rows whose column is less than the bound expire.
    column: &'static str,
    is_due: &'static str,
    unit: Unit,
    /// About what a row takes, with its part of indexes.
    row_bytes: u64,
}

#[derive(Clone, Copy)]
enum Unit {
    Day,
    Hour,
    Time,
}

impl Aged {
    fn shape(self) -> Shape {
        let shape = |table, key, project, column, unit, row_bytes| Shape {
            table,
            key,
            project,
            column,
            is_due: "1 = 1",
            unit,
            row_bytes,
        };
        match self {
            Aged::Digested => shape("digested", "day, project_id, event_id", "project_id", "day", Unit::Day, 50),
            Aged::Receipt => {
                shape("receipt", "project_id, event_id, day, state, reason", "project_id", "day", Unit::Day, 180)
            }
            Aged::Outcome => {
                let key = "project_id, hour, key_id, category, outcome, reason";
                shape("outcome_hour", key, "project_id", "hour", Unit::Hour, 100)
            }
            Aged::Accepted => shape("accepted_hour", "hour, project_id", "project_id", "hour", Unit::Hour, 20),
            Aged::Internal => shape("internal_hour", "hour, series", "0", "hour", Unit::Hour, 80),
            Aged::Release => Shape {
                // Not correlated, so that it is made once: no index leads from a release to issues.
                is_due: "(project_id, version) NOT IN (
                    SELECT project_id, first_release FROM issue WHERE first_release IS NOT NULL
                    UNION SELECT project_id, last_release FROM issue WHERE last_release IS NOT NULL
                    UNION SELECT project_id, first_release FROM issue_strand WHERE first_release IS NOT NULL
                    UNION SELECT project_id, last_release FROM issue_strand WHERE last_release IS NOT NULL)",
                ..shape("project_release", "project_id, version", "project_id", "last_seen", Unit::Time, 80)
            },
            Aged::Session => shape("login_session", "token_hash", "0", "expires_at", Unit::Time, 200),
            Aged::Token => shape("api_token", "id", "0", "revoked_at", Unit::Time, 250),
            Aged::Removal => Shape {
                is_due: "NOT EXISTS (SELECT 1 FROM event_day d WHERE d.day = event_removal.day AND d.state = 'open')",
                ..shape("event_removal", "day, project_id", "project_id", "day", Unit::Day, 40)
            },
            Aged::SpentBody => shape("spent_body", "blob_key", "0", "day", Unit::Day, 200),
            Aged::Withdrawn => {
                shape("withdrawn", "day, project_id, event_id, received_at", "project_id", "day", Unit::Day, 50)
            }
            Aged::Sweep => shape("retention_sweep", "id", "0", "started_at", Unit::Time, 1_000),
            Aged::Audit => shape("audit_entry", "id", "0", "at", Unit::Time, 250),
        }
    }

    /// About what a row takes on disk.
    pub fn row_bytes(self) -> u64 {
        self.shape().row_bytes
    }
}

fn bound(unit: Unit, before: Timestamp) -> i64 {
    match unit {
        Unit::Day => before.day().0,
        Unit::Hour => Hour(before.hour().0).0,
        Unit::Time => before.micros(),
    }
}

/// Returns how many rows are older than `before`, by project; project 0 stands for none.
///
/// # Errors
/// If the database fails.
pub fn count(
    tx: &mut Tx<'_>,
    aged: Aged,
    before: Timestamp,
    project_id: Option<i64>,
) -> Result<Vec<(i64, i64)>, StoreError> {
    let Shape { table, project, column, is_due, unit, .. } = aged.shape();
    let sql = format!(
        "SELECT {project} AS project, COUNT(*) FROM {table}
         WHERE {column} < $1 AND ($2 IS NULL OR {project} = $2) AND {is_due}
         GROUP BY project ORDER BY project"
    );
    Ok(tx.query(&sql, &[Val::Int(bound(unit, before)), Val::from(project_id)])?)
}

/// Deletes up to `limit` rows older than `before`. Returns the project of each, 0 for none; fewer than `limit` = all.
///
/// # Errors
/// If the database fails.
pub fn delete(
    tx: &mut Tx<'_>,
    aged: Aged,
    before: Timestamp,
    project_id: Option<i64>,
    limit: usize,
) -> Result<Vec<i64>, StoreError> {
    let Shape { table, key, project, column, is_due, unit, .. } = aged.shape();
    let sql = format!(
        "DELETE FROM {table} WHERE ({key}) IN (
             SELECT {key} FROM {table}
             WHERE {column} < $1 AND ($2 IS NULL OR {project} = $2) AND {is_due} LIMIT $3)
         RETURNING {project}"
    );
    let bounds = [Val::Int(bound(unit, before)), Val::from(project_id), Val::Int(limit as i64)];
    let rows: Vec<(i64,)> = tx.query(&sql, &bounds)?;
    Ok(rows.into_iter().map(|(project,)| project).collect())
}
