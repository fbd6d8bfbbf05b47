//! A database as it stood at one moment, to be copied while others write on.

use crate::{DbError, SqliteConfig, Tx, connect};
use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};
use std::path::{Path, PathBuf};

/// A database as it stood at one moment: a read transaction that stays open. While it lives, the database's write-ahead
/// log only grows.
pub struct Snapshot {
    connection: Connection,
    path: PathBuf,
}

impl Snapshot {
    /// Holds a SQLite file as it stands now; `None` if it is not there. Nothing is created or migrated.
    ///
    /// # Errors
    /// If it is there and cannot be read.
    pub fn of_sqlite(path: &Path) -> Result<Option<Snapshot>, DbError> {
        let connection = match connect::reader(path, SqliteConfig::default()) {
            Ok(connection) => connection,
            Err(DbError::Open { .. }) if !path.exists() => return Ok(None),
            Err(error) => return Err(error),
        };
        connection.execute_batch("BEGIN")?;
        // The moment is that of the first look, not of BEGIN.
        connection.query_row("SELECT COUNT(*) FROM sqlite_master", [], |_| Ok(()))?;
        Ok(Some(Snapshot { connection, path: path.to_owned() }))
    }

    /// Runs `work` on that moment; it cannot change anything.
    ///
    /// # Errors
    /// What `work` returns.
    pub fn read<T, E: From<DbError>>(&self, work: impl FnOnce(&mut Tx<'_>) -> Result<T, E>) -> Result<T, E> {
        work(&mut Tx::on(&self.connection))
    }

    /// Writes that moment to a new file, page by page. It is not flushed: whoever copies many files does that once.
    ///
    /// # Errors
    /// If it cannot be read or written; what was written of the copy stays.
    pub fn copy_to(&self, path: &Path) -> Result<(), DbError> {
        self.copy(path).map(drop)
    }

    /// The same, and takes away what has no meaning elsewhere.
    ///
    /// # Errors
    /// Those of `copy_to`, and what `change` returns.
    pub fn copy_changed<E: From<DbError>>(
        &self,
        path: &Path,
        change: impl FnOnce(&mut Tx<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let copy = self.copy(path)?;
        change(&mut Tx::on(&copy))
    }

    fn copy(&self, path: &Path) -> Result<Connection, DbError> {
        let opened = Connection::open(path);
        let mut copy = opened.map_err(|source| DbError::Open { path: path.to_owned(), source })?;
        // A copy that was begun and not ended is thrown away, so it needs no way back.
        copy.execute_batch("PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF;")?;
        // All pages in one step: the moment is held, so nothing makes it begin anew.
        let ended = Backup::new(&self.connection, &mut copy)?.step(-1)?;
        match ended {
            StepResult::Done => Ok(copy),
            ended => Err(DbError::Unfinished { path: path.to_owned(), ended: format!("{ended:?}") }),
        }
    }

    /// Returns where the database is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}
