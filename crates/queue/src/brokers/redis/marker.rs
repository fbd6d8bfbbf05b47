//! Whether the server still is the one that we knew: a marker stands in it since its first use. A server without it was
//! emptied, or is another one. That stands in the server itself, for all processes, until somebody says that it was seen.

use super::link::lock;
use super::scripts::Script;
use super::{Shared, time};
use crate::QueueError;
use std::collections::BTreeSet;
use std::path::Path;
use stdx::Timestamp;

#[derive(Default)]
pub(super) struct Marker {
    /// Of the server as it was last seen; read from the file at first.
    known: Option<String>,
    is_read: bool,
    emptied_since: Option<Timestamp>,
    /// What a server that was emptied must be told again.
    declared: BTreeSet<String>,
}

impl Marker {
    pub fn note_declared(&mut self, queue: &str) {
        self.declared.insert(queue.to_owned());
    }

    pub fn emptied_since(&self) -> Option<Timestamp> {
        self.emptied_since
    }
}

impl Shared {
    /// Looks for the marker.
    pub(super) fn look_for_marker(&self) -> Result<(), QueueError> {
        let known = self.known_marker();
        let words = self.words().with(known.clone().unwrap_or_default()).with(stdx::random::hex::<8>());
        let (id, since, is_lost): (String, String, u8) = self.link.run(Script::Marker, &words.0)?;
        if is_lost == 1 {
            let broker = self.link.name();
            tracing::error!(broker, "the broker was emptied, or is another one: what was in it is lost");
        }
        let is_new = known.as_deref() != Some(&id);
        if is_new && known.is_some() {
            self.declare_again()?;
        }
        {
            let mut marker = lock(&self.marker);
            let was_emptied = marker.emptied_since.is_some();
            marker.emptied_since = (!since.is_empty()).then(|| time(&since));
            if was_emptied && marker.emptied_since.is_none() {
                tracing::info!("the loss of what was in the broker was written off");
            }
            marker.known = Some(id.clone());
        }
        if is_new { self.remember(&id) } else { Ok(()) }
    }

    fn known_marker(&self) -> Option<String> {
        let mut marker = lock(&self.marker);
        if !marker.is_read {
            marker.is_read = true;
            let read = self.config.marker_file.as_deref().and_then(|path| std::fs::read_to_string(path).ok());
            // Of another address it says nothing about this one.
            let id = read.and_then(|text| text.strip_suffix(&self.marker_place()).map(str::to_owned));
            marker.known = id.map(|id| id.trim().to_owned()).filter(|id| !id.is_empty());
        }
        marker.known.clone()
    }

    /// What stands behind the id in the file.
    fn marker_place(&self) -> String {
        format!(" {} {}\n", self.link.name(), self.config.prefix)
    }

    fn remember(&self, id: &str) -> Result<(), QueueError> {
        let Some(path) = self.config.marker_file.as_deref() else { return Ok(()) };
        write_whole(path, &format!("{id}{}", self.marker_place())).map_err(|source| {
            let folder = path.parent().unwrap_or(path).to_owned();
            QueueError::Files { folder, source }
        })
    }

    fn declare_again(&self) -> Result<(), QueueError> {
        let declared = lock(&self.marker).declared.clone();
        if declared.is_empty() {
            return Ok(());
        }
        self.link.with(|open| redis::cmd("SADD").arg(self.key("queues")).arg(&declared).exec(&mut open.connection))
    }

    /// Somebody has seen that it was emptied. Returns whether it was.
    pub(super) fn write_off(&self) -> Result<bool, QueueError> {
        let key = self.key("emptied");
        let removed: u64 = self.link.with(|open| redis::cmd("DEL").arg(&key).query(&mut open.connection))?;
        lock(&self.marker).emptied_since = None;
        Ok(removed > 0)
    }
}

/// Processes that write it at once write the same.
fn write_whole(path: &Path, text: &str) -> std::io::Result<()> {
    let beside = path.with_extension(format!("{}.new", std::process::id()));
    std::fs::write(&beside, text)?;
    std::fs::rename(&beside, path)
}
