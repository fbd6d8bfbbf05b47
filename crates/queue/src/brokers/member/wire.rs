//! What goes over the socket: frames of a version, a head in JSON and payloads as they are. All processes of one data
//! directory are of one release, so the version only tells an old process apart, with a clear error.
//!
//! ```text
//! frame = version u8 | head length u32 | tail length u32 | head (JSON) | tail        numbers little endian
//! ```

use crate::letters::LetterPage;
use crate::{
    ClaimRequest, Claimed, DeadReason, Finish, JobId, JobOptions, JobState, LeaseId, NewJob, Published, QueueBounds,
    QueueDepth, QueueError, WorkerRow,
};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};
use std::time::Duration;
use stdx::Timestamp;

pub const VERSION: u8 = 1;
const HEAD_BYTES: usize = 9;
/// Heads of the largest batch of jobs.
pub const HEAD_BYTES_MAX: usize = 32 << 20;
/// Payloads of the largest batch: a claim's or a group of publishers'.
const TAIL_BYTES_MAX: usize = 96 << 20;

/// What a guest asks of the owner.
#[derive(Debug, Serialize, Deserialize)]
pub enum Request {
    /// Opens a session, which lives as long as this connection; or joins one on a further connection.
    Hello {
        name: String,
        session: Option<u64>,
    },
    /// Of several publishers; each is answered for itself.
    Publish {
        requests: Vec<Vec<JobHead>>,
    },
    Claim {
        queues: Vec<Bounds>,
    },
    Extend {
        leases: Vec<u64>,
        lease_ms: u64,
    },
    Finish {
        finished: Vec<(u64, End)>,
    },
    /// Leases that were held under an owner that died.
    Reassert {
        held: Vec<(String, u64)>,
    },
    Declare {
        queue: String,
    },
    Depths,
    Locate {
        id: String,
    },
    Accepting,
    Troubles,
    Letters(LetterPage),
    DeadNames(Timestamp, Option<String>),
    DeadLetter {
        id: String,
    },
    RetryDead {
        id: String,
    },
    ShowLetters(Vec<String>),
    DropLetters(Vec<(String, Timestamp)>),
    Pause {
        queue: String,
    },
    Resume {
        queue: String,
    },
    /// Jobs that do not run, from a slot on.
    Leaving {
        queue: String,
        from: u32,
    },
    /// By their names in memory, as `Leaving` told them.
    Remove {
        queue: String,
        hashes: Vec<String>,
    },
    Parked,
    Unpark {
        tasks: Vec<String>,
    },
    Result {
        id: String,
    },
    Beat {
        worker: Box<WorkerRow>,
    },
    Leave {
        name: String,
    },
    Workers,
    Fire {
        entry: String,
        scheduled_at: Timestamp,
        job: Box<JobHead>,
    },
    Cursors,
}

/// A job without its payload, which stands in the tail.
#[derive(Debug, Serialize, Deserialize)]
pub struct JobHead {
    id: String,
    task: String,
    queue: String,
    key: u64,
    priority: u8,
    delay_us: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    enqueued_at: Option<Timestamp>,
    bytes: usize,
    #[serde(default, skip_serializing_if = "is_default")]
    options: JobOptions,
}

fn is_default(options: &JobOptions) -> bool {
    *options == JobOptions::default()
}

impl JobHead {
    pub fn new(job: &NewJob, tail: &mut Vec<u8>) -> JobHead {
        tail.extend_from_slice(&job.payload);
        JobHead {
            id: job.id.to_string(),
            task: job.task.to_string(),
            queue: job.queue.to_string(),
            key: job.fairness_key,
            priority: job.priority,
            delay_us: u64::try_from(job.delay.as_micros()).unwrap_or(u64::MAX),
            enqueued_at: job.enqueued_at,
            bytes: job.payload.len(),
            options: job.options.clone(),
        }
    }

    /// Takes the payload from the front of the tail.
    pub fn into_job(self, tail: &mut Bytes) -> io::Result<NewJob> {
        Ok(NewJob {
            id: JobId::new(&self.id),
            task: self.task.into(),
            queue: self.queue.into(),
            fairness_key: self.key,
            priority: self.priority,
            delay: Duration::from_micros(self.delay_us),
            enqueued_at: self.enqueued_at,
            payload: take(tail, self.bytes)?,
            options: self.options,
        })
    }
}

