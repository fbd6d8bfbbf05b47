//! The manifest: a line of JSON for the backup, one for each file, and one with the checksum of all before it. A manifest
//! that is cut short has no last line, one that was changed has another checksum.

use super::kind_of;
use anyhow::{Context, bail, ensure};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

pub(super) const NAME: &str = "manifest.jsonl";
/// Its name while it is written.
pub(super) const UNFINISHED_NAME: &str = "manifest.jsonl.unfinished";
/// The shape of backups that this release writes, and the newest that it reads.
const FORMAT: u32 = 1;
/// No line that is written is longer.
const LINE_BYTES_MAX: u64 = 4 << 10;

/// What a backup says of itself.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Head {
    pub format: u32,
    /// Of Vigie.
    pub release: String,
    pub made_at: String,
    /// Number of the metadata's last migration.
    pub migration: u32,
    /// Where the queue was: `embedded`, or a broker whose jobs are not in the backup.
    pub broker: String,
    /// Events of the days that were open.
    pub events: i64,
}

impl Head {
    /// Returns the head of a backup that is made now.
    pub fn now(migration: u32, broker: String, events: i64, now: stdx::Timestamp) -> Head {
        let release = env!("CARGO_PKG_VERSION").to_owned();
        Head { format: FORMAT, release, made_at: now.to_rfc3339(), migration, broker, events }
    }
}

/// A file of a backup.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Entry {
    /// Below the data directory.
    pub path: String,
    pub bytes: u64,
    pub sha256: String,
}

/// How much a backup holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Sums {
    pub files: u64,
    pub bytes: u64,
}

/// The last line.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(super) struct End {
    pub files: u64,
    pub bytes: u64,
    /// Of all lines before.
    pub sha256: String,
}

/// Any line but the first.
#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Line {
    File(Entry),
    End(End),
}

/// Reads a manifest to its end: it is whole, this release understands it, and every path in it is one that backups have.
///
/// # Errors
/// What is wrong with it.
pub(super) fn check(folder: &Path) -> anyhow::Result<(Head, Sums)> {
    let mut lines = Lines::open(folder)?;
    let head = lines.next().context("it is empty").and_then(|line| read_head(&line?));
    let head = head.with_context(|| damaged(folder))?;
    let (mut sums, mut has_metadata) = (Sums::default(), false);
    loop {
        let before = lines.checksum();
        let line = lines.next().with_context(|| format!("{}: its end is missing", damaged(folder)))??;
        match serde_json::from_str(&line).with_context(|| damaged(folder))? {
            Line::File(file) => {
                let is_ours = kind_of(&file.path).is_some();
                ensure!(is_ours, "the manifest names '{}', which is no file of a backup", file.path.escape_default());
                has_metadata |= store::copies::is_metadata(&file.path);
                sums = Sums { files: sums.files + 1, bytes: sums.bytes.saturating_add(file.bytes) };
            }
            Line::End(end) => {
                let is_whole = end.sha256 == before && Sums { files: end.files, bytes: end.bytes } == sums;
                ensure!(is_whole, "{}: its checksum differs", damaged(folder));
                ensure!(lines.next().is_none(), "{}: something follows its end", damaged(folder));
                ensure!(has_metadata, "the manifest names no metadata: what it has is no backup");
                return Ok((head, sums));
            }
        }
    }
}

fn read_head(line: &str) -> anyhow::Result<Head> {
    #[derive(serde::Deserialize)]
    struct Format {
        format: u32,
        release: String,
    }
    // A later release may say other things of itself; its format is said first.
    let Format { format, release } = serde_json::from_str(line)?;
    ensure!(
        format <= FORMAT,
        "it was made by Vigie {release}, in a format that this release does not know: restore it with that one"
    );
    Ok(serde_json::from_str(line)?)
}

/// Returns the files that a manifest names; it was checked before.
pub(super) fn entries(folder: &Path) -> anyhow::Result<impl Iterator<Item = anyhow::Result<Entry>>> {
    let mut lines = Lines::open(folder)?;
    lines.next().with_context(|| damaged(folder))??;
    Ok(lines.map_while(|line| match line.and_then(|line| Ok(serde_json::from_str(&line)?)) {
        Ok(Line::File(file)) => Some(Ok(file)),
        Ok(Line::End(_)) => None,
        Err(error) => Some(Err(error)),
    }))
}

fn damaged(folder: &Path) -> String {
    format!("the manifest {} is damaged or cut short", folder.join(NAME).display())
}

/// Lines of a manifest, with the checksum of those that were read.
struct Lines {
    file: BufReader<File>,
    hasher: Sha256,
}

impl Lines {
    fn open(folder: &Path) -> anyhow::Result<Lines> {
        let path = folder.join(NAME);
        match File::open(&path) {
            Ok(file) => Ok(Lines { file: BufReader::new(file), hasher: Sha256::new() }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let is_unfinished = folder.join(UNFINISHED_NAME).exists();
                ensure!(!is_unfinished, "the backup in {} was not finished: it cannot be used", folder.display());
                bail!("{} holds no backup: {NAME} is not there", folder.display())
            }
            Err(error) => Err(error).with_context(|| format!("open {}", path.display())),
        }
    }

    fn checksum(&self) -> String {
        stdx::hex::encode(&self.hasher.clone().finalize())
    }
}

impl Iterator for Lines {
    type Item = anyhow::Result<String>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut line = String::new();
        match (&mut self.file).take(LINE_BYTES_MAX).read_line(&mut line) {
            Ok(0) => None,
            Ok(_) if !line.ends_with('\n') => Some(Err(anyhow::anyhow!("the manifest ends in the middle of a line"))),
            Ok(_) => {
                self.hasher.update(line.as_bytes());
                line.truncate(line.len() - 1);
                Some(Ok(line))
            }
            Err(error) => Some(Err(error).context("read the manifest")),
        }
    }
}
