//! Task `debug.append`: an effect one can count. It appends `job-id line` to a file under the data directory's `debug/`,
//! once per job id, whatever dies in between and however many processes do it.
//!
//! The file itself says what was written: under its lock a run reads what others added, cuts off a line that a death has
//! torn, and writes its own unless its id stands there.

use crate::drill;
use queue::call::Call;
use queue::{CallTask, Claimed, Outcome, Policy, RunContext};
use rustix::fs::OFlags;
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

pub const NAME: &str = "debug.append";
pub const QUEUE: &str = "debug";
const FILE_CHARS_MAX: usize = 64;
const LINE_BYTES_MAX: usize = 4_096;
/// Files of which this process remembers what it has read.
const FILES_MAX: usize = 16;

pub struct Append {
    folder: PathBuf,
    /// How far each file was read, and the ids that stand before that place.
    known: Mutex<HashMap<String, Known>>,
}

#[derive(Default)]
struct Known {
    read: u64,
    ids: std::collections::HashSet<String>,
}

impl Append {
    pub fn new(data_dir: &Path) -> Append {
        Append { folder: data_dir.join("debug"), known: Mutex::default() }
    }

    fn append(&self, name: &str, id: &str, line: &str) -> io::Result<()> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= FILES_MAX && !known.contains_key(name) {
            known.clear();
        }
        let known = known.entry(name.to_owned()).or_default();
        std::fs::create_dir_all(&self.folder)?;
        let mut options = OpenOptions::new();
        // A link planted there leads nowhere.
        options.read(true).append(true).create(true).custom_flags(OFlags::NOFOLLOW.bits().cast_signed()).mode(0o600);
        let mut file = options.open(self.folder.join(name))?;
        // Other threads and processes wait; the lock goes with the file.
        file.lock()?;
        known.catch_up(&mut file)?;
        if known.ids.contains(id) {
            return Ok(());
        }
        file.write_all(format!("{id} {line}\n").as_bytes())
    }
}

impl Known {
    /// Reads what others have written meanwhile. A line that was torn by a death is ended, so that the next stands alone.
    fn catch_up(&mut self, file: &mut File) -> io::Result<()> {
        if file.metadata()?.len() < self.read {
            *self = Known::default();
        }
        file.seek(SeekFrom::Start(self.read))?;
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        for line in text[..whole].split(|byte| *byte == b'\n') {
            let id = line.split(|byte| *byte == b' ').next().unwrap_or_default();
            self.ids.insert(String::from_utf8_lossy(id).into_owned());
        }
        self.read += whole as u64;
        if whole < text.len() {
            // Its job runs again and writes a whole one.
            file.set_len(self.read)?;
        }
        Ok(())
    }
}

impl CallTask for Append {
    fn name(&self) -> &'static str {
        NAME
    }

    fn policy(&self) -> Policy {
        drill::policy(QUEUE)
    }

    fn call(&self, job: &Claimed, call: Call, _cx: &RunContext) -> Outcome {
        let (name, line) = match (drill::text(&call, 0, "file"), drill::text(&call, 1, "line")) {
            (Ok(name), Ok(line)) => (name, line),
            (Err(error), _) | (_, Err(error)) => return Outcome::Dead { error },
        };
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let is_name = !name.is_empty() && name.len() <= FILE_CHARS_MAX && name.chars().all(is_plain);
        if !is_name || name.starts_with('.') {
            let error = format!("ValueError: file must be a plain name of at most {FILE_CHARS_MAX} characters");
            return Outcome::Dead { error };
        }
        if line.len() > LINE_BYTES_MAX || line.contains('\n') || job.id.as_str().contains([' ', '\n']) {
            let error = format!("ValueError: line must be one line of at most {LINE_BYTES_MAX} bytes");
            return Outcome::Dead { error };
        }
        match self.append(&name, job.id.as_str(), &line) {
            Ok(()) => Outcome::Done,
            Err(error) => Outcome::Retry { error: format!("OSError: append to {name}: {error}") },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_written_once_per_job_also_after_a_torn_write() {
        let folder = tempfile::tempdir().expect("a folder");
        let (one, other) = (Append::new(folder.path()), Append::new(folder.path()));
        one.append("lines", "a", "first").expect("written");
        other.append("lines", "a", "first").expect("known");
        let path = folder.path().join("debug/lines");
        let mut torn = OpenOptions::new().append(true).open(&path).expect("open");
        torn.write_all("b sé".as_bytes().split_last().expect("bytes").1).expect("torn inside a character");
        other.append("lines", "b", "second").expect("written");
        one.append("lines", "b", "second").expect("known");
        assert_eq!(std::fs::read_to_string(&path).expect("read"), "a first\nb second\n");
    }

    #[test]
    fn a_link_is_not_followed() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("debug")).expect("made");
        std::os::unix::fs::symlink("/tmp/elsewhere", folder.path().join("debug/link")).expect("linked");
        assert!(Append::new(folder.path()).append("link", "a", "line").is_err());
    }
}
