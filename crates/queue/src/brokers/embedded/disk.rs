//! What the broker does with files, as a seam: the machine's files, or a simulated disk that loses, tears and refuses.
//! Knows paths and bytes only.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// Fails if it is not there.
    ToRead,
    /// Made if it is not there.
    ToAppend,
    /// Fails if it is there.
    AsNew,
}

/// An open file.
pub trait DiskFile: Send + Sync {
    /// Writes all of it at the end; after an error any beginning of it may stand there.
    ///
    /// # Errors
    /// If not all could be written; so for all that follows.
    fn append(&self, bytes: &[u8]) -> io::Result<()>;

    /// # Errors
    /// `UnexpectedEof` if the file ends before.
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()>;

    /// Makes what was written survive a power loss.
    fn sync(&self) -> io::Result<()>;

    fn set_length(&self, length: u64) -> io::Result<()>;

    fn length(&self) -> io::Result<u64>;
}

/// Where files lie.
pub trait Disk: Send + Sync + 'static {
    /// # Errors
    /// If it could not be done; so for all that follows.
    fn create_folder(&self, folder: &Path) -> io::Result<()>;

    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn DiskFile>>;

    /// Names of what lies in a folder, in no order.
    fn names(&self, folder: &Path) -> io::Result<Vec<String>>;

    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Replaces what has the new name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Makes names of a folder survive a power loss.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;
}

/// Returns all bytes of a file.
///
/// # Errors
/// If it is not there or cannot be read.
pub fn read(disk: &dyn Disk, path: &Path) -> io::Result<Vec<u8>> {
    let file = disk.open(path, Open::ToRead)?;
    let mut bytes = vec![0; usize::try_from(file.length()?).map_err(io::Error::other)?];
    file.read_at(&mut bytes, 0)?;
    Ok(bytes)
}

/// Replaces a small file as a whole, durably: after a crash the old or the new one is there.
///
/// # Errors
/// If it could not be written; the old one is there then, unless only the last flush failed.
pub fn replace(disk: &dyn Disk, folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let new = folder.join(format!("{name}.new"));
    // One that a crash left behind goes: it must not be written over, for after half a renaming it is the old one too.
    match disk.remove(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let file = disk.open(&new, Open::AsNew)?;
    file.append(bytes)?;
    file.sync()?;
    disk.rename(&new, &folder.join(name))?;
    disk.sync_folder(folder)
}

/// The machine's files.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        std::fs::create_dir_all(folder)
    }

    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.read(true);
        match how {
            Open::ToRead => {}
            Open::ToAppend => drop(options.append(true).create(true)),
            Open::AsNew => drop(options.append(true).create_new(true)),
        }
        Ok(Arc::new(options.open(path)?))
    }

    fn names(&self, folder: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(folder)? {
            // Names that are not text are not ours.
            names.extend(entry?.file_name().into_string().ok());
        }
        Ok(names)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        File::open(folder)?.sync_all()
    }
}

impl DiskFile for File {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let mut file = self;
        file.write_all(bytes)
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        self.read_exact_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }
}

/// Reads a file from a place on through a buffer: scans go forward through many megabytes.
pub struct Reader {
    file: Arc<dyn DiskFile>,
    end: u64,
    buffer: Vec<u8>,
    buffer_at: u64,
}

impl Reader {
    pub fn over(file: Arc<dyn DiskFile>) -> io::Result<Reader> {
        let end = file.length()?;
        Ok(Reader { file, end, buffer: Vec::new(), buffer_at: 0 })
    }

    pub fn end(&self) -> u64 {
        self.end
    }

    /// # Errors
    /// If the file does not give that many bytes there.
    pub fn read_at(&mut self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        let is_buffered =
            offset >= self.buffer_at && offset + bytes.len() as u64 <= self.buffer_at + self.buffer.len() as u64;
        if !is_buffered {
            if bytes.len() >= READ_BYTES {
                return self.file.read_at(bytes, offset);
            }
            let length = (READ_BYTES as u64).min(self.end.saturating_sub(offset));
            self.buffer.resize(length as usize, 0);
            self.buffer_at = offset;
            self.file.read_at(&mut self.buffer, offset)?;
        }
        let start = (offset - self.buffer_at) as usize;
        let found = self.buffer.get(start..start + bytes.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        bytes.copy_from_slice(found);
        Ok(())
    }
}

/// Bytes read at once.
const READ_BYTES: usize = 1 << 20;
