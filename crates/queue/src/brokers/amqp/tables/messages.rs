//! Messages in the ledger's keeping, and the delayed jobs whose messages are to be sent.

use super::super::lanes::Seat;
use crate::QueueError;
use db::{DbError, FromRow, Row, Tx, Val};
use stdx::Timestamp;

pub(in super::super) fn keep(tx: &mut Tx<'_>, id: &str, body: &[u8], now: Timestamp) -> Result<(), QueueError> {
    tx.execute(
        "INSERT INTO queue_message (id, at, body) VALUES ($1, $2, $3)
         ON CONFLICT (id) DO UPDATE SET at = excluded.at, body = excluded.body",
        &[Val::Text(id), Val::from(now), Val::Blob(body)],
    )?;
    Ok(())
}

pub(in super::super) fn drop_all(tx: &mut Tx<'_>, ids: &[&str]) -> Result<(), QueueError> {
    tx.execute_many("DELETE FROM queue_message WHERE id = $1", ids.iter().map(|id| [Val::Text(id)]))?;
    Ok(())
}

/// RabbitMQ has the messages that were taken at a time. What came back meanwhile stays.
pub(in super::super) fn drop_sent(tx: &mut Tx<'_>, ids: &[String], taken_at: Timestamp) -> Result<(), QueueError> {
    tx.execute_many(
        "DELETE FROM queue_message
         WHERE id = $1 AND at <= $2
             AND NOT EXISTS (SELECT 1 FROM queue_job WHERE queue_job.id = $1 AND state IN (4, 5))",
        ids.iter().map(|id| [Val::Text(id), Val::from(taken_at)]),
    )?;
    Ok(())
}

/// Messages of jobs that have ended.
pub(in super::super) fn orphans(tx: &mut Tx<'_>, most: usize) -> Result<Vec<String>, QueueError> {
    let ids: Vec<(String,)> = tx.query(
        "SELECT id FROM queue_message
         WHERE NOT EXISTS (SELECT 1 FROM queue_job WHERE queue_job.id = queue_message.id AND state <> 6)
         LIMIT $1",
        &[Val::Int(most as i64)],
    )?;
    Ok(ids.into_iter().map(|(id,)| id).collect())
}

/// Forgets those of the messages whose jobs have ended.
pub(in super::super) fn forget_orphans(tx: &mut Tx<'_>, ids: &[String]) -> Result<(), QueueError> {
    tx.execute_many(
        "DELETE FROM queue_message
         WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM queue_job WHERE queue_job.id = $1 AND state <> 6)",
        ids.iter().map(|id| [Val::Text(id)]),
    )?;
    Ok(())
}

/// A delayed job whose time has come, with its message.
pub(in super::super) struct Due {
    pub id: String,
    pub tag: String,
    pub queue: String,
    pub lane: String,
    pub seat: Seat,
    pub deaths: (u32, u32),
    pub body: Vec<u8>,
}

impl FromRow for Due {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        let count = |index| row.get::<i64>(index).map(|count| u32::try_from(count).unwrap_or(0));
        Ok(Due {
            id: row.get(0)?,
            tag: row.get(1)?,
            queue: row.get(2)?,
            lane: row.get(3)?,
            seat: Seat::from_number(row.get(4)?),
            deaths: (count(5)?, count(6)?),
            body: row.get(7)?,
        })
    }
}

/// Takes jobs whose time has come, to be sent.
pub(in super::super) fn take_due(tx: &mut Tx<'_>, now: Timestamp, most: usize) -> Result<Vec<Due>, QueueError> {
    let due: Vec<Due> = tx.query(
        "SELECT queue_job.id, tag, queue, lane, seat, deaths, company_deaths, body
         FROM queue_job JOIN queue_message ON queue_message.id = queue_job.id
         WHERE state = 4 AND due_at <= $1
         ORDER BY due_at, queue_job.id LIMIT $2",
        &[Val::from(now), Val::Int(most as i64)],
    )?;
    let rows = due.iter().map(|due| [Val::Text(&due.id), Val::from(now)]);
    tx.execute_many("UPDATE queue_job SET state = 1, due_at = NULL, changed_at = $2 WHERE id = $1", rows)?;
    Ok(due)
}

/// Jobs that somebody took before and did not send.
pub(in super::super) fn abandoned(tx: &mut Tx<'_>, before: Timestamp) -> Result<Vec<String>, QueueError> {
    let ids: Vec<(String,)> = tx.query(
        "SELECT id FROM queue_job
         WHERE state = 1 AND changed_at <= $1
             AND EXISTS (SELECT 1 FROM queue_message WHERE queue_message.id = queue_job.id)",
        &[Val::from(before)],
    )?;
    Ok(ids.into_iter().map(|(id,)| id).collect())
}

/// What was taken could not be sent for certain.
pub(in super::super) fn put_off(tx: &mut Tx<'_>, ids: &[String], now: Timestamp) -> Result<(), QueueError> {
    let rows = ids.iter().map(|id| [Val::Text(id), Val::from(now)]);
    tx.execute_many("UPDATE queue_job SET state = 4, due_at = $2, is_doubtful = 1 WHERE id = $1 AND state = 1", rows)?;
    Ok(())
}

pub(in super::super) fn next_due(tx: &mut Tx<'_>) -> Result<Option<Timestamp>, QueueError> {
    let (due,): (Option<Timestamp>,) = tx.query_one("SELECT MIN(due_at) FROM queue_job WHERE state = 4", &[])?;
    Ok(due)
}
