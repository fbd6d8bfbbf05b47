//! What can go wrong with a database.

use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum DbError {
    #[error("open the database {}", path.display())]
    Open {
        path: PathBuf,
        #[source]
        source: rusqlite::Error,
    },
    /// The disk is full or gives errors, or another process holds the lock too long: trying again later may help.
    #[error("write to the database")]
    Unwritable(#[source] rusqlite::Error),
    #[error("run a statement")]
    Statement(#[source] rusqlite::Error),
    #[error("expected one row, found none")]
    NoRow,
    #[error("read column {index}: expected {expected}")]
    Column { index: usize, expected: &'static str },
    #[error("the database's thread has ended")]
    Stopped,
    #[error("the database is of a newer release: it has migration {found}, this release knows {known}")]
    Newer { found: u32, known: u32 },
    #[error("the copy to {} is not whole: it ended as {ended}", path.display())]
    Unfinished { path: PathBuf, ended: String },
    #[error("migration {number} was changed after it was applied")]
    Changed { number: u32 },
}

impl DbError {
    /// Tells whether the store cannot be written now, so that the same work may succeed later.
    pub fn is_unwritable(&self) -> bool {
        matches!(self, DbError::Unwritable(_) | DbError::Open { .. })
    }
}

impl From<rusqlite::Error> for DbError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        match error.sqlite_error_code() {
            Some(
                ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure
                | ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::ReadOnly
                | ErrorCode::CannotOpen
                | ErrorCode::FileLockingProtocolFailed,
            ) => DbError::Unwritable(error),
            _ => DbError::Statement(error),
        }
    }
}
