//! Events that retention removed: how many of a day's counted events are still stored, by project. Counters never fall;
//! what is gone is the difference between what was counted and what is stored.

use crate::StoreError;
use db::{Tx, Val};
use stdx::{Day, Timestamp};

/// The day under which `group_day` keeps the counts of events that are no longer stored: before every real one.
pub const DAY_REMOVED: Day = Day(-1);

/// Returns how many counted events of an open day are stored, by project, without those that have none. A range of 24 rows
/// of `project_hour` for each project: it does not grow with the day.
///
/// # Errors
/// If the database fails.
pub fn stored_by_project(tx: &mut Tx<'_>, day: Day) -> Result<Vec<(i64, i64)>, StoreError> {
    let rows: Vec<(i64, i64)> = tx.query(
        "SELECT p.id,
                COALESCE((SELECT SUM(h.event_count) FROM project_hour h
                          WHERE h.project_id = p.id AND h.hour >= $2 AND h.hour < $2 + 24), 0)
                - COALESCE((SELECT r.row_count FROM event_removal r WHERE r.day = $1 AND r.project_id = p.id), 0)
         FROM project p ORDER BY p.id",
        &[Val::from(day), Val::Int(day.0 * 24)],
    )?;
    Ok(rows.into_iter().filter(|(_, rows)| *rows > 0).collect())
}

/// Records that no event of the day is stored any more: of one project, or of all.
///
/// # Errors
/// If the database fails.
pub fn note_all(tx: &mut Tx<'_>, day: Day, project_id: Option<i64>, now: Timestamp) -> Result<(), StoreError> {
    for (project, rows) in stored_by_project(tx, day)? {
        if project_id.is_none_or(|wanted| wanted == project) {
            note(tx, day, project, rows, now)?;
        }
    }
    Ok(())
}

/// Records that so many more events of a project's day are not stored any more.
///
/// # Errors
/// If the database fails.
pub fn note(tx: &mut Tx<'_>, day: Day, project_id: i64, rows: i64, now: Timestamp) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO event_removal (day, project_id, row_count, removed_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (day, project_id) DO UPDATE
         SET row_count = event_removal.row_count + excluded.row_count, removed_at = excluded.removed_at",
        &[Val::from(day), Val::Int(project_id), Val::Int(rows), Val::from(now)],
    )?;
    Ok(())
}

/// Returns how many of a day's counted events are not stored any more, by project.
///
/// # Errors
/// If the database fails.
pub fn of_day(tx: &mut Tx<'_>, day: Day) -> Result<Vec<(i64, i64)>, StoreError> {
    Ok(tx.query("SELECT project_id, row_count FROM event_removal WHERE day = $1", &[Val::from(day)])?)
}

/// Moves up to `limit` of a day's counts by group to `DAY_REMOVED`: sums stay, and pages open the day no more. Returns how
/// many were moved; fewer than `limit` = all.
///
/// # Errors
/// If the database fails.
pub fn fold_group_days(tx: &mut Tx<'_>, day: Day, project_id: Option<i64>, limit: usize) -> Result<usize, StoreError> {
    let rows: Vec<(i64, i64, i64)> = tx.query(
        "SELECT project_id, group_key, event_count FROM group_day
         WHERE day = $1 AND ($2 IS NULL OR project_id = $2) LIMIT $3",
        &[Val::from(day), Val::from(project_id), Val::Int(limit as i64)],
    )?;
    tx.execute_many(
        "INSERT INTO group_day (project_id, group_key, day, event_count) VALUES ($1, $2, $3, $4)
         ON CONFLICT (project_id, group_key, day) DO UPDATE
         SET event_count = group_day.event_count + excluded.event_count",
        rows.iter().map(|(project, group, count)| {
            [Val::Int(*project), Val::Int(*group), Val::from(DAY_REMOVED), Val::Int(*count)]
        }),
    )?;
    tx.execute_many(
        "DELETE FROM group_day WHERE project_id = $1 AND group_key = $2 AND day = $3",
        rows.iter().map(|(project, group, _)| [Val::Int(*project), Val::Int(*group), Val::from(day)]),
    )?;
    Ok(rows.len())
}

/// Returns the ended days that still have counts by group, oldest first.
///
/// # Errors
/// If the database fails.
pub fn days_to_fold(tx: &mut Tx<'_>) -> Result<Vec<Day>, StoreError> {
    let rows: Vec<(Day,)> = tx.query(
        "SELECT d.day FROM event_day d
         WHERE d.state = 'ended' AND EXISTS (SELECT 1 FROM group_day g WHERE g.day = d.day) ORDER BY d.day",
        &[],
    )?;
    Ok(rows.into_iter().map(|(day,)| day).collect())
}

/// What retention removed of an issue's events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Removed {
    pub events: i64,
    /// When it last removed some of the project's.
    pub at: Option<Timestamp>,
}

/// Returns how many counted events of the groups are stored no more. A range of the primary key of `group_day` for each
/// group: one row for each day that is kept, and one for all that are gone.
///
/// # Errors
/// If the database fails.
pub fn of_groups(tx: &mut Tx<'_>, project_id: i64, group_keys: &[i64]) -> Result<Removed, StoreError> {
    let mut events = 0;
    for key in group_keys {
        let (removed,): (i64,) = tx.query_one(
            "SELECT COALESCE(SUM(g.event_count), 0) FROM group_day g
             WHERE g.project_id = $1 AND g.group_key = $2
               AND NOT EXISTS (SELECT 1 FROM event_day d WHERE d.day = g.day AND d.state = 'open')",
            &[Val::Int(project_id), Val::Int(*key)],
        )?;
        events += removed;
    }
    let (whole, part): (Option<Timestamp>, Option<Timestamp>) = tx.query_one(
        "SELECT (SELECT MAX(ended_at) FROM event_day WHERE state = 'ended'),
                (SELECT MAX(removed_at) FROM event_removal WHERE project_id = $1)",
        &[Val::Int(project_id)],
    )?;
    Ok(Removed { events, at: whole.max(part) })
}
