//! A guest's side of the socket: connections that are used in turns, and a thread that publishes for all who wait.

use super::wire::{self, Request, WireError};
use crate::QueueError;
use bytes::Bytes;
use serde::de::DeserializeOwned;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// An owner that does not answer in this time hangs. Claims wait at it for at most `POLL_MAX`.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// An owner that runs greets in this time, whatever its disk does.
const GREETING_MAX: Duration = Duration::from_secs(1);
/// Pause between two greetings of an owner that does not run; until then calls fail at once.
const GREET_EVERY: Duration = Duration::from_secs(1);
/// Pause before another attempt at a door where too many wait.
const DOOR_PAUSE: Duration = Duration::from_millis(10);
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
    pulse: Mutex<Pulse>,
}

/// Whether the owner runs, by what calls came to.
#[derive(Clone, Copy)]
enum Pulse {
    Runs,
    /// A call was not answered: its disk may be slow, or it may be stopped.
    Doubted,
    /// It does not even greet; it is greeted again at the time.
    Stopped(Instant),
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
        let (life, session) = greet(socket, name, None, ANSWER_MAX)?;
        let (socket, name) = (socket.to_owned(), name.to_owned());
        Ok(Guest { socket, name, session, life, idle: Mutex::default(), pulse: Mutex::new(Pulse::Runs) })
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
        self.feel_pulse()?;
        let mut stream = match lock(&self.idle).pop() {
            Some(stream) => stream,
            None => self.join(ANSWER_MAX)?,
        };
        let answered = converse(&mut stream, request, tail);
        if matches!(answered, Err(Broken::Hangs)) {
            *lock(&self.pulse) = Pulse::Doubted;
        }
        let (answer, tail) = answered?;
        self.keep(stream);
        match answer {
            Err(error) => Ok((Err(WireError::into_error(error)), tail)),
            Ok(value) => {
                let value = serde_json::from_value(value);
                Ok((Ok(value.map_err(|error| Broken::Odd(format!("read the owner's answer: {error}")))?), tail))
            }
        }
    }

    /// A further connection of this session.
    fn join(&self, within: Duration) -> Result<UnixStream, Broken> {
        greet(&self.socket, &self.name, Some(self.session), within).map(|(stream, _)| stream)
    }

    fn keep(&self, stream: UnixStream) {
        let mut idle = lock(&self.idle);
        if idle.len() < IDLE_MAX {
            idle.push(stream);
        }
    }

    /// Spares callers the wait for an owner that is known not to run, and its door a crowd.
    fn feel_pulse(&self) -> Result<(), Broken> {
        {
            let mut pulse = lock(&self.pulse);
            match *pulse {
                Pulse::Runs => return Ok(()),
                Pulse::Doubted => *pulse = Pulse::Runs,
                Pulse::Stopped(until) if Instant::now() < until => return Err(Broken::Hangs),
                Pulse::Stopped(_) => *pulse = Pulse::Stopped(Instant::now() + GREETING_MAX + GREET_EVERY),
            }
        }
        let greeted = self.join(GREETING_MAX);
        *lock(&self.pulse) = match &greeted {
            Err(Broken::Hangs) => Pulse::Stopped(Instant::now() + GREET_EVERY),
            Ok(_) | Err(Broken::Gone(_) | Broken::Odd(_)) => Pulse::Runs,
        };
        greeted.map(|stream| self.keep(stream))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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

fn greet(socket: &Path, name: &str, session: Option<u64>, within: Duration) -> Result<(UnixStream, u64), Broken> {
    let mut stream = connect(socket, within).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => Broken::Hangs,
        _ => Broken::Gone(error),
    })?;
    stream.set_read_timeout(Some(within)).map_err(Broken::Gone)?;
    stream.set_write_timeout(Some(within)).map_err(Broken::Gone)?;
    let greeted = greet_on(&mut stream, name, session)?;
    let prepared = stream.set_read_timeout(Some(ANSWER_MAX)).and_then(|()| stream.set_write_timeout(Some(ANSWER_MAX)));
    prepared.map_err(Broken::Gone)?;
    Ok((stream, greeted))
}

fn greet_on(stream: &mut UnixStream, name: &str, session: Option<u64>) -> Result<u64, Broken> {
    wire::write_frame(stream, &Request::Hello { name: name.to_owned(), session }, &[]).map_err(broken)?;
    let (greeted, _) = wire::read_frame::<Result<u64, WireError>>(stream).map_err(broken)?;
    match greeted {
        Ok(session) => Ok(session),
        // The session ended meanwhile: as if its owner had gone.
        Err(error) => Err(Broken::Gone(io::Error::other(format!("{error:?}")))),
    }
}

/// An owner that is stopped lets nobody in: when as many wait at its door as fit, connecting would wait for ever.
fn connect(socket: &Path, within: Duration) -> io::Result<UnixStream> {
    use socket2::{Domain, SockAddr, Socket, Type};
    let deadline = Instant::now() + within;
    let (_folder, path) = short_path(socket)?;
    let address = SockAddr::unix(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    loop {
        match socket.connect(&address) {
            Ok(()) => break,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && Instant::now() < deadline => {
                std::thread::sleep(DOOR_PAUSE);
            }
            Err(error) => return Err(error),
        }
    }
    socket.set_nonblocking(false)?;
    Ok(UnixStream::from(OwnedFd::from(socket)))
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
