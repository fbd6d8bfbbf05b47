//! Rows of jobs that live: one statement a function.

use super::super::lanes::Seat;
use crate::broadcast::Scheduled;
use crate::{JobId, QueueError};
use db::{DbError, FromRow, Row, Tx, Val};
use std::time::Duration;
use stdx::Timestamp;

/// A name that was written so long ago and not confirmed belongs to no job: its publisher has heard that it failed, or died
/// before it sent anything. If the server has the message after all, it comes and is run.
const UNCONFIRMED_AFTER: Duration = Duration::from_secs(30);

/// Where a job is. The numbers are those of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum State {
    Sending = 1,
    Ready = 2,
    Leased = 3,
    Delayed = 4,
    Parked = 5,
    Ended = 6,
}

impl State {
    fn of(number: i64) -> State {
        match number {
            1 => State::Sending,
            2 => State::Ready,
            3 => State::Leased,
            4 => State::Delayed,
            5 => State::Parked,
            _ => State::Ended,
        }
    }
}

/// What a row says of a job.
#[derive(Clone, Debug)]
pub(in super::super) struct JobRow {
    pub id: String,
    pub tag: String,
    pub state: State,
    pub attempts: u32,
    pub deaths: u32,
    pub company_deaths: u32,
    pub enqueued_at: Timestamp,
}

const COLUMNS: &str = "id, tag, state, attempts, deaths, company_deaths, enqueued_at";

impl FromRow for JobRow {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        let count = |index| row.get::<i64>(index).map(|count| u32::try_from(count).unwrap_or(0));
        Ok(JobRow {
            id: row.get(0)?,
            tag: row.get(1)?,
            state: State::of(row.get(2)?),
            attempts: count(3)?,
            deaths: count(4)?,
            company_deaths: count(5)?,
            enqueued_at: row.get(6)?,
        })
    }
}

pub(in super::super) fn find(tx: &mut Tx<'_>, id: &str) -> Result<Option<JobRow>, QueueError> {
    Ok(tx.query_opt(&format!("SELECT {COLUMNS} FROM queue_job WHERE id = $1"), &[Val::Text(id)])?)
}

pub(in super::super) fn find_many(tx: &mut Tx<'_>, ids: &[&str]) -> Result<Vec<JobRow>, QueueError> {
    let parameters = ids.iter().map(|id| [Val::Text(id)]);
    Ok(tx.query_many(&format!("SELECT {COLUMNS} FROM queue_job WHERE id = $1"), parameters)?)
}

/// What is written of a new job.
pub(in super::super) struct NewRow<'a> {
    pub id: &'a str,
    pub tag: &'a str,
    pub queue: &'a str,
    pub lane: &'a str,
    pub seat: Seat,
    pub task: &'a str,
    pub state: State,
    pub unique_key: Option<&'a str>,
    pub fairness_key: u64,
    pub bytes: u64,
    pub attempts: u32,
    pub deaths: u32,
    pub company_deaths: u32,
    pub enqueued_at: Timestamp,
    pub due_at: Option<Timestamp>,
    pub lease: Option<(i64, &'a str)>,
}

/// Writes a row in the place of one that has ended, if there is one.
pub(in super::super) fn replace(tx: &mut Tx<'_>, row: &NewRow<'_>, now: Timestamp) -> Result<(), QueueError> {
    tx.execute("DELETE FROM queue_job WHERE id = $1 AND state = 6", &[Val::Text(row.id)])?;
    insert(tx, row, now)
}

