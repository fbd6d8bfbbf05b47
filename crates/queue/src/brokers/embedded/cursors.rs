//! How far each schedule entry has come: a small file, replaced as a whole after the job of an occurrence is durable. A
//! crash between the two publishes the job again under the same id, which is one job while it lives.

use super::Shared;
use super::disk::{self, Disk};
use crate::{Cursor, NewJob, Published, QueueError};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use stdx::Timestamp;

const NAME: &str = "cursors";
/// Entries of a schedule table are code; this only bounds what a mistake may write.
const CURSORS_MAX: usize = 10_000;

#[derive(Default)]
pub struct Cursors(BTreeMap<String, Cursor>);

impl Cursors {
    /// # Errors
    /// If the file is there and cannot be read.
    pub fn read(disk: &dyn Disk, folder: &Path) -> io::Result<Cursors> {
        let text = match disk::read(disk, &folder.join(NAME)) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Cursors::default()),
            Err(error) => return Err(error),
        };
        let cursors: Vec<Cursor> = serde_json::from_slice(&text).map_err(io::Error::other)?;
        Ok(Cursors(cursors.into_iter().map(|cursor| (cursor.entry.clone(), cursor)).collect()))
    }

    pub fn list(&self) -> Vec<Cursor> {
        self.0.values().cloned().collect()
    }

    fn write(&self, disk: &dyn Disk, folder: &Path) -> io::Result<()> {
        let text = serde_json::to_vec(&self.list()).map_err(io::Error::other)?;
        disk::replace(disk, folder, NAME, &text)
    }
}

impl super::Embedded {
    /// As `fire`, for whoever commits by hand and so must not wait on the same thread.
    pub(crate) async fn fire_once(
        &self,
        entry: &str,
        scheduled_at: Timestamp,
        job: NewJob,
    ) -> Result<bool, QueueError> {
        let _one = self.firing.lock().await;
        if self.shared.has_fired(entry, scheduled_at)? {
            return Ok(false);
        }
        let id = job.id.to_string();
        let _published: Vec<Published> = self.writer.publish(vec![job]).await?;
        self.shared.note_fired(entry, scheduled_at, id)?;
        Ok(true)
    }
}

impl Shared {
    fn has_fired(&self, entry: &str, scheduled_at: Timestamp) -> Result<bool, QueueError> {
        let inner = self.lock();
        let known = inner.cursors.0.get(entry);
        if known.is_none() && inner.cursors.0.len() >= CURSORS_MAX {
            return Err(QueueError::Full { bound: "entries of the schedule" });
        }
        Ok(known.is_some_and(|cursor| cursor.scheduled_at >= scheduled_at))
    }

    fn note_fired(&self, entry: &str, scheduled_at: Timestamp, job: String) -> Result<(), QueueError> {
        let cursor = Cursor { entry: entry.to_owned(), scheduled_at, fired_at: self.clock.now(), job };
        let mut inner = self.lock();
        let before = inner.cursors.0.insert(entry.to_owned(), cursor);
        let written = inner.cursors.write(&*self.disk, &self.config.folder);
        if written.is_err() {
            match before {
                Some(before) => inner.cursors.0.insert(entry.to_owned(), before),
                None => inner.cursors.0.remove(entry),
            };
        }
        written.map_err(super::unwritable)
    }
}
