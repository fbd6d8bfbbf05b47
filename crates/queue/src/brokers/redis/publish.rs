//! The thread that publishes: it takes all requests that wait, sends them at once, and answers all. Each request is one
//! script, kept whole or not at all; sent twice it keeps its jobs once, since they carry their tags from the first time.

use super::scripts::Script;
use super::{ID_KEPT, QUEUES_MAX, Shared};
use crate::broker::CROWDED;
use crate::celery;
use crate::job::{HEADERS_BYTES_MAX, NAME_BYTES_MAX, UNIQUE_KEY_BYTES_MAX};
use crate::{JobId, NewJob, Published, QueueError, tend};
use redis::{RedisResult, Value};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use stdx::Timestamp;
use tokio::sync::oneshot;

/// Requests that wait for the thread; further ones are refused as a full queue.
const REQUESTS_MAX: usize = 8_192;
/// Requests and bytes sent at once: bounds the memory of a batch and the wait of its first request.
const BATCH_REQUESTS_MAX: usize = 512;
const BATCH_BYTES_MAX: usize = 16 << 20;
const PAYLOAD_BYTES_MAX: usize = 32 << 20;
/// Lists beside the plain one of a queue, over which fairness keys are spread.
const LANES: u64 = 8;

type Answer = Result<Vec<Published>, QueueError>;

struct Request {
    jobs: Vec<NewJob>,
    answer: oneshot::Sender<Answer>,
}

pub(super) struct Publisher {
    requests: Option<SyncSender<Request>>,
    thread: Option<JoinHandle<()>>,
}

impl Publisher {
    pub fn start(shared: Arc<Shared>) -> Publisher {
        let (requests, waiting) = sync_channel(REQUESTS_MAX);
        let thread = tend::spawn("redis-publish", || false, move || run(&shared, &waiting));
        Publisher { requests: Some(requests), thread: Some(thread) }
    }

    pub fn stop(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the redis publisher was lost");
        }
    }

    /// Whether anybody answers requests.
    pub fn is_alive(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    pub fn publish(&self, jobs: Vec<NewJob>) -> impl Future<Output = Answer> + Send + use<> {
        let (answer, answered) = oneshot::channel();
        let sent = match &self.requests {
            None => Err(QueueError::Closed),
            Some(requests) => match requests.try_send(Request { jobs, answer }) {
                Ok(()) => Ok(()),
                Err(TrySendError::Full(_)) => Err(QueueError::Full { bound: CROWDED }),
                Err(TrySendError::Disconnected(_)) => Err(QueueError::Closed),
            },
        };
        async move {
            sent?;
            answered.await.map_err(|_| QueueError::Closed)?
        }
    }
}

fn run(shared: &Shared, waiting: &Receiver<Request>) {
    while let Ok(first) = waiting.recv() {
        let mut batch = Batch::default();
        let mut next = Some(first);
        while let Some(request) = next {
            batch.take(shared, request);
            let is_full = batch.sends.len() >= BATCH_REQUESTS_MAX || batch.bytes >= BATCH_BYTES_MAX;
            next = if is_full { None } else { waiting.try_recv().ok() };
        }
        batch.send(shared);
    }
}

/// Requests as scripts, and who waits for each.
#[derive(Default)]
struct Batch {
    sends: Vec<(Vec<Vec<u8>>, usize, oneshot::Sender<Answer>)>,
    bytes: usize,
}

impl Batch {
    fn take(&mut self, shared: &Shared, request: Request) {
        let Request { jobs, answer } = request;
        let count = jobs.len();
        match shared.words_of(&jobs) {
            Ok(words) => {
                self.bytes += words.iter().map(Vec::len).sum::<usize>();
                self.sends.push((words, count, answer));
            }
            // A publisher that went away does not need its refusal.
            Err(refusal) => drop(answer.send(Err(refusal))),
        }
    }

    fn send(self, shared: &Shared) {
        let sent = shared.link.with(|open| {
            let mut packed = Vec::with_capacity(self.bytes + self.sends.len() * 256);
            for (words, ..) in &self.sends {
                packed.extend(open.command(Script::Publish, words).get_packed_command());
            }
            send_all(&mut open.connection, &packed, self.sends.len())
        });
        match sent {
            Ok(replies) => {
                for ((_, count, answer), reply) in self.sends.into_iter().zip(replies) {
                    let published =
                        reply.extract_error().map_err(|error| shared.link.error(&error)).and_then(read_answer);
                    if published.is_ok() {
                        shared.note_published(count as u64);
                    }
                    // A publisher that went away does not take its jobs back.
                    let _ = answer.send(published);
                }
            }
            Err(error) => {
                for (_, _, answer) in self.sends {
                    let _ = answer.send(Err(copy_of(&error)));
                }
            }
        }
    }
}

/// Sends many commands and reads their answers; one that was refused stands among the answers. A script that the server
/// has forgotten ends the connection, for all are loaded with a new one.
fn send_all(connection: &mut redis::Connection, packed: &[u8], count: usize) -> RedisResult<Vec<Value>> {
    connection.send_packed_command(packed)?;
    let mut replies = Vec::with_capacity(count);
    while replies.len() < count {
        match connection.recv_response()? {
            Value::Push { .. } => {}
            Value::ServerError(error) if error.code() == "NOSCRIPT" => return Err(error.into()),
            reply => replies.push(reply),
        }
    }
    Ok(replies)
}