/// Writes a row where there is none.
pub(in super::super) fn insert(tx: &mut Tx<'_>, row: &NewRow<'_>, now: Timestamp) -> Result<(), QueueError> {
    tx.execute(
        "INSERT INTO queue_job (id, tag, queue, lane, seat, task, state, unique_key, fairness_key, bytes, attempts,
             deaths, company_deaths, enqueued_at, changed_at, due_at, lease, session, is_doubtful)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, 0)",
        &[
            Val::Text(row.id),
            Val::Text(row.tag),
            Val::Text(row.queue),
            Val::Text(row.lane),
            Val::Int(row.seat.number()),
            Val::Text(row.task),
            Val::Int(row.state as i64),
            Val::from(row.unique_key),
            Val::Int(row.fairness_key.cast_signed()),
            Val::Int(row.bytes.cast_signed()),
            Val::Int(i64::from(row.attempts)),
            Val::Int(i64::from(row.deaths)),
            Val::Int(i64::from(row.company_deaths)),
            Val::from(row.enqueued_at),
            Val::from(now),
            Val::from(row.due_at),
            Val::from(row.lease.map(|(lease, _)| lease)),
            Val::from(row.lease.map(|(_, session)| session)),
        ],
    )?;
    Ok(())
}

/// The key by which a job that lives takes turns.
pub(in super::super) fn fairness_key(tx: &mut Tx<'_>, id: &str) -> Result<u64, QueueError> {
    let key: Option<(i64,)> = tx.query_opt("SELECT fairness_key FROM queue_job WHERE id = $1", &[Val::Text(id)])?;
    Ok(key.map_or(0, |(key,)| key.cast_unsigned()))
}

pub(in super::super) fn task(tx: &mut Tx<'_>, id: &str) -> Result<String, QueueError> {
    let task: Option<(String,)> = tx.query_opt("SELECT task FROM queue_job WHERE id = $1", &[Val::Text(id)])?;
    Ok(task.map(|(task,)| task).unwrap_or_default())
}

/// Whether a job that lives has the key. One that was never confirmed gives it up: nobody was told that it is there.
pub(in super::super) fn has_unique_key(tx: &mut Tx<'_>, key: &str, now: Timestamp) -> Result<bool, QueueError> {
    tx.execute(
        "UPDATE queue_job SET unique_key = NULL
         WHERE unique_key = $1 AND state = 1 AND changed_at <= $2 AND id NOT IN (SELECT id FROM queue_message)",
        &[Val::Text(key), Val::from(now.minus(UNCONFIRMED_AFTER))],
    )?;
    let found: Option<(i64,)> = tx.query_opt("SELECT 1 FROM queue_job WHERE unique_key = $1", &[Val::Text(key)])?;
    Ok(found.is_some())
}

/// How much there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Size {
    pub jobs: u64,
    pub bytes: u64,
}

/// Jobs that live. Both statements read an index and no row.
pub(in super::super) fn size(tx: &mut Tx<'_>) -> Result<Size, QueueError> {
    let all: (i64, i64) = tx.query_one("SELECT COUNT(*), COALESCE(SUM(bytes), 0) FROM queue_job", &[])?;
    let ended: (i64, i64) =
        tx.query_one("SELECT COUNT(*), COALESCE(SUM(bytes), 0) FROM queue_job WHERE state = 6", &[])?;
    Ok(Size { jobs: (all.0 - ended.0).unsigned_abs(), bytes: (all.1 - ended.1).unsigned_abs() })
}

/// Those of one key.
pub(in super::super) fn count_key(tx: &mut Tx<'_>, key: u64) -> Result<u64, QueueError> {
    let key = [Val::Int(key.cast_signed())];
    let (all,): (i64,) = tx.query_one("SELECT COUNT(*) FROM queue_job WHERE fairness_key = $1", &key)?;
    // The sign keeps the planner from the key's index, which knows no states: it would read every row of a flood.
    let (ended,): (i64,) =
        tx.query_one("SELECT COUNT(*) FROM queue_job WHERE state = 6 AND +fairness_key = $1", &key)?;
    Ok((all - ended).unsigned_abs())
}

/// The same message will be sent once more: it may come twice.
pub(in super::super) fn doubt(tx: &mut Tx<'_>, id: &str, now: Timestamp) -> Result<(), QueueError> {
    tx.execute(
        "UPDATE queue_job SET is_doubtful = 1, changed_at = $2 WHERE id = $1 AND state = 1",
        &[Val::Text(id), Val::from(now)],
    )?;
    Ok(())
}

