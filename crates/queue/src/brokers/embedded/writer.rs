//! The thread that publishes: it takes all requests that wait, writes them at once, flushes once, and answers all.
//! Between requests it does the upkeep of the folder.

use super::disk::{Disk, DiskFile, Open};
use super::log::{Log, Position};
use super::schedule::extras::Extra;
use super::schedule::{Entry, Share, whole_seconds};
use super::{Config, Durability, Inner, Shared, frame, hash_id, waiting_until};
use crate::job::{HEADERS_BYTES_MAX, NAME_BYTES_MAX, UNIQUE_KEY_BYTES_MAX};
use crate::{JobId, NewJob, Published, QueueError, tend};
use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use stdx::Timestamp;
use tokio::sync::oneshot;

/// Requests that wait for the thread; further ones are refused as a full queue. Larger than any number of connections.
const REQUESTS_MAX: usize = 8_192;
/// Bytes written before one flush: bounds the memory of a batch and the wait of its first request.
const BATCH_BYTES_MAX: usize = 16 << 20;
/// One job's payload: far above what a client may send, far below what a frame's length can say.
const PAYLOAD_BYTES_MAX: usize = 32 << 20;
/// Pause between two rounds of upkeep.
const UPKEEP_EVERY: Duration = Duration::from_millis(250);

struct Request {
    jobs: Vec<NewJob>,
    answer: oneshot::Sender<Result<Vec<Published>, QueueError>>,
}

pub(super) struct Writer {
    requests: Option<SyncSender<Request>>,
    /// Instead of a thread: whoever holds the broker says when requests are answered.
    by_hand: Option<Mutex<Publisher>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub fn start(shared: Arc<Shared>) -> Self {
        let (requests, waiting) = sync_channel(REQUESTS_MAX);
        let run = move || Publisher { shared, waiting, has_failed: Cell::new(false) }.run();
        let thread = std::thread::Builder::new()
            .name("queue-writer".to_owned())
            .spawn(move || tend::run_once("queue-writer", run))
            .expect("a process can start its first threads");
        Writer { requests: Some(requests), by_hand: None, thread: Some(thread) }
    }

    /// A writer without a thread: requests wait for `commit`.
    pub fn by_hand(shared: Arc<Shared>) -> Self {
        let (requests, waiting) = sync_channel(REQUESTS_MAX);
        let publisher = Publisher { shared, waiting, has_failed: Cell::new(false) };
        Writer { requests: Some(requests), by_hand: Some(Mutex::new(publisher)), thread: None }
    }

    pub fn is_by_hand(&self) -> bool {
        self.by_hand.is_some()
    }

    /// Answers all requests that wait, as the thread does at once.
    pub fn commit(&self) {
        let Some(publisher) = &self.by_hand else { return };
        publisher.lock().unwrap_or_else(PoisonError::into_inner).commit();
    }

    /// The thread's upkeep, where there is none.
    pub fn keep_up(&self) {
        let Some(publisher) = &self.by_hand else { return };
        publisher.lock().unwrap_or_else(PoisonError::into_inner).upkeep();
    }

    pub fn stop(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the queue's writer was lost");
        }
    }

    /// Whether anybody answers requests.
    pub fn is_alive(&self) -> bool {
        self.is_by_hand() || self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    pub fn publish(
        &self,
        jobs: Vec<NewJob>,
    ) -> impl Future<Output = Result<Vec<Published>, QueueError>> + Send + use<> {
        let (answer, answered) = oneshot::channel();
        let sent = match &self.requests {
            None => Err(QueueError::Closed),
            Some(requests) => match requests.try_send(Request { jobs, answer }) {
                Ok(()) => Ok(()),
                Err(TrySendError::Full(_)) => Err(QueueError::Full { bound: "requests waiting to be written" }),
                Err(TrySendError::Disconnected(_)) => Err(QueueError::Closed),
            },
        };
        async move {
            sent?;
            answered.await.map_err(|_| QueueError::Closed)?
        }
    }
}

