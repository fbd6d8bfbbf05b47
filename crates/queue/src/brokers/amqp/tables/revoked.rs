//! Ids of jobs that were revoked.

use crate::QueueError;
use db::{Tx, Val};
use stdx::Timestamp;

pub(in super::super) fn keep(tx: &mut Tx<'_>, ids: &[String], now: Timestamp) -> Result<(), QueueError> {
    tx.execute_many(
        "INSERT INTO queue_revoked (id, at) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET at = excluded.at",
        ids.iter().map(|id| [Val::Text(id), Val::from(now)]),
    )?;
    Ok(())
}

/// Forgets what is older, and the oldest beyond so many.
pub(in super::super) fn forget(tx: &mut Tx<'_>, before: Timestamp, most: usize) -> Result<(), QueueError> {
    tx.execute("DELETE FROM queue_revoked WHERE at <= $1", &[Val::from(before)])?;
    tx.execute(
        "DELETE FROM queue_revoked
         WHERE (at, id) <= (SELECT at, id FROM queue_revoked ORDER BY at DESC, id DESC LIMIT 1 OFFSET $1)",
        &[Val::Int(most as i64)],
    )?;
    Ok(())
}

/// The oldest first.
pub(in super::super) fn all(tx: &mut Tx<'_>, since: Timestamp) -> Result<Vec<String>, QueueError> {
    let ids: Vec<(String,)> =
        tx.query("SELECT id FROM queue_revoked WHERE at > $1 ORDER BY at, id", &[Val::from(since)])?;
    Ok(ids.into_iter().map(|(id,)| id).collect())
}
