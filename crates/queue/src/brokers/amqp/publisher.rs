//! The thread that publishes. While the messages of one batch are confirmed it writes the names of the next: requests that
//! come meanwhile go together, and what was confirmed is noted in the transaction that they need anyway. Of two requests
//! that name the same job or unique key the second waits until it is known what became of the first.

use super::Shared;
use super::link::lock;
use super::tables::jobs::Confirmed;
use crate::broker::CROWDED;
use crate::{NewJob, Published, QueueError, tend};
use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use tokio::sync::oneshot;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// Requests that wait for the thread; further ones are refused as a full queue.
const REQUESTS_MAX: usize = 8_192;
/// Requests and bytes sent at once: bounds the memory of a batch and the wait of its first request.
const BATCH_REQUESTS_MAX: usize = 512;
const BATCH_BYTES_MAX: usize = 16 << 20;
/// Batches of which not everything is confirmed. Each more makes all of them smaller, which costs transactions.
const BATCHES_MAX: usize = 2;
/// Tells a unique key from an id of the same letters.
const KEYS: u64 = 1;

pub(super) type Answer = Result<Vec<Published>, QueueError>;

pub(super) struct Request {
    pub jobs: Vec<NewJob>,
    pub answer: oneshot::Sender<Answer>,
}

impl Request {
    fn bytes(&self) -> usize {
        self.jobs.iter().map(|job| job.payload.len()).sum()
    }

    /// Hashes of what it names: two that are equal by chance wait for each other, which harms nobody.
    fn names(&self) -> Vec<u64> {
        let ids = self.jobs.iter().map(|job| xxh3_64(job.id.as_str().as_bytes()));
        let keys = self.jobs.iter().filter_map(|job| job.options.unique_key.as_deref());
        ids.chain(keys.map(|key| xxh3_64_with_seed(key.as_bytes(), KEYS))).collect()
    }
}

/// What the server said of messages whose rows still say that they are being sent.
#[derive(Default)]
pub(super) struct Settled {
    pub kept: Vec<Confirmed>,
    /// Job and tag.
    pub refused: Vec<(String, String)>,
}

impl Settled {
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty() && self.refused.is_empty()
    }

    fn add(&mut self, other: Settled) {
        self.kept.extend(other.kept);
        self.refused.extend(other.refused);
    }
}

/// What the thread is to do, and what it waits for.
#[derive(Default)]
struct Desk {
    requests: VecDeque<Request>,
    settled: Settled,
    /// Names in the batches that are under way.
    under_way: HashSet<u64>,
    batches: usize,
    is_closed: bool,
}

#[derive(Default)]
pub(super) struct Inbox {
    desk: Mutex<Desk>,
    changed: Condvar,
}

/// A batch under way. Whatever becomes of it, its names are free when it is dropped.
pub(super) struct Ticket {
    inbox: Arc<Inbox>,
    names: Vec<u64>,
    pub settled: Settled,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut desk = lock(&self.inbox.desk);
        for name in &self.names {
            desk.under_way.remove(name);
        }
        desk.batches -= 1;
        desk.settled.add(std::mem::take(&mut self.settled));
        self.inbox.changed.notify_all();
    }
}

/// One turn of the thread.
pub(super) struct Turn {
    pub settled: Settled,
    pub batch: Option<(Vec<Request>, Ticket)>,
}

impl Inbox {
    fn put(&self, request: Request) -> Result<(), QueueError> {
        let mut desk = lock(&self.desk);
        if desk.is_closed {
            return Err(QueueError::Closed);
        }
        if desk.requests.len() >= REQUESTS_MAX {
            return Err(QueueError::Full { bound: CROWDED });
        }
        desk.requests.push_back(request);
        self.changed.notify_all();
        Ok(())
    }

    fn close(&self) {
        lock(&self.desk).is_closed = true;
        self.changed.notify_all();
    }

