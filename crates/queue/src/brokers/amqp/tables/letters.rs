//! Dead letters.

use super::super::lanes::Seat;
use crate::QueueError;
use crate::broker::DeadLetter;
use crate::letters::{DeadName, LetterCursor, job_id_of, name_apart};
use db::{DbError, FromRow, Row, Tx, Val};
use stdx::Timestamp;

/// A letter with what is needed to send its job again.
pub(in super::super) struct Letter {
    pub letter: DeadLetter,
    pub lane: String,
    pub seat: Seat,
    pub fairness_key: u64,
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
                enqueued_at: row.get(11)?,
            },
            lane: row.get(8)?,
            seat: Seat::from_number(row.get(9)?),
            fairness_key: row.get::<i64>(10)?.cast_unsigned(),
            body: row.get(12)?,
        })
    }
}

/// Keeps a letter in the place of an older one of the same job. Another job of its id keeps its letter, and this one gets a
/// name apart.
pub(in super::super) fn keep(tx: &mut Tx<'_>, letter: &Letter) -> Result<(), QueueError> {
    let DeadLetter { id, queue, task, reason, attempts, deaths, error, at, enqueued_at } = &letter.letter;
    let before = since(tx, id)?;
    let apart = before.filter(|before| before != enqueued_at).map(|_| name_apart(id, *enqueued_at));
    let id = apart.as_deref().unwrap_or(id);
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
            Val::from(*enqueued_at),
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

/// Whether there is a letter of a job of this id, by whatever name.
pub(in super::super) fn has_of(tx: &mut Tx<'_>, id: &str) -> Result<bool, QueueError> {
    let apart = format!("{id}~");
    let names: Vec<(String,)> = tx.query(
        "SELECT id FROM queue_letter WHERE id = $1 OR (id > $2 AND id < $3) LIMIT 100",
        &[Val::Text(id), Val::Text(&apart), Val::Text(&format!("{apart}:"))],
    )?;
    Ok(names.iter().any(|(name,)| job_id_of(name) == id))
}

/// Since when the job of a letter waits.
fn since(tx: &mut Tx<'_>, id: &str) -> Result<Option<Timestamp>, QueueError> {
    let row: Option<(Timestamp,)> =
        tx.query_opt("SELECT enqueued_at FROM queue_letter WHERE id = $1", &[Val::Text(id)])?;
    Ok(row.map(|(since,)| since))
}

/// Removes the letter of a job, and not another job's that has its name since.
pub(in super::super) fn remove_shown(tx: &mut Tx<'_>, id: &str, since: Timestamp) -> Result<bool, QueueError> {
    let removed =
        tx.execute("DELETE FROM queue_letter WHERE id = $1 AND enqueued_at = $2", &[Val::Text(id), Val::from(since)])?;
    Ok(removed > 0)
}

/// The oldest first, without their messages.
pub(in super::super) fn page(
    tx: &mut Tx<'_>,
    queue: Option<&str>,
    after: Option<&LetterCursor>,
    most: usize,
) -> Result<Vec<Letter>, QueueError> {
    let (at, id) = after.map_or((Timestamp::from_micros(i64::MIN), ""), |after| (after.at, after.id.as_str()));
    let (at, id, most) = (Val::from(at), Val::Text(id), Val::Int(most as i64));
    // A clause for each, so that each has its index.
    match queue {
        None => Ok(tx.query(
            &format!("SELECT {LISTED_COLUMNS} FROM queue_letter WHERE (at, id) > ($1, $2) ORDER BY at, id LIMIT $3"),
            &[at, id, most],
        )?),
        Some(queue) => Ok(tx.query(
            &format!(
                "SELECT {LISTED_COLUMNS} FROM queue_letter
                 WHERE queue = $4 AND (at, id) > ($1, $2) ORDER BY at, id LIMIT $3"
            ),
            &[at, id, most, Val::Text(queue)],
        )?),
    }
}

/// Names in the order of their ids.
pub(in super::super) fn names(tx: &mut Tx<'_>, after: &str, most: usize) -> Result<Vec<DeadName>, QueueError> {
    let rows: Vec<(String, String, Timestamp)> = tx.query(
        "SELECT id, queue, enqueued_at FROM queue_letter WHERE id > $1 ORDER BY id LIMIT $2",
        &[Val::Text(after), Val::Int(most as i64)],
    )?;
    Ok(rows.into_iter().map(|(id, queue, enqueued_at)| DeadName { id, queue, enqueued_at }).collect())
}

pub(in super::super) fn counts(tx: &mut Tx<'_>) -> Result<Vec<(String, i64)>, QueueError> {
    Ok(tx.query("SELECT queue, COUNT(*) FROM queue_letter GROUP BY queue", &[])?)
}
