//! Day partitions as SQLite files: `events/2026-11-21.g1.sqlite` and its index, the generation in the name, so that a
//! day that was dropped and used again never meets its old files. Open days stay in a small LRU.

use super::day_file::{self, DayFiles};
use super::{Compacted, EventPlace, EventRow, EventStore, EventWeight, GroupQuery, ListQuery, StoredEvent};
use crate::StoreError;
use crate::days::OpenDay;
use db::DbError;
use std::collections::HashSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use stdx::Timestamp;

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

    /// The index is created last and deleted first, so it tells whether the day is there.
    fn is_there(&self, day: &OpenDay) -> bool {
        let [index, _] = day_file::paths(&self.folder, &name_of(day));
        index.exists()
    }

    /// Returns the day's files for a reader; `None` if it was never written, or is gone. A reader creates nothing.
    fn existing(&self, day: &OpenDay) -> Result<Option<DayFiles>, StoreError> {
        let state = &mut *self.lock();
        if state.dropped.contains(day) || !self.is_there(day) {
            return Ok(None);
        }
        if let Some(files) = state.known(day) {
            return Ok(Some(files));
        }
        let files = DayFiles::open_existing(&self.folder, &name_of(day)).map_err(|source| failed(day, source))?;
        Ok(files.map(|files| state.keep(*day, files)))
    }

    /// Returns the day's files for a writer, creating them. Files that were deleted meanwhile are made again, empty: the
    /// counting transaction turns the writer back, and it drops them.
    fn borrow(&self, day: &OpenDay) -> Result<DayFiles, StoreError> {
        let state = &mut *self.lock();
        if state.dropped.contains(day) {
            return Err(StoreError::DayEnded);
        }
        if !self.is_there(day) {
            state.forget(day);
        }
        if let Some(files) = state.known(day) {
            return Ok(files);
        }
        let files = DayFiles::open(&self.folder, &name_of(day)).map_err(|source| failed(day, source))?;
        Ok(state.keep(*day, files))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The index, then the rows, each with its write-ahead log and the log's shared index.
    fn files(&self, day: &OpenDay) -> impl Iterator<Item = PathBuf> {
        let paths = day_file::paths(&self.folder, &name_of(day));
        let with_log = |path: PathBuf| ["", "-wal", "-shm"].map(|suffix| format!("{}{suffix}", path.display()));
        paths.into_iter().flat_map(with_log).map(PathBuf::from)
    }
}

impl State {
    fn known(&mut self, day: &OpenDay) -> Option<DayFiles> {
        let index = self.open.iter().position(|(known, _)| known == day)?;
        let entry = self.open.remove(index);
        let files = entry.1.clone();
        self.open.push(entry);
        Some(files)
    }

    fn keep(&mut self, day: OpenDay, files: DayFiles) -> DayFiles {
        if self.open.len() >= DAYS_OPEN_MAX {
            self.open.remove(0);
        }
        self.open.push((day, files.clone()));
        files
    }

    fn forget(&mut self, day: &OpenDay) {
        self.open.retain(|(open, _)| open != day);
    }
}

/// Returns the paths of a day's index and rows.
pub(crate) fn day_paths(folder: &Path, day: &OpenDay) -> [PathBuf; 2] {
    day_file::paths(folder, &name_of(day))
}

fn name_of(day: &OpenDay) -> String {
    format!("{}.g{}", day.day, day.generation)
}

/// Reads `2026-11-21.g1`, the part of a file's name before its first ending.
pub(crate) fn day_of_name(name: &str) -> Option<OpenDay> {
    let (day, rest) = name.split_once(".g")?;
    let (generation, _) = rest.split_once('.')?;
    let start = Timestamp::parse_rfc3339(&format!("{day}T00:00:00Z"))?;
    Some(OpenDay { day: start.day(), generation: generation.parse().ok()? })
}

/// What a file takes on disk, as `du` counts.
fn allocated_bytes(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    path.metadata().map_or(0, |file| file.blocks() * 512)
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

    fn drop_day(&self, day: &OpenDay) -> Result<u64, StoreError> {
        let mut state = self.lock();
        state.dropped.insert(*day);
        state.forget(day);
        drop(state);
        let mut freed = 0;
        for path in self.files(day) {
            let bytes = allocated_bytes(&path);
            match std::fs::remove_file(&path) {
                Ok(()) => freed += bytes,
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(source) => return Err(StoreError::File { what: format!("delete {}", path.display()), source }),
            }
        }
        Ok(freed)
    }

    fn close_dropped(&self) {
        self.lock().open.retain(|(day, _)| self.is_there(day));
    }

    fn days_on_disk(&self) -> Result<Vec<OpenDay>, StoreError> {
        let what = || format!("look into {}", self.folder.display());
        let failed = |source| StoreError::File { what: what(), source };
        let mut days = HashSet::new();
        for entry in std::fs::read_dir(&self.folder).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            days.extend(name.to_str().and_then(day_of_name));
        }
        Ok(days.into_iter().collect())
    }

    fn size_bytes(&self, day: &OpenDay) -> Result<u64, StoreError> {
        Ok(self.files(day).map(|path| allocated_bytes(&path)).sum())
    }

    fn body_bytes(&self, day: &OpenDay, project_id: i64) -> Result<(u64, u64), StoreError> {
        let Some(files) = self.existing(day)? else { return Ok((0, 0)) };
        files.body_bytes(project_id).map_err(|source| failed(day, source))
    }

    fn weigh(&self, day: &OpenDay, query: &ListQuery<'_>) -> Result<Vec<EventWeight>, StoreError> {
        let Some(files) = self.existing(day)? else { return Ok(Vec::new()) };
        files.weigh(query).map_err(|source| failed(day, source))
    }

    fn of_group(&self, day: &OpenDay, query: &GroupQuery, limit: usize) -> Result<Vec<EventPlace>, StoreError> {
        let Some(files) = self.existing(day)? else { return Ok(Vec::new()) };
        files.of_group(query, limit).map_err(|source| failed(day, source))
    }

    fn remove_events(&self, day: &OpenDay, project_id: i64, event_ids: &[[u8; 16]]) -> Result<(), StoreError> {
        let Some(files) = self.existing(day)? else { return Ok(()) };
        files.remove_events(project_id, event_ids).map_err(|source| failed(day, source))
    }

    fn compact_step(&self, day: &OpenDay) -> Result<Compacted, StoreError> {
        let Some(files) = self.existing(day)? else { return Ok(Compacted::default()) };
        let paths = day_file::paths(&self.folder, &name_of(day));
        let size = || paths.iter().map(|path| allocated_bytes(path)).sum::<u64>();
        let before = size();
        let has_more = files.compact_step().map_err(|source| failed(day, source))?;
        if !has_more {
            files.checkpoint_truncate().map_err(|source| failed(day, source))?;
        }
        Ok(Compacted { has_more, returned_bytes: before.saturating_sub(size()) })
    }

    fn checkpoint_truncate(&self) -> Result<(), StoreError> {
        let open: Vec<(OpenDay, DayFiles)> = self.lock().open.clone();
        for (day, files) in open {
            files.checkpoint_truncate().map_err(|source| failed(&day, source))?;
        }
        Ok(())
    }
}