    /// Waits for something to do; `None` when it is closed and all that came before is done.
    fn next(self: &Arc<Self>) -> Option<Turn> {
        let mut desk = lock(&self.desk);
        loop {
            let requests = if desk.batches < BATCHES_MAX { desk.take_batch() } else { Vec::new() };
            if !requests.is_empty() {
                let names: Vec<u64> = requests.iter().flat_map(Request::names).collect();
                desk.batches += 1;
                let settled = std::mem::take(&mut desk.settled);
                let ticket = Ticket { inbox: self.clone(), names, settled: Settled::default() };
                return Some(Turn { settled, batch: Some((requests, ticket)) });
            }
            if !desk.settled.is_empty() {
                return Some(Turn { settled: std::mem::take(&mut desk.settled), batch: None });
            }
            if desk.is_closed && desk.batches == 0 && desk.requests.is_empty() {
                return None;
            }
            desk = self.changed.wait(desk).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Desk {
    /// Takes what may go now, in its order, and notes its names.
    fn take_batch(&mut self) -> Vec<Request> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        // Names of requests that must wait: those behind them that share one must not overtake.
        let mut waiting_names = HashSet::new();
        let mut waiting = VecDeque::new();
        while let Some(request) = self.requests.pop_front() {
            let size = request.bytes();
            if batch.len() >= BATCH_REQUESTS_MAX || (!batch.is_empty() && bytes + size > BATCH_BYTES_MAX) {
                self.requests.push_front(request);
                break;
            }
            let names = request.names();
            if names.iter().any(|name| self.under_way.contains(name) || waiting_names.contains(name)) {
                waiting_names.extend(names);
                waiting.push_back(request);
                continue;
            }
            self.under_way.extend(names);
            bytes += size;
            batch.push(request);
        }
        while let Some(request) = waiting.pop_back() {
            self.requests.push_front(request);
        }
        batch
    }
}

pub(super) struct Publisher {
    inbox: Arc<Inbox>,
    thread: Option<JoinHandle<()>>,
}

impl Publisher {
    pub fn start(shared: Arc<Shared>) -> Publisher {
        let inbox = Arc::new(Inbox::default());
        let waiting = inbox.clone();
        let run = move || {
            while let Some(turn) = waiting.next() {
                shared.publish_turn(turn);
            }
        };
        Publisher { inbox, thread: Some(tend::spawn("amqp-publish", || false, run)) }
    }

    pub fn stop(&mut self) {
        self.inbox.close();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the amqp publisher was lost");
        }
    }

    /// Whether anybody answers requests.
    pub fn is_alive(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    pub fn publish(&self, jobs: Vec<NewJob>) -> impl Future<Output = Answer> + Send + use<> {
        let (answer, answered) = oneshot::channel();
        let sent = self.inbox.put(Request { jobs, answer });
        async move {
            sent?;
            answered.await.map_err(|_| QueueError::Closed)?
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{JobId, JobOptions};
    use stdx::Timestamp;

    fn request(id: &str, key: Option<&str>) -> Request {
        let mut job = NewJob::new(JobId::new(id), "task", "queue", Vec::new().into());
        job.options = JobOptions { unique_key: key.map(Into::into), ..JobOptions::default() };
        Request { jobs: vec![job], answer: oneshot::channel().0 }
    }

    /// The ids of the next batch, and the batch.
    fn take(inbox: &Arc<Inbox>) -> (Vec<String>, Ticket) {
        let (requests, ticket) = inbox.next().expect("it is open").batch.expect("requests may go");
        (requests.iter().map(|request| request.jobs[0].id.to_string()).collect(), ticket)
    }

    #[test]
    fn what_names_the_same_waits_until_it_is_known_what_became_of_the_first() {
        let inbox = Arc::new(Inbox::default());
        for (id, key) in [("a", None), ("b", Some("k")), ("a", None), ("c", Some("k")), ("d", None), ("c", None)] {
            inbox.put(request(id, key)).unwrap();
        }
        let (ids, first) = take(&inbox);
        assert_eq!(ids, ["a", "b", "d"]);
        inbox.put(request("e", None)).unwrap();
        let (ids, second) = take(&inbox);
        assert_eq!(ids, ["e"], "the second c must not overtake the first");
        drop(first);
        let (ids, _third) = take(&inbox);
        assert_eq!(ids, ["a", "c"]);
        drop(second);
        assert_eq!(lock(&inbox.desk).requests.len(), 1);
    }

    #[test]
    fn no_more_than_so_many_batches_are_under_way_and_what_they_left_is_noted_meanwhile() {
        let inbox = Arc::new(Inbox::default());
        let tickets: Vec<Ticket> = (0..BATCHES_MAX)
            .map(|number| {
                inbox.put(request(&number.to_string(), None)).unwrap();
                take(&inbox).1
            })
            .collect();
        inbox.put(request("late", None)).unwrap();
        inbox.close();
        assert!(inbox.put(request("later", None)).is_err());
        let confirmed = || Confirmed { id: "id".to_owned(), tag: "tag".to_owned(), at: Timestamp::EPOCH };
        let settle = |mut ticket: Ticket| ticket.settled.kept.push(confirmed());
        tickets.into_iter().for_each(settle);
        let turn = inbox.next().expect("what came before the end is done");
        assert_eq!(turn.settled.kept.len(), BATCHES_MAX);
        drop(turn.batch.expect("there is room again"));
        assert!(inbox.next().is_none());
    }
}
