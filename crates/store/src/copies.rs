//! Copies of the stores for backups, taken while others read and write: the metadata and the open days as they stood at
//! one moment, and the blobs. What a copy needs stays where it is for as long as its lock is held: no sweep runs, and no
//! blob is discarded.
//!
//! The metadata are held first, the days after them: rows are written before what counts them, so every counted event has
//! its row. Rows that are not counted yet may be there too; their jobs still wait.

use crate::blobs::{Blobs, place_of};
use crate::days::OpenDay;
use crate::events::{day_of_file, day_paths};
use crate::stores::{BLOBS_FOLDER, EVENTS_FOLDER, METADATA_FILE};
use crate::{StoreError, days};
use db::{DbError, Snapshot};
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const LOCK_FILE: &str = "backup.lock";
/// Longer than a step of any removal takes.
const LOCK_WITHIN: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(20);
/// Stands in a data directory from the beginning of a restore to its end.
const UNFINISHED_FILE: &str = "restore.unfinished";

/// Held while a copy of a data directory is taken. The kernel frees it when its holder dies, however it does.
pub struct CopyLock(#[expect(dead_code, reason = "the lock is held by the open file")] File);

/// Held while something is removed that a copy may need; no copy begins meanwhile.
pub struct HeldOff(#[expect(dead_code, reason = "the lock is held by the open file")] File);

/// Takes the data directory's lock on copies, waiting for removals that go on; `None` = another process has it.
///
/// # Errors
/// If the lock's file cannot be made.
pub fn lock(data_dir: &Path) -> Result<Option<CopyLock>, StoreError> {
    let file = lock_file(data_dir)?;
    let started = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(CopyLock(file))),
            Err(TryLockError::WouldBlock) if started.elapsed() < LOCK_WITHIN => std::thread::sleep(PAUSE),
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(source)) => return Err(StoreError::file("lock the backup", source)),
        }
    }
}

/// Keeps copies from beginning; `None` = one is being taken now.
///
/// # Errors
/// If the lock's file cannot be made.
pub fn hold_off(data_dir: &Path) -> Result<Option<HeldOff>, StoreError> {
    let file = lock_file(data_dir)?;
    match file.try_lock_shared() {
        Ok(()) => Ok(Some(HeldOff(file))),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(source)) => Err(StoreError::file("hold backups off", source)),
    }
}

fn lock_file(data_dir: &Path) -> Result<File, StoreError> {
    let opened = File::options().create(true).truncate(false).write(true).open(data_dir.join(LOCK_FILE));
    opened.map_err(|source| StoreError::file("open the lock of backups", source))
}

/// The stores of a data directory as they stood at one moment.
pub struct Cut {
    metadata: Snapshot,
    /// Index and rows of each open day that was written.
    days: Vec<(OpenDay, [Snapshot; 2])>,
}

impl Cut {
    /// Holds the stores as they stand now; `None` = there are none. Nothing is created or migrated.
    ///
    /// # Errors
    /// If a store cannot be read.
    pub fn of(data_dir: &Path) -> Result<Option<Cut>, StoreError> {
        let Some(metadata) = Snapshot::of_sqlite(&data_dir.join(METADATA_FILE))? else { return Ok(None) };
        let mut cut = Cut { metadata, days: Vec::new() };
        for day in cut.metadata.read(days::list_open)? {
            let [index, rows] = day_paths(&data_dir.join(EVENTS_FOLDER), &day);
            let hold = |path: &Path| {
                let held = Snapshot::of_sqlite(path);
                held.map_err(|source| StoreError::Events { day: day.day.to_string(), source })
            };
            // The index first: it must not name rows that are not there. What it does not name yet is named at opening.
            let Some(index) = hold(&index)? else { continue };
            let rows = hold(&rows)?.ok_or_else(|| StoreError::Missing { what: format!("the rows of {}", day.day) })?;
            cut.days.push((day, [index, rows]));
        }
        Ok(Some(cut))
    }

    /// Returns what is to be copied, with its path below the data directory. Each lets go of its moment when it is dropped.
    pub fn into_files(self) -> impl Iterator<Item = (String, Snapshot)> {
        let days = self.days.into_iter().flat_map(|(_, files)| files);
        let days = days.map(|file| (format!("{EVENTS_FOLDER}/{}", file_name(file.path())), file));
        [(METADATA_FILE.to_owned(), self.metadata)].into_iter().chain(days)
    }

    /// Returns the number of the last migration of the metadata.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn migration(&self) -> Result<u32, StoreError> {
        Ok(self.metadata.read(db::migrate::last_applied)?)
    }

    /// Returns how many events were counted in the days that are held.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn events(&self) -> Result<i64, StoreError> {
        let events: Result<(i64,), DbError> = self.metadata.read(|tx| {
            tx.query_one(
                "SELECT COALESCE(SUM(g.event_count), 0) FROM group_day g
                 JOIN event_day d ON d.day = g.day AND d.state = 'open'",
                &[],
            )
        });
        Ok(events?.0)
    }
}

