//! The embedded broker: one process owns a folder with a segment log. Publishers that come together share one write and
//! one flush; claims, retries and ends are records beside the log.
//!
//! `log` is the files, `schedule` the memory, `writer` the thread that publishes, `runs` what becomes of claimed jobs,
//! `dead` the dead letters. A job is in the schedule only after its frame is durable.

pub mod copy;
mod cursors;
mod dead;
pub mod disk;
mod frame;
pub(crate) mod leave;
mod lock;
mod log;
mod pauses;
mod recovery;
mod results;
mod roster;
mod runs;
mod schedule;
mod steady;
mod troubles;
mod writer;

use crate::broker::{
    Account, BoxFuture, Broker, ClaimRequest, Cursor, DeadLetter, Ledger, POLL_MAX, Parked, WorkerRow, lives_already,
};
use crate::letters::{self, DeadNames, LetterPage, Letters};
use crate::waiting::wait_for;
use crate::{Claimed, Finish, JobId, JobResult, JobState, LeaseId, NewJob, Published, QueueDepth, QueueError};
use cursors::Cursors;
use dead::DeadLetters;
use disk::{Disk, RealDisk};
use lock::FolderLock;
use log::Log;
use results::Results;
use roster::Roster;
use schedule::{Schedule, State};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use stdx::{Clock, Timestamp};
use steady::Steady;
use writer::Writer;

/// A write or flush that takes longer than this means that jobs cannot be kept now.
const WRITE_MAX: Duration = Duration::from_secs(5);

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
    /// So long after opening, leases of the process before count as held: their holders may live and assert them. Zero
    /// where nobody else can be alive.
    pub reassert_grace: Duration,
}

/// What both threads and callers share.
struct Shared {
    disk: Arc<dyn Disk>,
    config: Config,
    /// Never goes back.
    clock: Arc<dyn Clock>,
    /// The machine's, as workers have it too.
    wall: Arc<dyn Clock>,
    state: Mutex<Inner>,
    /// Signalled when a job becomes ready.
    ready: Condvar,
    is_closed: AtomicBool,
    /// No second process may own the folder; `None` in simulations.
    lock: Option<FolderLock>,
}

struct Inner {
    schedule: Schedule,
    log: Log,
    dead: DeadLetters,
    results: Results,
    cursors: Cursors,
    roster: Roster,
    /// The file of pauses could not be written: it may say what was refused.
    is_pause_unsure: bool,
    /// Nobody knows which queues were held, so all are, until somebody resumes one.
    are_pauses_damaged: bool,
    /// Why nothing can be written, while that is so.
    unwritable: Option<String>,
    /// Since when the writer waits for the disk.
    writing_since: Option<Instant>,
    /// When upkeep was done last.
    kept_up_at: Instant,
}

pub struct Embedded {
    shared: Arc<Shared>,
    writer: Writer,
    /// One occurrence at a time.
    firing: tokio::sync::Mutex<()>,
}

impl Embedded {
    /// Opens a folder and everything that waits in it.
    ///
    /// # Errors
    /// `Owned` if another process has it; `Files` if it cannot be read; `Newer` if a later release wrote it.
    pub fn open(config: Config, clock: Arc<dyn Clock>) -> Result<Embedded, QueueError> {
        let failed = |source| QueueError::Files { folder: config.folder.clone(), source };
        std::fs::create_dir_all(&config.folder).map_err(failed)?;
        let lock = FolderLock::take(&config.folder)?;
        let shared = Shared::open(Arc::new(RealDisk), config, clock, Some(lock))?;
        let writer = Writer::start(shared.clone());
        Ok(Embedded { shared, writer, firing: tokio::sync::Mutex::new(()) })
    }

    /// Opens a folder on a given disk, for simulations: without a thread, so that requests to publish wait for `commit`,
    /// upkeep is done when `upkeep` is called, claims never wait, and nobody keeps another process out.
    ///
    /// # Errors
    /// As `open`.
    pub fn open_on(disk: Arc<dyn Disk>, config: Config, clock: Arc<dyn Clock>) -> Result<Embedded, QueueError> {
        let shared = Shared::open(disk, config, clock, None)?;
        let writer = Writer::by_hand(shared.clone());
        Ok(Embedded { shared, writer, firing: tokio::sync::Mutex::new(()) })
    }

    /// Whether this broker still owns its folder: not after somebody removed the lock file. Then it answers nothing.
    pub fn owns_its_folder(&self) -> bool {
        self.shared.owns().is_ok()
    }

    /// Answers every request to publish that waits; only for a broker that was opened without a thread.
    pub fn commit(&self) {
        self.writer.commit();
    }

    /// Gives surviving holders the leases back that they had of the process before, under the same names; returns those
    /// that are lost.
    pub fn reassert(&self, held: &[(JobId, LeaseId)], lease: Duration) -> Vec<LeaseId> {
        let deadline = self.shared.clock.now().plus(lease);
        let mut inner = self.shared.lock();
        let is_lost =
            |(id, lease): &&(JobId, LeaseId)| !inner.schedule.reassert(hash_id(id.as_str()), *lease, deadline);
        held.iter().filter(is_lost).map(|(_, lease)| *lease).collect()
    }

