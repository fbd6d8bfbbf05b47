//! Day partitions as SQLite files: `events/2026-11-21.g1.sqlite` and its index, the generation in the name, so that a
//! day that was dropped and used again never meets its old files. Open days stay in a small LRU.

use super::day_file::{self, DayFiles};
use super::{EventRow, EventStore, ListQuery, StoredEvent};
use crate::StoreError;
use crate::days::OpenDay;
use db::DbError;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Days open at once; each costs some hundred kilobytes idle and up to its caches in use.
const DAYS_OPEN_MAX: usize = 8;

pub struct SqliteEvents {
    folder: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The last used is at the end.
    open: Vec<(OpenDay, DayFiles)>,
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

    /// The index is created last, so it tells whether the day has been written.
    fn is_there(&self, day: &OpenDay) -> bool {
        let [index, _] = day_file::paths(&self.folder, &name_of(day));
        index.exists()
    }

    /// Returns the day's file, opened; `None` if it was never written.
    fn existing(&self, day: &OpenDay) -> Result<Option<DayFiles>, StoreError> {
        if self.lock().open.iter().any(|(open, _)| open == day) || self.is_there(day) {
            return self.borrow(day).map(Some);
        }
        Ok(None)
    }

    fn borrow(&self, day: &OpenDay) -> Result<DayFiles, StoreError> {
        let state = &mut *self.lock();
        if state.dropped.contains(day) {
            return Err(StoreError::DayEnded);
        }
        let open = &mut state.open;
        if let Some(index) = open.iter().position(|(known, _)| known == day) {
            let entry = open.remove(index);
            let files = entry.1.clone();
            open.push(entry);
            return Ok(files);
        }
        let files = DayFiles::open(&self.folder, &name_of(day)).map_err(|source| failed(day, source))?;
        if open.len() >= DAYS_OPEN_MAX {
            open.remove(0);
        }
        open.push((*day, files.clone()));
        Ok(files)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Each file with its write-ahead log and the log's shared index.
    fn files(&self, day: &OpenDay) -> impl Iterator<Item = PathBuf> {
        let paths = day_file::paths(&self.folder, &name_of(day));
        let with_log = |path: PathBuf| ["-wal", "-shm", ""].map(|suffix| format!("{}{suffix}", path.display()));
        paths.into_iter().flat_map(with_log).map(PathBuf::from)
    }
}

fn name_of(day: &OpenDay) -> String {
    format!("{}.g{}", day.day, day.generation)
}

fn failed(day: &OpenDay, source: DbError) -> StoreError {
    StoreError::Events { day: day.day.to_string(), source }
}

impl EventStore for SqliteEvents {
    fn insert(&self, day: &OpenDay, rows: &[EventRow<'_>]) -> Result<Vec<bool>, StoreError> {
        let files = self.borrow(day)?;
        files.insert(rows).map_err(|source| failed(day, source))
    }

    fn get(&self, day: &OpenDay, project_id: i64, event_id: &[u8; 16]) -> Result<Option<StoredEvent>, StoreError> {
        let Some(files) = self.existing(day)? else { return Ok(None) };
        files.get(project_id, event_id).map_err(|source| failed(day, source))
    }

    fn list(&self, day: &OpenDay, query: &ListQuery<'_>) -> Result<Vec<StoredEvent>, StoreError> {
        let Some(files) = self.existing(day)? else { return Ok(Vec::new()) };
        files.list(query).map_err(|source| failed(day, source))
    }

    fn ids(&self, day: &OpenDay) -> Result<Vec<(i64, [u8; 16])>, StoreError> {
        let Some(files) = self.existing(day)? else { return Ok(Vec::new()) };
        files.ids().map_err(|source| failed(day, source))
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
        Ok(self.files(day).filter_map(|path| path.metadata().ok()).map(|file| file.len()).sum())
    }

    fn checkpoint_truncate(&self) -> Result<(), StoreError> {
        let open: Vec<(OpenDay, DayFiles)> = self.lock().open.clone();
        for (day, files) in open {
            files.checkpoint_truncate().map_err(|source| failed(&day, source))?;
        }
        Ok(())
    }
}
