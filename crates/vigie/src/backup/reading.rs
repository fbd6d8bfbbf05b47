//! Reading a backup: every file is what was written, or nothing is restored.

use super::manifest::{self, Entry, Head, Sums};
use super::writing::measure;
use super::{Kind, kind_of};
use anyhow::{Context, ensure};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// A backup whose manifest is whole.
pub struct Backup {
    folder: PathBuf,
    pub head: Head,
    pub sums: Sums,
}

impl Backup {
    /// Opens a backup.
    ///
    /// # Errors
    /// If it is none, was not finished, was changed, or is of a later release.
    pub fn open(folder: &Path) -> anyhow::Result<Backup> {
        let (head, sums) = manifest::check(folder)?;
        let newest = store::Stores::newest_migration();
        ensure!(
            head.migration <= newest,
            "the backup was made by Vigie {}, whose stores are newer than this release knows (migration {}, here {newest}): \
             restore it with that release",
            head.release,
            head.migration
        );
        Ok(Backup { folder: folder.to_owned(), head, sums })
    }

    /// Compares every file with what the manifest says of it.
    ///
    /// # Errors
    /// Which file differs, and how.
    pub fn verify(&self) -> anyhow::Result<()> {
        for entry in manifest::entries(&self.folder)? {
            let entry = entry?;
            let (bytes, sha256) = measure(&mut self.open_file(&entry)?.take(entry.bytes.saturating_add(1)))
                .with_context(|| format!("read {}", entry.path))?;
            compare(&entry, bytes, &sha256)?;
        }
        Ok(())
    }

    /// Writes every file to its place below `data_dir`, comparing it on the way, and makes all of them durable.
    ///
    /// # Errors
    /// Which file could not be read, differs, or could not be written; what was written stays.
    pub fn copy_to(&self, data_dir: &Path) -> anyhow::Result<()> {
        for entry in manifest::entries(&self.folder)? {
            let entry = entry?;
            match kind_of(&entry.path) {
                Some(Kind::Restored) => self.copy_file(&entry, data_dir)?,
                Some(Kind::Kept) => {}
                None => anyhow::bail!("'{}' is no file of a backup", entry.path.escape_default()),
            }
        }
        super::flush(data_dir).with_context(|| format!("flush {}", data_dir.display()))
    }

    fn copy_file(&self, entry: &Entry, data_dir: &Path) -> anyhow::Result<()> {
        let place = data_dir.join(&entry.path);
        let mut source = self.open_file(entry)?.take(entry.bytes.saturating_add(1));
        let mut copied = || -> std::io::Result<(u64, String)> {
            std::fs::create_dir_all(place.parent().unwrap_or(data_dir))?;
            let file = File::create_new(&place)?;
            measure(&mut Teed { source: &mut source, copy: file })
        };
        let (bytes, sha256) = copied().with_context(|| format!("copy {} to {}", entry.path, place.display()))?;
        compare(entry, bytes, &sha256)
    }

    /// Only files: what else stands in a file's place may give bytes for ever, or lead elsewhere.
    fn open_file(&self, entry: &Entry) -> anyhow::Result<File> {
        let path = self.folder.join(&entry.path);
        let found = path.symlink_metadata().with_context(|| format!("{} is missing from the backup", entry.path))?;
        ensure!(found.is_file(), "{} is not a file", path.display());
        File::open(&path).with_context(|| format!("open {}", path.display()))
    }
}

fn compare(entry: &Entry, bytes: u64, sha256: &str) -> anyhow::Result<()> {
    let Entry { path, bytes: before, sha256: checksum } = entry;
    ensure!(bytes >= *before, "{path} is cut short: it has {bytes} bytes, and had {before} when the backup was made");
    ensure!(bytes == *before, "{path} is longer than the {before} bytes it had when the backup was made");
    ensure!(sha256 == checksum, "{path} is damaged: its checksum is not the one it had when the backup was made");
    Ok(())
}

/// Writes what is read through it.
struct Teed<'a, R: Read> {
    source: &'a mut R,
    copy: File,
}

impl<R: Read> Read for Teed<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = self.source.read(buffer)?;
        std::io::Write::write_all(&mut self.copy, &buffer[..length])?;
        Ok(length)
    }
}
