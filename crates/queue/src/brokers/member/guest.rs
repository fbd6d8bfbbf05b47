//! A guest's side of the socket: connections that are used in turns, and a thread that publishes for all who wait.

use super::wire::{self, Request, WireError};
use crate::QueueError;
use bytes::Bytes;
use serde::de::DeserializeOwned;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// An owner that does not answer in this time hangs. Claims wait at it for at most `POLL_MAX`.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// Connections that nobody uses are kept up to this number.
const IDLE_MAX: usize = 64;
/// Longest path that fits into the address of a Unix socket.
const PATH_BYTES_MAX: usize = 100;

/// A guest of one owner, for as long as that lives.
pub(super) struct Guest {
    socket: PathBuf,
    name: String,
    session: u64,
    /// Its end is the end of the session.
    life: UnixStream,
    idle: Mutex<Vec<UnixStream>>,
}

/// Why a call got no answer.
#[derive(Debug)]
pub(super) enum Broken {
    /// The owner went away: another may answer.
    Gone(io::Error),
    /// It is there and does not answer.
    Hangs,
    /// It speaks another version, or not at all.
    Odd(String),
}

impl Guest {
    /// Opens a session with whoever owns the folder now.
    pub fn open(socket: &Path, name: &str) -> Result<Guest, Broken> {
        let (life, session) = greet(socket, name, None)?;
        let guest = Guest { socket: socket.to_owned(), name: name.to_owned(), session, life, idle: Mutex::default() };
        Ok(guest)
    }

    /// Waits until the owner is gone, or this guest is dropped.
    pub fn wait_for_the_end(life: &mut UnixStream) {
        let mut byte = [0];
        // Nothing is ever sent on it.
        while matches!(std::io::Read::read(life, &mut byte), Ok(1..)) {}
    }

    /// Returns the connection whose end is the session's.
    pub fn life(&self) -> io::Result<UnixStream> {
        self.life.set_read_timeout(None)?;
        self.life.try_clone()
    }

    /// Asks the owner and waits for its answer.
    pub fn call<T: DeserializeOwned>(
        &self,
        request: &Request,
        tail: &[u8],
    ) -> Result<(Result<T, QueueError>, Bytes), Broken> {
        let mut stream = match self.lock().pop() {
            Some(stream) => stream,
            None => greet(&self.socket, &self.name, Some(self.session))?.0,
        };
        let (answer, tail) = converse(&mut stream, request, tail)?;
        let mut idle = self.lock();
        if idle.len() < IDLE_MAX {
            idle.push(stream);
        }
        drop(idle);
        match answer {
            Err(error) => Ok((Err(WireError::into_error(error)), tail)),
            Ok(value) => {
                let value = serde_json::from_value(value);
                Ok((Ok(value.map_err(|error| Broken::Odd(format!("read the owner's answer: {error}")))?), tail))
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<UnixStream>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Guest {
    /// Whoever waits for the end of the session sees it, and so does the owner.
    fn drop(&mut self) {
        // It may be closed already.
        let _ = self.life.shutdown(std::net::Shutdown::Both);
    }
}

type Answered = (Result<serde_json::Value, WireError>, Bytes);

fn converse(stream: &mut UnixStream, request: &Request, tail: &[u8]) -> Result<Answered, Broken> {
    wire::write_frame(stream, request, tail).map_err(broken)?;
    wire::read_frame(stream).map_err(broken)
}

fn broken(error: io::Error) -> Broken {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Broken::Hangs,
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => Broken::Odd(error.to_string()),
        _ => Broken::Gone(error),
    }
}

fn greet(socket: &Path, name: &str, session: Option<u64>) -> Result<(UnixStream, u64), Broken> {
    let mut stream = connect(socket).map_err(Broken::Gone)?;
    let prepared = stream.set_read_timeout(Some(ANSWER_MAX)).and_then(|()| stream.set_write_timeout(Some(ANSWER_MAX)));
    prepared.map_err(Broken::Gone)?;
    wire::write_frame(&mut stream, &Request::Hello { name: name.to_owned(), session }, &[]).map_err(broken)?;
    let (greeted, _) = wire::read_frame::<Result<u64, WireError>>(&mut stream).map_err(broken)?;
    match greeted {
        Ok(session) => Ok((stream, session)),
        // The session ended meanwhile: as if its owner had gone.
        Err(error) => Err(Broken::Gone(io::Error::other(format!("{error:?}")))),
    }
}

fn connect(socket: &Path) -> io::Result<UnixStream> {
    let (_folder, path) = short_path(socket)?;
    UnixStream::connect(path)
}

/// A path that fits into a socket's address, and what keeps it valid.
pub(super) fn short_path(socket: &Path) -> io::Result<(Option<std::fs::File>, PathBuf)> {
    if socket.as_os_str().len() <= PATH_BYTES_MAX {
        return Ok((None, socket.to_owned()));
    }
    let (Some(folder), Some(name)) = (socket.parent(), socket.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let folder = std::fs::File::open(folder)?;
    let path = Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(name);
    Ok((Some(folder), path))
}
