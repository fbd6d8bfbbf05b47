//! Work caused by a stored change, written in that change's transaction and relayed to the queue afterwards: neither a
//! crash between the two nor a queue that is down forgets it.

use crate::StoreError;
use db::{Tx, Val};
use stdx::Timestamp;

/// One row: a job to be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxRow {
    pub id: i64,
    pub task: String,
    pub payload: Vec<u8>,
    pub created_at: Timestamp,
}

/// Adds a job.
///
/// # Errors
/// If the database fails; so for all of this file.
pub fn add(tx: &mut Tx<'_>, task: &str, payload: &[u8], now: Timestamp) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO outbox (task, payload, created_at) VALUES ($1, $2, $3)",
        &[Val::Text(task), Val::Blob(payload), Val::from(now)],
    )?;
    Ok(())
}

/// Returns the oldest rows.
///
/// # Errors
/// If the database fails.
pub fn oldest(tx: &mut Tx<'_>, limit: usize) -> Result<Vec<OutboxRow>, StoreError> {
    let rows: Vec<(i64, String, Vec<u8>, i64)> = tx.query(
        "SELECT id, task, payload, created_at FROM outbox ORDER BY id LIMIT $1",
        &[Val::Int(i64::try_from(limit).unwrap_or(i64::MAX))],
    )?;
    let row = |(id, task, payload, created_at)| OutboxRow {
        id,
        task,
        payload,
        created_at: Timestamp::from_micros(created_at),
    };
    Ok(rows.into_iter().map(row).collect())
}

/// Forgets rows that were published.
///
/// # Errors
/// If the database fails.
pub fn remove(tx: &mut Tx<'_>, ids: &[i64]) -> Result<(), StoreError> {
    for id in ids {
        tx.execute("DELETE FROM outbox WHERE id = $1", &[Val::Int(*id)])?;
    }
    Ok(())
}