fn read_answer(reply: Value) -> Answer {
    let answers: Vec<i64> = redis::from_redis_value(reply).map_err(|_| QueueError::Refused {
        broker: "redis".to_owned(),
        why: "the script that publishes gave no list of numbers".to_owned(),
    })?;
    match answers.first() {
        Some(-1) => return Err(QueueError::Full { bound: "queue.max-jobs" }),
        Some(-2) => return Err(QueueError::Full { bound: crate::broker::KEYS_SHARE }),
        Some(-3) => return Err(QueueError::Full { bound: "names of queues" }),
        _ => {}
    }
    let published = |answer: i64| if answer == 1 { Published::Accepted } else { Published::AlreadyThere };
    Ok(answers.into_iter().map(published).collect())
}

/// The same error for each of those who waited.
fn copy_of(error: &QueueError) -> QueueError {
    match error {
        QueueError::Full { bound } => QueueError::Full { bound },
        QueueError::Unreachable { broker, why } => QueueError::Unreachable { broker: broker.clone(), why: why.clone() },
        QueueError::Refused { broker, why } => QueueError::Refused { broker: broker.clone(), why: why.clone() },
        other => QueueError::Unwritable { why: other.to_string() },
    }
}

/// Where in the lists of its queue a job stands, as the end of a list's name.
pub(super) fn lane_of(key: u64) -> String {
    if key == 0 {
        return String::new();
    }
    format!("{}f{}", super::leases::SEPARATOR, lane_number(key))
}

/// Neighbouring keys fall into different lanes, and so do those that differ in their upper parts only.
pub(in crate::brokers) fn lane_number(key: u64) -> u64 {
    let folded = key ^ (key >> 32);
    let folded = folded ^ (folded >> 16);
    (folded ^ (folded >> 8)) % LANES
}

pub(super) fn step_of(priority: u8) -> String {
    match celery::turned_priority(priority) / 3 * 3 {
        0 => String::new(),
        step => format!("{}{step}", super::leases::SEPARATOR),
    }
}

/// A tag that sorts by time of publishing, so that what was claimed together goes back in its order.
pub(in crate::brokers) fn new_tag(now: Timestamp) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed) & 0xffff_ffff;
    let millis = (now.micros() / 1_000).max(0) as u64 & 0xffff_ffff_ffff;
    let random = stdx::random::bytes::<4>();
    let random = u32::from_be_bytes(random);
    let (high, low) = (millis >> 16, millis & 0xffff);
    format!("{high:08x}-{low:04x}-7{:03x}-8{:03x}-{:04x}{random:08x}", count >> 20, count >> 8 & 0xfff, count & 0xff)
}

impl Shared {
    /// Returns the words of the script that keeps the jobs of a request.
    fn words_of(&self, jobs: &[NewJob]) -> Result<Vec<Vec<u8>>, QueueError> {
        for job in jobs {
            check_lengths(job)?;
            if job.queue.contains(super::leases::SEPARATOR) {
                let why = format!("the queue's name {:?} holds what kombu puts between names", job.queue);
                return Err(QueueError::Refused { broker: self.link.name().to_owned(), why });
            }
        }
        let now = self.clock.now();
        let jobs_max = self.jobs_max_if_near(jobs.len() as u64)?;
        let mut words = self.words().with(jobs_max.to_string()).with(QUEUES_MAX.to_string());
        for job in jobs {
            let tag = new_tag(now);
            let message = celery::encode(job, &tag, &self.origin, now);
            let unique = job.options.unique_key.as_ref().map(|key| self.key(&format!("unique:{key}")));
            words.push(self.key(&format!("id:{}", job.id)));
            words.push(unique.unwrap_or_default());
            words.push(job.queue.as_bytes());
            words.push(lane_of(job.fairness_key));
            words.push(step_of(job.priority));
            words.push(format!("{:.6}", job.delay.as_secs_f64()));
            words.push(tag);
            words.push(message);
            words.push((ID_KEPT + job.delay).as_secs().to_string());
        }
        Ok(words.0)
    }
}

pub(in crate::brokers) fn check_lengths(job: &NewJob) -> Result<(), QueueError> {
    let unique = job.options.unique_key.as_deref().map_or(0, str::len);
    let headers = job.options.headers.as_deref().map_or(0, str::len);
    let lengths = [
        (job.id.as_str().len(), JobId::BYTES_MAX),
        (job.task.len(), NAME_BYTES_MAX),
        (job.queue.len(), NAME_BYTES_MAX),
        (unique, UNIQUE_KEY_BYTES_MAX),
        (headers, HEADERS_BYTES_MAX),
    ];
    for (length, max) in lengths {
        if length > max {
            return Err(QueueError::IdTooLong { length, max });
        }
    }
    if job.payload.len() > PAYLOAD_BYTES_MAX {
        return Err(QueueError::Full { bound: "32 MiB for one job" });
    }
    Ok(())
}
