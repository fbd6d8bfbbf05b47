//! Events of issues by hour, for sparklines and charts. One statement for a whole page of issues.

use super::filter::Statement;
use crate::StoreError;
use db::{Tx, Val};
use stdx::Hour;

/// Returns (issue, hour, events) of each issue and hour since `since` that has any, through the primary key of
/// `issue_hour`: one range for each issue.
///
/// # Errors
/// Any database error.
pub fn hours_of_issues(
    tx: &mut Tx<'_>,
    issue_ids: &[i64],
    since: Hour,
    environments: &[String],
) -> Result<Vec<(i64, Hour, i64)>, StoreError> {
    let statement = statement(issue_ids, since, environments);
    let rows: Vec<(i64, i64, i64)> = tx.query(&statement.sql, &statement.values)?;
    Ok(rows.into_iter().map(|(issue_id, hour, count)| (issue_id, Hour(hour), count)).collect())
}

pub(super) fn statement<'a>(issue_ids: &[i64], since: Hour, environments: &'a [String]) -> Statement<'a> {
    let mut statement = Statement::default();
    statement.push("SELECT issue_id, hour, CAST(SUM(event_count) AS BIGINT) FROM issue_hour WHERE issue_id IN (");
    statement.bind_list(issue_ids.iter().map(|id| Val::Int(*id)));
    statement.push(") AND hour >= ");
    statement.bind(Val::Int(since.0));
    if !environments.is_empty() {
        statement.push(" AND environment IN (");
        statement.bind_list(environments.iter().map(|name| Val::Text(name)));
        statement.push(")");
    }
    statement.push(" GROUP BY issue_id, hour");
    statement
}

/// Returns (hour, events) of one issue since `since`.
///
/// # Errors
/// Any database error.
pub fn hours_of_issue(
    tx: &mut Tx<'_>,
    issue_id: i64,
    since: Hour,
    environments: &[String],
) -> Result<Vec<(Hour, i64)>, StoreError> {
    let rows = hours_of_issues(tx, &[issue_id], since, environments)?;
    Ok(rows.into_iter().map(|(_, hour, count)| (hour, count)).collect())
}
