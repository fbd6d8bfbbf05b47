//! The embedded queue for several processes of one machine: one of them owns the folder, the others are its guests over
//! a Unix socket. When the owner goes, whatever way, another takes the folder within a moment, and everybody's leases
//! are asserted again; callers notice nothing but the moment.

mod calls;
mod guest;
mod leaving;
mod server;

pub(crate) mod wire;

use crate::brokers::embedded::{self, Embedded};
use crate::{Broker, JobId, LeaseId, QueueError};
use guest::{Broken, Guest};
use server::{Door, Server};
use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::time::{Duration, Instant};
use stdx::Clock;
use wire::Request;

/// Callers wait so long for an owner before they are told that there is none.
const OWNER_WAIT_MAX: Duration = Duration::from_secs(10);
/// Pause between two looks for an owner.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Pause between two looks of an owner whether the folder is still its own.
const GUARD_EVERY: Duration = Duration::from_millis(250);
/// Processes that need not own the folder leave it so long to one that should.
const POLITENESS: Duration = Duration::from_millis(150);
/// A thread that waits needs little.
const WATCH_STACK_BYTES: usize = 256 << 10;
/// After a takeover, leases of the owner before count as held for so long, until their holders are heard.
const REASSERT_GRACE: Duration = Duration::from_secs(1);
/// A lease that was asserted holds so long; its holder extends it every second.
const REASSERTED_FOR: Duration = Duration::from_secs(20);

/// How a process takes part.
#[derive(Clone)]
pub struct Config {
    pub embedded: embedded::Config,
    /// Where the owner listens; in a folder that only its user may enter.
    pub socket: PathBuf,
    /// This process among the others, for people.
    pub name: String,
    /// Whether it takes the folder before others do.
    pub prefers_to_own: bool,
}

/// A process's place at the queue.
pub struct Member(Arc<Place>);

pub(crate) struct Place {
    config: Config,
    clock: Arc<dyn Clock>,
    role: RwLock<Role>,
    /// For the threads that watch owners.
    this: Weak<Place>,
    /// One thread at a time looks for a new owner, or becomes it.
    changing: Mutex<()>,
    /// To the thread that publishes for a guest's callers.
    publisher: SyncSender<calls::Publishing>,
    /// Queues this process declared, for the case that it becomes the owner: an empty queue leaves nothing on disk.
    declared: Mutex<BTreeSet<String>>,
    /// Leases this process holds, by what it would say to a new owner.
    held: Mutex<HashMap<LeaseId, JobId>>,
}

#[derive(Clone)]
enum Role {
    Owner(Arc<Owner>),
    Guest(Arc<Guest>),
    /// Closed, or not yet open.
    Nobody,
}

/// Dropped in this order: first nobody is let in any more, then the folder is given up.
struct Owner {
    _server: Server,
    queue: Arc<Embedded>,
}

impl Member {
    /// Takes the folder, or becomes a guest of whoever has it.
    ///
    /// # Errors
    /// As `Embedded::open`, or `Unreachable` if its owner hangs.
    pub fn open(config: Config, clock: Arc<dyn Clock>) -> Result<Member, QueueError> {
        let folder = config.embedded.folder.clone();
        let mut no_thread = None;
        let place = Arc::new_cyclic(|place| {
            let started = calls::start_publisher(place);
            let publisher = started.unwrap_or_else(|error| {
                no_thread = Some(error);
                std::sync::mpsc::sync_channel(1).0
            });
            let (role, changing) = (RwLock::new(Role::Nobody), Mutex::new(()));
            Place {
                config,
                clock,
                role,
                this: place.clone(),
                changing,
                publisher,
                declared: Mutex::default(),
                held: Mutex::default(),
            }
        });
        if let Some(source) = no_thread {
            return Err(QueueError::Files { folder, source });
        }
        place.find_owner(Duration::ZERO)?;
        Ok(Member(place))
    }

    /// Whether this process owns the folder now.
    pub fn is_owner(&self) -> bool {
        matches!(self.0.role(), Role::Owner(_))
    }
}