/// A message that the server has, since when.
pub(in super::super) struct Confirmed {
    pub id: String,
    pub tag: String,
    pub at: Timestamp,
}

/// The server has the messages; they may have been claimed meanwhile.
pub(in super::super) fn confirm(tx: &mut Tx<'_>, sent: &[Confirmed]) -> Result<(), QueueError> {
    let rows = sent.iter().map(|one| [Val::Text(&one.id), Val::Text(&one.tag), Val::from(one.at)]);
    tx.execute_many(
        "UPDATE queue_job SET state = 2, changed_at = $3, session = NULL WHERE id = $1 AND tag = $2 AND state = 1",
        rows,
    )?;
    Ok(())
}

/// The server refused the message for certain.
pub(in super::super) fn refuse(tx: &mut Tx<'_>, id: &str, tag: &str) -> Result<(), QueueError> {
    tx.execute(
        "DELETE FROM queue_job WHERE id = $1 AND tag = $2 AND state = 1 AND is_doubtful = 0",
        &[Val::Text(id), Val::Text(tag)],
    )?;
    Ok(())
}

/// What a claim writes.
pub(in super::super) struct Leasing<'a> {
    pub lease: i64,
    pub session: &'a str,
    pub until: Timestamp,
    pub now: Timestamp,
}

/// Leases a job that was never tried, whose message has this tag. Returns whether it was one: most are, and need not be
/// read.
pub(in super::super) fn lease_first(
    tx: &mut Tx<'_>,
    (id, tag): (&str, &str),
    leasing: &Leasing<'_>,
) -> Result<bool, QueueError> {
    let leased = tx.execute(
        "UPDATE queue_job
         SET state = 3, lease = $3, session = $4, due_at = $5, changed_at = $6, attempts = 1
         WHERE id = $1 AND tag = $2 AND state IN (1, 2) AND attempts = 0 AND deaths = 0 AND company_deaths = 0",
        &[
            Val::Text(id),
            Val::Text(tag),
            Val::Int(leasing.lease),
            Val::Text(leasing.session),
            Val::from(leasing.until),
            Val::from(leasing.now),
        ],
    )?;
    Ok(leased > 0)
}

/// Leases a job whose message has this tag; `None` if it is not ready.
pub(in super::super) fn lease(
    tx: &mut Tx<'_>,
    (id, tag): (&str, &str),
    attempts_min: u32,
    leasing: &Leasing<'_>,
) -> Result<Option<JobRow>, QueueError> {
    let sql = format!(
        "UPDATE queue_job
         SET state = 3, lease = $3, session = $4, due_at = $5, changed_at = $6,
             attempts = CASE WHEN attempts < $7 THEN $7 ELSE attempts END + 1
         WHERE id = $1 AND tag = $2 AND state IN (1, 2)
         RETURNING {COLUMNS}"
    );
    Ok(tx.query_opt(
        &sql,
        &[
            Val::Text(id),
            Val::Text(tag),
            Val::Int(leasing.lease),
            Val::Text(leasing.session),
            Val::from(leasing.until),
            Val::from(leasing.now),
            Val::Int(i64::from(attempts_min)),
        ],
    )?)
}

/// Another message stands for the job now: a Python worker took the first and sent its retry.
pub(in super::super) fn adopt(tx: &mut Tx<'_>, id: &str, tag: &str) -> Result<(), QueueError> {
    tx.execute("UPDATE queue_job SET tag = $2 WHERE id = $1 AND state IN (1, 2)", &[Val::Text(id), Val::Text(tag)])?;
    Ok(())
}

