//! What processes that ended left in their folders is taken over by one that runs, within `TAKEN_OVER_WITHIN`: the folder's
//! lock, which the system frees with the process, says whether anybody has it. The same thread begins a new folder if
//! somebody removed the own one.

use super::Inner;
use super::kept::{Kept, SpoolFolder, folder_of};
use crate::QueueError;
use crate::brokers::embedded::Config;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use stdx::Clock;

/// Folders below the spool's: processes that accept over one data directory at once have one each.
pub(super) const FOLDERS_MAX: usize = 8;
/// A folder whose process ended is another's after this, at the latest.
pub const TAKEN_OVER_WITHIN: Duration = Duration::from_secs(5);
/// Between two looks at the folders.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A folder of nobody with nothing in it.
pub(super) struct Empty {
    seen: SpoolFolder,
    /// Its files when it was left alone; `None` = it is to be opened once more. Nobody opens a folder again that is as it
    /// was.
    files: Option<Files>,
}

/// Names and lengths.
type Files = Vec<(PathBuf, u64)>;

/// Opens the first folder that nobody has.
pub(super) fn open_first(config: &Config, clock: &Arc<dyn Clock>) -> Result<Kept, QueueError> {
    for number in 0..FOLDERS_MAX {
        match Kept::open(config, number, clock.clone()) {
            Err(QueueError::Owned { .. }) => {}
            opened => return opened,
        }
    }
    Err(QueueError::Owned { folder: config.folder.clone() })
}

pub(super) fn look_after(inner: &Inner) {
    inner.pause(LOOK_EVERY);
    renew(inner);
    take_over(inner);
}

/// Takes over every folder that nobody has and that is not empty.
pub(super) fn take_over(inner: &Inner) {
    for number in 0..FOLDERS_MAX {
        let folder = folder_of(&inner.config, number);
        if inner.is_stopping() {
            return;
        }
        if inner.has(&folder) || !folder.exists() || is_as_it_was(inner, &folder) {
            continue;
        }
        match Kept::open(&inner.config, number, inner.clock.clone()) {
            Ok(kept) if kept.held() > 0 => {
                tracing::info!(folder = %folder.display(), jobs = kept.held(), "took over the spool of a process that ended");
                inner.lock_empty().remove(&folder);
                inner.lock_left().push_back(Arc::new(kept));
            }
            Ok(kept) => leave_alone(inner, kept),
            Err(QueueError::Owned { .. }) => {
                inner.lock_empty().remove(&folder);
            }
            Err(error) => {
                tracing::debug!(error = %stdx::causes::on_one_line(&error), "a spool's folder cannot be opened, tried again");
            }
        }
    }
}

fn leave_alone(inner: &Inner, kept: Kept) {
    let Some(seen) = kept.look(inner.clock.now()) else { return };
    let folder = seen.folder.clone();
    // Its files are looked at once nobody writes them.
    drop(kept);
    let files = files_of(&folder).ok();
    inner.lock_empty().insert(folder, Empty { seen, files });
}

fn is_as_it_was(inner: &Inner, folder: &Path) -> bool {
    let empty = inner.lock_empty();
    let known = empty.get(folder).and_then(|empty| empty.files.as_ref());
    known.is_some_and(|known| files_of(folder).is_ok_and(|files| files == *known))
}

fn files_of(folder: &Path) -> std::io::Result<Files> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        files.push((entry.path(), entry.metadata()?.len()));
    }
    files.sort_unstable();
    Ok(files)
}

/// Begins a folder anew that somebody removed. What was in it and is not there any more is lost: the ledger misses it.
fn renew(inner: &Inner) {
    let near = inner.near();
    let Some(why) = near.why_lost() else { return };
    match open_first(&inner.config, &inner.clock) {
        Ok(fresh) => {
            let (held, found) = (near.held(), fresh.held());
            tracing::error!(why, held, found, folder = %fresh.folder.display(), "spool lost, another begun");
            *inner.near.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(fresh);
        }
        Err(error) => {
            let error = stdx::causes::on_one_line(&error);
            tracing::error!(why, error, "spool lost, and no other can be opened");
        }
    }
}

impl Inner {
    fn has(&self, folder: &Path) -> bool {
        self.near().folder == folder || self.lock_left().iter().any(|left| left.folder == folder)
    }

    /// What is known of folders that nobody has.
    pub(super) fn seen_empty(&self) -> Vec<SpoolFolder> {
        self.lock_empty().values().map(|empty| empty.seen.clone()).collect()
    }

    /// A folder that was taken over and is empty now is left alone. Its lock goes with it.
    pub(super) fn let_go(&self, left: &Kept) {
        let Some(seen) = left.look(self.clock.now()) else { return };
        self.lock_empty().insert(left.folder.clone(), Empty { seen, files: None });
    }
}