/// Refuses when the queue is at a bound; the job that reaches it may be larger than the room that was left.
pub(super) fn check_bounds(config: &Config, jobs: u64, bytes: u64) -> Result<(), QueueError> {
    if jobs >= config.jobs_max {
        return Err(QueueError::Full { bound: "queue.max-jobs" });
    }
    if bytes >= config.bytes_max {
        return Err(QueueError::Full { bound: "queue.max-bytes" });
    }
    Ok(())
}

struct Publisher {
    shared: Arc<Shared>,
    waiting: Receiver<Request>,
    /// The last write failed; the disk is probed before publishers are let in again.
    has_failed: Cell<bool>,
}

type Answer = (oneshot::Sender<Result<Vec<Published>, QueueError>>, Result<Vec<Published>, QueueError>);

impl Publisher {
    /// Upkeep is due by time, also while requests never stop: the disk's floor is watched under load above all.
    fn run(self) {
        self.upkeep();
        let mut kept_up = Instant::now();
        loop {
            match self.waiting.recv_timeout(UPKEEP_EVERY) {
                Ok(first) => self.publish(first),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return self.upkeep(),
            }
            if kept_up.elapsed() >= UPKEEP_EVERY {
                self.upkeep();
                kept_up = Instant::now();
            }
        }
    }

    fn commit(&self) {
        while let Ok(first) = self.waiting.try_recv() {
            self.publish(first);
        }
    }

    /// Writes everything that waits now. The flush happens outside the lock: claims go on meanwhile.
    fn publish(&self, first: Request) {
        let now = self.shared.clock.now();
        let mut batch = Batch::default();
        let mut answers: Vec<Answer> = Vec::new();
        let mut next = Some(first);
        let mut inner = self.shared.lock();
        while let Some(request) = next {
            let taken = batch.take(&mut inner, &self.shared.config, request.jobs, now);
            answers.push((request.answer, taken));
            next = if batch.bytes.len() < BATCH_BYTES_MAX { self.waiting.try_recv().ok() } else { None };
        }
        let written = match batch.entries.is_empty() {
            true => Ok(None),
            false => {
                inner.writing_since = Some(Instant::now());
                inner.log.append(&batch.bytes, &batch.lengths).map(Some)
            }
        };
        drop(inner);
        let flushed = written.and_then(|written| self.flush(written));
        // After the flush: an owner that comes later finds these frames, one that came before may never see them.
        match self.shared.owns() {
            Ok(()) => self.settle(batch, answers, flushed),
            Err(_) => self.refuse(answers),
        }
    }

    fn flush(&self, written: Option<(Vec<Position>, Arc<dyn DiskFile>)>) -> io::Result<Vec<Position>> {
        let Some((positions, file)) = written else { return Ok(Vec::new()) };
        if self.shared.config.durability == Durability::Power
            && let Err(error) = file.sync()
        {
            self.shared.lock().log.take_back(&positions);
            return Err(error);
        }
        Ok(positions)
    }

    fn refuse(&self, answers: Vec<Answer>) {
        for (sender, _) in answers {
            // A publisher that went away waits for no answer.
            let _ = sender.send(Err(QueueError::Closed));
        }
    }

    fn settle(&self, batch: Batch, answers: Vec<Answer>, flushed: io::Result<Vec<Position>>) {
        let mut inner = self.shared.lock();
        inner.writing_since = None;
        let refusal = match flushed {
            Ok(positions) => {
                for ((mut entry, extra), position) in batch.entries.into_iter().zip(positions) {
                    entry.position = position;
                    inner.schedule.insert(entry, extra);
                }
                None
            }
            Err(error) => {
                if !self.has_failed.replace(true) {
                    tracing::error!(error = %error, "jobs cannot be written, publishers are refused until they can");
                }
                let why = error.to_string();
                inner.unwritable = Some(why.clone());
                Some(why)
            }
        };
        drop(inner);
        self.shared.ready.notify_all();
        for (sender, answer) in answers {
            // Refusals for their own reason stay; the rest could not be written.
            let answer = match &refusal {
                None => answer,
                Some(why) => answer.and(Err(QueueError::Unwritable { why: why.clone() })),
            };
            // A publisher that went away does not take its job back.
            let _ = sender.send(answer);
        }
    }

