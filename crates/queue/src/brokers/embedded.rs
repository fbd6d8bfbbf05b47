//! The embedded broker: one process owns a folder with a segment log. Publishers that come together share one write and
//! one flush; claims, retries and ends are records beside the log.
//!
//! `log` is the files, `schedule` the memory, `writer` the thread that publishes, `dead` the dead letters. A job is in
//! the schedule only after its frame is durable.

mod dead;
mod frame;
mod log;
mod recovery;
mod schedule;
mod writer;

use crate::broker::{BoxFuture, Broker, ClaimRequest, DeadLetter, Ledger, POLL_MAX};
use crate::{Claimed, DeadReason, Finish, JobId, JobState, LeaseId, NewJob, Published, QueueDepth, QueueError};
use dead::DeadLetters;
use frame::Record;
use log::{Log, Position};
use schedule::{Schedule, Slot, State};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use stdx::{Clock, Timestamp};
use writer::Writer;

/// Deaths of its worker while a job ran alone, after which it stops.
const POISON_DEATHS: u8 = 3;

/// How durable a published job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// On disk: survives a power loss.
    Power,
    /// In the operating system: survives a killed process.
    Process,
}

/// Asks how many bytes the queue's disk has left.
pub type FreeSpace = Arc<dyn Fn() -> std::io::Result<u64> + Send + Sync>;

/// How an embedded broker is set up.
#[derive(Clone)]
pub struct Config {
    pub folder: PathBuf,
    pub durability: Durability,
    pub jobs_max: u64,
    pub bytes_max: u64,
    /// Free bytes on the disk below which jobs are refused.
    pub free_min: u64,
    pub free_space: FreeSpace,
}

/// What both threads and callers share.
struct Shared {
    config: Config,
    clock: Arc<dyn Clock>,
    state: Mutex<Inner>,
    /// Signalled when a job becomes ready.
    ready: Condvar,
    is_closed: AtomicBool,
}

struct Inner {
    schedule: Schedule,
    log: Log,
    dead: DeadLetters,
    /// Why nothing can be written, while that is so.
    unwritable: Option<String>,
}

pub struct Embedded {
    shared: Arc<Shared>,
    writer: Writer,
    /// Held for the life of the broker: no second process may own the folder.
    _lock: File,
}

impl Embedded {
    /// Opens a folder and everything that waits in it.
    ///
    /// # Errors
    /// `Owned` if another process has it; `Files` if it cannot be read.
    pub fn open(config: Config, clock: Arc<dyn Clock>) -> Result<Embedded, QueueError> {
        let failed = |source| QueueError::Files { folder: config.folder.clone(), source };
        std::fs::create_dir_all(&config.folder).map_err(failed)?;
        let lock = lock_folder(&config.folder)?;
        let mut inner = recovery::recover(&config.folder, clock.now()).map_err(failed)?;
        recovery::bury_poisoned(&mut inner, clock.now())?;
        let shared = Arc::new(Shared {
            config,
            clock,
            state: Mutex::new(inner),
            ready: Condvar::new(),
            is_closed: AtomicBool::new(false),
        });
        let writer = Writer::start(shared.clone());
        Ok(Embedded { shared, writer, _lock: lock })
    }

    /// Makes a queue known, so that it has a row in `depths` from the start.
    pub fn declare(&self, queue: &str) {
        self.shared.lock().schedule.queue_number(queue);
    }
}

fn lock_folder(folder: &Path) -> Result<File, QueueError> {
    let failed = |source| QueueError::Files { folder: folder.to_owned(), source };
    let lock = File::create(folder.join("lock")).map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(std::fs::TryLockError::WouldBlock) => Err(QueueError::Owned { folder: folder.to_owned() }),
        Err(std::fs::TryLockError::Error(source)) => Err(failed(source)),
    }
}

