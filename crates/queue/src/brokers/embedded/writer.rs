//! The thread that publishes: it takes all requests that wait, writes them at once, flushes once, and answers all.
//! Between requests it does the upkeep of the folder.

use super::log::Position;
use super::schedule::{Entry, State};
use super::{Config, Durability, Inner, Shared, frame, hash_id, waiting_until};
use crate::{JobId, NewJob, Published, QueueError};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use stdx::Timestamp;
use tokio::sync::oneshot;

/// Requests that wait for the thread; further ones are refused as a full queue. Larger than any number of connections.
const REQUESTS_MAX: usize = 8_192;
/// Bytes written before one flush: bounds the memory of a batch and the wait of its first request.
const BATCH_BYTES_MAX: usize = 16 << 20;
/// Pause between two rounds of upkeep.
const UPKEEP_EVERY: Duration = Duration::from_millis(250);

struct Request {
    jobs: Vec<NewJob>,
    answer: oneshot::Sender<Result<Vec<Published>, QueueError>>,
}

pub(super) struct Writer {
    requests: Option<SyncSender<Request>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub fn start(shared: Arc<Shared>) -> Self {
        let (requests, waiting) = sync_channel(REQUESTS_MAX);
        let run = move || Publisher { shared, waiting }.run();
        let thread = std::thread::Builder::new()
            .name("queue-writer".to_owned())
            .spawn(run)
            .expect("a process can start its first threads");
        Writer { requests: Some(requests), thread: Some(thread) }
    }

    pub fn stop(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the queue's writer had panicked");
        }
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

/// Refuses when the queue is at a bound.
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
}

/// Frames of a batch, ready to be written, and what becomes of each.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    lengths: Vec<usize>,
    entries: Vec<Entry>,
    ids: HashSet<u128>,
    payload_bytes: u64,
}

type Answer = (oneshot::Sender<Result<Vec<Published>, QueueError>>, Result<Vec<Published>, QueueError>);

impl Publisher {
    /// Upkeep is due by time, also while requests never stop: the disk's floor is watched under load above all.
    fn run(self) {
        let mut kept_up = Instant::now();
        loop {
            match self.waiting.recv_timeout(UPKEEP_EVERY) {
                Ok(first) => self.publish(first),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if kept_up.elapsed() >= UPKEEP_EVERY {
                self.upkeep();
                kept_up = Instant::now();
            }
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
        let written = if batch.entries.is_empty() { Ok(None) } else { inner.append(&batch).map(Some) };
        drop(inner);
        let flushed = written.and_then(|written| match written {
            Some((positions, file)) if self.shared.config.durability == Durability::Power => match file.sync_data() {
                Ok(()) => Ok(positions),
                Err(error) => {
                    self.shared.lock().log.take_back(&positions);
                    Err(error)
                }
            },
            Some((positions, _)) => Ok(positions),
            None => Ok(Vec::new()),
        });
        self.settle(batch, answers, flushed);
    }

    fn settle(&self, batch: Batch, answers: Vec<Answer>, flushed: std::io::Result<Vec<Position>>) {
        match flushed {
            Ok(positions) => {
                let mut inner = self.shared.lock();
                for (mut entry, position) in batch.entries.into_iter().zip(positions) {
                    entry.position = position;
                    inner.schedule.insert(entry);
                }
                inner.unwritable = None;
                drop(inner);
                self.shared.ready.notify_all();
                for (sender, answer) in answers {
                    // A publisher that went away does not take its job back.
                    let _ = sender.send(answer);
                }
            }
            Err(error) => {
                let why = error.to_string();
                tracing::error!(error = why, "jobs could not be written and were refused");
                self.shared.lock().unwritable = Some(why.clone());
                for (sender, answer) in answers {
                    // Refusals for their own reason stay; the rest could not be written.
                    let refused = answer.and(Err(QueueError::Unwritable { why: why.clone() }));
                    let _ = sender.send(refused);
                }
            }
        }
    }

    fn upkeep(&self) {
        let free = (self.shared.config.free_space)();
        let mut inner = self.shared.lock();
        self.shared.upkeep(&mut inner, self.shared.clock.now());
        inner.unwritable = match free {
            Ok(free) if free < self.shared.config.free_min => {
                Some(format!("{free} bytes are free on its disk, {} are kept free", self.shared.config.free_min))
            }
            Ok(_) => None,
            Err(error) => Some(format!("its disk does not answer: {error}")),
        };
        if let Err(error) = inner.log.drop_empty_active() {
            tracing::warn!(error = %error, "empty queue segment not deleted");
        }
        drop(inner);
        self.shared.ready.notify_all();
    }
}

impl Inner {
    fn append(&mut self, batch: &Batch) -> std::io::Result<(Vec<Position>, Arc<std::fs::File>)> {
        self.log.append(&batch.bytes, &batch.lengths)
    }
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
        for job in &jobs {
            self.check(inner, config, job)?;
        }
        Ok(jobs.iter().map(|job| self.take_one(inner, job, now)).collect())
    }

    fn check(&self, inner: &Inner, config: &Config, job: &NewJob) -> Result<(), QueueError> {
        let length = job.id.as_str().len();
        if length > JobId::BYTES_MAX {
            return Err(QueueError::IdTooLong { length, max: JobId::BYTES_MAX });
        }
        let jobs = inner.schedule.len() + self.entries.len() as u64;
        check_bounds(config, jobs, inner.schedule.bytes + self.payload_bytes)?;
        // No key may fill more than half, unless it is the only one that waits.
        let (key_jobs, key_bytes) = inner.schedule.of_key(job.fairness_key);
        let is_alone = key_jobs == inner.schedule.len();
        if !is_alone && (key_jobs >= config.jobs_max / 2 || key_bytes >= config.bytes_max / 2) {
            return Err(QueueError::Full { bound: "half of the queue for one key" });
        }
        Ok(())
    }

    fn take_one(&mut self, inner: &mut Inner, job: &NewJob, now: Timestamp) -> Published {
        let id_hash = hash_id(job.id.as_str());
        if inner.schedule.contains(id_hash) || !self.ids.insert(id_hash) {
            return Published::AlreadyThere;
        }
        let start = self.bytes.len();
        frame::encode(job, now, &mut self.bytes);
        let length = self.bytes.len() - start;
        self.lengths.push(length);
        self.payload_bytes += length as u64;
        let state = match waiting_until(now.plus(job.delay), now) {
            State::Delayed(until) => State::Delayed(until),
            State::Ready | State::Leased(_) | State::Parked => State::Ready,
        };
        self.entries.push(Entry {
            id_hash,
            position: Position { segment: 0, ordinal: 0, offset: 0, length: 0 },
            key: job.fairness_key,
            enqueued_at: now,
            state,
            queue: inner.schedule.queue_number(&job.queue),
            attempts: 0,
            priority: job.priority.min(9),
            deaths: 0,
            company_deaths: 0,
        });
        Published::Accepted
    }
}
