//! The owner's side of the socket: answers guests from the queue that this process owns, and frees the leases of a guest
//! whose session ended without a word.

pub(super) mod answer;
mod door;

use super::wire::{self, Request, WireError};
use crate::brokers::embedded::Embedded;
use crate::worker::panic_text;
use crate::{Broker, Finish, LeaseId, tend};
use answer::Answer;
pub(super) use door::Door;
use std::collections::{HashMap, HashSet};
use std::io;
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Connections at once: each costs a thread. A worker has one for each of its threads and a few more.
const CONNECTIONS_MAX: usize = 1_024;
/// A guest that takes nothing for this long is gone.
const WRITE_MAX: Duration = Duration::from_secs(10);
/// A thread that answers reads frames and asks the queue; it needs little.
const STACK_BYTES: usize = 512 << 10;
/// Pause between two looks whether the socket still has its name.
const DOOR_LOOK_EVERY: Duration = Duration::from_millis(500);
/// Pause after a connection could not be accepted.
const FAILED_PAUSE: Duration = Duration::from_millis(50);

pub(super) struct Server {
    hall: Arc<Hall>,
    accepting: Option<JoinHandle<()>>,
}

/// What all connections share.
pub(super) struct Hall {
    pub queue: Arc<Embedded>,
    sessions: Mutex<HashMap<u64, Session>>,
    connections: Mutex<HashMap<u64, UnixStream>>,
    is_closed: AtomicBool,
    next: AtomicU64,
}

struct Session {
    name: String,
    held: HashSet<LeaseId>,
}

impl Server {
    /// Answers at a door until dropped.
    pub fn start(door: Door, queue: Arc<Embedded>) -> io::Result<Server> {
        let hall = Arc::new(Hall {
            queue,
            sessions: Mutex::default(),
            connections: Mutex::default(),
            is_closed: AtomicBool::new(false),
            next: AtomicU64::new(1),
        });
        let here = hall.clone();
        let accepting = std::thread::Builder::new()
            .name("queue-door".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || tend::tend("queue-door", || here.is_closed.load(Ordering::SeqCst), || here.accept(&door)))?;
        Ok(Server { hall, accepting: Some(accepting) })
    }
}

