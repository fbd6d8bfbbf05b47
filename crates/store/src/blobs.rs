//! Blobs: bytes by their SHA-256, as files in two levels of folders. Written before they are referenced, durable on
//! return, the same content only once. A key is checked before it becomes a path.
//!
//! Plain files until S3 joins: the object-store crate's local engine does not flush to disk, which an ack needs
//! (docs/decisions/0005-blobs-as-files.md).

use crate::StoreError;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

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
        if path.exists() {
            self.flush_folders(&path)?;
            return Ok(key);
        }
        let mut file = self.temporary()?;
        file.write_all(bytes).map_err(|source| failed("write a blob", source))?;
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
            Err(source) => Err(failed("open a blob", source)),
        }
    }

    /// Returns a whole blob of at most `bytes_max`.
    ///
    /// # Errors
    /// `Missing` if there is none; `Damaged` if it is larger.
    pub fn read(&self, key: &str, bytes_max: u64) -> Result<Vec<u8>, StoreError> {
        let mut bytes = Vec::new();
        let file = self.open_read(key)?;
        file.take(bytes_max + 1).read_to_end(&mut bytes).map_err(|source| failed("read a blob", source))?;
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
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(failed("delete a blob", source)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn path(&self, key: &str) -> Result<PathBuf, StoreError> {
        let is_key = key.len() == 64 && key.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
        if !is_key {
            return Err(StoreError::Missing { what: "a blob with such a key".to_owned() });
        }
        Ok(self.folder.join(&key[..2]).join(&key[2..4]).join(key))
    }

    fn temporary(&self) -> Result<tempfile::NamedTempFile, StoreError> {
        tempfile::NamedTempFile::new_in(&self.folder).map_err(|source| failed("create a blob", source))
    }

    /// Flushes the file, moves it to its name, and flushes the folders that name it.
    fn keep(&self, file: tempfile::NamedTempFile, path: &Path) -> Result<(), StoreError> {
        file.as_file().sync_data().map_err(|source| failed("flush a blob", source))?;
        create_folder(path.parent().unwrap_or(&self.folder))?;
        file.persist(path).map_err(|error| failed("name a blob", error.error))?;
        self.flush_folders(path)
    }

    /// Makes a blob's name durable: also for one that is there, as its writer may not have come this far.
    fn flush_folders(&self, path: &Path) -> Result<(), StoreError> {
        for folder in path.ancestors().skip(1).take(3) {
            let synced = File::open(folder).and_then(|folder| folder.sync_all());
            synced.map_err(|source| failed("flush a blob's folder", source))?;
        }
        Ok(())
    }
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
        if !path.exists() {
            self.blobs.keep(self.file, &path)?;
        }
        Ok((key, self.size))
    }
}

fn copy(content: &mut dyn Read, mut writer: BlobWriter<'_>) -> Result<(String, u64), StoreError> {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let length = content.read(&mut chunk).map_err(|source| failed("read a blob's content", source))?;
        if length == 0 {
            return writer.finish();
        }
        writer.write_all(&chunk[..length]).map_err(|source| failed("write a blob", source))?;
    }
}

fn create_folder(folder: &Path) -> Result<(), StoreError> {
    std::fs::create_dir_all(folder).map_err(|source| failed("create a blob folder", source))
}

fn failed(what: &str, source: std::io::Error) -> StoreError {
    StoreError::File { what: what.to_owned(), source }
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
        blobs.delete(&key).expect("a blob is deleted");
        blobs.delete(&key).expect("deleting twice is fine");
        assert!(!blobs.exists(&key).expect("the key is one"));
    }
}
