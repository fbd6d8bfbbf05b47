//! Bodies too large for a job whose content is in the stores. They are deleted at once, since they hold what was scrubbed from
//! what is stored; that they are spent is recorded in the transaction that is the digest's effect, so that a job that runs
//! again after its body has gone is told from one whose body was lost.

use crate::{StoreError, outbox};
use db::{Tx, Val};
use stdx::{Day, Timestamp};

/// The task that deletes blobs; its payload is their keys as JSON.
pub const DISCARD_TASK: &str = "blobs.discard";

/// Records that bodies are of no more use, and has them deleted once that is durable.
///
/// # Errors
/// If the database fails; so for all of this file.
pub fn discard(tx: &mut Tx<'_>, day: Day, blob_keys: &[String], now: Timestamp) -> Result<(), StoreError> {
    if blob_keys.is_empty() {
        return Ok(());
    }
    for key in blob_keys {
        note(tx, day, key)?;
    }
    outbox::add(tx, DISCARD_TASK, &discard_payload(blob_keys), now)
}

/// Returns the payload that names blobs to be deleted.
pub fn discard_payload(blob_keys: &[String]) -> Vec<u8> {
    serde_json::to_vec(blob_keys).expect("texts can be written as JSON")
}

/// Records that a body is of no more use.
///
/// # Errors
/// If the database fails.
pub fn note(tx: &mut Tx<'_>, day: Day, blob_key: &str) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO spent_body (day, blob_key) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        &[Val::Int(day.0), Val::Text(blob_key)],
    )?;
    Ok(())
}

/// Tells whether a body's content is in the stores.
///
/// # Errors
/// If the database fails.
pub fn is_spent(tx: &mut Tx<'_>, blob_key: &str) -> Result<bool, StoreError> {
    let row: Option<(i64,)> = tx.query_opt("SELECT day FROM spent_body WHERE blob_key = $1", &[Val::Text(blob_key)])?;
    Ok(row.is_some())
}
