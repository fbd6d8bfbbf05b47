//! Which queues are held: a small file, a checksum and then one name a line, replaced as a whole. It must outlive the
//! process, since whoever paused a queue did so to keep work from starting.
//!
//! Fails closed: if the file is damaged nobody knows which queues it named, so all are held until somebody resumes them.

use super::disk::{self, Disk};
use super::{Inner, Shared};
use crate::QueueError;
use std::io;
use std::path::Path;

const NAME: &str = "paused";
/// What is left of a file that cannot be read.
const ASIDE: &str = "paused.damaged";
/// Begins the first line, before the checksum of the rest. Files of the first release begin with a name.
const MARK: &str = "crc32 ";

/// What the file says.
#[derive(Debug, PartialEq, Eq)]
pub enum Pauses {
    Queues(Vec<String>),
    Damaged,
}

/// Reads the file; one that is damaged is copied aside.
///
/// # Errors
/// If the file is there and the disk does not give it.
pub fn read(disk: &dyn Disk, folder: &Path) -> io::Result<Pauses> {
    let path = folder.join(NAME);
    let bytes = match disk::read(disk, &path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Pauses::Queues(Vec::new())),
        Err(error) => return Err(error),
    };
    if let Some(queues) = decode(&bytes) {
        return Ok(Pauses::Queues(queues));
    }
    tracing::error!(path = %path.display(), "the list of paused queues was damaged, all queues are held until they are resumed");
    disk::replace(disk, folder, ASIDE, &bytes)?;
    Ok(Pauses::Damaged)
}

fn encode(queues: &[String]) -> Vec<u8> {
    let names: String = queues.iter().map(|name| format!("{name}\n")).collect();
    format!("{MARK}{:08x}\n{names}", crc32fast::hash(names.as_bytes())).into_bytes()
}

/// Returns `None` if the bytes are not those that were written.
fn decode(bytes: &[u8]) -> Option<Vec<String>> {
    let text = std::str::from_utf8(bytes).ok()?;
    let lines = |names: &str| names.lines().map(str::to_owned).collect();
    let Some(marked) = text.strip_prefix(MARK) else {
        let is_plain = text.is_empty() || text.ends_with('\n') && !text.contains(|c: char| c.is_control() && c != '\n');
        return is_plain.then(|| lines(text));
    };
    let (sum, names) = marked.split_once('\n')?;
    let sum = u32::from_str_radix(sum, 16).ok()?;
    (sum == crc32fast::hash(names.as_bytes())).then(|| lines(names))
}

impl Inner {
    fn hold_each(&mut self, queues: &[String]) {
        for queue in queues {
            self.schedule.set_paused(queue, true);
        }
    }

    /// Holds what the file says.
    pub(super) fn hold(&mut self, pauses: Pauses) {
        match pauses {
            Pauses::Queues(queues) => self.hold_each(&queues),
            Pauses::Damaged => {
                self.schedule.hold_all();
                (self.are_pauses_damaged, self.is_pause_unsure) = (true, true);
            }
        }
    }
}

impl Shared {
    pub(super) fn set_paused(&self, queue: &str, paused: bool) -> Result<(), QueueError> {
        self.owns()?;
        let mut inner = self.lock();
        if queue.contains('\n') || !inner.schedule.has_room_for_queue(queue) {
            return Err(QueueError::Full { bound: "names of queues" });
        }
        let has_changed = inner.schedule.set_paused(queue, paused);
        if !has_changed && !inner.is_pause_unsure {
            return Ok(());
        }
        let names = encode(&inner.schedule.paused());
        if let Err(error) = disk::replace(&*self.disk, &self.config.folder, NAME, &names) {
            if has_changed {
                inner.schedule.set_paused(queue, !paused);
            }
            inner.is_pause_unsure = true;
            return Err(super::unwritable(error));
        }
        (inner.is_pause_unsure, inner.are_pauses_damaged) = (false, false);
        drop(inner);
        self.ready.notify_all();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_and_any_flipped_byte_or_cut_is_seen() {
        let queues = vec!["mail".to_owned(), "pictures of cats".to_owned()];
        let bytes = encode(&queues);
        assert_eq!(bytes, b"crc32 5727305c\nmail\npictures of cats\n");
        assert_eq!(decode(&bytes), Some(queues));
        assert_eq!(decode(&encode(&[])), Some(Vec::new()));
        for cut in MARK.len()..bytes.len() {
            assert_eq!(decode(&bytes[..cut]), None, "cut at {cut}");
        }
        for index in MARK.len()..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[index] ^= 1;
            assert_eq!(decode(&flipped), None, "flipped at {index}");
        }
    }

    #[test]
    fn a_file_of_the_first_release_is_read() {
        assert_eq!(decode(b"mail\nmedia\n"), Some(vec!["mail".to_owned(), "media".to_owned()]));
        assert_eq!(decode(b""), Some(Vec::new()));
        assert_eq!(decode(b"mail\nme"), None, "cut off");
        assert_eq!(decode(b"ma\x00l\n"), None);
        assert_eq!(decode(b"ma\xffl\n"), None);
    }
}
