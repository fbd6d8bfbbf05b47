//! What can go wrong in the stores.

use db::DbError;
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("use the metadata store")]
    Metadata(#[from] DbError),
    #[error("use the events of {day}")]
    Events {
        day: String,
        #[source]
        source: DbError,
    },
    #[error("{what}")]
    File {
        what: String,
        #[source]
        source: std::io::Error,
    },
    #[error("{what}: the stored bytes are not readable")]
    Damaged { what: String },
    #[error("{what} of {bytes} bytes is larger than {bytes_max}")]
    TooLarge { what: &'static str, bytes: usize, bytes_max: usize },
    #[error("the event day was ended while it was written")]
    DayEnded,
    #[error("another cleanup has begun since")]
    SweepEnded,
    #[error("{what} is not there")]
    Missing { what: String },
    #[error("{what} is taken")]
    Taken { what: String },
    #[error(
        "a restore into {} was begun and not finished: remove what is in it, then run the restore again",
        data_dir.display()
    )]
    Unrestored { data_dir: PathBuf },
    #[error(
        "{} has {files} files of events and no metadata.sqlite: bring it back (a backup has it), or name another folder",
        data_dir.display()
    )]
    Headless { data_dir: PathBuf, files: usize },
}

impl StoreError {
    /// A file could not be used for what was attempted.
    pub(crate) fn file(attempted: &str, source: std::io::Error) -> StoreError {
        StoreError::File { what: attempted.to_owned(), source }
    }

    /// Tells whether a store cannot be written now (disk full, locked), so that the same work may succeed later.
    pub fn is_unwritable(&self) -> bool {
        match self {
            StoreError::Metadata(error) | StoreError::Events { source: error, .. } => error.is_unwritable(),
            StoreError::File { .. } => true,
            StoreError::Damaged { .. }
            | StoreError::TooLarge { .. }
            | StoreError::DayEnded
            | StoreError::SweepEnded
            | StoreError::Missing { .. }
            | StoreError::Taken { .. }
            | StoreError::Unrestored { .. }
            | StoreError::Headless { .. } => false,
        }
    }
}
