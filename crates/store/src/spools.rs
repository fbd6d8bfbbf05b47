//! What the spools of all web processes hold, as each says of its own: the third voice of the conservation ledger, beside
//! the queue's, and where an operator sees whose it is.

use crate::StoreError;
use db::{FromRow, Row, Tx, Val};
use stdx::Timestamp;

/// A folder that holds something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpoolRow {
    /// The folder's, whoever has it.
    pub id: String,
    /// `name@host (pid)` of the process that has it, or had it last.
    pub holder: String,
    pub folder: String,
    pub jobs: i64,
    pub bytes: i64,
    pub oldest_at: Option<Timestamp>,
    pub heard_at: Timestamp,
}

impl FromRow for SpoolRow {
    fn from_row(row: &Row<'_>) -> Result<Self, db::DbError> {
        Ok(SpoolRow {
            id: row.get(0)?,
            holder: row.get(1)?,
            folder: row.get(2)?,
            jobs: row.get(3)?,
            bytes: row.get(4)?,
            oldest_at: row.get(5)?,
            heard_at: row.get(6)?,
        })
    }
}

/// Says what a folder holds; one that holds nothing has no row. Of an empty one somebody else may have said something since
/// it was looked at, which stays.
///
/// # Errors
/// If the database fails.
pub fn say(tx: &mut Tx<'_>, row: &SpoolRow) -> Result<(), StoreError> {
    if row.jobs == 0 {
        tx.execute(
            "DELETE FROM spool WHERE id = $1 AND (holder = $2 OR heard_at <= $3)",
            &[Val::Text(&row.id), Val::Text(&row.holder), Val::from(row.heard_at)],
        )?;
        return Ok(());
    }
    tx.execute(
        "INSERT INTO spool (id, holder, folder, jobs, bytes, oldest_at, heard_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (id) DO UPDATE SET holder = excluded.holder, folder = excluded.folder, jobs = excluded.jobs,
             bytes = excluded.bytes, oldest_at = excluded.oldest_at, heard_at = excluded.heard_at",
        &[
            Val::Text(&row.id),
            Val::Text(&row.holder),
            Val::Text(&row.folder),
            Val::Int(row.jobs),
            Val::Int(row.bytes),
            Val::from(row.oldest_at),
            Val::from(row.heard_at),
        ],
    )?;
    Ok(())
}

/// Returns all that hold something, by folder. They are as few as web processes.
///
/// # Errors
/// If the database fails.
pub fn list(tx: &mut Tx<'_>) -> Result<Vec<SpoolRow>, StoreError> {
    Ok(tx.query("SELECT id, holder, folder, jobs, bytes, oldest_at, heard_at FROM spool ORDER BY folder, id", &[])?)
}

/// Forgets a folder that nobody will say anything of again.
///
/// # Errors
/// If the database fails.
pub fn forget(tx: &mut Tx<'_>, id: &str) -> Result<(), StoreError> {
    tx.execute("DELETE FROM spool WHERE id = $1", &[Val::Text(id)])?;
    Ok(())
}