/// Returns the places of the leases that are lost.
pub(in super::super) fn extend(
    tx: &mut Tx<'_>,
    leases: &[(String, i64)],
    until: Timestamp,
) -> Result<Vec<usize>, QueueError> {
    let mut lost = Vec::new();
    for (index, (id, lease)) in leases.iter().enumerate() {
        let changed = tx.execute(
            "UPDATE queue_job SET due_at = $3 WHERE id = $1 AND lease = $2 AND state = 3",
            &[Val::Text(id), Val::Int(*lease), Val::from(until)],
        )?;
        if changed == 0 {
            lost.push(index);
        }
    }
    Ok(lost)
}

/// A job is over. Returns whether the lease was still there.
pub(in super::super) fn end(tx: &mut Tx<'_>, id: &str, lease: i64) -> Result<bool, QueueError> {
    let gone = tx.execute(
        "DELETE FROM queue_job WHERE id = $1 AND lease = $2 AND state = 3 AND is_doubtful = 0",
        &[Val::Text(id), Val::Int(lease)],
    )?;
    Ok(gone > 0 || end_doubtful(tx, id, lease, Timestamp::EPOCH)?)
}

/// A job is over whose message may come again: its name is kept so that this is seen.
pub(in super::super) fn end_doubtful(
    tx: &mut Tx<'_>,
    id: &str,
    lease: i64,
    now: Timestamp,
) -> Result<bool, QueueError> {
    let ended = tx.execute(
        "UPDATE queue_job
         SET state = 6, unique_key = NULL, lease = NULL, session = NULL, due_at = NULL,
             changed_at = CASE WHEN changed_at < $3 THEN $3 ELSE changed_at END
         WHERE id = $1 AND lease = $2 AND state = 3",
        &[Val::Text(id), Val::Int(lease), Val::from(now)],
    )?;
    Ok(ended > 0)
}

/// Where a leased job goes next.
pub(in super::super) struct Next {
    pub state: State,
    pub due_at: Option<Timestamp>,
    pub gives_attempt_back: bool,
    pub deaths: (u32, u32),
}

/// Ends a run, not the job. Returns whether the lease was still there.
pub(in super::super) fn release(
    tx: &mut Tx<'_>,
    id: &str,
    lease: i64,
    next: &Next,
    now: Timestamp,
) -> Result<bool, QueueError> {
    let changed = tx.execute(
        "UPDATE queue_job
         SET state = $3, due_at = $4, attempts = attempts - $5, lease = NULL, session = NULL, changed_at = $6,
             deaths = $7, company_deaths = $8
         WHERE id = $1 AND lease = $2 AND state = 3",
        &[
            Val::Text(id),
            Val::Int(lease),
            Val::Int(next.state as i64),
            Val::from(next.due_at),
            Val::from(next.gives_attempt_back),
            Val::from(now),
            Val::Int(i64::from(next.deaths.0)),
            Val::Int(i64::from(next.deaths.1)),
        ],
    )?;
    Ok(changed > 0)
}

/// A job that somebody holds or held.
pub(in super::super) struct HeldRow {
    pub id: String,
    pub lease: i64,
    pub session: String,
    pub has_message: bool,
    pub deaths: u32,
    pub company_deaths: u32,
}

impl FromRow for HeldRow {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        let count = |index| row.get::<i64>(index).map(|count| u32::try_from(count).unwrap_or(0));
        Ok(HeldRow {
            id: row.get(0)?,
            lease: row.get(1)?,
            session: row.get(2)?,
            has_message: row.get(3)?,
            deaths: count(4)?,
            company_deaths: count(5)?,
        })
    }
}

const HELD_COLUMNS: &str =
    "id, lease, session, EXISTS (SELECT 1 FROM queue_message WHERE queue_message.id = queue_job.id),
    deaths, company_deaths";

pub(in super::super) fn held(tx: &mut Tx<'_>, id: &str, lease: i64) -> Result<Option<HeldRow>, QueueError> {
    let sql = format!("SELECT {HELD_COLUMNS} FROM queue_job WHERE id = $1 AND lease = $2 AND state = 3");
    Ok(tx.query_opt(&sql, &[Val::Text(id), Val::Int(lease)])?)
}

