//! Connections: one writer, a few readers, each used by one closure at a time. A closure is a transaction.
//!
//! Blocking callers (worker threads, commands) run the closure on their own thread; async callers hop to a blocking
//! thread, after they have got a place, so that waiting callers cost no thread.

use crate::connect::{self, SqliteConfig};
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

    /// Returns where the data is, for messages.
    pub fn location(&self) -> String {
        let Db::Sqlite(pool) = self;
        pool.0.path.display().to_string()
    }
}

impl SqlitePool {
    fn open(path: &Path, config: SqliteConfig) -> Result<Self, DbError> {
        let writer = connect::writer(path, config)?;
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
