//! Blobs: bytes by their SHA-256, as files in two levels of folders. Written before they are referenced, durable on
//! return, the same content only once. A key is checked before it becomes a path.
//!
//! Plain files until S3 joins: the object-store crate's local engine does not flush to disk, which an ack needs
//! (docs/decisions/0005-blobs-as-files.md).

use crate::StoreError;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use stdx::Timestamp;

/// Ends the name of a blob that is being collected.
const DYING: &str = ".dying";
/// A read buffer when a file is hashed or copied.
const CHUNK_BYTES: usize = 128 << 10;

pub struct Blobs {
    folder: PathBuf,
}

impl Blobs {
    /// Uses `folder`, creating it.
    ///
    /// # Errors
    /// If the folder cannot be created.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        create_folder(folder)?;
        Ok(Blobs { folder: folder.to_owned() })
    }

    /// Stores bytes and returns their key.
    ///
    /// # Errors
    /// If they cannot be written; nothing is left then.
    pub fn put_bytes(&self, bytes: &[u8]) -> Result<String, StoreError> {
        let key = stdx::hex::encode(&Sha256::digest(bytes));
        let path = self.path(&key)?;
        if self.claim(&path)? {
            self.flush_folders(&path)?;
            return Ok(key);
        }
        let mut file = self.temporary()?;
        file.write_all(bytes).map_err(|source| StoreError::file("write a blob", source))?;
        self.keep(file, &path)?;
        Ok(key)
    }

    /// Stores what `content` gives, without holding it in memory; returns its key and size.
    ///
    /// # Errors
    /// If it cannot be read or written; nothing is left then.
    pub fn put_reader(&self, content: &mut dyn Read) -> Result<(String, u64), StoreError> {
        copy(content, self.writer()?)
    }

    /// Stores what `content` gives under a key that nothing else has, so that whoever refers to it may delete it; returns
    /// key and size.
    ///
    /// # Errors
    /// If it cannot be read or written; nothing is left then.
    pub fn put_own(&self, content: &mut dyn Read) -> Result<(String, u64), StoreError> {
        let mut writer = self.writer()?;
        writer.hasher.update(stdx::random::bytes::<32>());
        copy(content, writer)
    }

    /// Returns a writer for a blob whose content comes in pieces.
    ///
    /// # Errors
    /// If its temporary file cannot be created.
    pub fn writer(&self) -> Result<BlobWriter<'_>, StoreError> {
        Ok(BlobWriter { blobs: self, file: self.temporary()?, hasher: Sha256::new(), size: 0 })
    }

    /// # Errors
    /// `Missing` if there is none with the key.
    pub fn open_read(&self, key: &str) -> Result<File, StoreError> {
        match File::open(self.path(key)?) {
            Ok(file) => Ok(file),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Err(StoreError::Missing { what: format!("blob {key}") })
            }
            Err(source) => Err(StoreError::file("open a blob", source)),
        }
    }

    /// Returns a whole blob of at most `bytes_max`.
    ///
    /// # Errors
    /// `Missing` if there is none; `Damaged` if it is larger.
    pub fn read(&self, key: &str, bytes_max: u64) -> Result<Vec<u8>, StoreError> {
        let mut bytes = Vec::new();
        let file = self.open_read(key)?;
        file.take(bytes_max + 1).read_to_end(&mut bytes).map_err(|source| StoreError::file("read a blob", source))?;
        if bytes.len() as u64 > bytes_max {
            return Err(StoreError::Damaged { what: format!("read blob {key}") });
        }
        Ok(bytes)
    }

    /// # Errors
    /// If the key is not one.
    pub fn exists(&self, key: &str) -> Result<bool, StoreError> {
        Ok(self.path(key)?.exists())
    }

    /// Deletes a blob; one that is gone already is fine.
    ///
    /// # Errors
    /// If the file cannot be deleted.
    pub fn delete(&self, key: &str) -> Result<(), StoreError> {
        match std::fs::remove_file(self.path(key)?) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(StoreError::file("delete a blob", source))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Returns the keys in one of the 256 folders, with when each was last put and what it takes on disk.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn list(&self, folder: u8) -> Result<Vec<BlobFile>, StoreError> {
        let mut found = Vec::new();
        for inner in entries(&self.folder.join(format!("{folder:02x}")))? {
            for path in entries(&inner)? {
                // What a collection left under its other name is found by its key.
                let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                let key = name.strip_suffix(DYING).unwrap_or(name).to_owned();
                if self.path(&key).is_ok() {
                    found.extend(BlobFile::look(key, &path));
                }
            }
        }
        Ok(found)
    }

    /// Returns what a blob takes on disk; nothing if it is not there.
    pub fn allocated_bytes(&self, key: &str) -> u64 {
        let file = self.path(key).ok().and_then(|path| BlobFile::look(key.to_owned(), &path));
        file.map_or(0, |file| file.allocated_bytes)
    }

    /// Deletes a blob that nothing refers to, unless it was put at `put_before` or later: whoever puts it now may be about
    /// to refer to it. Returns the bytes that came back.
    ///
    /// The file gets another name first. A put that found it before is seen by its time, and gets it back; one that
    /// comes after finds nothing and writes it anew.
    ///
    /// # Errors
    /// If the file cannot be renamed or deleted.
    pub fn collect(&self, key: &str, put_before: Timestamp) -> Result<Option<u64>, StoreError> {
        let path = self.path(key)?;
        let dying = path.with_file_name(format!("{key}{DYING}"));
        match std::fs::rename(&path, &dying) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            done => done.map_err(|source| StoreError::file("rename a blob", source))?,
        }
        let Some(file) = BlobFile::look(key.to_owned(), &dying) else { return Ok(None) };
        if file.put_at >= put_before {
            std::fs::rename(&dying, &path).map_err(|source| StoreError::file("keep a blob", source))?;
            return Ok(None);
        }
        std::fs::remove_file(&dying).map_err(|source| StoreError::file("delete a blob", source))?;
        Ok(Some(file.allocated_bytes))
    }

    /// Tells whether a blob's content is what its key says; one that has a key of its own is not.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn is_named_by_content(&self, key: &str) -> Result<bool, StoreError> {
        let mut file = self.open_read(key)?;
        let mut hasher = Sha256::new();
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let length = file.read(&mut chunk).map_err(|source| StoreError::file("read a blob", source))?;
            if length == 0 {
                return Ok(stdx::hex::encode(&hasher.finalize()) == key);
            }
            hasher.update(&chunk[..length]);
        }
    }

    /// Sees to it that a blob is there when it is referred to: asked in the transaction that does.
    ///
    /// # Errors
    /// `Missing` if a collection took it since it was put: putting it again helps.
    pub fn confirm(&self, key: &str) -> Result<(), StoreError> {
        match self.claim(&self.path(key)?)? {
            true => Ok(()),
            false => Err(StoreError::Missing { what: format!("blob {key}") }),
        }
    }

    /// Takes a blob that is there: from now on it is as if it had just been put. Returns whether it is.
    fn claim(&self, path: &Path) -> Result<bool, StoreError> {
        match File::options().append(true).open(path) {
            Ok(file) => touch(&file).map_err(|source| StoreError::file("touch a blob", source))?,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            Err(source) => return Err(StoreError::file("open a blob", source)),
        }
        // It may have been renamed by a collection that looked at its time before.
        Ok(path.exists())
    }

    fn path(&self, key: &str) -> Result<PathBuf, StoreError> {
        let place = place_of(key).ok_or_else(|| StoreError::Missing { what: "a blob with such a key".to_owned() })?;
        Ok(self.folder.join(place))
    }

    fn temporary(&self) -> Result<tempfile::NamedTempFile, StoreError> {
        tempfile::NamedTempFile::new_in(&self.folder).map_err(|source| StoreError::file("create a blob", source))
    }

    /// Flushes the file, moves it to its name, and flushes the folders that name it.
    fn keep(&self, file: tempfile::NamedTempFile, path: &Path) -> Result<(), StoreError> {
        file.as_file().sync_data().map_err(|source| StoreError::file("flush a blob", source))?;
        create_folder(path.parent().unwrap_or(&self.folder))?;
        file.persist(path).map_err(|error| StoreError::file("name a blob", error.error))?;
        self.flush_folders(path)
    }

    /// Makes a blob's name durable: also for one that is there, as its writer may not have come this far.
    fn flush_folders(&self, path: &Path) -> Result<(), StoreError> {
        for folder in path.ancestors().skip(1).take(3) {
            let synced = File::open(folder).and_then(|folder| folder.sync_all());
            synced.map_err(|source| StoreError::file("flush a blob's folder", source))?;
        }
        Ok(())
    }
}

