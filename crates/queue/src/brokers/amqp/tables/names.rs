//! Queues, their lanes, and the processes that work with them.

use super::super::lanes::Seat;
use crate::QueueError;
use db::{Tx, Val};
use stdx::Timestamp;

/// A queue that was ever used or declared.
pub(in super::super) struct Name {
    pub name: String,
    pub is_shared: bool,
    pub is_paused: bool,
}

pub(in super::super) fn all(tx: &mut Tx<'_>) -> Result<Vec<Name>, QueueError> {
    let rows: Vec<(String, bool, bool)> =
        tx.query("SELECT name, is_shared, is_paused FROM queue_name ORDER BY name", &[])?;
    Ok(rows.into_iter().map(|(name, is_shared, is_paused)| Name { name, is_shared, is_paused }).collect())
}

/// Names a queue. Another process may have done so before, and its word stands.
pub(in super::super) fn add(tx: &mut Tx<'_>, queue: &str, is_shared: bool) -> Result<(), QueueError> {
    tx.execute(
        "INSERT INTO queue_name (name, is_shared, is_paused) VALUES ($1, $2, 0) ON CONFLICT (name) DO NOTHING",
        &[Val::Text(queue), Val::from(is_shared)],
    )?;
    Ok(())
}

pub(in super::super) fn set_paused(tx: &mut Tx<'_>, queue: &str, is_paused: bool) -> Result<(), QueueError> {
    tx.execute("UPDATE queue_name SET is_paused = $2 WHERE name = $1", &[Val::Text(queue), Val::from(is_paused)])?;
    Ok(())
}

pub(in super::super) fn lanes(tx: &mut Tx<'_>) -> Result<Vec<(String, String, Seat)>, QueueError> {
    let rows: Vec<(String, String, i64)> = tx.query("SELECT name, queue, seat FROM queue_lane", &[])?;
    Ok(rows.into_iter().map(|(name, queue, seat)| (name, queue, Seat::from_number(seat))).collect())
}

pub(in super::super) fn add_lane(tx: &mut Tx<'_>, name: &str, queue: &str, seat: Seat) -> Result<(), QueueError> {
    tx.execute(
        "INSERT INTO queue_lane (name, queue, seat) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING",
        &[Val::Text(name), Val::Text(queue), Val::Int(seat.number())],
    )?;
    Ok(())
}

/// A process says that it lives, and how much of each lane lies in its buffers.
pub(in super::super) fn hear(tx: &mut Tx<'_>, session: &str, buffered: &str, now: Timestamp) -> Result<(), QueueError> {
    tx.execute(
        "INSERT INTO queue_session (name, heard_at, buffered) VALUES ($1, $2, $3)
         ON CONFLICT (name) DO UPDATE SET heard_at = excluded.heard_at, buffered = excluded.buffered",
        &[Val::Text(session), Val::from(now), Val::Text(buffered)],
    )?;
    Ok(())
}

/// Marks the suspect that a process runs with nothing beside it.
pub(in super::super) fn mark_alone(
    tx: &mut Tx<'_>,
    session: &str,
    job: Option<&str>,
    now: Timestamp,
) -> Result<(), QueueError> {
    tx.execute(
        "INSERT INTO queue_session (name, heard_at, alone, buffered) VALUES ($1, $2, $3, '{}')
         ON CONFLICT (name) DO UPDATE SET alone = excluded.alone",
        &[Val::Text(session), Val::from(now), Val::from(job)],
    )?;
    Ok(())
}

/// Sessions not heard since, with the suspect of each.
pub(in super::super) fn silent(
    tx: &mut Tx<'_>,
    except: &str,
    since: Timestamp,
) -> Result<Vec<(String, Option<String>)>, QueueError> {
    Ok(tx.query(
        "SELECT name, alone FROM queue_session WHERE heard_at <= $2 AND name <> $1",
        &[Val::Text(except), Val::from(since)],
    )?)
}

pub(in super::super) fn forget_session(tx: &mut Tx<'_>, session: &str) -> Result<(), QueueError> {
    tx.execute("DELETE FROM queue_session WHERE name = $1", &[Val::Text(session)])?;
    Ok(())
}

/// What the living processes but one have in their buffers, as JSON objects.
pub(in super::super) fn buffered(tx: &mut Tx<'_>, except: &str, since: Timestamp) -> Result<Vec<String>, QueueError> {
    let rows: Vec<(String,)> = tx.query(
        "SELECT buffered FROM queue_session WHERE name <> $1 AND heard_at > $2",
        &[Val::Text(except), Val::from(since)],
    )?;
    Ok(rows.into_iter().map(|(text,)| text).collect())
}
