//! Connections: one writer, a few readers, each used by one closure at a time. A closure is a transaction.
//!
//! Blocking callers (worker threads, commands) run the closure on their own thread; async callers hop to a blocking
//! thread, after they have got a place, so that waiting callers cost no thread.

use crate::{DbError, Tx};
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// How long a writer waits for another process's transaction.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// Prepared statements kept for each connection; more than the statements of any one aggregate.
const STATEMENTS_MAX: usize = 128;

/// The engines. PostgreSQL joins here.
#[derive(Clone)]
pub enum Db {
    Sqlite(SqlitePool),
}

/// Sizes of a SQLite database's connections.
#[derive(Clone, Copy, Debug)]
pub struct SqliteConfig {
    pub readers: usize,
    pub writer_cache_bytes: usize,
    pub reader_cache_bytes: usize,
    /// Bytes of the file that may be mapped into memory for reading.
    pub mmap_bytes: u64,
    /// Pages of the write-ahead log after which it is folded into the file.
    pub checkpoint_pages: u32,
}

impl Default for SqliteConfig {
    fn default() -> Self {
        SqliteConfig {
            readers: 3,
            writer_cache_bytes: 24 << 20,
            reader_cache_bytes: 4 << 20,
            mmap_bytes: 256 << 20,
            checkpoint_pages: 8_000,
        }
    }
}

/// One SQLite file.
#[derive(Clone)]
pub struct SqlitePool(Arc<Inner>);

struct Inner {
    path: PathBuf,
    writer: Mutex<Connection>,
    writer_places: Semaphore,
    readers: Mutex<Vec<Connection>>,
    reader_returned: Condvar,
    reader_places: Semaphore,
}

impl Db {
    /// Opens or creates a SQLite file.
    ///
    /// # Errors
    /// If the file cannot be opened.
    pub fn open_sqlite(path: &Path, config: SqliteConfig) -> Result<Db, DbError> {
        SqlitePool::open(path, config).map(Db::Sqlite)
    }

    /// Runs `work` as one read-write transaction, committed (durably) if it returns `Ok`.
    ///
    /// # Errors
    /// What `work` returns, or the database's own failure; nothing is changed then.
    pub async fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
        F: FnOnce(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    {
        let Db::Sqlite(pool) = self;
        let place = pool.0.writer_places.acquire().await.map_err(|_| DbError::Stopped)?;
        let db = self.clone();
        let done = tokio::task::spawn_blocking(move || db.write_blocking(work)).await;
        drop(place);
        done.map_err(|_| DbError::Stopped)?
    }

    /// Runs `work` on one consistent snapshot; it cannot change anything.
    ///
    /// # Errors
    /// What `work` returns, or the database's own failure.
    pub async fn read<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
        F: FnOnce(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    {
        let Db::Sqlite(pool) = self;
        let place = pool.0.reader_places.acquire().await.map_err(|_| DbError::Stopped)?;
        let db = self.clone();
        let done = tokio::task::spawn_blocking(move || db.read_blocking(work)).await;
        drop(place);
        done.map_err(|_| DbError::Stopped)?
    }

    /// As `write`, on the calling thread.
    ///
    /// # Errors
    /// As `write`.
    pub fn write_blocking<T, E: From<DbError>>(
        &self,
        work: impl FnOnce(&mut Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let Db::Sqlite(pool) = self;
        // A panic in a closure rolled its transaction back; the connection itself is fine.
        let mut writer = pool.0.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction =
            writer.transaction_with_behavior(TransactionBehavior::Immediate).map_err(DbError::from)?;
        let result = work(&mut Tx::on(&transaction))?;
        transaction.commit().map_err(DbError::from)?;
        Ok(result)
    }

    /// As `read`, on the calling thread.
    ///
    /// # Errors
    /// As `read`.
    pub fn read_blocking<T, E: From<DbError>>(&self, work: impl FnOnce(&mut Tx<'_>) -> Result<T, E>) -> Result<T, E> {
        let Db::Sqlite(pool) = self;
        let mut reader = pool.borrow_reader();
        let transaction = reader.connection().transaction().map_err(DbError::from)?;
        work(&mut Tx::on(&transaction))
    }

    /// Folds the write-ahead log into the file and empties it; for quiet times.
    ///
    /// # Errors
    /// If the log cannot be folded; a busy reader only leaves a part of it for later.
    pub fn checkpoint_truncate(&self) -> Result<(), DbError> {
        let Db::Sqlite(pool) = self;
        let writer = pool.0.writer.lock().unwrap_or_else(PoisonError::into_inner);
        writer.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        writer.execute_batch("PRAGMA shrink_memory")?;
        Ok(())
    }

    /// Returns where the data is, for messages.
    pub fn location(&self) -> String {
        let Db::Sqlite(pool) = self;
        pool.0.path.display().to_string()
    }
}

impl SqlitePool {
    fn open(path: &Path, config: SqliteConfig) -> Result<Self, DbError> {
        let failed = |source| DbError::Open { path: path.to_owned(), source };
        let writer = open_writer(path, config).map_err(failed)?;
        let readers: Result<Vec<Connection>, _> = (0..config.readers).map(|_| open_reader(path, config)).collect();
        Ok(SqlitePool(Arc::new(Inner {
            path: path.to_owned(),
            writer: Mutex::new(writer),
            writer_places: Semaphore::new(1),
            readers: Mutex::new(readers.map_err(failed)?),
            reader_returned: Condvar::new(),
            reader_places: Semaphore::new(config.readers),
        })))
    }

    fn borrow_reader(&self) -> Reader<'_> {
        let mut readers = self.0.readers.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(connection) = readers.pop() {
                return Reader { pool: self, connection: Some(connection) };
            }
            readers = self.0.reader_returned.wait(readers).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// A borrowed reader, given back on drop.
struct Reader<'a> {
    pool: &'a SqlitePool,
    connection: Option<Connection>,
}

impl Reader<'_> {
    fn connection(&mut self) -> &mut Connection {
        self.connection.as_mut().expect("the connection leaves only on drop")
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.pool.0.readers.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            self.pool.0.reader_returned.notify_one();
        }
    }
}

fn open_writer(path: &Path, config: SqliteConfig) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    // An ack follows a commit, so a commit is on disk: FULL. The header of a new file decides the vacuum mode.
    connection.execute_batch(&format!(
        "PRAGMA auto_vacuum = INCREMENTAL;
         PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA foreign_keys = ON;
         PRAGMA temp_store = MEMORY;
         PRAGMA cache_size = -{};
         PRAGMA wal_autocheckpoint = {};",
        config.writer_cache_bytes / 1024,
        config.checkpoint_pages,
    ))?;
    Ok(connection)
}

fn open_reader(path: &Path, config: SqliteConfig) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    connection.execute_batch(&format!(
        "PRAGMA query_only = ON; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -{}; PRAGMA mmap_size = {};",
        config.reader_cache_bytes / 1024,
        config.mmap_bytes,
    ))?;
    Ok(connection)
}
