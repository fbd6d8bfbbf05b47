//! Rows of jobs in queues that Python programs touch, which may run there: one statement a function. Such a queue is one
//! lane of its own name.

use crate::QueueError;
use db::{Tx, Val};
use stdx::Timestamp;

/// Ends a job that a Python worker has run. Its message may come again if the worker dies before it says so.
pub(in super::super) fn end_answered(tx: &mut Tx<'_>, id: &str, now: Timestamp) -> Result<(), QueueError> {
    tx.execute(
        "UPDATE queue_job SET state = 6, unique_key = NULL, changed_at = $2
         WHERE id = $1 AND state IN (1, 2) AND lane = queue",
        &[Val::Text(id), Val::from(now)],
    )?;
    Ok(())
}

/// How many jobs of each queue have been ready since before.
pub(in super::super) fn ready_since(tx: &mut Tx<'_>, before: Timestamp) -> Result<Vec<(String, i64)>, QueueError> {
    // By queue through the list of queues, so that the index leads to the old ones of each.
    Ok(tx.query(
        "SELECT name, (SELECT COUNT(*) FROM queue_job
                       WHERE queue = name AND changed_at <= $1 AND state = 2 AND lane = queue)
         FROM queue_name WHERE is_shared = 1",
        &[Val::from(before)],
    )?)
}

/// Forgets the oldest that have been ready since before and that nobody tried yet.
pub(in super::super) fn forget_oldest(
    tx: &mut Tx<'_>,
    queue: &str,
    before: Timestamp,
    most: u64,
) -> Result<usize, QueueError> {
    Ok(tx.execute(
        "DELETE FROM queue_job
         WHERE id IN (SELECT id FROM queue_job
                      WHERE queue = $1 AND changed_at <= $2 AND state = 2 AND lane = queue
                          AND attempts = 0 AND deaths = 0 AND company_deaths = 0
                      ORDER BY changed_at LIMIT $3)",
        &[Val::Text(queue), Val::from(before), Val::Int(most.cast_signed())],
    )?)
}
