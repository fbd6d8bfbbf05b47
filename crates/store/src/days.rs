//! Days of receipt and their generations. Ending a day bumps its generation, so that a late writer of the old one sees
//! it in the counting transaction and turns back.

use crate::StoreError;
use db::{Tx, Val};
use stdx::{Day, Timestamp};

/// A day that takes events, in the generation its rows are written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OpenDay {
    pub day: Day,
    pub generation: i64,
}

/// Returns the day, opening it if it was never used. `None` = retention has ended it.
///
/// # Errors
/// If the database fails.
pub fn open_or_create(tx: &mut Tx<'_>, day: Day, now: Timestamp) -> Result<Option<OpenDay>, StoreError> {
    tx.execute(
        "INSERT INTO event_day (day, generation, state, created_at) VALUES ($1, 1, 'open', $2) ON CONFLICT DO NOTHING",
        &[Val::from(day), Val::from(now)],
    )?;
    find_open(tx, day)
}

/// Returns the day if it is open.
///
/// # Errors
/// If the database fails.
pub fn find_open(tx: &mut Tx<'_>, day: Day) -> Result<Option<OpenDay>, StoreError> {
    let row: Option<(i64,)> =
        tx.query_opt("SELECT generation FROM event_day WHERE day = $1 AND state = 'open'", &[Val::from(day)])?;
    Ok(row.map(|(generation,)| OpenDay { day, generation }))
}

/// How a day goes on after its events were ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Afterwards {
    /// What still comes for it is `expired`.
    Closed,
    /// It still receives: it goes on empty, in its next generation.
    Reopened,
}

/// Ends a generation of a day: from this commit on nobody writes to it or reads it, and its files may be deleted. Returns
/// whether it was the open one.
///
/// # Errors
/// If the database fails.
pub fn end(tx: &mut Tx<'_>, day: &OpenDay, afterwards: Afterwards, now: Timestamp) -> Result<bool, StoreError> {
    let state = match afterwards {
        Afterwards::Closed => "ended",
        Afterwards::Reopened => "open",
    };
    let ended = tx.execute(
        "UPDATE event_day SET generation = generation + 1, state = $3, ended_at = $4
         WHERE day = $1 AND generation = $2 AND state = 'open'",
        &[Val::from(day.day), Val::Int(day.generation), Val::Text(state), Val::from(now)],
    )?;
    Ok(ended == 1)
}

/// Returns when retention last ended a day, and that day.
///
/// # Errors
/// If the database fails.
pub fn last_ended(tx: &mut Tx<'_>) -> Result<Option<(Day, Timestamp)>, StoreError> {
    Ok(tx.query_opt(
        "SELECT day, ended_at FROM event_day WHERE state = 'ended' AND ended_at IS NOT NULL
         ORDER BY day DESC LIMIT 1",
        &[],
    )?)
}

/// Tells whether the day is still open and of this generation; asked in the counting transaction.
///
/// # Errors
/// If the database fails.
pub fn is_current(tx: &mut Tx<'_>, day: &OpenDay) -> Result<bool, StoreError> {
    Ok(find_open(tx, day.day)? == Some(*day))
}

/// Returns all days that ever received, newest first: of those that ended, `digested` still knows the ids for a while.
///
/// # Errors
/// If the database fails.
pub fn list_all(tx: &mut Tx<'_>) -> Result<Vec<Day>, StoreError> {
    let rows: Vec<(Day,)> = tx.query("SELECT day FROM event_day ORDER BY day DESC", &[])?;
    Ok(rows.into_iter().map(|(day,)| day).collect())
}

/// Returns the open days, newest first.
///
/// # Errors
/// If the database fails.
pub fn list_open(tx: &mut Tx<'_>) -> Result<Vec<OpenDay>, StoreError> {
    let rows: Vec<(Day, i64)> =
        tx.query("SELECT day, generation FROM event_day WHERE state = 'open' ORDER BY day DESC", &[])?;
    Ok(rows.into_iter().map(|(day, generation)| OpenDay { day, generation }).collect())
}
