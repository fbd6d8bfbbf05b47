//! How a SQLite connection is opened: sizes, durability and the waiting for other processes. It runs no statement of a
//! caller's.

use crate::DbError;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a statement waits for another process's transaction.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long opening waits while another process creates the same file or recovers its log: those answer "busy" at once.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause between two tries to open.
const OPEN_PAUSE: Duration = Duration::from_millis(5);
/// How long emptying the log waits for readers; the caller holds up every writer meanwhile.
const CHECKPOINT_TIMEOUT: Duration = Duration::from_millis(100);
/// Prepared statements kept for each connection; more than the statements of any one aggregate.
const STATEMENTS_MAX: usize = 128;

/// What a commit survives. Neither ever leaves a damaged file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Power loss: on disk when the commit returns.
    Power,
    /// The end of the process; power loss may take the last commits. For what can be derived again.
    Process,
}

/// Sizes and durability of a SQLite database's connections.
#[derive(Clone, Copy, Debug)]
pub struct SqliteConfig {
    pub readers: usize,
    /// Size of a page; it can only be chosen when the file is created, later it is without effect.
    pub page_bytes: u32,
    pub writer_cache_bytes: usize,
    pub reader_cache_bytes: usize,
    /// Pages of the write-ahead log after which it is folded into the file.
    pub checkpoint_pages: u32,
    pub durability: Durability,
}

impl Default for SqliteConfig {
    fn default() -> Self {
        SqliteConfig {
            readers: 3,
            page_bytes: 4 << 10,
            writer_cache_bytes: 24 << 20,
            reader_cache_bytes: 4 << 20,
            checkpoint_pages: 8_000,
            durability: Durability::Power,
        }
    }
}

/// What opening does about a file that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Absent {
    Create,
    Fail,
}

/// Opens the connection that writes.
pub(crate) fn writer(path: &Path, config: SqliteConfig, absent: Absent) -> Result<Connection, DbError> {
    let mut flags = OpenFlags::default();
    if absent == Absent::Fail {
        flags.remove(OpenFlags::SQLITE_OPEN_CREATE);
    }
    retry_busy(path, || {
        let connection = Connection::open_with_flags(path, flags)?;
        prepare(&connection)?;
        // The header of a new file decides page size and vacuum mode, and is written with the change to WAL. A file
        // that is in WAL mode is left alone: the change needs the file for itself.
        let mode: String = connection.query_row("PRAGMA journal_mode", [], |row| row.get(0))?;
        if !mode.eq_ignore_ascii_case("wal") {
            connection.execute_batch(&format!(
                "PRAGMA page_size = {};
                 PRAGMA auto_vacuum = INCREMENTAL;
                 PRAGMA journal_mode = WAL;",
                config.page_bytes
            ))?;
        }
        let synchronous = match config.durability {
            Durability::Power => "FULL",
            Durability::Process => "NORMAL",
        };
        connection.execute_batch(&format!(
            "PRAGMA synchronous = {synchronous};
             PRAGMA foreign_keys = ON;
             PRAGMA cache_size = -{};
             PRAGMA wal_autocheckpoint = {};",
            config.writer_cache_bytes / 1024,
            config.checkpoint_pages,
        ))?;
        Ok(connection)
    })
}

/// Opens a connection that cannot change anything. Files are not mapped into memory: mapped pages count as the
/// process's own, and an I/O error on one would end the process instead of the statement.
pub(crate) fn reader(path: &Path, config: SqliteConfig) -> Result<Connection, DbError> {
    retry_busy(path, || {
        // Read-write for the log's shared index; `query_only` is what forbids changes.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        prepare(&connection)?;
        let cache_kib = config.reader_cache_bytes / 1024;
        connection.execute_batch(&format!("PRAGMA query_only = ON; PRAGMA cache_size = -{cache_kib};"))?;
        Ok(connection)
    })
}

fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    connection.execute_batch("PRAGMA temp_store = MEMORY;")
}

/// Folds the log into the file and empties it, as far as readers allow, and gives cache memory back.
pub(crate) fn checkpoint_truncate(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(CHECKPOINT_TIMEOUT)?;
    let folded = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    connection.busy_timeout(BUSY_TIMEOUT)?;
    folded?;
    shrink(connection)
}

/// Gives cache memory back.
pub(crate) fn shrink(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch("PRAGMA shrink_memory;")
}

fn retry_busy(path: &Path, open: impl Fn() -> rusqlite::Result<Connection>) -> Result<Connection, DbError> {
    let started = Instant::now();
    loop {
        match open() {
            Err(error) if is_busy(&error) && started.elapsed() < OPEN_TIMEOUT => std::thread::sleep(OPEN_PAUSE),
            done => return done.map_err(|source| DbError::Open { path: path.to_owned(), source }),
        }
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}