impl Drop for Embedded {
    /// Stops the writer; what was published is durable already.
    fn drop(&mut self) {
        self.shared.is_closed.store(true, Ordering::SeqCst);
        self.shared.ready.notify_all();
        self.writer.stop();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic while the lock was held is a bug; the schedule is still the best we know.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Delays that have passed and leases that have ended; done before each claim and every tick.
    fn upkeep(&self, inner: &mut Inner, now: Timestamp) {
        inner.schedule.promote(now);
        for (_, lease) in inner.schedule.expired(now) {
            if let Err(error) = inner.died(lease.slot, lease.alone, now) {
                tracing::warn!(error = %error, "dead letter not written, tried again");
            }
        }
    }
}

impl Inner {
    /// A run ended without a word: its process or thread is gone.
    fn died(&mut self, slot: Slot, alone: bool, now: Timestamp) -> Result<(), QueueError> {
        let entry = self.schedule.entry_mut(slot);
        if alone {
            entry.deaths = entry.deaths.saturating_add(1);
        } else {
            entry.company_deaths = entry.company_deaths.saturating_add(1);
        }
        if entry.deaths >= POISON_DEATHS {
            return self.bury(slot, DeadReason::Poison, "its worker died while it ran alone", now);
        }
        let position = entry.position;
        self.schedule.move_to(slot, State::Ready);
        self.log.note([(position, Record::Retry { not_before: now })]);
        Ok(())
    }

    /// Copies a job to the dead letters, durably, and then ends it.
    fn bury(&mut self, slot: Slot, reason: DeadReason, error: &str, now: Timestamp) -> Result<(), QueueError> {
        let entry = self.schedule.entry(slot).clone();
        let unwritable = |error: std::io::Error| QueueError::Unwritable { why: error.to_string() };
        let file = self.log.file(entry.position.segment).ok_or(QueueError::Closed)?;
        let body = log::read_body(&file, entry.position).map_err(unwritable)?;
        self.dead.bury(&body, &entry, reason, error, now).map_err(unwritable)?;
        self.end(slot);
        Ok(())
    }

    /// Forgets a job; its segment goes if it was the last.
    fn end(&mut self, slot: Slot) {
        let Some(entry) = self.schedule.remove(slot) else { return };
        self.log.note([(entry.position, Record::Over)]);
        self.release(entry.position);
    }

    fn release(&mut self, position: Position) {
        if let Err(error) = self.log.release(position.segment) {
            tracing::warn!(error = %error, "empty queue segment not deleted");
        }
    }

    fn finish_one(&mut self, lease: LeaseId, finish: Finish, now: Timestamp) -> Result<bool, QueueError> {
        let Some(held) = self.schedule.lease(lease) else { return Ok(false) };
        let slot = held.slot;
        let position = self.schedule.entry(slot).position;
        match finish {
            Finish::Done => self.end(slot),
            Finish::Dead { reason, error } => self.bury(slot, reason, &error, now)?,
            Finish::Park => self.schedule.move_to(slot, State::Parked),
            Finish::Retry { after, error } => {
                tracing::debug!(error, "job will be tried again");
                let not_before = now.plus(after);
                self.log.note([(position, Record::Retry { not_before })]);
                self.schedule.move_to(slot, waiting_until(not_before, now));
            }
            Finish::GiveBack { after } => {
                let not_before = now.plus(after);
                let entry = self.schedule.entry_mut(slot);
                entry.attempts = entry.attempts.saturating_sub(1);
                self.log.note([(position, Record::GivenBack { not_before })]);
                self.schedule.move_to(slot, waiting_until(not_before, now));
            }
        }
        Ok(true)
    }
}

fn waiting_until(not_before: Timestamp, now: Timestamp) -> State {
    if not_before > now { State::Delayed(not_before) } else { State::Ready }
}

/// A claimed entry whose body is still to be read.
struct Taken {
    lease: LeaseId,
    position: Position,
    file: Arc<File>,
    attempt: u32,
}

impl Embedded {
    fn take(&self, inner: &mut Inner, request: &ClaimRequest) -> Vec<Taken> {
        let now = self.shared.clock.now();
        self.shared.upkeep(inner, now);
        let deadline = now.plus(request.lease);
        let claimed = inner.schedule.claim(&request.queue, request.jobs_max, request.bytes_max, deadline);
        let alone = claimed.len() == 1;
        let mut records = Vec::with_capacity(claimed.len());
        let mut taken = Vec::with_capacity(claimed.len());
        for (lease, slot) in claimed {
            let entry = inner.schedule.entry(slot);
            let attempt = u32::from(entry.attempts);
            records.push((entry.position, Record::Claimed { attempt, alone }));
            if let Some(file) = inner.log.file(entry.position.segment) {
                taken.push(Taken { lease, position: entry.position, file, attempt });
            }
        }
        inner.log.note(records);
        taken
    }

