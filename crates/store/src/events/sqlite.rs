//! Day partitions as SQLite files: `events/2026-11-21.g1.sqlite`, the generation in the name, so that a day that was
//! dropped and used again never meets its old file. Open files stay in a small LRU.

use super::{EventRow, EventStore, ListQuery, StoredEvent, day_file};
use crate::StoreError;
use crate::days::OpenDay;
use db::{Db, DbError};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Files open at once; each costs about a megabyte idle and up to its caches in use.
const DAYS_OPEN_MAX: usize = 8;

pub struct SqliteEvents {
    folder: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The last used is at the end.
    open: Vec<(OpenDay, Db)>,
    /// Days this process dropped: a late writer must not make their file again.
    dropped: HashSet<OpenDay>,
}

impl SqliteEvents {
    /// Uses `folder`, creating it.
    ///
    /// # Errors
    /// If the folder cannot be created.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        std::fs::create_dir_all(folder)
            .map_err(|source| StoreError::File { what: format!("create the folder {}", folder.display()), source })?;
        Ok(SqliteEvents { folder: folder.to_owned(), state: Mutex::default() })
    }

    fn path(&self, day: &OpenDay) -> PathBuf {
        self.folder.join(format!("{}.g{}.sqlite", day.day, day.generation))
    }

    /// Returns the day's file, opened; `None` if it was never written.
    fn existing(&self, day: &OpenDay) -> Result<Option<Db>, StoreError> {
        if self.lock().open.iter().any(|(open, _)| open == day) || self.path(day).exists() {
            return self.borrow(day).map(Some);
        }
        Ok(None)
    }

    fn borrow(&self, day: &OpenDay) -> Result<Db, StoreError> {
        let state = &mut *self.lock();
        if state.dropped.contains(day) {
            return Err(StoreError::DayEnded);
        }
        let open = &mut state.open;
        if let Some(index) = open.iter().position(|(known, _)| known == day) {
            let entry = open.remove(index);
            let db = entry.1.clone();
            open.push(entry);
            return Ok(db);
        }
        let db = day_file::open(&self.path(day)).map_err(|source| failed(day, source))?;
        if open.len() >= DAYS_OPEN_MAX {
            open.remove(0);
        }
        open.push((*day, db.clone()));
        Ok(db)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn files(&self, day: &OpenDay) -> [PathBuf; 3] {
        let path = self.path(day);
        let beside = |suffix: &str| PathBuf::from(format!("{}{suffix}", path.display()));
        [beside("-wal"), beside("-shm"), path]
    }
}

fn failed(day: &OpenDay, source: DbError) -> StoreError {
    StoreError::Events { day: day.day.to_string(), source }
}

impl EventStore for SqliteEvents {
    fn insert(&self, day: &OpenDay, rows: &[EventRow<'_>]) -> Result<Vec<bool>, StoreError> {
        let db = self.borrow(day)?;
        db.write_blocking(|tx| day_file::insert(tx, rows)).map_err(|source| failed(day, source))
    }

    fn get(&self, day: &OpenDay, project_id: i64, event_id: &[u8; 16]) -> Result<Option<StoredEvent>, StoreError> {
        let Some(db) = self.existing(day)? else { return Ok(None) };
        db.read_blocking(|tx| day_file::get(tx, project_id, event_id)).map_err(|source| failed(day, source))
    }

    fn list(&self, day: &OpenDay, query: &ListQuery<'_>) -> Result<Vec<StoredEvent>, StoreError> {
        let Some(db) = self.existing(day)? else { return Ok(Vec::new()) };
        db.read_blocking(|tx| day_file::list(tx, query)).map_err(|source| failed(day, source))
    }

    fn ids(&self, day: &OpenDay) -> Result<Vec<(i64, [u8; 16])>, StoreError> {
        let Some(db) = self.existing(day)? else { return Ok(Vec::new()) };
        db.read_blocking(day_file::ids).map_err(|source| failed(day, source))
    }

    fn drop_day(&self, day: &OpenDay) -> Result<(), StoreError> {
        let mut state = self.lock();
        state.dropped.insert(*day);
        state.open.retain(|(open, _)| open != day);
        drop(state);
        for path in self.files(day) {
            match std::fs::remove_file(&path) {
                Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                    return Err(StoreError::File { what: format!("delete {}", path.display()), source });
                }
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    fn size_bytes(&self, day: &OpenDay) -> Result<u64, StoreError> {
        Ok(self.files(day).iter().filter_map(|path| path.metadata().ok()).map(|file| file.len()).sum())
    }

    fn checkpoint_truncate(&self) -> Result<(), StoreError> {
        let open: Vec<(OpenDay, Db)> = self.lock().open.clone();
        for (day, db) in open {
            db.checkpoint_truncate().map_err(|source| failed(&day, source))?;
        }
        Ok(())
    }
}
