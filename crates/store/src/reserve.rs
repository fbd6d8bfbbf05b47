//! Room kept for the worst moment: a file in the data directory that is given up when the disk is full, for removing takes
//! some room too (logs of the databases, until they are folded), and restored when there is enough again.
//!
//! Giving it up twice, or restoring it by several processes at once, does nothing more than once.

use crate::StoreError;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::Path;

/// What the smallest steps of removing take, several times: pages of a day's two files and of the metadata, and their logs.
pub const BYTES: u64 = 8 << 20;
const NAME: &str = "reserve";
/// One name for all, so that what a death leaves is written over or given up, and not added to.
const UNFINISHED: &str = "reserve.new";
const CHUNK_BYTES: u64 = 1 << 20;

/// Tells whether so little is free that the reserve is needed.
pub fn is_needed(free_bytes: u64) -> bool {
    free_bytes < BYTES
}

/// Tells whether it can be restored with so much free, above what is to stay free.
pub fn is_affordable(free_bytes: u64, free_min_bytes: u64) -> bool {
    free_bytes >= free_min_bytes.saturating_add(4 * BYTES)
}

pub fn is_there(data_dir: &Path) -> bool {
    data_dir.join(NAME).exists()
}

/// Gives it up, with what an interrupted writing left. Returns whether it was there.
///
/// # Errors
/// If a file cannot be removed.
pub fn give_up(data_dir: &Path) -> Result<bool, StoreError> {
    remove(&data_dir.join(UNFINISHED))?;
    remove(&data_dir.join(NAME))
}

fn remove(path: &Path) -> Result<bool, StoreError> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(source) => Err(StoreError::file("give the reserve up", source)),
    }
}

/// Restores it, unless it is there.
///
/// # Errors
/// If the file cannot be written; nothing is left of it then.
pub fn restore(data_dir: &Path) -> Result<(), StoreError> {
    if is_there(data_dir) {
        return Ok(());
    }
    let (unfinished, finished) = (data_dir.join(UNFINISHED), data_dir.join(NAME));
    match write(&unfinished).and_then(|()| fs::rename(&unfinished, &finished)) {
        // Another process writes the same bytes to the same file, and may have been a moment earlier.
        Err(_) if finished.exists() => Ok(()),
        Err(source) => {
            // It may not even be there; the reason why it failed is told.
            let _ = fs::remove_file(&unfinished);
            Err(StoreError::file("write the reserve", source))
        }
        Ok(()) => Ok(()),
    }
}

/// Bytes that no file system can leave out as zeros, or keep smaller than they are.
fn write(path: &Path) -> std::io::Result<()> {
    let mut file = File::create(path)?;
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut chunk = Vec::with_capacity(CHUNK_BYTES as usize);
    for _ in 0..BYTES / CHUNK_BYTES {
        chunk.clear();
        while (chunk.len() as u64) < CHUNK_BYTES {
            // Xorshift: good enough to be incompressible.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            chunk.extend_from_slice(&state.to_le_bytes());
        }
        file.write_all(&chunk)?;
    }
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn it_takes_its_room_once_and_gives_it_all_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let names = || fs::read_dir(folder.path()).expect("listed").count();
        assert!(!give_up(folder.path()).expect("nothing to give up"));
        for _ in 0..2 {
            restore(folder.path()).expect("restored");
            assert!(is_there(folder.path()));
            let taken = folder.path().join(NAME).metadata().expect("there").blocks() * 512;
            assert!(taken >= BYTES, "{taken}");
            assert_eq!(names(), 1);
        }
        assert!(give_up(folder.path()).expect("given up"));
        assert_eq!(names(), 0);
        assert!(restore(&folder.path().join("not there")).is_err());
    }

    #[test]
    fn what_a_death_left_is_written_over_or_given_up() {
        let folder = tempfile::tempdir().expect("a folder");
        let names = || fs::read_dir(folder.path()).expect("listed").count();
        for is_restored in [true, false] {
            fs::write(folder.path().join(UNFINISHED), b"half").expect("left");
            if is_restored {
                restore(folder.path()).expect("restored");
                assert_eq!((names(), is_there(folder.path())), (1, true));
            }
            give_up(folder.path()).expect("given up");
            assert_eq!(names(), 0);
        }
    }

    #[test]
    fn it_is_not_restored_from_what_was_just_freed() {
        assert!(is_needed(0) && !is_needed(BYTES));
        assert!(!is_affordable(BYTES * 2, 0) && is_affordable(BYTES * 4, 0));
        assert!(!is_affordable(1 << 30, 1 << 30));
    }
}