pub fn take(tail: &mut Bytes, length: usize) -> io::Result<Bytes> {
    if length > tail.len() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a payload is shorter than its head says"));
    }
    Ok(tail.split_to(length))
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Bounds {
    queue: String,
    jobs_max: usize,
    bytes_max: usize,
    lease_ms: u64,
}

pub fn bounds_of(request: &ClaimRequest) -> Vec<Bounds> {
    let bounds = |bounds: &QueueBounds| Bounds {
        queue: bounds.queue.clone(),
        jobs_max: bounds.jobs_max,
        // A claim's reply must fit into a frame; a single larger job still does.
        bytes_max: bounds.bytes_max.min(TAIL_BYTES_MAX / 2),
        lease_ms: millis(bounds.lease),
    };
    request.queues.iter().map(bounds).collect()
}

pub fn request_of(queues: Vec<Bounds>) -> ClaimRequest {
    let bounds = |bounds: Bounds| QueueBounds {
        queue: bounds.queue,
        jobs_max: bounds.jobs_max,
        bytes_max: bounds.bytes_max,
        lease: Duration::from_millis(bounds.lease_ms),
    };
    ClaimRequest { queues: queues.into_iter().map(bounds).collect() }
}

pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[derive(Debug, Serialize, Deserialize)]
pub struct ClaimedHead {
    lease: u64,
    id: String,
    task: String,
    queue: String,
    attempt: u32,
    enqueued_at: Timestamp,
    bytes: usize,
    #[serde(default, skip_serializing_if = "is_default")]
    options: JobOptions,
}

impl ClaimedHead {
    pub fn new(job: &Claimed, tail: &mut Vec<u8>) -> ClaimedHead {
        tail.extend_from_slice(&job.payload);
        ClaimedHead {
            lease: job.lease.0,
            id: job.id.to_string(),
            task: job.task.to_string(),
            queue: job.queue.to_string(),
            attempt: job.attempt,
            enqueued_at: job.enqueued_at,
            bytes: job.payload.len(),
            options: job.options.clone(),
        }
    }

    pub fn into_claimed(self, tail: &mut Bytes) -> io::Result<Claimed> {
        Ok(Claimed {
            lease: LeaseId(self.lease),
            id: JobId::new(&self.id),
            task: self.task.into(),
            queue: self.queue.into(),
            attempt: self.attempt,
            enqueued_at: self.enqueued_at,
            payload: take(tail, self.bytes)?,
            options: self.options,
        })
    }
}

/// How a run ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum End {
    Done,
    Returned(serde_json::Value),
    Retry { after_us: u64, error: String },
    GiveBack { after_us: u64 },
    Park,
    Dead { reason: String, error: String },
    Died { reason: String, error: String },
}

impl From<Finish> for End {
    fn from(finish: Finish) -> End {
        let micros = |after: Duration| u64::try_from(after.as_micros()).unwrap_or(u64::MAX);
        match finish {
            Finish::Done => End::Done,
            Finish::Returned { value } => End::Returned(value),
            Finish::Retry { after, error } => End::Retry { after_us: micros(after), error },
            Finish::GiveBack { after } => End::GiveBack { after_us: micros(after) },
            Finish::Park => End::Park,
            Finish::Dead { reason, error } => End::Dead { reason: reason.as_str().to_owned(), error },
            Finish::Died { reason, error } => End::Died { reason: reason.as_str().to_owned(), error },
        }
    }
}

impl From<End> for Finish {
    fn from(end: End) -> Finish {
        match end {
            End::Done => Finish::Done,
            End::Returned(value) => Finish::Returned { value },
            End::Retry { after_us, error } => Finish::Retry { after: Duration::from_micros(after_us), error },
            End::GiveBack { after_us } => Finish::GiveBack { after: Duration::from_micros(after_us) },
            End::Park => Finish::Park,
            End::Dead { reason, error } => Finish::Dead { reason: reason_of(&reason), error },
            End::Died { reason, error } => Finish::Died { reason: reason_of(&reason), error },
        }
    }
}

