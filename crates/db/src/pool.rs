//! Connections: one writer, a few readers, each used by one closure at a time. A closure is a transaction.
//!
//! Blocking callers (worker threads, commands) run the closure on their own thread; async callers hop to a blocking
//! thread, after they have got a place, so that waiting callers cost no thread.

use crate::connect::{self, Absent, SqliteConfig};
use crate::{DbError, Tx};
use rusqlite::{Connection, TransactionBehavior};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use tokio::sync::Semaphore;

/// The engines. PostgreSQL joins here.
#[derive(Clone)]
pub enum Db {
    Sqlite(SqlitePool),
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
        SqlitePool::open(path, config, Absent::Create).map(Db::Sqlite)
    }

    /// Opens a SQLite file if it is there; never creates one.
    ///
    /// # Errors
    /// If it is there and cannot be opened.
    pub fn open_existing_sqlite(path: &Path, config: SqliteConfig) -> Result<Option<Db>, DbError> {
        match SqlitePool::open(path, config, Absent::Fail) {
            Ok(pool) => Ok(Some(Db::Sqlite(pool))),
            // It may have gone between two of the pool's connections.
            Err(DbError::Open { .. }) if !path.exists() => Ok(None),
            Err(error) => Err(error),
        }
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
    pub fn write_blocking<T, E: From<DbError>>(&self, work: impl FnOnce(&mut Tx<'_>) -> Result<T, E>) -> Result<T, E> {
        let Db::Sqlite(pool) = self;
        // A panic in a closure rolled its transaction back; the connection itself is fine.
        let mut writer = pool.0.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate).map_err(DbError::from)?;
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

    /// Folds the write-ahead log into the file, empties it, and gives cache memory back; for quiet times.
    ///
    /// # Errors
    /// If the log cannot be folded; a busy reader only leaves a part of it for later.
    pub fn checkpoint_truncate(&self) -> Result<(), DbError> {
        let Db::Sqlite(pool) = self;
        connect::checkpoint_truncate(&pool.0.writer.lock().unwrap_or_else(PoisonError::into_inner))?;
        // Those in use keep their caches: they are not quiet.
        for reader in pool.0.readers.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            connect::shrink(reader)?;
        }
        Ok(())
    }

    /// Gives up to `pages` free pages of the file's end back; the file shrinks when its log is folded next. Returns how
    /// many were given back.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn vacuum_step(&self, pages: u32) -> Result<u64, DbError> {
        self.write_blocking(|tx| {
            let before = free_pages(tx)?;
            if before > 0 {
                tx.for_each(&format!("PRAGMA incremental_vacuum({pages})"), &[], |_| Ok(()))?;
            }
            Ok(before.saturating_sub(free_pages(tx)?))
        })
    }

    /// Returns where the data is, for messages.
    pub fn location(&self) -> String {
        let Db::Sqlite(pool) = self;
        pool.0.path.display().to_string()
    }
}

impl SqlitePool {
    fn open(path: &Path, config: SqliteConfig, absent: Absent) -> Result<Self, DbError> {
        let writer = connect::writer(path, config, absent)?;
        let readers: Result<Vec<Connection>, _> = (0..config.readers).map(|_| connect::reader(path, config)).collect();
        Ok(SqlitePool(Arc::new(Inner {
            path: path.to_owned(),
            writer: Mutex::new(writer),
            writer_places: Semaphore::new(1),
            readers: Mutex::new(readers?),
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

fn free_pages(tx: &mut Tx<'_>) -> Result<u64, DbError> {
    let (pages,): (i64,) = tx.query_one("PRAGMA freelist_count", &[])?;
    Ok(u64::try_from(pages).unwrap_or_default())
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
