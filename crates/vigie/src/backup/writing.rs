//! Writing a backup. What is dropped unfinished takes away what it wrote; after a power loss or a kill there is a folder
//! without a manifest, which no restore takes.

use super::CHUNK_BYTES;
use super::manifest::{End, Entry, Head, NAME, Sums, UNFINISHED_NAME};
use anyhow::{Context, ensure};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};

/// A disk of its own has it.
const OF_A_DISK: &str = "lost+found";

/// A backup that is being written.
pub struct Writer {
    folder: PathBuf,
    manifest: BufWriter<File>,
    /// Of the manifest so far.
    hasher: Sha256,
    sums: Sums,
    is_finished: bool,
}

impl Writer {
    /// Begins a backup in a folder that is empty, or not there yet; from here on only its owner may look into it.
    ///
    /// # Errors
    /// If there is something in it, or it cannot be written.
    pub fn begin(folder: &Path, head: &Head) -> anyhow::Result<Writer> {
        make_empty(folder)?;
        let path = folder.join(UNFINISHED_NAME);
        let file = File::create_new(&path).with_context(|| format!("create {}", path.display()))?;
        let mut writer = Writer {
            folder: folder.to_owned(),
            manifest: BufWriter::new(file),
            hasher: Sha256::new(),
            sums: Sums::default(),
            is_finished: false,
        };
        writer.say(head)?;
        Ok(writer)
    }

    /// Adds a file with what `content` gives.
    ///
    /// # Errors
    /// If it cannot be read or written.
    pub fn add(&mut self, path: &str, content: &mut dyn Read) -> anyhow::Result<()> {
        self.add_made(path, |place| {
            let mut file = File::create_new(place)?;
            std::io::copy(content, &mut file)?;
            Ok(())
        })
    }

    /// Adds a file that `make` writes.
    ///
    /// # Errors
    /// If it cannot.
    pub fn add_made(&mut self, path: &str, make: impl FnOnce(&Path) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let place = self.folder.join(path);
        let written = || -> anyhow::Result<(u64, String)> {
            std::fs::create_dir_all(place.parent().unwrap_or(&self.folder))?;
            make(&place)?;
            Ok(measure(&mut File::open(&place)?)?)
        };
        let (bytes, sha256) = written().with_context(|| format!("write {}", place.display()))?;
        self.say(&Entry { path: path.to_owned(), bytes, sha256 })?;
        self.sums = Sums { files: self.sums.files + 1, bytes: self.sums.bytes + bytes };
        Ok(())
    }

    /// Makes it a backup: everything is on disk before the manifest gets its name.
    ///
    /// # Errors
    /// If it cannot be written or flushed; then there is no backup.
    pub fn finish(mut self) -> anyhow::Result<Sums> {
        let Sums { files, bytes } = self.sums;
        let sha256 = stdx::hex::encode(&self.hasher.clone().finalize());
        self.say(&End { files, bytes, sha256 })?;
        self.manifest.flush().context("write the manifest")?;
        super::flush(&self.folder).with_context(|| format!("flush {}", self.folder.display()))?;
        let named = std::fs::rename(self.folder.join(UNFINISHED_NAME), self.folder.join(NAME));
        named.and_then(|()| super::flush(&self.folder)).context("name the manifest")?;
        self.is_finished = true;
        Ok(self.sums)
    }

    fn say(&mut self, line: &impl serde::Serialize) -> anyhow::Result<()> {
        let mut text = serde_json::to_string(line).context("write a line of the manifest")?;
        text.push('\n');
        self.hasher.update(text.as_bytes());
        self.manifest.write_all(text.as_bytes()).context("write the manifest")
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if self.is_finished {
            return;
        }
        // What cannot be removed has no manifest, and is no backup.
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten().flatten();
        for entry in entries.filter(|entry| entry.file_name() != OF_A_DISK) {
            let path = entry.path();
            let _ = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
        }
    }
}

/// Returns how long a file is, and its checksum.
pub(super) fn measure(file: &mut impl Read) -> std::io::Result<(u64, String)> {
    let (mut bytes, mut hasher, mut chunk) = (0, Sha256::new(), vec![0; CHUNK_BYTES]);
    loop {
        let length = file.read(&mut chunk)?;
        if length == 0 {
            return Ok((bytes, stdx::hex::encode(&hasher.finalize())));
        }
        hasher.update(&chunk[..length]);
        bytes += length as u64;
    }
}

fn make_empty(folder: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    let attempted = || format!("use the folder {}", folder.display());
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).with_context(attempted)?;
    for entry in std::fs::read_dir(folder).with_context(attempted)? {
        let name = entry.with_context(attempted)?.file_name();
        let is_empty = name == OF_A_DISK;
        let (folder, name) = (folder.display(), name.to_string_lossy().into_owned());
        ensure!(
            name != UNFINISHED_NAME,
            "{folder} holds a backup that was not finished: remove it, or name another folder"
        );
        ensure!(is_empty, "{folder} is not empty (it holds {name}): a backup goes into a folder of its own");
    }
    // Also of a folder that was there: what people sent, and hashes of passwords, are in it.
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700)).with_context(attempted)
}
