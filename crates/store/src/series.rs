//! Counts of events by hour grow old: hours that no page shows any more are summed in the first hour of their day. Sums
//! stay exact at each commit, whoever reads them, and a table without hours inside a day has nothing to fold.

use crate::StoreError;
use db::{Tx, Val};
use stdx::Hour;

/// A table of counts by hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Series {
    Issues,
    Projects,
}

pub const ALL: &[Series] = &[Series::Issues, Series::Projects];

/// Issues or projects of one share, and so many at most: what one transaction looks through is bounded by it.
const IDS_OF_SHARE: i64 = 100;

/// Hours to be folded, of issues or projects whose ids lie side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Share {
    pub series: Series,
    pub id_first: i64,
    pub id_last: i64,
}

impl Series {
    fn table_and_id(self) -> (&'static str, &'static str) {
        match self {
            Series::Issues => ("issue_hour", "issue_id"),
            Series::Projects => ("project_hour", "project_id"),
        }
    }

    /// About what a row takes on disk.
    pub fn row_bytes(self) -> u64 {
        match self {
            Series::Issues => 30,
            Series::Projects => 20,
        }
    }
}

/// Returns the shares that have hours inside a day older than `before`, with how many rows those are.
///
/// # Errors
/// If the database fails.
pub fn due(tx: &mut Tx<'_>, series: Series, before: Hour) -> Result<Vec<(Share, i64)>, StoreError> {
    let (table, id) = series.table_and_id();
    let sql = format!(
        "SELECT MIN({id}), MAX({id}), COUNT(*) FROM {table}
         WHERE hour < $1 AND hour % 24 <> 0 GROUP BY {id} / $2 ORDER BY MIN({id})"
    );
    let rows: Vec<(i64, i64, i64)> = tx.query(&sql, &[Val::from(before), Val::Int(IDS_OF_SHARE)])?;
    let share = |(id_first, id_last, rows)| (Share { series, id_first, id_last }, rows);
    Ok(rows.into_iter().map(share).collect())
}

/// Folds up to `limit` of a share's rows older than `before`. Returns how many; fewer than `limit` = all.
///
/// # Errors
/// If the database fails; nothing is changed then.
pub fn fold(tx: &mut Tx<'_>, share: Share, before: Hour, limit: usize) -> Result<usize, StoreError> {
    let bounds = [Val::Int(share.id_first), Val::Int(share.id_last), Val::from(before), Val::Int(limit as i64)];
    match share.series {
        Series::Issues => fold_issues(tx, &bounds),
        Series::Projects => fold_projects(tx, &bounds),
    }
}

fn fold_issues(tx: &mut Tx<'_>, bounds: &[Val<'_>]) -> Result<usize, StoreError> {
    let rows: Vec<(i64, Hour, String, i64)> = tx.query(
        "SELECT issue_id, hour, environment, event_count FROM issue_hour
         WHERE issue_id BETWEEN $1 AND $2 AND hour < $3 AND hour % 24 <> 0 LIMIT $4",
        bounds,
    )?;
    tx.execute_many(
        "INSERT INTO issue_hour (issue_id, hour, environment, event_count) VALUES ($1, $2, $3, $4)
         ON CONFLICT (issue_id, hour, environment) DO UPDATE
         SET event_count = issue_hour.event_count + excluded.event_count",
        rows.iter().map(|(id, hour, environment, count)| {
            [Val::Int(*id), Val::from(first_of_day(*hour)), Val::Text(environment), Val::Int(*count)]
        }),
    )?;
    tx.execute_many(
        "DELETE FROM issue_hour WHERE issue_id = $1 AND hour = $2 AND environment = $3",
        rows.iter().map(|(id, hour, environment, _)| [Val::Int(*id), Val::from(*hour), Val::Text(environment)]),
    )?;
    Ok(rows.len())
}

fn fold_projects(tx: &mut Tx<'_>, bounds: &[Val<'_>]) -> Result<usize, StoreError> {
    let rows: Vec<(i64, Hour, i64)> = tx.query(
        "SELECT project_id, hour, event_count FROM project_hour
         WHERE project_id BETWEEN $1 AND $2 AND hour < $3 AND hour % 24 <> 0 LIMIT $4",
        bounds,
    )?;
    tx.execute_many(
        "INSERT INTO project_hour (project_id, hour, event_count) VALUES ($1, $2, $3)
         ON CONFLICT (project_id, hour) DO UPDATE SET event_count = project_hour.event_count + excluded.event_count",
        rows.iter().map(|(id, hour, count)| [Val::Int(*id), Val::from(first_of_day(*hour)), Val::Int(*count)]),
    )?;
    tx.execute_many(
        "DELETE FROM project_hour WHERE project_id = $1 AND hour = $2",
        rows.iter().map(|(id, hour, _)| [Val::Int(*id), Val::from(*hour)]),
    )?;
    Ok(rows.len())
}

fn first_of_day(hour: Hour) -> Hour {
    hour.day().start().hour()
}