/// Shows every blob, with its path below the data directory. What was put since the cut may be among them.
///
/// # Errors
/// If a folder cannot be read or a blob not be opened; what `show` returns.
pub fn each_blob<E: From<StoreError>>(
    data_dir: &Path,
    mut show: impl FnMut(String, File) -> Result<(), E>,
) -> Result<(), E> {
    let blobs = Blobs::open(&data_dir.join(BLOBS_FOLDER))?;
    for folder in 0..=u8::MAX {
        for blob in blobs.list(folder)? {
            let place = place_of(&blob.key).expect("a listed blob has a key");
            match blobs.open_read(&blob.key) {
                Ok(file) => show(format!("{BLOBS_FOLDER}/{place}"), file)?,
                // One that was being collected when a sweep was killed: nothing refers to it.
                Err(StoreError::Missing { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}

/// Tells whether a path below a data directory is one that a cut's files or blobs have.
pub fn is_copied_path(path: &str) -> bool {
    match path.split_once('/') {
        Some((EVENTS_FOLDER, name)) => day_of_file(name).is_some_and(|day| is_file_of(&day, name)),
        Some((BLOBS_FOLDER, place)) => place.get(6..).and_then(place_of).as_deref() == Some(place),
        Some(_) => false,
        None => is_metadata(path),
    }
}

/// Tells whether a path is that of the metadata, without which the rest is nobody's.
pub fn is_metadata(path: &str) -> bool {
    path == METADATA_FILE
}

/// Only as this release writes the name: a path that is read loosely may lead elsewhere.
fn is_file_of(day: &OpenDay, name: &str) -> bool {
    day_paths(Path::new(""), day).iter().any(|path| path.as_os_str() == name)
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Says in a data directory that a restore into it was begun.
///
/// # Errors
/// If that cannot be written durably.
pub fn begin_restore(data_dir: &Path) -> Result<(), StoreError> {
    let failed = |source| StoreError::file("begin the restore", source);
    let file = File::create_new(unfinished_path(data_dir)).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    sync_folder(data_dir).map_err(failed)
}

/// Says that it is over: all of it is there, durably.
///
/// # Errors
/// If that cannot be written; the stores refuse to be opened then.
pub fn end_restore(data_dir: &Path) -> Result<(), StoreError> {
    let failed = |source| StoreError::file("end the restore", source);
    std::fs::remove_file(unfinished_path(data_dir)).map_err(failed)?;
    sync_folder(data_dir).map_err(failed)
}

/// Refuses a data directory in which a restore was begun and not ended: a part of a store looks like a store.
pub(crate) fn refuse_unfinished(data_dir: &Path) -> Result<(), StoreError> {
    match unfinished_path(data_dir).exists() {
        true => Err(StoreError::Unrestored { data_dir: data_dir.to_owned() }),
        false => Ok(()),
    }
}

fn unfinished_path(data_dir: &Path) -> PathBuf {
    data_dir.join(UNFINISHED_FILE)
}

fn sync_folder(folder: &Path) -> std::io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_stores_are_taken() {
        for path in ["metadata.sqlite", "events/2026-11-21.g1.sqlite", "events/2026-11-21.g12.index.sqlite"] {
            assert!(is_copied_path(path), "{path}");
        }
        for path in [
            "",
            "/metadata.sqlite",
            "metadata.sqlite/",
            "metadata.sqlite-wal",
            "../metadata.sqlite",
            "events/",
            "events/../metadata.sqlite",
            "events/2026-11-21.g1.sqlite/x",
            "events/2026-11-21.g1.sqlite-wal",
            "events/2026-11-21.g01.sqlite",
            "events/2026-11-21.g1./../../x.sqlite",
            "events2026-11-21.g1.sqlite",
            "blobs/",
            "blobs/ab/cd/é",
            "blobs/../..",
        ] {
            assert!(!is_copied_path(path), "{path}");
        }
        let key = "ab".repeat(32);
        assert!(is_copied_path(&format!("blobs/ab/ab/{key}")));
        assert!(!is_copied_path(&format!("blobs/ab/cd/{key}")));
        assert!(!is_copied_path(&format!("blobs/ab/ab/{key}/..")));
    }

    #[test]
    fn one_copy_at_a_time_and_no_removal_beside_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let both =
            [hold_off(folder.path()), hold_off(folder.path())].map(|held| held.expect("asked").expect("no copy"));
        drop(both);
        let held = lock(folder.path()).expect("locked").expect("nobody has it");
        assert!(hold_off(folder.path()).expect("asked").is_none());
        assert!(lock(folder.path()).expect("asked").is_none());
        drop(held);
        assert!(hold_off(folder.path()).expect("asked").is_some());
    }
}
