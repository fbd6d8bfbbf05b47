//! Which queues are held: a small file, one name a line, replaced as a whole. It must outlive the process, since whoever
//! paused a queue did so to keep work from starting.

use super::Shared;
use super::disk::{self, Disk};
use crate::QueueError;
use std::io;
use std::path::Path;

const NAME: &str = "paused";

/// Returns the names of the queues that are held.
///
/// # Errors
/// If the file is there and cannot be read.
pub fn read(disk: &dyn Disk, folder: &Path) -> io::Result<Vec<String>> {
    match disk::read(disk, &folder.join(NAME)) {
        Ok(text) => Ok(String::from_utf8(text).map_err(io::Error::other)?.lines().map(str::to_owned).collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

impl Shared {
    pub(super) fn set_paused(&self, queue: &str, paused: bool) -> Result<(), QueueError> {
        let mut inner = self.lock();
        if queue.contains('\n') || !inner.schedule.has_room_for_queue(queue) {
            return Err(QueueError::Full { bound: "names of queues" });
        }
        let has_changed = inner.schedule.set_paused(queue, paused);
        if !has_changed && !inner.is_pause_unsure {
            return Ok(());
        }
        let names: String = inner.schedule.paused().iter().map(|name| format!("{name}\n")).collect();
        if let Err(error) = disk::replace(&*self.disk, &self.config.folder, NAME, names.as_bytes()) {
            if has_changed {
                inner.schedule.set_paused(queue, !paused);
            }
            inner.is_pause_unsure = true;
            return Err(super::unwritable(error));
        }
        inner.is_pause_unsure = false;
        drop(inner);
        self.ready.notify_all();
        Ok(())
    }
}
