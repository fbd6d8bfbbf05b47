//! Rows of jobs whose messages are RabbitMQ's to have, and may be gone: one statement a function.

use crate::QueueError;
use db::{Tx, Val};
use stdx::Timestamp;

/// Takes away jobs of which the ledger has no more than the name: their messages were RabbitMQ's.
pub(in super::super) fn forget_sent(tx: &mut Tx<'_>) -> Result<(), QueueError> {
    tx.execute("DELETE FROM queue_job WHERE state IN (1, 2, 3) AND id NOT IN (SELECT id FROM queue_message)", &[])?;
    Ok(())
}

/// Queue, lane, number and oldest time of the jobs that have been ready since before, by lane.
pub(in super::super) fn ready_since(
    tx: &mut Tx<'_>,
    before: Timestamp,
) -> Result<Vec<(String, String, i64, Timestamp)>, QueueError> {
    Ok(tx.query(
        "SELECT queue, lane, COUNT(*), MIN(changed_at) FROM queue_job WHERE state = 2 AND changed_at <= $1
         GROUP BY queue, lane",
        &[Val::from(before)],
    )?)
}

/// Ends what has been ready in a lane since before.
pub(in super::super) fn end_ready(
    tx: &mut Tx<'_>,
    lane: &str,
    before: Timestamp,
    now: Timestamp,
) -> Result<(), QueueError> {
    tx.execute(
        "UPDATE queue_job SET state = 6, unique_key = NULL, changed_at = $3
         WHERE state = 2 AND lane = $1 AND changed_at <= $2",
        &[Val::Text(lane), Val::from(before), Val::from(now)],
    )?;
    Ok(())
}
