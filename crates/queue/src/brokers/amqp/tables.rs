//! The ledger's tables: a file that every process of the queue opens. Two doors lead to it: a commit by the first is on
//! the disk before it returns, one by the second survives the end of the process. Where RabbitMQ still has the message
//! the second is enough: a row that a power cut takes only costs a job's name or a second run.

pub(super) mod elsewhere;
pub(super) mod forgotten;
pub(super) mod installation;
pub(super) mod jobs;
pub(super) mod leaving;
pub(super) mod letters;
pub(super) mod messages;
pub(super) mod names;
#[cfg(test)]
mod plans;
pub(super) mod revoked;
pub(super) mod rows;
pub(super) mod unsent;

use crate::QueueError;
use db::{Db, DbError, Durability, Migration, SqliteConfig, Tx};
use std::path::Path;
use stdx::Timestamp;

const MIGRATIONS: &[Migration] = &[
    Migration { number: 1, name: "ledger", sql: include_str!("tables/0001_ledger.sql") },
    Migration { number: 2, name: "looks", sql: include_str!("tables/0002_looks.sql") },
    Migration { number: 3, name: "letters", sql: include_str!("tables/0003_letters.sql") },
    Migration { number: 4, name: "bounds", sql: include_str!("tables/0004_bounds.sql") },
    Migration { number: 5, name: "installation", sql: include_str!("tables/0005_installation.sql") },
];

/// Pages of jobs that live; beyond it they are read again from the system's cache. Taken only where there are so many.
const CACHE_BYTES: usize = 16 << 20;

pub(super) struct Tables {
    durable: Db,
    quick: Db,
}

impl From<DbError> for QueueError {
    fn from(error: DbError) -> Self {
        let why = stdx::causes::on_one_line(&error);
        if error.is_unwritable() {
            QueueError::Unwritable { why }
        } else {
            QueueError::Refused { broker: "the queue's ledger".to_owned(), why }
        }
    }
}

impl Tables {
    pub fn open(path: &Path, now: Timestamp) -> Result<Tables, QueueError> {
        let small = SqliteConfig {
            readers: 2,
            writer_cache_bytes: CACHE_BYTES,
            reader_cache_bytes: 1 << 20,
            ..SqliteConfig::default()
        };
        let durable = Db::open_sqlite(path, SqliteConfig { readers: 1, writer_cache_bytes: 2 << 20, ..small })?;
        db::migrate::run(&durable, MIGRATIONS, now)?;
        let quick = Db::open_sqlite(path, SqliteConfig { durability: Durability::Process, ..small })?;
        Ok(Tables { durable, quick })
    }

    /// Returns the installation's id if there is a ledger, and it has one. Nothing is created.
    pub fn installation_of(path: &Path) -> Result<Option<String>, QueueError> {
        let Some(ledger) = Db::open_existing_sqlite(path, SqliteConfig { readers: 1, ..SqliteConfig::default() })?
        else {
            return Ok(None);
        };
        // One of an earlier release is brought up to date by whoever runs.
        let is_old = !db::migrate::pending(&ledger, MIGRATIONS)?.is_empty();
        if is_old { Ok(None) } else { ledger.read_blocking(installation::id) }
    }

    /// For what is nowhere else.
    pub fn write<T>(&self, work: impl FnOnce(&mut Tx<'_>) -> Result<T, QueueError>) -> Result<T, QueueError> {
        self.durable.write_blocking(work)
    }

    /// For what a message can tell again.
    pub fn note<T>(&self, work: impl FnOnce(&mut Tx<'_>) -> Result<T, QueueError>) -> Result<T, QueueError> {
        self.quick.write_blocking(work)
    }

    pub fn read<T>(&self, work: impl FnOnce(&mut Tx<'_>) -> Result<T, QueueError>) -> Result<T, QueueError> {
        self.quick.read_blocking(work)
    }
}