    /// Once a write has failed, only a write that succeeds says that the disk is well again. Returns why it is not.
    fn probe_after_failure(&self) -> Option<String> {
        if !self.has_failed.get() {
            return None;
        }
        match probe(&*self.shared.disk, &self.shared.config.folder) {
            Ok(()) => {
                self.has_failed.set(false);
                tracing::info!("jobs can be written again");
                None
            }
            Err(error) => Some(error.to_string()),
        }
    }

    /// Outside the lock: claims go on meanwhile.
    fn flush_names(&self) {
        let folders = self.shared.lock().logs().map(Log::names_to_flush);
        let flush = |folder: Option<PathBuf>| folder.map(|folder| self.shared.disk.sync_folder(&folder));
        let flushed = folders.map(flush);
        let mut inner = self.shared.lock();
        for (log, flushed) in inner.logs().into_iter().zip(flushed) {
            match flushed {
                None => {}
                Some(Ok(())) => log.names_flushed(),
                Some(Err(error)) => tracing::warn!(error = %error, "queue segments not deleted, tried again"),
            }
        }
    }

    fn upkeep(&self) {
        if self.shared.owns().is_err() {
            return;
        }
        let config = &self.shared.config;
        let free = (config.free_space)();
        let failure = self.probe_after_failure();
        self.flush_names();
        let mut inner = self.shared.lock();
        self.shared.upkeep(&mut inner);
        inner.unwritable = match free {
            Ok(free) if free < config.free_min => {
                Some(format!("{free} bytes are free on its disk, {} are kept free", config.free_min))
            }
            Ok(_) => failure,
            Err(error) => Some(format!("its disk does not answer: {error}")),
        };
        inner.log.sweep();
        let now = self.shared.clock.now();
        inner.dead.sweep();
        inner.results.sweep(now);
        drop(inner);
        self.shared.ready.notify_all();
    }
}

/// Bytes of the probe: more than a batch of small jobs needs.
const PROBE_BYTES: usize = 256 << 10;

fn probe(disk: &dyn Disk, folder: &Path) -> io::Result<()> {
    let path = folder.join("probe");
    let written = write_probe(disk, &path);
    // A probe that stays behind is overwritten by the next.
    let _ = disk.remove(&path);
    written
}

fn write_probe(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    let file = disk.open(path, Open::ToAppend)?;
    file.set_length(0)?;
    file.append(&vec![0; PROBE_BYTES])?;
    file.sync()
}

/// Frames of a batch, ready to be written, and what becomes of each.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    lengths: Vec<usize>,
    entries: Vec<(Entry, Option<Extra>)>,
    uniques: HashSet<u128>,
    ids: HashSet<u128>,
    shares: HashMap<u64, Share>,
    /// Of bodies, and what they have elsewhere.
    held_bytes: u64,
}

impl Batch {
    /// Adds the jobs of one request, all or none.
    fn take(
        &mut self,
        inner: &mut Inner,
        config: &Config,
        jobs: Vec<NewJob>,
        now: Timestamp,
    ) -> Result<Vec<Published>, QueueError> {
        if let Some(why) = &inner.unwritable {
            return Err(QueueError::Unwritable { why: why.clone() });
        }
        let before = self.entries.len();
        let mut published = Vec::with_capacity(jobs.len());
        for job in &jobs {
            match self.take_one(inner, config, job, now) {
                Ok(one) => published.push(one),
                Err(refusal) => {
                    self.forget_from(before);
                    return Err(refusal);
                }
            }
        }
        Ok(published)
    }

