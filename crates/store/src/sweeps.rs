//! Sweeps of retention: one row each. The newest one's id is the fence: a unit of work of any other turns back, so a
//! worker whose sweep died and was followed by another changes nothing more.

use crate::StoreError;
use db::{FromRow, Row, Tx, Val};
use std::fs::{File, TryLockError};
use std::path::Path;
use stdx::Timestamp;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SweepRow {
    pub id: i64,
    /// command or schedule
    pub origin: String,
    /// running, done, incomplete or abandoned
    pub state: String,
    pub started_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    /// JSON, as `pipeline::retention` writes it.
    pub report: String,
}

impl FromRow for SweepRow {
    fn from_row(row: &Row<'_>) -> Result<Self, db::DbError> {
        Ok(SweepRow {
            id: row.get(0)?,
            origin: row.get(1)?,
            state: row.get(2)?,
            started_at: row.get(3)?,
            ended_at: row.get(4)?,
            report: row.get(5)?,
        })
    }
}

/// Held by the one sweep of a data directory while it lives.
pub struct SweepLock(#[expect(dead_code, reason = "the lock is held by the open file")] File);

const LOCK_FILE: &str = "cleanup.lock";

/// Takes the data directory's lock on sweeps; `None` = another process has it. The kernel frees it when its holder dies,
/// however it does.
///
/// # Errors
/// If the lock's file cannot be made.
pub fn lock(data_dir: &Path) -> Result<Option<SweepLock>, StoreError> {
    let failed = |source| StoreError::File { what: "lock the sweep".to_owned(), source };
    let file = File::create(data_dir.join(LOCK_FILE)).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(SweepLock(file))),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// Tells whether a sweep that says it runs was killed: nobody has the lock. To be asked of such a one only, since the
/// question takes the lock for a moment.
///
/// # Errors
/// If the lock's file cannot be made.
pub fn is_dead(data_dir: &Path) -> Result<bool, StoreError> {
    Ok(lock(data_dir)?.is_some())
}

/// Goes on with the last sweep, if it was of this origin, began at `since` or later, and was left incomplete.
///
/// # Errors
/// If the database fails.
pub fn resume(tx: &mut Tx<'_>, origin: &str, since: Timestamp) -> Result<Option<SweepRow>, StoreError> {
    let Some(last) = latest(tx, 1)?.pop() else { return Ok(None) };
    if last.origin != origin || last.state != "incomplete" || last.started_at < since {
        return Ok(None);
    }
    tx.execute("UPDATE retention_sweep SET state = 'running', ended_at = NULL WHERE id = $1", &[Val::Int(last.id)])?;
    Ok(Some(last))
}

/// Returns the sweeps that say they run.
///
/// # Errors
/// If the database fails.
pub fn running(tx: &mut Tx<'_>) -> Result<Vec<SweepRow>, StoreError> {
    Ok(tx.query(
        "SELECT id, origin, state, started_at, ended_at, report FROM retention_sweep WHERE state = 'running'",
        &[],
    )?)
}

/// Writes down what a sweep that still says it runs has done.
///
/// # Errors
/// If the database fails.
pub fn set_report(tx: &mut Tx<'_>, id: i64, report: &str) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE retention_sweep SET report = $2 WHERE id = $1 AND state = 'running'",
        &[Val::Int(id), Val::Text(report)],
    )?;
    Ok(())
}

/// Begins a sweep; those that still run from here on change nothing. Returns its fence.
///
/// # Errors
/// If the database fails.
pub fn begin(tx: &mut Tx<'_>, origin: &str, now: Timestamp) -> Result<i64, StoreError> {
    tx.execute(
        "UPDATE retention_sweep SET state = 'abandoned', ended_at = $1 WHERE state = 'running'",
        &[Val::from(now)],
    )?;
    let (id,): (i64,) = tx.query_one(
        "INSERT INTO retention_sweep (origin, state, started_at) VALUES ($1, 'running', $2) RETURNING id",
        &[Val::Text(origin), Val::from(now)],
    )?;
    Ok(id)
}

/// Tells whether a sweep may still change something; asked in the transaction that does.
///
/// # Errors
/// If the database fails.
pub fn is_current(tx: &mut Tx<'_>, id: i64) -> Result<bool, StoreError> {
    let row: Option<(i64,)> =
        tx.query_opt("SELECT id FROM retention_sweep WHERE id = $1 AND state = 'running'", &[Val::Int(id)])?;
    Ok(row.is_some())
}

/// Ends a sweep, unless another has taken its place.
///
/// # Errors
/// If the database fails.
pub fn finish(tx: &mut Tx<'_>, id: i64, state: &str, report: &str, now: Timestamp) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE retention_sweep SET state = $2, report = $3, ended_at = $4 WHERE id = $1 AND state = 'running'",
        &[Val::Int(id), Val::Text(state), Val::Text(report), Val::from(now)],
    )?;
    Ok(())
}

/// Returns when a sweep of this origin was last done, all of it.
///
/// # Errors
/// If the database fails.
pub fn last_done(tx: &mut Tx<'_>, origin: &str) -> Result<Option<Timestamp>, StoreError> {
    let (at,): (Option<Timestamp>,) = tx.query_one(
        "SELECT MAX(ended_at) FROM retention_sweep WHERE origin = $1 AND state = 'done'",
        &[Val::Text(origin)],
    )?;
    Ok(at)
}

/// Returns the last sweeps, newest first.
///
/// # Errors
/// If the database fails.
pub fn latest(tx: &mut Tx<'_>, limit: usize) -> Result<Vec<SweepRow>, StoreError> {
    Ok(tx.query(
        "SELECT id, origin, state, started_at, ended_at, report FROM retention_sweep ORDER BY id DESC LIMIT $1",
        &[Val::Int(limit as i64)],
    )?)
}