/// A blob as its folder shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobFile {
    pub key: String,
    /// When it was last put.
    pub put_at: Timestamp,
    pub allocated_bytes: u64,
}

impl BlobFile {
    fn look(key: String, path: &Path) -> Option<BlobFile> {
        use std::os::unix::fs::MetadataExt;
        let file = path.metadata().ok().filter(std::fs::Metadata::is_file)?;
        let put_at = Timestamp::from_micros(file.mtime().saturating_mul(1_000_000) + file.mtime_nsec() / 1_000);
        Some(BlobFile { key, put_at, allocated_bytes: file.blocks() * 512 })
    }
}

/// Sets the time of the last change to the file system's now.
fn touch(file: &File) -> std::io::Result<()> {
    let at = |tv_nsec| rustix::fs::Timespec { tv_sec: 0, tv_nsec };
    let (last_access, last_modification) = (at(rustix::fs::UTIME_OMIT), at(rustix::fs::UTIME_NOW));
    Ok(rustix::fs::futimens(file, &rustix::fs::Timestamps { last_access, last_modification })?)
}

/// Returns what is in a folder; nothing if there is no such folder.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let listed = match std::fs::read_dir(folder) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(Vec::new()),
        listed => listed.map_err(|source| StoreError::file("look into a blob folder", source))?,
    };
    let paths = listed.map(|entry| entry.map(|entry| entry.path()));
    paths.collect::<Result<_, _>>().map_err(|source| StoreError::file("look into a blob folder", source))
}