    fn read(&self, taken: Taken) -> Result<Claimed, QueueError> {
        let failed = |source| QueueError::Files { folder: self.shared.config.folder.clone(), source };
        let body = log::read_body(&taken.file, taken.position).map_err(failed)?;
        let body = bytes::Bytes::from(body);
        let damaged = || failed(std::io::Error::new(std::io::ErrorKind::InvalidData, "a queue frame is damaged"));
        let frame = frame::decode_body(&body).ok_or_else(damaged)?;
        Ok(Claimed {
            lease: taken.lease,
            id: JobId::new(frame.id),
            task: frame.task.into(),
            queue: frame.queue.into(),
            attempt: taken.attempt,
            enqueued_at: frame.enqueued_at,
            payload: body.slice_ref(frame.payload),
        })
    }
}

impl Broker for Embedded {
    fn publish(&self, jobs: Vec<NewJob>) -> BoxFuture<'_, Result<Vec<Published>, QueueError>> {
        Box::pin(self.writer.publish(jobs))
    }

    fn claim(&self, request: &ClaimRequest) -> Result<Vec<Claimed>, QueueError> {
        let mut inner = self.shared.lock();
        let mut taken = self.take(&mut inner, request);
        if taken.is_empty() && !self.shared.is_closed.load(Ordering::SeqCst) {
            let waited = self.shared.ready.wait_timeout(inner, POLL_MAX).unwrap_or_else(PoisonError::into_inner);
            inner = waited.0;
            taken = self.take(&mut inner, request);
        }
        drop(inner);
        taken.into_iter().map(|taken| self.read(taken)).collect()
    }

    fn extend(&self, leases: &[LeaseId], lease: Duration) -> Vec<LeaseId> {
        let deadline = self.shared.clock.now().plus(lease);
        let mut inner = self.shared.lock();
        leases.iter().copied().filter(|id| !inner.schedule.extend(*id, deadline)).collect()
    }

    fn finish(&self, finished: Vec<(LeaseId, Finish)>) -> Result<Vec<LeaseId>, QueueError> {
        let now = self.shared.clock.now();
        let mut inner = self.shared.lock();
        let mut lost = Vec::new();
        for (lease, finish) in finished {
            if !inner.finish_one(lease, finish, now)? {
                lost.push(lease);
            }
        }
        drop(inner);
        self.shared.ready.notify_all();
        Ok(lost)
    }

    fn depths(&self) -> Vec<QueueDepth> {
        let inner = self.shared.lock();
        let mut depths = inner.schedule.depths(self.shared.clock.now());
        for depth in &mut depths {
            depth.dead = inner.dead.count_of(&depth.queue);
        }
        depths.sort_by(|left, right| left.queue.cmp(&right.queue));
        depths
    }

    fn locate(&self, id: &JobId) -> Option<JobState> {
        let inner = self.shared.lock();
        let living = inner.schedule.find(hash_id(id.as_str())).map(|entry| match entry.state {
            State::Ready => JobState::Ready,
            State::Delayed(_) => JobState::Delayed,
            State::Leased(_) => JobState::Leased,
            State::Parked => JobState::Parked,
        });
        living.or_else(|| inner.dead.contains(id.as_str()).then_some(JobState::Dead))
    }

    fn accepting(&self) -> Result<(), QueueError> {
        let inner = self.shared.lock();
        if let Some(why) = &inner.unwritable {
            return Err(QueueError::Unwritable { why: why.clone() });
        }
        writer::check_bounds(&self.shared.config, inner.schedule.len(), inner.schedule.bytes)
    }
}

impl Ledger for Embedded {
    fn dead_letters(&self) -> Vec<DeadLetter> {
        self.shared.lock().dead.list()
    }

    fn retry_dead<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<bool, QueueError>> {
        Box::pin(async move {
            let read = self.shared.lock().dead.read(id);
            let Some(job) = read.map_err(|error| QueueError::Unwritable { why: error.to_string() })? else {
                return Ok(false);
            };
            self.publish(vec![job]).await?;
            self.discard_dead(id)
        })
    }

    fn discard_dead(&self, id: &str) -> Result<bool, QueueError> {
        let discarded = self.shared.lock().dead.discard(id);
        discarded.map_err(|error| QueueError::Unwritable { why: error.to_string() })
    }
}

/// The name under which a job is known in memory.
fn hash_id(id: &str) -> u128 {
    xxhash_rust::xxh3::xxh3_128(id.as_bytes())
}