impl Place {
    fn role(&self) -> Role {
        self.role.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_role(&self, role: Role) {
        *self.role.write().unwrap_or_else(PoisonError::into_inner) = role;
    }

    fn held(&self) -> MutexGuard<'_, HashMap<LeaseId, JobId>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn declared(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.declared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Becomes the owner or the guest of one. `grace` is how long leases of an owner before are respected.
    fn find_owner(&self, grace: Duration) -> Result<(), QueueError> {
        let started = Instant::now();
        loop {
            let why = match Guest::open(&self.config.socket, &self.config.name) {
                Ok(guest) => {
                    self.assert_leases(&guest);
                    let guest = Arc::new(guest);
                    self.watch(&guest);
                    self.set_role(Role::Guest(guest));
                    return Ok(());
                }
                Err(Broken::Gone(error)) => error.to_string(),
                Err(Broken::Hangs) => return Err(self.hangs()),
                Err(Broken::Odd(why)) => return Err(self.unreachable(why)),
            };
            if self.config.prefers_to_own || started.elapsed() >= POLITENESS {
                match self.own(grace) {
                    Ok(()) => return Ok(()),
                    Err(QueueError::Owned { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            if started.elapsed() >= OWNER_WAIT_MAX {
                return Err(self.unreachable(why));
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Looks for the next owner as soon as this one goes, also while nobody calls: leases are asserted in time.
    fn watch(&self, guest: &Arc<Guest>) {
        let (place, watched) = (self.this.clone(), Arc::downgrade(guest));
        let started = guest.life().and_then(|mut life| {
            std::thread::Builder::new().name("queue-owner".to_owned()).stack_size(WATCH_STACK_BYTES).spawn(move || {
                Guest::wait_for_the_end(&mut life);
                if let (Some(place), Some(guest)) = (place.upgrade(), watched.upgrade())
                    && let Err(error) = place.replace(&guest)
                {
                    tracing::error!(error = %error, "no other owner of the queue yet, the next call looks again");
                }
            })
        });
        if let Err(error) = started {
            tracing::warn!(error = %error, "the queue's owner is not watched, its end is noticed by the next call");
        }
    }

    fn own(&self, grace: Duration) -> Result<(), QueueError> {
        let config = embedded::Config { reassert_grace: grace, ..self.config.embedded.clone() };
        let folder = config.folder.clone();
        let queue = Arc::new(Embedded::open(config, self.clock.clone())?);
        let held: Vec<(JobId, LeaseId)> = self.held().iter().map(|(lease, id)| (id.clone(), *lease)).collect();
        if !held.is_empty() {
            let lost = queue.reassert(&held, REASSERTED_FOR);
            self.forget(&lost);
        }
        for name in self.declared().iter() {
            queue.declare(name)?;
        }
        let failed = |source| QueueError::Files { folder: folder.clone(), source };
        let door = Door::open(&self.config.socket).map_err(failed)?;
        let server = Server::start(door, queue.clone()).map_err(failed)?;
        let owner = Arc::new(Owner { _server: server, queue });
        self.guard(&owner).map_err(failed)?;
        self.set_role(Role::Owner(owner));
        Ok(())
    }

    /// Looks now and then whether the folder is still this process's; if not, looks for another place.
    fn guard(&self, owner: &Arc<Owner>) -> std::io::Result<()> {
        let (place, guarded) = (self.this.clone(), Arc::downgrade(owner));
        let run = move || {
            loop {
                std::thread::park_timeout(GUARD_EVERY);
                let (Some(place), Some(owner)) = (place.upgrade(), guarded.upgrade()) else { return };
                if !owner.queue.owns_its_folder() {
                    break place.step_down(owner);
                }
            }
            while let Some(place) = place.upgrade()
                && !place.has_found_its_place()
            {
                drop(place);
                std::thread::park_timeout(GUARD_EVERY);
            }
        };
        std::thread::Builder::new().name("queue-guard".to_owned()).stack_size(WATCH_STACK_BYTES).spawn(run)?;
        Ok(())
    }

    /// Somebody removed the lock file: another process may own the folder now. Guests see their connections end, as if this
    /// process had died, and so does this one look for the owner, be it itself.
    fn step_down(&self, owner: Arc<Owner>) {
        let _one = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(self.role(), Role::Owner(current) if Arc::ptr_eq(&current, &owner)) {
            self.set_role(Role::Nobody);
        }
    }

    /// Looks for a place unless there is one.
    fn has_found_its_place(&self) -> bool {
        let _one = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        if !matches!(self.role(), Role::Nobody) {
            return true;
        }
        match self.find_owner(REASSERT_GRACE) {
            Ok(()) => tracing::warn!(owner = matches!(self.role(), Role::Owner(_)), "found a place at the queue again"),
            Err(error) => tracing::error!(error = %error, "no place at the queue yet, looked for again"),
        }
        !matches!(self.role(), Role::Nobody)
    }

    fn assert_leases(&self, guest: &Guest) {
        let held: Vec<(String, u64)> = self.held().iter().map(|(lease, id)| (id.to_string(), lease.0)).collect();
        if held.is_empty() {
            return;
        }
        match guest.call::<Vec<u64>>(&Request::Reassert { held }, &[]) {
            Ok((Ok(lost), _)) => self.forget(&lost.into_iter().map(LeaseId).collect::<Vec<_>>()),
            Ok((Err(error), _)) => tracing::warn!(error = %error, "leases not asserted, they end by themselves"),
            Err(broken) => tracing::warn!(?broken, "leases not asserted, they end by themselves"),
        }
    }

    fn forget(&self, leases: &[LeaseId]) {
        let mut held = self.held();
        for lease in leases {
            held.remove(lease);
        }
    }

    /// Looks for another owner after `lost` went away, unless another thread has done so meanwhile.
    fn replace(&self, lost: &Arc<Guest>) -> Result<(), QueueError> {
        let _one = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        match self.role() {
            Role::Guest(guest) if Arc::ptr_eq(&guest, lost) => {
                let started = Instant::now();
                self.find_owner(REASSERT_GRACE)?;
                let took_ms = started.elapsed().as_millis() as u64;
                tracing::warn!(took_ms, owner = matches!(self.role(), Role::Owner(_)), "the queue's owner went away");
                Ok(())
            }
            Role::Owner(_) | Role::Guest(_) => Ok(()),
            Role::Nobody => Err(QueueError::Closed),
        }
    }
}

impl Place {
    fn unreachable(&self, why: String) -> QueueError {
        let broker = format!("the process that owns the queue (at {})", self.config.socket.display());
        QueueError::Unreachable { broker, why }
    }

    fn hangs(&self) -> QueueError {
        let why = "it is stopped or hangs, and while it lives no other takes over: let it go on (SIGCONT) or end it";
        self.unreachable(why.to_owned())
    }
}
