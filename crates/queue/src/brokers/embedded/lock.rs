//! Who owns a folder: whoever holds the lock on its file `lock`. A lock is on a file and not on its name: if somebody removes
//! the file, another process makes a new one and owns the folder too. So whoever holds it looks whether its file is still
//! the one of that name, before it answers for the folder.

use crate::QueueError;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

const NAME: &str = "lock";

pub struct FolderLock {
    path: PathBuf,
    /// Locked for as long as it is open.
    _file: File,
    /// Which file it is: device and number.
    own: (u64, u64),
    is_lost: AtomicBool,
}

impl FolderLock {
    /// # Errors
    /// `Owned` if another process has it, `Files` if the file cannot be made.
    pub fn take(folder: &Path) -> Result<FolderLock, QueueError> {
        let failed = |source| QueueError::Files { folder: folder.to_owned(), source };
        let path = folder.join(NAME);
        let file = File::create(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => return Err(QueueError::Owned { folder: folder.to_owned() }),
            Err(std::fs::TryLockError::Error(source)) => return Err(failed(source)),
        }
        let own = file.metadata().map(|own| (own.dev(), own.ino())).map_err(failed)?;
        let lock = FolderLock { path, _file: file, own, is_lost: AtomicBool::new(false) };
        // Somebody removed it since it was made: whoever comes next may have another.
        if lock.is_held() { Ok(lock) } else { Err(QueueError::Owned { folder: folder.to_owned() }) }
    }

    /// Whether the folder is still owned; once it is not, it never is again. A disk that gives no answer changes nothing.
    pub fn is_held(&self) -> bool {
        if self.is_lost.load(Ordering::SeqCst) {
            return false;
        }
        let there = match std::fs::metadata(&self.path) {
            Ok(there) => Some((there.dev(), there.ino())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(_) => return true,
        };
        let is_held = there == Some(self.own);
        if !is_held && !self.is_lost.swap(true, Ordering::SeqCst) {
            let path = self.path.display();
            tracing::error!(path = %path, "somebody removed the queue's lock file, this process stops owning the queue");
        }
        is_held
    }
}
