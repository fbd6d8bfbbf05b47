//! Where events are: which days hold a group's events, which day holds an event id. Reads metadata
//! only; the rows themselves are the event store's.

use crate::StoreError;
use crate::issues::Statement;
use db::{Tx, Val};
use stdx::{Day, Timestamp};

/// Groups of one issue that are looked at; merged issues have a few.
const GROUPS_MAX: i64 = 1_000;

/// Returns the group keys of an issue, through `issue_group_by_issue`.
///
/// # Errors
/// Any database error.
pub fn groups_of_issue(tx: &mut Tx<'_>, issue_id: i64) -> Result<Vec<i64>, StoreError> {
    let rows: Vec<(i64,)> = tx.query(
        "SELECT group_key FROM issue_group WHERE issue_id = $1 LIMIT $2",
        &[Val::Int(issue_id), Val::Int(GROUPS_MAX)],
    )?;
    Ok(rows.into_iter().map(|(key,)| key).collect())
}

/// Which days of a list are wanted.
#[derive(Clone, Copy, Debug)]
pub struct DayRange {
    pub from: Day,
    pub to: Day,
    /// Newest first or oldest first.
    pub newest_first: bool,
    pub limit: usize,
}

/// Returns the days of receipt in which the groups have events, and how many. A range of the primary key of
/// `group_day` for each group: at most one row a day of retention.
///
/// # Errors
/// Any database error.
pub fn days_of_groups(
    tx: &mut Tx<'_>,
    project_id: i64,
    group_keys: &[i64],
    range: DayRange,
) -> Result<Vec<(Day, i64)>, StoreError> {
    let statement = days_statement(project_id, group_keys, range);
    Ok(tx.query(&statement.sql, &statement.values)?)
}

pub(crate) fn days_statement(project_id: i64, group_keys: &[i64], range: DayRange) -> Statement<'_> {
    let mut statement = Statement::default();
    statement.push("SELECT day, CAST(SUM(event_count) AS BIGINT) FROM group_day WHERE project_id = ");
    statement.bind(Val::Int(project_id));
    statement.push(" AND group_key IN (");
    statement.bind_list(group_keys.iter().map(|key| Val::Int(*key)));
    statement.push(") AND day >= ");
    statement.bind(Val::Int(range.from.0));
    statement.push(" AND day <= ");
    statement.bind(Val::Int(range.to.0));
    statement.push(if range.newest_first { " GROUP BY day ORDER BY day DESC" } else { " GROUP BY day ORDER BY day" });
    statement.push(" LIMIT ");
    statement.bind(Val::Int(range.limit as i64));
    statement
}

/// Returns the day on which the id was last counted in the project, and when it was received then: one primary key
/// lookup for each of `days`, in their order (newest first), until one has it.
///
/// # Errors
/// Any database error.
pub fn day_of_event(
    tx: &mut Tx<'_>,
    days: &[Day],
    project_id: i64,
    event_id: &[u8; 16],
) -> Result<Option<(Day, Timestamp)>, StoreError> {
    for day in days {
        let row: Option<(Timestamp,)> = tx.query_opt(
            "SELECT received_at FROM digested WHERE day = $1 AND project_id = $2 AND event_id = $3",
            &[Val::Int(day.0), Val::Int(project_id), Val::Blob(event_id)],
        )?;
        if let Some((received_at,)) = row {
            return Ok(Some((*day, received_at)));
        }
    }
    Ok(None)
}

/// Hours with events that are read to find a project's days: at least so many days' worth.
const PROJECT_HOURS_MAX: i64 = 8 * 24;

/// Returns the days of receipt on which the project has events, newest first, not after `to`; at least the eight
/// newest if there are so many. A range of the primary key of `project_hour`.
///
/// # Errors
/// Any database error.
pub fn days_of_project(tx: &mut Tx<'_>, project_id: i64, to: Day) -> Result<Vec<Day>, StoreError> {
    let to = stdx::Hour(to.0.saturating_mul(24).saturating_add(23));
    let rows: Vec<(stdx::Hour,)> = tx.query(
        "SELECT hour FROM project_hour WHERE project_id = $1 AND hour <= $2 ORDER BY hour DESC LIMIT $3",
        &[Val::Int(project_id), Val::Int(to.0), Val::Int(PROJECT_HOURS_MAX)],
    )?;
    let mut days: Vec<Day> = rows.into_iter().map(|(hour,)| hour.day()).collect();
    days.dedup();
    Ok(days)
}