impl Drop for Server {
    /// Guests see their connections end, and look for the next owner.
    fn drop(&mut self) {
        self.hall.is_closed.store(true, Ordering::SeqCst);
        for stream in lock(&self.hall.connections).values() {
            // It may be closed already.
            let _ = stream.shutdown(Shutdown::Both);
        }
        if let Some(thread) = self.accepting.take()
            && thread.join().is_err()
        {
            tracing::error!("the queue's door was lost");
        }
        // Nobody may still be using the queue when its folder is given up.
        while !lock(&self.hall.connections).is_empty() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Hall {
    fn accept(self: &Arc<Self>, door: &Door) {
        let mut open = door.lock();
        let mut looked_at = Instant::now();
        while !self.is_closed.load(Ordering::SeqCst) {
            // An owner that lost its folder must not take the name from its successor.
            if looked_at.elapsed() >= DOOR_LOOK_EVERY && self.queue.owns_its_folder() {
                door.look(&mut open);
                looked_at = Instant::now();
            }
            match open.listener.accept() {
                Ok((stream, _)) => self.clone().welcome(stream),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => wait_for_guest(&open.listener),
                Err(error) => {
                    tracing::warn!(error = %error, "queue connection not accepted");
                    std::thread::sleep(FAILED_PAUSE);
                }
            }
        }
    }

    fn welcome(self: Arc<Self>, stream: UnixStream) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let prepared = stream
            .set_nonblocking(false)
            .and_then(|()| stream.set_write_timeout(Some(WRITE_MAX)))
            .and_then(|()| stream.try_clone());
        let Ok(copy) = prepared else { return };
        {
            let mut connections = lock(&self.connections);
            if connections.len() >= CONNECTIONS_MAX {
                tracing::warn!(limit = CONNECTIONS_MAX, "queue connection refused, there are too many");
                return;
            }
            connections.insert(number, copy);
        }
        let here = self.clone();
        let spawned = std::thread::Builder::new()
            .name("queue-guest".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || here.serve(number, stream));
        if let Err(error) = spawned {
            tracing::error!(error = %error, "no thread for a queue connection");
            lock(&self.connections).remove(&number);
        }
    }

    fn serve(&self, number: u64, mut stream: UnixStream) {
        let mut opened = None;
        // Whatever becomes of one guest, its session ends and the others are served.
        let ended = catch_unwind(AssertUnwindSafe(|| self.converse(&mut stream, &mut opened)));
        match ended.unwrap_or_else(|panic| Err(io::Error::other(panic_text(&*panic).to_owned()))) {
            Err(error) if error.kind() == io::ErrorKind::Other => {
                tracing::error!(error = %error, "answering a queue connection panicked");
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                tracing::warn!(error = %error, "queue connection closed");
            }
            Ok(()) | Err(_) => {}
        }
        if let Some(session) = opened {
            self.close(session);
        }
        lock(&self.connections).remove(&number);
    }

    /// Answers one connection; `opened` is the session whose life it carries.
    fn converse(&self, stream: &mut UnixStream, opened: &mut Option<u64>) -> io::Result<()> {
        let (hello, _) = wire::read_frame::<Request>(stream)?;
        let Request::Hello { name, session } = hello else {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the first message is no greeting"));
        };
        let session = match session {
            Some(session) if lock(&self.sessions).contains_key(&session) => session,
            Some(_) => {
                let gone: Result<u64, WireError> = Err(WireError::Closed);
                return wire::write_frame(stream, &gone, &[]);
            }
            None => {
                let session = self.next.fetch_add(1, Ordering::Relaxed);
                lock(&self.sessions).insert(session, Session { name, held: HashSet::new() });
                *opened = Some(session);
                session
            }
        };
        let greeted: Result<u64, WireError> = Ok(session);
        wire::write_frame(stream, &greeted, &[])?;
        loop {
            let (request, tail) = wire::read_frame::<Request>(stream)?;
            let Answer { head, tail, claimed } = self.answer(session, request, tail)?;
            if let Err(error) = wire::write_frame(stream, &head, &tail) {
                // Whoever asked has given up: it does not know of these jobs.
                self.let_go(session, claimed.iter());
                self.give_back(claimed.into_iter());
                return Err(error);
            }
        }
    }

    /// A session is over: what it still holds was lost with its process.
    fn close(&self, session: u64) {
        let Some(Session { name, held }) = lock(&self.sessions).remove(&session) else { return };
        // When this owner stops, the next one hears of these leases from who holds them.
        if held.is_empty() || self.is_closed.load(Ordering::SeqCst) {
            return;
        }
        tracing::warn!(process = name, jobs = held.len(), "a process went away with jobs, they go to others");
        let leases: Vec<LeaseId> = held.into_iter().collect();
        // A lease that ends now is a death, as any other that ends without a word.
        if let Err(error) = self.queue.extend(&leases, Duration::ZERO) {
            tracing::error!(error = %error, "leases of a process that went away not ended, they end by themselves");
        }
    }

    fn hold(&self, session: u64, leases: impl Iterator<Item = LeaseId>) {
        if let Some(session) = lock(&self.sessions).get_mut(&session) {
            session.held.extend(leases);
            return;
        }
        // The process died while its claim waited here.
        self.give_back(leases);
    }

    /// Jobs that never reached who claimed them: that is no death of theirs. The last goes first, so that they stand in their
    /// order again.
    fn give_back(&self, leases: impl Iterator<Item = LeaseId>) {
        let mut back: Vec<_> = leases.map(|lease| (lease, Finish::GiveBack { after: Duration::ZERO })).collect();
        back.reverse();
        if back.is_empty() {
            return;
        }
        if let Err(error) = self.queue.finish(back) {
            tracing::error!(error = %error, "jobs of a process that went away not given back, their leases end");
        }
    }

    fn let_go<'l>(&self, session: u64, leases: impl Iterator<Item = &'l LeaseId>) {
        if let Some(session) = lock(&self.sessions).get_mut(&session) {
            for lease in leases {
                session.held.remove(lease);
            }
        }
    }
}

/// Waits until somebody knocks, or a moment has passed.
fn wait_for_guest(listener: &UnixListener) {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let timeout = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
    let mut waiting = [PollFd::new(listener, PollFlags::IN)];
    if poll(&mut waiting, Some(&timeout)).is_err() {
        std::thread::sleep(FAILED_PAUSE);
    }
}