/// A blob that is being written; dropped unfinished it leaves nothing.
pub struct BlobWriter<'a> {
    blobs: &'a Blobs,
    file: tempfile::NamedTempFile,
    hasher: Sha256,
    size: u64,
}

impl Write for BlobWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

impl BlobWriter<'_> {
    /// Makes the blob durable; returns its key and size.
    ///
    /// # Errors
    /// If it cannot be written; nothing is left then.
    pub fn finish(self) -> Result<(String, u64), StoreError> {
        let key = stdx::hex::encode(&self.hasher.finalize());
        let path = self.blobs.path(&key)?;
        match self.blobs.claim(&path)? {
            true => self.blobs.flush_folders(&path)?,
            false => self.blobs.keep(self.file, &path)?,
        }
        Ok((key, self.size))
    }
}

fn copy(content: &mut dyn Read, mut writer: BlobWriter<'_>) -> Result<(String, u64), StoreError> {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let length = content.read(&mut chunk).map_err(|source| StoreError::file("read a blob's content", source))?;
        if length == 0 {
            return writer.finish();
        }
        writer.write_all(&chunk[..length]).map_err(|source| StoreError::file("write a blob", source))?;
    }
}

fn create_folder(folder: &Path) -> Result<(), StoreError> {
    std::fs::create_dir_all(folder).map_err(|source| StoreError::file("create a blob folder", source))
}

/// Returns where a blob is below the folder of blobs; `None` if the key is not one.
pub(crate) fn place_of(key: &str) -> Option<String> {
    let is_key = key.len() == 64 && key.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    is_key.then(|| format!("{}/{}/{key}", &key[..2], &key[2..4]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_content_is_kept_once_and_hostile_keys_lead_nowhere() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let blobs = Blobs::open(folder.path()).expect("blobs open");
        let key = blobs.put_bytes(b"hello").expect("bytes are kept");
        let (again, size) = blobs.put_reader(&mut &b"hello"[..]).expect("a reader is kept");
        assert_eq!((again.as_str(), size), (key.as_str(), 5));
        assert_eq!(blobs.read(&key, 5).expect("bytes are read"), b"hello");
        assert!(blobs.read(&key, 4).is_err());
        for hostile in ["", "..", "../../etc/passwd", &"A".repeat(64), &"/".repeat(64), &format!("{}/", &key[..63])] {
            assert!(blobs.open_read(hostile).is_err(), "{hostile}");
            assert!(blobs.delete(hostile).is_err(), "{hostile}");
        }
        let put_at = blobs.list(u8::from_str_radix(&key[..2], 16).expect("hexadecimal")).expect("listed")[0].put_at;
        assert_eq!(blobs.collect(&key, put_at).expect("kept"), None, "one that was just put stays");
        assert!(blobs.is_named_by_content(&key).expect("read"));
        let later = put_at.plus(std::time::Duration::from_micros(1));
        assert!(blobs.collect(&key, later).expect("collected").is_some_and(|bytes| bytes > 0));
        assert!(!blobs.exists(&key).expect("the key is one"));
        assert_eq!(blobs.put_bytes(b"hello").expect("bytes are kept again"), key);
        blobs.delete(&key).expect("a blob is deleted");
        blobs.delete(&key).expect("deleting twice is fine");
        assert!(!blobs.exists(&key).expect("the key is one"));
    }
}
