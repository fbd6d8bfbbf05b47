//! Names that are forgotten after a while, a few at a time: whoever publishes waits for it. One statement a function.

use crate::QueueError;
use db::{Tx, Val};
use stdx::Timestamp;

/// Of jobs whose messages can no longer come.
pub(in super::super) fn ended(tx: &mut Tx<'_>, before: Timestamp, most: usize) -> Result<usize, QueueError> {
    Ok(tx.execute(
        "DELETE FROM queue_job
         WHERE id IN (SELECT id FROM queue_job WHERE state = 6 AND changed_at <= $1 ORDER BY changed_at LIMIT $2)",
        &[Val::from(before), Val::Int(most as i64)],
    )?)
}

/// Of jobs that were never confirmed, and whose messages the ledger has not.
pub(in super::super) fn unsent(tx: &mut Tx<'_>, before: Timestamp, most: usize) -> Result<usize, QueueError> {
    Ok(tx.execute(
        "DELETE FROM queue_job
         WHERE id IN (SELECT id FROM queue_job
                      WHERE state = 1 AND changed_at <= $1
                          AND NOT EXISTS (SELECT 1 FROM queue_message WHERE queue_message.id = queue_job.id)
                      ORDER BY changed_at LIMIT $2)",
        &[Val::from(before), Val::Int(most as i64)],
    )?)
}
