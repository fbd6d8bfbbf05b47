//! Jobs that are taken out of a queue by hand.

use crate::QueueError;
use db::{Tx, Val};
use stdx::Timestamp;

/// A job that does not run, with its message if the ledger has it.
pub(in super::super) type WaitingRow = (String, Timestamp, Option<Vec<u8>>);

/// Jobs of a queue that do not run, by id. One that is being sent for the first time is not in the queue yet.
pub(in super::super) fn waiting(
    tx: &mut Tx<'_>,
    queue: &str,
    after: &str,
    most: usize,
) -> Result<Vec<WaitingRow>, QueueError> {
    Ok(tx.query(
        "SELECT queue_job.id, enqueued_at, body
         FROM queue_job LEFT JOIN queue_message ON queue_message.id = queue_job.id
         WHERE queue = $1 AND queue_job.id > $2 AND (state IN (2, 4, 5) OR (state = 1 AND body IS NOT NULL))
         ORDER BY queue_job.id LIMIT $3",
        &[Val::Text(queue), Val::Text(after), Val::Int(most as i64)],
    )?)
}

/// Ends those of the jobs that do not run, and returns how many. Their messages may lie in somebody's buffer, so the names
/// are kept for a while.
pub(in super::super) fn leave(tx: &mut Tx<'_>, ids: &[&str], now: Timestamp) -> Result<usize, QueueError> {
    let mut ended = 0;
    for id in ids {
        let changed = tx.execute(
            "UPDATE queue_job SET state = 6, unique_key = NULL, due_at = NULL, changed_at = $2
             WHERE id = $1 AND state IN (1, 2, 4, 5)",
            &[Val::Text(id), Val::from(now)],
        )?;
        if changed > 0 {
            tx.execute("DELETE FROM queue_message WHERE id = $1", &[Val::Text(id)])?;
            ended += 1;
        }
    }
    Ok(ended)
}
