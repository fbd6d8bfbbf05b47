//! What a backup is: a folder with copies of the stores and of the queue's files, and a manifest that names each with its
//! length and checksum. The manifest gets its name last, when everything is on disk: a folder without it is no backup.

mod manifest;
mod reading;
mod writing;

pub use manifest::Head;
pub use reading::Backup;
pub use writing::Writer;

use crate::broker;
use queue::brokers::embedded::copy::is_copied_name;
use std::path::Path;

/// Bytes read and written at once.
const CHUNK_BYTES: usize = 256 << 10;

/// Where an embedded queue's files lie below the data directory.
pub const QUEUE_FOLDER: &str = "queue";
/// The folder of the spools, each in a folder with a number.
pub const SPOOL_FOLDER: &str = "spool";
/// What was configured, for people; it is not restored.
pub const CONFIGURATION_FILE: &str = "configuration.txt";

/// What becomes of a file of a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Restored,
    /// For people.
    Kept,
}

/// Tells what a path of a manifest is; `None` = no backup has such a file. It is the only way from a manifest's text to a
/// path that is written: what it lets through has no place to go but its own.
fn kind_of(path: &str) -> Option<Kind> {
    if path == CONFIGURATION_FILE {
        return Some(Kind::Kept);
    }
    let is_restored = store::copies::is_copied_path(path) || is_queue_path(path) || path == broker::LEDGER;
    is_restored.then_some(Kind::Restored)
}

fn is_queue_path(path: &str) -> bool {
    match path.split_once('/') {
        Some((QUEUE_FOLDER, name)) => is_copied_name(name),
        Some((SPOOL_FOLDER, rest)) => {
            rest.split_once('/').is_some_and(|(number, name)| is_spool_number(number) && is_copied_name(name))
        }
        _ => false,
    }
}

/// Spools are numbered from 0; there are few.
pub fn is_spool_number(name: &str) -> bool {
    name.len() == 1 && name.bytes().all(|digit| digit.is_ascii_digit())
}

/// Makes everything that was written on the folder's file system survive a power loss: one flush for many files.
fn flush(folder: &Path) -> std::io::Result<()> {
    let folder = std::fs::File::open(folder)?;
    rustix::fs::syncfs(&folder)?;
    folder.sync_all()
}

#[cfg(test)]
mod tests;