/// What one session holds.
pub(in super::super) fn held_by(tx: &mut Tx<'_>, session: &str, most: usize) -> Result<Vec<HeldRow>, QueueError> {
    let sql = format!("SELECT {HELD_COLUMNS} FROM queue_job WHERE state = 3 AND session = $1 ORDER BY due_at LIMIT $2");
    Ok(tx.query(&sql, &[Val::Text(session), Val::Int(most as i64)])?)
}

/// Leases of others that have ended.
pub(in super::super) fn expired(
    tx: &mut Tx<'_>,
    except: &str,
    now: Timestamp,
    most: usize,
) -> Result<Vec<HeldRow>, QueueError> {
    let sql = format!(
        "SELECT {HELD_COLUMNS} FROM queue_job
         WHERE state = 3 AND due_at <= $2 AND session <> $1
         ORDER BY due_at LIMIT $3"
    );
    Ok(tx.query(&sql, &[Val::Text(except), Val::from(now), Val::Int(most as i64)])?)
}

/// Makes parked jobs of a task ready to be sent, in the order in which they were parked.
pub(in super::super) fn unpark(tx: &mut Tx<'_>, task: &str, now: Timestamp) -> Result<u64, QueueError> {
    let moved = tx.execute(
        "UPDATE queue_job SET state = 4, due_at = changed_at, changed_at = $2 WHERE state = 5 AND task = $1",
        &[Val::Text(task), Val::from(now)],
    )?;
    Ok(moved as u64)
}

/// How much of a queue is in one state.
pub(in super::super) struct Tally {
    pub queue: String,
    pub state: State,
    pub jobs: u64,
    pub bytes: u64,
    pub oldest: Option<Timestamp>,
}

impl FromRow for Tally {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Tally {
            queue: row.get(0)?,
            state: State::of(row.get(1)?),
            jobs: row.get::<i64>(2)?.unsigned_abs(),
            bytes: row.get::<i64>(3)?.unsigned_abs(),
            oldest: row.get(4)?,
        })
    }
}

pub(in super::super) fn tallies(tx: &mut Tx<'_>, now: Timestamp) -> Result<Vec<Tally>, QueueError> {
    Ok(tx.query(
        "SELECT queue, state, COUNT(*), SUM(bytes), MIN(enqueued_at)
         FROM queue_job
         WHERE state <> 6
             AND (state <> 1 OR changed_at > $1 OR id IN (SELECT id FROM queue_message))
         GROUP BY queue, state",
        &[Val::from(now.minus(UNCONFIRMED_AFTER))],
    )?)
}

/// Jobs of a queue that wait for their time, the next first.
pub(in super::super) fn scheduled(tx: &mut Tx<'_>, queue: &str, most: usize) -> Result<Vec<Scheduled>, QueueError> {
    let rows: Vec<(Timestamp, String, String, i64)> = tx.query(
        "SELECT due_at, id, task, attempts FROM queue_job WHERE state = 4 AND queue = $1 ORDER BY due_at LIMIT $2",
        &[Val::Text(queue), Val::Int(most as i64)],
    )?;
    let scheduled = |(due, id, task, attempts): (Timestamp, String, String, i64)| Scheduled {
        due,
        id: JobId::new(&id),
        task: task.into(),
        queue: queue.into(),
        // The one that it waits for.
        attempt: u32::try_from(attempts).unwrap_or(0) + 1,
    };
    Ok(rows.into_iter().map(scheduled).collect())
}

pub(in super::super) fn parked(tx: &mut Tx<'_>) -> Result<Vec<(String, String, i64, Timestamp)>, QueueError> {
    Ok(tx.query(
        "SELECT queue, task, COUNT(*), MIN(changed_at) FROM queue_job WHERE state = 5 GROUP BY queue, task",
        &[],
    )?)
}