    fn take_one(
        &mut self,
        inner: &mut Inner,
        config: &Config,
        job: &NewJob,
        now: Timestamp,
    ) -> Result<Published, QueueError> {
        check_lengths(job)?;
        let id_hash = hash_id(job.id.as_str());
        if inner.schedule.find(id_hash).is_some() || self.ids.contains(&id_hash) {
            return Ok(Published::AlreadyThere);
        }
        let extra = Extra::of(&job.options);
        let unique = extra.and_then(|extra| extra.unique);
        if unique.is_some_and(|unique| inner.schedule.has_unique(unique) || self.uniques.contains(&unique)) {
            return Ok(Published::AlreadyThere);
        }
        self.check_room(inner, config, job)?;
        let start = self.bytes.len();
        frame::encode(job, now, &mut self.bytes);
        let length = self.bytes.len() - start;
        let body = (length - frame::HEAD_BYTES) as u64;
        let held = body + job.options.outside_bytes;
        self.lengths.push(length);
        self.ids.insert(id_hash);
        self.uniques.extend(unique);
        self.held_bytes += held;
        let share = self.shares.entry(job.fairness_key).or_default();
        *share = Share { jobs: share.jobs + 1, bytes: share.bytes + held };
        let entry = Entry {
            id_hash,
            // Known when it is written; until then only the length counts.
            position: Position { segment: 0, offset: 0, length: body as u32 },
            key: job.fairness_key,
            enqueued_s: whole_seconds(job.enqueued_at.unwrap_or(now)),
            state: waiting_until(now.plus(job.delay), now),
            queue: inner.schedule.queue_number(&job.queue),
            attempts: 0,
            priority: job.priority.min(9),
            deaths: 0,
            company_deaths: 0,
        };
        self.entries.push((entry, extra));
        Ok(Published::Accepted)
    }

    fn check_room(&self, inner: &Inner, config: &Config, job: &NewJob) -> Result<(), QueueError> {
        let jobs = inner.schedule.len() + self.entries.len() as u64;
        check_bounds(config, jobs, inner.schedule.bytes + self.held_bytes)?;
        if !inner.schedule.has_room_for_queue(&job.queue) {
            return Err(QueueError::Full { bound: "names of queues" });
        }
        // No key may fill more than half, unless it is the only one that waits.
        let (waiting, added) = (inner.schedule.share_of(job.fairness_key), self.share_of(job.fairness_key));
        let share = Share { jobs: waiting.jobs + added.jobs, bytes: waiting.bytes + added.bytes };
        let is_only_one = share.jobs == jobs;
        if !is_only_one && (share.jobs >= config.jobs_max / 2 || share.bytes >= config.bytes_max / 2) {
            return Err(QueueError::Full { bound: crate::broker::KEYS_SHARE });
        }
        Ok(())
    }

    fn share_of(&self, key: u64) -> Share {
        self.shares.get(&key).copied().unwrap_or_default()
    }

    /// Takes back the entries from a place on.
    fn forget_from(&mut self, first: usize) {
        for (entry, extra) in self.entries.drain(first..) {
            if let Some(unique) = extra.and_then(|extra| extra.unique) {
                self.uniques.remove(&unique);
            }
            let held = u64::from(entry.position.length) + extra.map_or(0, |extra| extra.outside_bytes);
            self.ids.remove(&entry.id_hash);
            self.held_bytes -= held;
            if let Some(share) = self.shares.get_mut(&entry.key) {
                *share = Share { jobs: share.jobs - 1, bytes: share.bytes - held };
            }
        }
        let bytes: usize = self.lengths.drain(first..).sum();
        self.bytes.truncate(self.bytes.len() - bytes);
    }
}

fn check_lengths(job: &NewJob) -> Result<(), QueueError> {
    let names = [(job.id.as_str(), JobId::BYTES_MAX), (&*job.task, NAME_BYTES_MAX), (&*job.queue, NAME_BYTES_MAX)];
    for (name, max) in names {
        if name.len() > max {
            return Err(QueueError::IdTooLong { length: name.len(), max });
        }
    }
    let options = [(&job.options.unique_key, UNIQUE_KEY_BYTES_MAX), (&job.options.headers, HEADERS_BYTES_MAX)];
    for (text, max) in options {
        let length = text.as_ref().map_or(0, String::len);
        if length > max {
            return Err(QueueError::IdTooLong { length, max });
        }
    }
    if job.payload.len() > PAYLOAD_BYTES_MAX {
        return Err(QueueError::Full { bound: "bytes of one job" });
    }
    Ok(())
}
