//! Strands and hashes of issues as they are read. A strand is what was one issue before it was merged.

use super::filter::Statement;
use crate::StoreError;
use db::{DbError, FromRow, Row, Tx, Val};
use stdx::{Day, Timestamp};

/// Hashes that an issue may have. Pages that read an issue's events ask for all of them.
pub const HASHES_MAX: i64 = 1_000;

/// A strand of an issue.
#[derive(Clone, Debug)]
pub struct StrandRow {
    /// The id of the issue it was.
    pub id: i64,
    pub short_no: i64,
    pub title: String,
    pub level: String,
    pub event_count: i64,
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
    /// The strand it was merged into; none for the issue's own.
    pub merged_into: Option<i64>,
    pub merged_at: Option<Timestamp>,
    pub merged_by: Option<String>,
}

impl FromRow for StrandRow {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(StrandRow {
            id: row.get(0)?,
            short_no: row.get(1)?,
            title: row.get(2)?,
            level: row.get(3)?,
            event_count: row.get(4)?,
            first_seen: row.get(5)?,
            last_seen: row.get(6)?,
            merged_into: row.get(7)?,
            merged_at: row.get(8)?,
            merged_by: row.get(9)?,
        })
    }
}

/// A hash that leads to an issue.
#[derive(Clone, Debug)]
pub struct HashRow {
    pub group_key: i64,
    pub hash: String,
    pub strand_id: Option<i64>,
    /// Events whose first hash it is.
    pub event_count: i64,
    /// The last day of receipt with one; none if there is none.
    pub last_day: Option<Day>,
    pub created_at: Timestamp,
}

impl FromRow for HashRow {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        let last_day: Option<i64> = row.get(4)?;
        Ok(HashRow {
            group_key: row.get(0)?,
            hash: row.get(1)?,
            strand_id: row.get(2)?,
            event_count: row.get(3)?,
            // Counts of days that retention ended stand under none.
            last_day: last_day.filter(|day| *day >= 0).map(Day),
            created_at: row.get(5)?,
        })
    }
}

/// Returns the strands of an issue, its own first, then by when they were merged; none if nothing was merged into it.
///
/// # Errors
/// Any database error.
pub fn of_issue(tx: &mut Tx<'_>, issue_id: i64) -> Result<Vec<StrandRow>, StoreError> {
    Ok(tx.query(
        "SELECT s.id, s.short_no, s.title, s.level, s.event_count, s.first_seen, s.last_seen, s.merged_into,
                s.merged_at, u.name
         FROM issue_strand s LEFT JOIN user_account u ON u.id = s.merged_by
         WHERE s.issue_id = $1
         ORDER BY COALESCE(s.merged_at, 0), s.id",
        &[Val::Int(issue_id)],
    )?)
}

/// Returns the hashes of an issue, those with the newest events first; of one strand where one is named.
///
/// # Errors
/// Any database error.
pub fn hashes(tx: &mut Tx<'_>, issue_id: i64) -> Result<Vec<HashRow>, StoreError> {
    Ok(tx.query(
        "SELECT g.group_key, g.hash, g.strand_id, COALESCE(SUM(d.event_count), 0), MAX(d.day), g.created_at
         FROM issue_group g
         LEFT JOIN group_day d ON d.project_id = g.project_id AND d.group_key = g.group_key
         WHERE g.issue_id = $1
         GROUP BY g.group_key, g.hash, g.strand_id, g.created_at
         ORDER BY MAX(d.day) DESC, SUM(d.event_count) DESC, g.hash
         LIMIT $2",
        &[Val::Int(issue_id), Val::Int(HASHES_MAX)],
    )?)
}

/// Leads a hash to an issue of the project, unless it leads to one already. Of a merged issue it becomes the own strand's.
///
/// # Errors
/// Any database error.
pub fn lead(
    tx: &mut Tx<'_>,
    project_id: i64,
    (group_key, hash): (i64, &str),
    issue_id: i64,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO issue_group (project_id, group_key, hash, issue_id, strand_id, created_at)
         SELECT $1, $2, $3, id, (SELECT id FROM issue_strand WHERE id = $4), $5
         FROM issue WHERE id = $4 AND project_id = $1
         ON CONFLICT DO NOTHING",
        &[Val::Int(project_id), Val::Int(group_key), Val::Text(hash), Val::Int(issue_id), Val::from(now)],
    )?;
    Ok(())
}

/// Returns how many hashes lead to these issues.
///
/// # Errors
/// Any database error.
pub fn count_hashes(tx: &mut Tx<'_>, issue_ids: &[i64]) -> Result<i64, StoreError> {
    let mut statement = Statement::default();
    statement.push("SELECT COUNT(*) FROM issue_group WHERE issue_id IN (");
    statement.bind_list(issue_ids.iter().map(|id| Val::Int(*id)));
    statement.push(")");
    let (count,): (i64,) = tx.query_one(&statement.sql, &statement.values)?;
    Ok(count)
}

/// Returns the issue that the issue of this id was merged into.
///
/// # Errors
/// Any database error.
pub fn issue_of(tx: &mut Tx<'_>, id: i64) -> Result<Option<i64>, StoreError> {
    let row: Option<(i64,)> = tx.query_opt("SELECT issue_id FROM issue_strand WHERE id = $1", &[Val::Int(id)])?;
    Ok(row.map(|(issue_id,)| issue_id))
}

/// The same by the number of the short id.
///
/// # Errors
/// Any database error.
pub fn issue_by_short_no(tx: &mut Tx<'_>, project_id: i64, short_no: i64) -> Result<Option<i64>, StoreError> {
    let row: Option<(i64,)> = tx.query_opt(
        "SELECT issue_id FROM issue_strand WHERE project_id = $1 AND short_no = $2",
        &[Val::Int(project_id), Val::Int(short_no)],
    )?;
    Ok(row.map(|(issue_id,)| issue_id))
}

/// Returns the numbers that strands, or issues that are none any more, have in their short ids.
pub(super) fn short_numbers(tx: &mut Tx<'_>, ids: &[i64]) -> Result<Vec<i64>, StoreError> {
    let mut numbers = Vec::with_capacity(ids.len());
    for id in ids {
        let row: Option<(i64,)> = tx.query_opt(
            "SELECT short_no FROM issue_strand WHERE id = $1 UNION ALL SELECT short_no FROM issue WHERE id = $1 LIMIT 1",
            &[Val::Int(*id)],
        )?;
        numbers.extend(row.map(|(number,)| number));
    }
    Ok(numbers)
}
