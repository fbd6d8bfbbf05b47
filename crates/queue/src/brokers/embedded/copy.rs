//! Copies of a broker's folder while its owner works on it, for backups. Nothing here asks the owner or changes a file.
//!
//! What is copied is never behind the moment at which the copy is begun, and may be ahead of it. Records are taken as they
//! are at the beginning, frames later, so a job may be in the copy although it is over by now, and then runs again; never
//! is one missing that was neither over nor discarded. Why that holds:
//!
//! 1. `begin` notes how long each file of records is, of the jobs and of the dead letters. That a job is over is written
//!    after its effect, or after its frame among the dead letters (or, of a letter that is retried, among the jobs).
//! 2. Then `begin` opens every log. What it has open stays readable when its owner deletes it.
//! 3. `end` opens the logs that were made since, and notes how long each is. Logs are numbered without gaps: if one came
//!    and went unseen, the copy is begun again.
//!
//! So a frame that no record of step 1 calls over stood in an open log at step 2, or was written later and is in one of
//! step 3. What stands in another place than the queue and is to agree with the copy is looked at between the two.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Small files that are replaced as a whole. A spool's folder has an id.
const SMALL: &[&str] = &["paused", "cursors", "id"];
/// Where logs lie: the folder itself, and the one of the dead letters. Results are not copied: nobody waits for them
/// elsewhere.
const PARTS: &[&str] = &["", "dead"];
/// Digits of a segment's number.
const NUMBER_DIGITS: usize = 8;

/// A copy that was begun.
pub struct Copying {
    folder: PathBuf,
    files: Vec<CopiedFile>,
    parts: Vec<Part>,
}

/// The logs of a part as they were at the beginning.
struct Part {
    name: &'static str,
    /// Those that were not over.
    logs: BTreeMap<u32, File>,
    /// The newest number, over or not.
    newest: Option<u32>,
}

/// A file as it is to be copied: so many bytes from its beginning. What was appended since is not of the copy.
pub struct CopiedFile {
    /// Below the broker's folder.
    pub name: String,
    pub file: File,
    pub length: u64,
}

/// Tells whether a name is one of those that a copy has.
pub fn is_copied_name(name: &str) -> bool {
    let is_segment = |name| number_of(name, "log").or_else(|| number_of(name, "state")).is_some();
    match name.split_once('/') {
        Some((part, name)) => !part.is_empty() && PARTS.contains(&part) && is_segment(name),
        None => SMALL.contains(&name) || is_segment(name),
    }
}

/// Begins the copy of a folder. A folder that is not there has nothing to copy.
///
/// # Errors
/// If a file cannot be opened.
pub fn begin(folder: &Path) -> io::Result<Copying> {
    let mut copying = Copying { folder: folder.to_owned(), files: Vec::new(), parts: Vec::new() };
    for part in PARTS {
        for number in names(&folder.join(part))?.of("state") {
            copying.note(&in_part(part, &segment(number, "state")))?;
        }
    }
    for name in SMALL {
        copying.note(name)?;
    }
    for part in PARTS {
        copying.parts.push(Part::begin(part, &folder.join(part))?);
    }
    Ok(copying)
}

impl Copying {
    /// Ends the copy: returns what belongs to it. `None` = a log came and went meanwhile: begin again.
    ///
    /// # Errors
    /// If a file cannot be opened.
    pub fn end(mut self) -> io::Result<Option<Vec<CopiedFile>>> {
        for part in std::mem::take(&mut self.parts) {
            let name = part.name;
            let Some(logs) = part.with_those_made_since(&self.folder)? else { return Ok(None) };
            let state = |number: &u32| in_part(name, &segment(*number, "state"));
            // Records without a log would be those of a log that was lost.
            let kept: Vec<String> = logs.keys().map(state).collect();
            self.files.retain(|file| !is_state_of(name, &file.name) || kept.contains(&file.name));
            for (number, file) in logs {
                let length = file.metadata()?.len();
                self.files.push(CopiedFile { name: in_part(name, &segment(number, "log")), file, length });
            }
        }
        Ok(Some(self.files))
    }

    /// Notes a file as it is now; one that is gone is over.
    fn note(&mut self, name: &str) -> io::Result<()> {
        if let Some(file) = open(&self.folder.join(name))? {
            let length = file.metadata()?.len();
            self.files.push(CopiedFile { name: name.to_owned(), file, length });
        }
        Ok(())
    }
}

impl Part {
    fn begin(name: &'static str, folder: &Path) -> io::Result<Part> {
        let names = names(folder)?;
        let newest = names.of("log").last();
        let is_over = |number: &u32| names.0.contains(&segment(*number, "over"));
        let logs = open_logs(folder, names.of("log").filter(|number| !is_over(number)))?;
        Ok(Part { name, logs, newest })
    }

    /// Those that are over by now stay: what ended since the beginning may not be seen elsewhere.
    fn with_those_made_since(self, folder: &Path) -> io::Result<Option<BTreeMap<u32, File>>> {
        let folder = folder.join(self.name);
        let now = open_logs(&folder, names(&folder)?.of("log"))?;
        let mut logs = self.logs;
        let mut next = self.newest.map(|newest| newest + 1);
        for (number, file) in now {
            match logs.get(&number) {
                // All were over in between, and the owner began to count anew.
                Some(before) if !is_same(before, &file)? => return Ok(None),
                Some(_) => continue,
                None if self.newest.is_some_and(|newest| number <= newest) => continue,
                None if next.is_some_and(|next| next != number) => return Ok(None),
                None => next = Some(number + 1),
            }
            logs.insert(number, file);
        }
        Ok(Some(logs))
    }
}

fn is_same(one: &File, other: &File) -> io::Result<bool> {
    let (one, other) = (one.metadata()?, other.metadata()?);
    Ok((one.dev(), one.ino()) == (other.dev(), other.ino()))
}

fn open_logs(folder: &Path, numbers: impl Iterator<Item = u32>) -> io::Result<BTreeMap<u32, File>> {
    let mut logs = BTreeMap::new();
    for number in numbers {
        if let Some(file) = open(&folder.join(segment(number, "log")))? {
            logs.insert(number, file);
        }
    }
    Ok(logs)
}

fn open(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => opened.map(Some),
    }
}

/// What lies in a folder.
struct Names(BTreeSet<String>);

impl Names {
    /// Returns the numbers of the segments that have a file of a kind, in order.
    fn of(&self, kind: &'static str) -> impl Iterator<Item = u32> {
        self.0.iter().filter_map(move |name| number_of(name, kind))
    }
}

fn names(folder: &Path) -> io::Result<Names> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Names(BTreeSet::new())),
        entries => entries?,
    };
    let mut names = BTreeSet::new();
    for entry in entries {
        // Names that are not text are not ours.
        names.extend(entry?.file_name().into_string().ok());
    }
    Ok(Names(names))
}

fn number_of(name: &str, kind: &str) -> Option<u32> {
    let number = name.strip_suffix(kind)?.strip_suffix('.')?;
    let is_number = number.len() == NUMBER_DIGITS && number.bytes().all(|digit| digit.is_ascii_digit());
    is_number.then(|| number.parse().ok()).flatten()
}

fn segment(number: u32, kind: &str) -> String {
    format!("{number:08}.{kind}")
}

fn in_part(part: &str, name: &str) -> String {
    if part.is_empty() { name.to_owned() } else { format!("{part}/{name}") }
}

fn is_state_of(part: &str, name: &str) -> bool {
    let (of, name) = name.split_once('/').unwrap_or(("", name));
    of == part && number_of(name, "state").is_some()
}
