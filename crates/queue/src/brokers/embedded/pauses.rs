//! Which queues are held: a small file, one name a line, replaced as a whole. It must outlive the process, since whoever
//! paused a queue did so to keep work from starting.

use super::Shared;
use crate::QueueError;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

const NAME: &str = "paused";

/// Returns the names of the queues that are held.
///
/// # Errors
/// If the file is there and cannot be read.
pub fn read(folder: &Path) -> io::Result<Vec<String>> {
    match std::fs::read_to_string(folder.join(NAME)) {
        Ok(text) => Ok(text.lines().map(str::to_owned).collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn write(folder: &Path, names: &[String]) -> io::Result<()> {
    let new = folder.join("paused.new");
    let mut file = File::create(&new)?;
    for name in names {
        writeln!(file, "{name}")?;
    }
    file.sync_all()?;
    std::fs::rename(new, folder.join(NAME))?;
    File::open(folder)?.sync_all()
}

impl Shared {
    pub(super) fn set_paused(&self, queue: &str, paused: bool) -> Result<(), QueueError> {
        let mut inner = self.lock();
        if queue.contains('\n') || !inner.schedule.has_room_for_queue(queue) {
            return Err(QueueError::Full { bound: "names of queues" });
        }
        if !inner.schedule.set_paused(queue, paused) {
            return Ok(());
        }
        if let Err(error) = write(&self.config.folder, &inner.schedule.paused()) {
            inner.schedule.set_paused(queue, !paused);
            return Err(super::unwritable(error));
        }
        drop(inner);
        self.ready.notify_all();
        Ok(())
    }
}
