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

/// Tells whether the day is still open and of this generation; asked in the counting transaction.
///
/// # Errors
/// If the database fails.
pub fn is_current(tx: &mut Tx<'_>, day: &OpenDay) -> Result<bool, StoreError> {
    Ok(find_open(tx, day.day)? == Some(*day))
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