    /// Returns how many places of the files, accepted once, could not be read at opening. Anything but zero is a loss.
    pub fn damages(&self) -> u64 {
        let inner = self.shared.lock();
        inner.log.damages + inner.dead.damages()
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
    fn open(
        disk: Arc<dyn Disk>,
        config: Config,
        clock: Arc<dyn Clock>,
        lock: Option<FolderLock>,
    ) -> Result<Arc<Shared>, QueueError> {
        let (inner, latest) = recovery::recover(&disk, &config.folder, clock.now(), config.reassert_grace)?;
        let (wall, clock) = (clock.clone(), Arc::new(Steady::over(clock, latest)));
        let shared = Arc::new(Shared {
            disk,
            config,
            clock,
            wall,
            state: Mutex::new(inner),
            ready: Condvar::new(),
            is_closed: AtomicBool::new(false),
            lock,
        });
        shared.keep_up();
        Ok(shared)
    }

    /// Asked before an answer that binds: what another owner would not know of must not be promised.
    fn owns(&self) -> Result<(), QueueError> {
        match &self.lock {
            Some(lock) if !lock.is_held() => Err(QueueError::Closed),
            Some(_) | None => Ok(()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic while the lock was held is a bug; the schedule is still the best we know.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, source: std::io::Error) -> QueueError {
        QueueError::Files { folder: self.config.folder.clone(), source }
    }
}

impl Inner {
    fn logs(&mut self) -> [&mut Log; 3] {
        [&mut self.log, &mut self.dead.log, &mut self.results.log]
    }
}

fn waiting_until(not_before: Timestamp, now: Timestamp) -> State {
    if not_before > now { State::Delayed(not_before) } else { State::Ready }
}

fn unwritable(error: std::io::Error) -> QueueError {
    QueueError::Unwritable { why: error.to_string() }
}

impl Embedded {
    /// As `retry_dead`, for whoever commits by hand and so must not wait on the same thread.
    ///
    /// # Errors
    /// See `retry_dead`.
    pub async fn retry_letter(&self, id: &str) -> Result<bool, QueueError> {
        let read = self.shared.lock().dead.read(id);
        let Some((job, position)) = read.map_err(|error| self.shared.failed(error))? else { return Ok(false) };
        let hash = hash_id(job.id.as_str());
        if self.shared.lock().schedule.find(hash).is_some() {
            return Err(lives_already(id, "id"));
        }
        // Published first: a crash between the two leaves a letter too many, not a job too few.
        let published = self.publish(vec![job]).await?;
        if published != [Published::Accepted] && self.shared.lock().schedule.find(hash).is_none() {
            // Discarding the letter would lose this job.
            return Err(lives_already(id, "unique key"));
        }
        // The job may have died again since: its new letter stays.
        self.shared.lock().dead.discard_read(id, position);
        Ok(true)
    }
}

impl Broker for Embedded {
    fn publish(&self, jobs: Vec<NewJob>) -> BoxFuture<'_, Result<Vec<Published>, QueueError>> {
        Box::pin(self.writer.publish(jobs))
    }

    fn claim(&self, request: &ClaimRequest) -> Result<Vec<Claimed>, QueueError> {
        self.shared.owns()?;
        let mut inner = self.shared.lock();
        let mut taken = self.shared.take(&mut inner, request);
        if taken.is_empty() && !self.writer.is_by_hand() && !self.shared.is_closed.load(Ordering::SeqCst) {
            let waited = self.shared.ready.wait_timeout(inner, POLL_MAX).unwrap_or_else(PoisonError::into_inner);
            inner = waited.0;
            taken = self.shared.take(&mut inner, request);
        }
        drop(inner);
        self.shared.read(taken)
    }

    fn extend(&self, leases: &[LeaseId], lease: Duration) -> Result<Vec<LeaseId>, QueueError> {
        self.shared.owns()?;
        let deadline = self.shared.clock.now().plus(lease);
        let mut inner = self.shared.lock();
        Ok(leases.iter().copied().filter(|id| !inner.schedule.extend(*id, deadline)).collect())
    }

    fn finish(&self, finished: Vec<(LeaseId, Finish)>) -> Result<Vec<LeaseId>, QueueError> {
        self.shared.owns()?;
        let now = self.shared.clock.now();
        let lost = self.shared.lock().finish(finished, now);
        self.shared.ready.notify_all();
        lost
    }

    fn declare(&self, queue: &str) -> Result<(), QueueError> {
        self.shared.lock().schedule.queue_number(queue);
        Ok(())
    }

    fn depths(&self) -> Result<Vec<QueueDepth>, QueueError> {
        self.shared.owns()?;
        let inner = self.shared.lock();
        let mut depths = inner.schedule.depths(self.shared.clock.now());
        for depth in &mut depths {
            depth.dead = inner.dead.count_of(&depth.queue);
        }
        // Of a queue that nobody has used since the start, only its letters may be left.
        let is_shown = |queue: &str| depths.iter().any(|depth| depth.queue == queue);
        let of_letters =
            |(queue, dead): (&str, u64)| QueueDepth { queue: queue.to_owned(), dead, ..QueueDepth::default() };
        let more: Vec<QueueDepth> = inner.dead.counts().filter(|(queue, _)| !is_shown(queue)).map(of_letters).collect();
        depths.extend(more);
        Ok(depths)
    }

    fn locate(&self, id: &JobId) -> Result<Option<JobState>, QueueError> {
        let inner = self.shared.lock();
        let living = inner.schedule.find(hash_id(id.as_str())).map(|entry| match entry.state {
            State::Ready => JobState::Ready,
            State::Delayed(_) => JobState::Delayed,
            State::Leased(_) => JobState::Leased,
            State::Parked => JobState::Parked,
        });
        Ok(living.or_else(|| inner.dead.contains(id.as_str()).then_some(JobState::Dead)))
    }

    /// The writer does it too.
    fn upkeep(&self) -> Result<(), QueueError> {
        self.shared.owns()?;
        self.shared.keep_up();
        self.writer.keep_up();
        Ok(())
    }

    fn accepting(&self) -> Result<(), QueueError> {
        if !self.writer.is_alive() {
            return Err(QueueError::Closed);
        }
        self.shared.owns()?;
        let inner = self.shared.lock();
        if let Some(why) = &inner.unwritable {
            return Err(QueueError::Unwritable { why: why.clone() });
        }
        if inner.writing_since.is_some_and(|since| since.elapsed() > WRITE_MAX) {
            let why = format!("its disk has not answered for {} s", WRITE_MAX.as_secs());
            return Err(QueueError::Unwritable { why });
        }
        writer::check_bounds(&self.shared.config, inner.schedule.len(), inner.schedule.bytes)
    }

    fn troubles(&self) -> Result<Vec<String>, QueueError> {
        Ok(self.shared.lock().troubles())
    }
}

impl Ledger for Embedded {
    fn letters(&self, page: &LetterPage) -> Result<Letters, QueueError> {
        Ok(self.shared.lock().dead.page(page))
    }

    fn dead_names(&self, since: Timestamp, from: Option<&str>) -> Result<DeadNames, QueueError> {
        Ok(self.shared.lock().dead.names(since, from))
    }

    fn dead_letter(&self, id: &str) -> Result<Option<DeadLetter>, QueueError> {
        Ok(self.shared.lock().dead.get(id).cloned())
    }

    fn retry_dead(&self, id: &str) -> Result<bool, QueueError> {
        wait_for(self.retry_letter(id))
    }

    fn discard_letters(&self, ids: &[String], account: Account<'_>) -> Result<u64, QueueError> {
        letters::discard(ids, account, |ids| self.show_letters(ids), |going| self.drop_letters(&letters::shown(going)))
    }

    fn pause(&self, queue: &str) -> Result<(), QueueError> {
        self.shared.set_paused(queue, true)
    }

    fn resume(&self, queue: &str) -> Result<(), QueueError> {
        self.shared.set_paused(queue, false)
    }

    fn purge(&self, queue: &str, account: Account<'_>) -> Result<u64, QueueError> {
        leave::purge(account, |from| self.leaving(queue, from), |places| self.remove(queue, places))
    }

    fn parked(&self) -> Result<Vec<Parked>, QueueError> {
        Ok(self.shared.lock().parked())
    }

    fn unpark(&self, tasks: &[&str]) -> Result<u64, QueueError> {
        let unparked = self.shared.lock().unpark(tasks, self.shared.clock.now());
        self.shared.ready.notify_all();
        Ok(unparked)
    }

    fn result(&self, id: &JobId) -> Result<Option<JobResult>, QueueError> {
        self.shared.lock().results.read(id).map_err(|error| self.shared.failed(error))
    }

    fn beat(&self, worker: &WorkerRow) -> Result<(), QueueError> {
        self.shared.lock().roster.note(worker);
        Ok(())
    }

    fn leave(&self, name: &str) -> Result<(), QueueError> {
        self.shared.lock().roster.forget(name);
        Ok(())
    }

    fn workers(&self) -> Result<Vec<WorkerRow>, QueueError> {
        Ok(self.shared.lock().roster.list(self.shared.wall.now()))
    }

    fn fire(&self, entry: &str, scheduled_at: Timestamp, job: NewJob) -> Result<bool, QueueError> {
        wait_for(self.fire_once(entry, scheduled_at, job))
    }

    fn cursors(&self) -> Result<Vec<Cursor>, QueueError> {
        Ok(self.shared.lock().cursors.list())
    }
}

/// The name under which a job is known in memory.
fn hash_id(id: &str) -> u128 {
    xxhash_rust::xxh3::xxh3_128(id.as_bytes())
}
