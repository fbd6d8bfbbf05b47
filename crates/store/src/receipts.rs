//! What became of an accepted envelope beyond "stored": remarks by event id.

use crate::StoreError;
use db::{Tx, Val};
use stdx::{Day, Timestamp};

/// One remark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptRow {
    pub day: Day,
    pub state: String,
    pub reason: String,
    pub quantity: i64,
    pub at: Timestamp,
}

/// Returns the remarks about an event id, oldest first.
///
/// # Errors
/// If the database fails.
pub fn list(tx: &mut Tx<'_>, project_id: i64, event_id: &[u8; 16]) -> Result<Vec<ReceiptRow>, StoreError> {
    let rows: Vec<(Day, String, String, i64, Timestamp)> = tx.query(
        "SELECT day, state, reason, quantity, at FROM receipt WHERE project_id = $1 AND event_id = $2
         ORDER BY at, state, reason",
        &[Val::Int(project_id), Val::Blob(event_id)],
    )?;
    let row = |(day, state, reason, quantity, at)| ReceiptRow { day, state, reason, quantity, at };
    Ok(rows.into_iter().map(row).collect())
}