fn reason_of(word: &str) -> DeadReason {
    let all = [
        DeadReason::Attempts,
        DeadReason::Poison,
        DeadReason::Damaged,
        DeadReason::Expired,
        DeadReason::Revoked,
        DeadReason::Crashed,
        DeadReason::MemoryLimit,
        DeadReason::TimeLimit,
    ];
    all.into_iter().find(|reason| reason.as_str() == word).unwrap_or(DeadReason::Rejected)
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum State {
    Ready,
    Delayed,
    Leased,
    Parked,
    Dead,
}

impl From<JobState> for State {
    fn from(state: JobState) -> State {
        match state {
            JobState::Ready => State::Ready,
            JobState::Delayed => State::Delayed,
            JobState::Leased => State::Leased,
            JobState::Parked => State::Parked,
            JobState::Dead => State::Dead,
        }
    }
}

impl From<State> for JobState {
    fn from(state: State) -> JobState {
        match state {
            State::Ready => JobState::Ready,
            State::Delayed => JobState::Delayed,
            State::Leased => JobState::Leased,
            State::Parked => JobState::Parked,
            State::Dead => JobState::Dead,
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Depth {
    queue: String,
    counts: [u64; 6],
    oldest_age_us: Option<u64>,
    paused: bool,
}

impl From<QueueDepth> for Depth {
    fn from(depth: QueueDepth) -> Depth {
        let QueueDepth { queue, ready, delayed, leased, dead, parked, oldest_age, paused, bytes } = depth;
        let oldest_age_us = oldest_age.map(|age| u64::try_from(age.as_micros()).unwrap_or(u64::MAX));
        Depth { queue, counts: [ready, delayed, leased, dead, parked, bytes], oldest_age_us, paused }
    }
}

impl From<Depth> for QueueDepth {
    fn from(depth: Depth) -> QueueDepth {
        let [ready, delayed, leased, dead, parked, bytes] = depth.counts;
        let (queue, paused) = (depth.queue, depth.paused);
        let oldest_age = depth.oldest_age_us.map(Duration::from_micros);
        QueueDepth { queue, ready, delayed, leased, dead, parked, oldest_age, paused, bytes }
    }
}

/// Whether each job of a request was kept now or is there already.
pub fn published_words(published: Vec<Published>) -> Vec<bool> {
    published.into_iter().map(|one| one == Published::Accepted).collect()
}

pub fn published_of(words: Vec<bool>) -> Vec<Published> {
    let one = |is_new| if is_new { Published::Accepted } else { Published::AlreadyThere };
    words.into_iter().map(one).collect()
}

/// An error with its kind, so that callers may still match on it.
#[derive(Debug, Serialize, Deserialize)]
pub enum WireError {
    Full(String),
    Unwritable(String),
    IdTooLong { length: usize, max: usize },
    Closed,
    Lives { id: String, by: String },
    Other(String),
}

/// Bounds an embedded queue names, so that they can be named again on this side.
const BOUNDS: &[&str] = &[
    "queue.max-jobs",
    "queue.max-bytes",
    crate::broker::KEYS_SHARE,
    "requests waiting to be written",
    "names of queues",
    "bytes of one job",
];

impl From<QueueError> for WireError {
    fn from(error: QueueError) -> WireError {
        match error {
            QueueError::Full { bound } => WireError::Full(bound.to_owned()),
            QueueError::Unwritable { why } => WireError::Unwritable(why),
            QueueError::IdTooLong { length, max } => WireError::IdTooLong { length, max },
            QueueError::Closed => WireError::Closed,
            QueueError::Lives { id, by } => WireError::Lives { id, by: by.to_owned() },
            other => WireError::Other(stdx::causes::on_one_line(&other)),
        }
    }
}

impl WireError {
    pub fn into_error(self) -> QueueError {
        match self {
            WireError::Full(name) => {
                let known = BOUNDS.iter().find(|bound| **bound == name);
                QueueError::Full { bound: known.copied().unwrap_or("a bound of its owner") }
            }
            WireError::Unwritable(why) => QueueError::Unwritable { why },
            WireError::IdTooLong { length, max } => QueueError::IdTooLong { length, max },
            WireError::Closed => QueueError::Closed,
            WireError::Lives { id, by } => QueueError::Lives { id, by: if by == "id" { "id" } else { "unique key" } },
            WireError::Other(why) => QueueError::Refused { broker: "the queue's owner".to_owned(), why },
        }
    }
}

fn check_bounds(head: usize, tail: usize, kind: io::ErrorKind) -> io::Result<()> {
    let beyond = [(head, HEAD_BYTES_MAX), (tail, TAIL_BYTES_MAX)].into_iter().find(|(bytes, most)| bytes > most);
    let error = |(bytes, most)| io::Error::new(kind, format!("message of {bytes} bytes is larger than {most}"));
    beyond.map_or(Ok(()), |beyond| Err(error(beyond)))
}

/// Writes one frame.
///
/// # Errors
/// `InvalidInput`, and nothing is written, if it is larger than its bounds.
pub fn write_frame(stream: &mut impl Write, head: &impl Serialize, tail: &[u8]) -> io::Result<()> {
    let head = serde_json::to_vec(head).map_err(io::Error::other)?;
    check_bounds(head.len(), tail.len(), io::ErrorKind::InvalidInput)?;
    let mut frame = Vec::with_capacity(HEAD_BYTES + head.len() + tail.len());
    frame.push(VERSION);
    frame.extend_from_slice(&(head.len() as u32).to_le_bytes());
    frame.extend_from_slice(&(tail.len() as u32).to_le_bytes());
    frame.extend_from_slice(&head);
    frame.extend_from_slice(tail);
    stream.write_all(&frame)
}

/// Reads one frame.
///
/// # Errors
/// `InvalidData` for what is no frame of this version, or says it is larger than its bounds.
pub fn read_frame<T: DeserializeOwned>(stream: &mut impl Read) -> io::Result<(T, Bytes)> {
    let invalid = |text: String| io::Error::new(io::ErrorKind::InvalidData, text);
    let mut start = [0; HEAD_BYTES];
    stream.read_exact(&mut start)?;
    if start[0] != VERSION {
        let text = format!("version {} was sent, {VERSION} is spoken: restart all processes of the folder", start[0]);
        return Err(invalid(text));
    }
    let length = |at: usize| u32::from_le_bytes([start[at], start[at + 1], start[at + 2], start[at + 3]]) as usize;
    let (head_length, tail_length) = (length(1), length(5));
    check_bounds(head_length, tail_length, io::ErrorKind::InvalidData)?;
    let head = read_bounded(stream, head_length)?;
    let tail = read_bounded(stream, tail_length)?;
    let head = serde_json::from_slice(&head).map_err(|error| invalid(format!("a message cannot be read: {error}")))?;
    Ok((head, Bytes::from(tail)))
}

/// Memory is taken as bytes come, not as a stranger says they will.
fn read_bounded(stream: &mut impl Read, length: usize) -> io::Result<Vec<u8>> {
    const FIRST_MAX: usize = 1 << 20;
    let mut bytes = Vec::with_capacity(length.min(FIRST_MAX));
    stream.by_ref().take(length as u64).read_to_end(&mut bytes)?;
    if bytes.len() < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_comes_back_and_looks_as_it_did() {
        let mut tail = Vec::new();
        let job = NewJob::new(JobId::new("a"), "t.run", "q", Bytes::from_static(b"payload"));
        let request = Request::Publish { requests: vec![vec![JobHead::new(&job, &mut tail)]] };
        let mut frame = Vec::new();
        write_frame(&mut frame, &request, &tail).expect("a frame is written");
        assert_eq!(frame, include_bytes!("../../../tests/golden/member_v1.bin"));
        let (read, mut tail) = read_frame::<Request>(&mut frame.as_slice()).expect("a frame is read");
        let Request::Publish { mut requests } = read else { panic!("another request") };
        let head = requests.remove(0).remove(0);
        let back = head.into_job(&mut tail).expect("a job");
        assert_eq!((back.id.as_str(), &back.payload[..]), ("a", &b"payload"[..]));
    }

    #[test]
    fn hostile_bytes_are_refused_without_taking_memory() {
        let huge = [&[VERSION][..], &u32::MAX.to_le_bytes(), &u32::MAX.to_le_bytes()].concat();
        let long = [&[VERSION][..], &(30u32 << 20).to_le_bytes(), &0u32.to_le_bytes(), b"{}"].concat();
        let other = [7, 0, 0, 0, 0, 0, 0, 0, 0];
        let text = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        for bytes in [&huge[..], &long, &other, text, b""] {
            assert!(read_frame::<Request>(&mut &bytes[..]).is_err());
        }
    }
}
