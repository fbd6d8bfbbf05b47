//! Dead letters.

use super::super::lanes::Seat;
use crate::QueueError;
use crate::broker::DeadLetter;
use db::{DbError, FromRow, Row, Tx, Val};
use stdx::Timestamp;

/// A letter with what is needed to send its job again.
pub(in super::super) struct Letter {
    pub letter: DeadLetter,
    pub lane: String,
    pub seat: Seat,
    pub fairness_key: u64,
    pub enqueued_at: Timestamp,
    /// `None` if it could not be read: it cannot go back.
    pub body: Option<Vec<u8>>,
}

const COLUMNS: &str =
    "id, queue, task, reason, attempts, deaths, error, at, lane, seat, fairness_key, enqueued_at, body";
const LISTED_COLUMNS: &str =
    "id, queue, task, reason, attempts, deaths, error, at, lane, seat, fairness_key, enqueued_at, NULL";

impl FromRow for Letter {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        let count = |index| row.get::<i64>(index).map(|count| u32::try_from(count).unwrap_or(0));
        Ok(Letter {
            letter: DeadLetter {
                id: row.get(0)?,
                queue: row.get(1)?,
                task: row.get(2)?,
                reason: row.get(3)?,
                attempts: count(4)?,
                deaths: count(5)?,
                error: row.get(6)?,
                at: row.get(7)?,
            },
            lane: row.get(8)?,
            seat: Seat::from_number(row.get(9)?),
            fairness_key: row.get::<i64>(10)?.cast_unsigned(),
            enqueued_at: row.get(11)?,
            body: row.get(12)?,
        })
    }
}

/// Keeps a letter in the place of an older one of the same id.
pub(in super::super) fn keep(tx: &mut Tx<'_>, letter: &Letter) -> Result<(), QueueError> {
    let DeadLetter { id, queue, task, reason, attempts, deaths, error, at } = &letter.letter;
    remove(tx, id)?;
    tx.execute(
        "INSERT INTO queue_letter (id, queue, task, reason, attempts, deaths, error, at, lane, seat, fairness_key,
             enqueued_at, body)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        &[
            Val::Text(id),
            Val::Text(queue),
            Val::Text(task),
            Val::Text(reason),
            Val::Int(i64::from(*attempts)),
            Val::Int(i64::from(*deaths)),
            Val::Text(error),
            Val::from(*at),
            Val::Text(&letter.lane),
            Val::Int(letter.seat.number()),
            Val::Int(letter.fairness_key.cast_signed()),
            Val::from(letter.enqueued_at),
            Val::from(letter.body.as_deref()),
        ],
    )?;
    Ok(())
}

pub(in super::super) fn remove(tx: &mut Tx<'_>, id: &str) -> Result<bool, QueueError> {
    Ok(tx.execute("DELETE FROM queue_letter WHERE id = $1", &[Val::Text(id)])? > 0)
}

pub(in super::super) fn find(tx: &mut Tx<'_>, id: &str) -> Result<Option<Letter>, QueueError> {
    Ok(tx.query_opt(&format!("SELECT {COLUMNS} FROM queue_letter WHERE id = $1"), &[Val::Text(id)])?)
}

/// The oldest first, without their messages.
pub(in super::super) fn all(tx: &mut Tx<'_>) -> Result<Vec<Letter>, QueueError> {
    Ok(tx.query(&format!("SELECT {LISTED_COLUMNS} FROM queue_letter ORDER BY at, id"), &[])?)
}

pub(in super::super) fn counts(tx: &mut Tx<'_>) -> Result<Vec<(String, i64)>, QueueError> {
    Ok(tx.query("SELECT queue, COUNT(*) FROM queue_letter GROUP BY queue", &[])?)
}

pub(in super::super) fn forget_old(tx: &mut Tx<'_>, before: Timestamp) -> Result<usize, QueueError> {
    Ok(tx.execute("DELETE FROM queue_letter WHERE at <= $1", &[Val::from(before)])?)
}
