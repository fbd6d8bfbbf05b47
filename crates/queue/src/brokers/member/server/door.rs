//! Where guests come in: a socket under a name. Somebody may remove the name (a cleanup, a restored backup): then nobody finds
//! the socket any more, although it is open. The owner looks for it and makes a new one.

use super::super::guest::short_path;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

pub(in super::super) struct Door {
    socket: PathBuf,
    open: Mutex<Open>,
}

pub(super) struct Open {
    pub listener: UnixListener,
    /// Which file has the name.
    file: (u64, u64),
    /// The last attempt to make another failed.
    has_failed: bool,
}

impl Door {
    /// The folder's lock is held: a socket that is there was left by an owner that died.
    ///
    /// # Errors
    /// If the socket cannot be made.
    pub fn open(socket: &Path) -> io::Result<Door> {
        Ok(Door { socket: socket.to_owned(), open: Mutex::new(bind(socket)?) })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the socket again if its name is gone, or is another's. Only for an owner.
    pub(super) fn look(&self, open: &mut Open) {
        if file_at(&self.socket).ok() == Some(open.file) {
            return;
        }
        let path = self.socket.display();
        match bind(&self.socket) {
            Ok(again) => {
                *open = again;
                tracing::warn!(path = %path, "the queue's socket was gone and was made again");
            }
            Err(error) => {
                if !open.has_failed {
                    tracing::error!(path = %path, error = %error, "the queue's socket is gone, other processes cannot reach the queue");
                }
                open.has_failed = true;
            }
        }
    }
}

fn bind(socket: &Path) -> io::Result<Open> {
    match std::fs::remove_file(socket) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let (_folder, path) = short_path(socket)?;
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o600))?;
    // Whoever accepts is woken every so often, to see that it should end.
    listener.set_nonblocking(true)?;
    Ok(Open { listener, file: file_at(socket)?, has_failed: false })
}

fn file_at(socket: &Path) -> io::Result<(u64, u64)> {
    std::fs::symlink_metadata(socket).map(|file| (file.dev(), file.ino()))
}
