//! Results, workers and how far schedules have come.

use crate::QueueError;
use db::{Tx, Val};
use stdx::Timestamp;

pub(in super::super) fn keep_result(
    tx: &mut Tx<'_>,
    id: &str,
    document: &[u8],
    now: Timestamp,
) -> Result<(), QueueError> {
    tx.execute(
        "INSERT INTO queue_result (id, at, document) VALUES ($1, $2, $3)
         ON CONFLICT (id) DO UPDATE SET at = excluded.at, document = excluded.document",
        &[Val::Text(id), Val::from(now), Val::Blob(document)],
    )?;
    Ok(())
}

pub(in super::super) fn result(tx: &mut Tx<'_>, id: &str) -> Result<Option<Vec<u8>>, QueueError> {
    let found: Option<(Vec<u8>,)> =
        tx.query_opt("SELECT document FROM queue_result WHERE id = $1", &[Val::Text(id)])?;
    Ok(found.map(|(document,)| document))
}

pub(in super::super) fn forget_results(tx: &mut Tx<'_>, before: Timestamp) -> Result<usize, QueueError> {
    Ok(tx.execute("DELETE FROM queue_result WHERE at <= $1", &[Val::from(before)])?)
}

pub(in super::super) fn hear_worker(
    tx: &mut Tx<'_>,
    name: &str,
    heard_at: Timestamp,
    document: &str,
) -> Result<(), QueueError> {
    tx.execute(
        "INSERT INTO queue_worker (name, heard_at, document) VALUES ($1, $2, $3)
         ON CONFLICT (name) DO UPDATE SET heard_at = excluded.heard_at, document = excluded.document",
        &[Val::Text(name), Val::from(heard_at), Val::Text(document)],
    )?;
    Ok(())
}

pub(in super::super) fn forget_worker(tx: &mut Tx<'_>, name: &str) -> Result<(), QueueError> {
    tx.execute("DELETE FROM queue_worker WHERE name = $1", &[Val::Text(name)])?;
    Ok(())
}

pub(in super::super) fn forget_workers(tx: &mut Tx<'_>, before: Timestamp) -> Result<(), QueueError> {
    tx.execute("DELETE FROM queue_worker WHERE heard_at < $1", &[Val::from(before)])?;
    Ok(())
}

pub(in super::super) fn workers(tx: &mut Tx<'_>, since: Timestamp) -> Result<Vec<String>, QueueError> {
    let rows: Vec<(String,)> =
        tx.query("SELECT document FROM queue_worker WHERE heard_at >= $1 ORDER BY name", &[Val::from(since)])?;
    Ok(rows.into_iter().map(|(document,)| document).collect())
}

/// Moves an entry's cursor. Returns whether it was earlier before.
pub(in super::super) fn advance(
    tx: &mut Tx<'_>,
    entry: &str,
    scheduled_at: Timestamp,
    document: &str,
) -> Result<bool, QueueError> {
    let moved = tx.execute(
        "INSERT INTO queue_cursor (entry, scheduled_at, document) VALUES ($1, $2, $3)
         ON CONFLICT (entry) DO UPDATE SET scheduled_at = excluded.scheduled_at, document = excluded.document
         WHERE queue_cursor.scheduled_at < excluded.scheduled_at",
        &[Val::Text(entry), Val::from(scheduled_at), Val::Text(document)],
    )?;
    Ok(moved > 0)
}

pub(in super::super) fn cursors(tx: &mut Tx<'_>) -> Result<Vec<String>, QueueError> {
    let rows: Vec<(String,)> = tx.query("SELECT document FROM queue_cursor ORDER BY entry", &[])?;
    Ok(rows.into_iter().map(|(document,)| document).collect())
}
