//! The thread that publishes: it takes all requests that wait, writes their names into the ledger in one transaction, has all
//! messages under way at once, and answers when the server has confirmed them. A name that was written and not confirmed
//! is sent again under the same tag, so that whoever repeats a request keeps its jobs once.

use super::super::redis::{check_lengths, new_tag};
use super::Shared;
use super::lanes::{Lane, Seat};
use super::link::{Open, Said, lock};
use super::tables::jobs::{self, NewRow, State};
use super::tables::messages;
use super::wire::Message;
use crate::broker::CROWDED;
use crate::celery::{self, Edit};
use crate::{NewJob, Published, QueueError, tend};
use db::Tx;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;
use stdx::Timestamp;
use tokio::sync::oneshot;

/// Requests that wait for the thread; further ones are refused as a full queue.
const REQUESTS_MAX: usize = 8_192;
/// Requests and bytes sent at once: bounds the memory of a batch and the wait of its first request.
const BATCH_REQUESTS_MAX: usize = 512;
const BATCH_BYTES_MAX: usize = 16 << 20;
/// Delayed jobs sent by one call.
const DUE_MAX: usize = 200;
const DUE_ROUNDS_MAX: usize = 20;
/// What was taken to be sent so long ago was not: its process died.
const ABANDONED_AFTER: Duration = Duration::from_secs(60);

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
        let thread = tend::spawn("amqp-publish", || false, move || run(&shared, &waiting));
        Publisher { requests: Some(requests), thread: Some(thread) }
    }

    pub fn stop(&mut self) {
        self.requests = None;
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
        let (mut batch, mut bytes) = (Vec::new(), 0);
        let mut next = Some(first);
        while let Some(request) = next {
            bytes += request.jobs.iter().map(|job| job.payload.len()).sum::<usize>();
            batch.push(request);
            let is_full = batch.len() >= BATCH_REQUESTS_MAX || bytes >= BATCH_BYTES_MAX;
            next = if is_full { None } else { waiting.try_recv().ok() };
        }
        shared.keep_batch(batch);
    }
}

/// A request whose jobs are known to be within their bounds, with where each goes.
struct Ready {
    jobs: Vec<(NewJob, Lane)>,
    answer: oneshot::Sender<Answer>,
}

/// A message on its way.
pub(super) struct Outgoing {
    pub id: String,
    pub tag: String,
    pub lane: Lane,
    pub message: Message,
}

/// What the ledger says of one request: what becomes of each job, and which messages that takes.
type Planned = Result<(Vec<Published>, Vec<Outgoing>), QueueError>;

impl Shared {
    fn keep_batch(&self, requests: Vec<Request>) {
        let mut ready = Vec::with_capacity(requests.len());
        for Request { jobs, answer } in requests {
            match self.place(jobs) {
                Ok(jobs) => ready.push(Ready { jobs, answer }),
                // A publisher that went away does not need its refusal; so for all answers below.
                Err(refusal) => drop(answer.send(Err(refusal))),
            }
        }
        if ready.is_empty() {
            return;
        }
        let open = match self.open_for_publishing() {
            Ok(open) => open,
            Err(error) => return ready.into_iter().for_each(|one| drop(one.answer.send(Err(copy_of(&error))))),
        };
        let planned = match self.plan_batch(&ready) {
            Ok(planned) => planned,
            Err(error) => return ready.into_iter().for_each(|one| drop(one.answer.send(Err(copy_of(&error))))),
        };
        let (mut outgoing, mut counts, mut answers) = (Vec::new(), Vec::new(), Vec::new());
        for (one, plan) in ready.into_iter().zip(planned) {
            match plan {
                Ok((published, messages)) => {
                    counts.push(messages.len());
                    outgoing.extend(messages);
                    answers.push((one.answer, published));
                }
                Err(refusal) => drop(one.answer.send(Err(refusal))),
            }
        }
        let mut sent = self.send(&open, outgoing).into_iter();
        for ((answer, published), count) in answers.into_iter().zip(counts) {
            let problem = sent.by_ref().take(count).filter_map(Result::err).reduce(|first, _| first);
            let _ = answer.send(problem.map_or(Ok(published), Err));
        }
    }

    fn open_for_publishing(&self) -> Result<Arc<Open>, QueueError> {
        let open = self.open()?;
        if open.connection.status().blocked() {
            let why = format!("{} takes no more: an alarm of its memory or disk is on", self.link.name());
            return Err(QueueError::Unwritable { why });
        }
        Ok(open)
    }

    fn place(&self, jobs: Vec<NewJob>) -> Result<Vec<(NewJob, Lane)>, QueueError> {
        jobs.iter().try_for_each(check_lengths)?;
        let mut placed = Vec::with_capacity(jobs.len());
        for mut job in jobs {
            let lane = self.lane_of(&job)?;
            if lane.is_shared {
                self.expect_reply(&mut job)?;
            }
            placed.push((job, lane));
        }
        Ok(placed)
    }

    fn plan_batch(&self, ready: &[Ready]) -> Result<Vec<Planned>, QueueError> {
        let now = self.clock.now();
        let jobs: usize = ready.iter().map(|one| one.jobs.len()).sum();
        let jobs_max = self.jobs_max_if_near(jobs as u64)?;
        let work = |tx: &mut Tx<'_>| {
            let mut room = jobs_max.map(|max| Room::count(tx, max)).transpose()?;
            let mut seen = HashSet::new();
            let mut planned = Vec::with_capacity(ready.len());
            for one in ready {
                match self.plan(tx, &one.jobs, &mut seen, room.as_mut(), now) {
                    Err(refusal @ QueueError::Full { .. }) => planned.push(Err(refusal)),
                    Err(error) => return Err(error),
                    Ok(plan) => planned.push(Ok(plan)),
                }
            }
            Ok(planned)
        };
        let has_delayed = ready.iter().flat_map(|one| &one.jobs).any(|(job, _)| !job.delay.is_zero());
        let planned = if has_delayed { self.tables.write(work) } else { self.tables.note(work) }?;
        self.note_published(jobs as u64);
        Ok(planned)
    }

    /// Decides before it writes: a request that is refused leaves nothing.
    fn plan(
        &self,
        tx: &mut Tx<'_>,
        jobs: &[(NewJob, Lane)],
        seen: &mut HashSet<String>,
        room: Option<&mut Room>,
        now: Timestamp,
    ) -> Result<(Vec<Published>, Vec<Outgoing>), QueueError> {
        let mut plans = Vec::with_capacity(jobs.len());
        let (mut ids, mut keys) = (HashSet::new(), HashSet::new());
        for (job, _) in jobs {
            let plan = match jobs::find(tx, job.id.as_str())? {
                _ if seen.contains(job.id.as_str()) || ids.contains(job.id.as_str()) => Plan::Known,
                Some(row) if row.state == State::Sending => Plan::Again { tag: row.tag },
                Some(row) if row.state != State::Ended => Plan::Known,
                row => match job.options.unique_key.as_deref() {
                    Some(key) if keys.contains(key) || jobs::has_unique_key(tx, key, now)? => Plan::Known,
                    _ => Plan::New { is_again: row.is_some() },
                },
            };
            if !matches!(plan, Plan::Known) {
                ids.insert(job.id.to_string());
                keys.extend(job.options.unique_key.as_deref());
            }
            plans.push(plan);
        }
        if let Some(room) = room {
            let new =
                jobs.iter().zip(&plans).filter(|(_, plan)| matches!(plan, Plan::New { .. })).map(|((job, _), _)| job);
            room.take(tx, new)?;
        }
        let (mut published, mut outgoing) = (Vec::with_capacity(jobs.len()), Vec::new());
        for ((job, lane), plan) in jobs.iter().zip(plans) {
            published.push(if matches!(plan, Plan::Known) { Published::AlreadyThere } else { Published::Accepted });
            match plan {
                Plan::Known => {}
                Plan::New { .. } if !job.delay.is_zero() => self.keep_delayed(tx, job, lane, now)?,
                Plan::New { is_again } => {
                    let tag = new_tag(now);
                    let write = if is_again { jobs::replace } else { jobs::insert };
                    insert(tx, job, lane, &tag, State::Sending, (now, write))?;
                    outgoing.push(self.outgoing(job, lane, tag, now));
                }
                Plan::Again { tag } => {
                    jobs::doubt(tx, job.id.as_str(), now)?;
                    outgoing.push(self.outgoing(job, lane, tag, now));
                }
            }
        }
        seen.extend(ids);
        Ok((published, outgoing))
    }

    fn outgoing(&self, job: &NewJob, lane: &Lane, tag: String, now: Timestamp) -> Outgoing {
        let message = match lane.is_shared {
            true => Message::of_job(job, &tag, &self.origin, now),
            false => Message::of_own_job(job, &tag, now),
        };
        Outgoing { id: job.id.to_string(), tag, lane: lane.clone(), message }
    }

    /// Writes a job whose message waits in the ledger for its time, or for its transaction to be over.
    pub(super) fn keep_delayed(
        &self,
        tx: &mut Tx<'_>,
        job: &NewJob,
        lane: &Lane,
        now: Timestamp,
    ) -> Result<(), QueueError> {
        if jobs::find(tx, job.id.as_str())?.is_some_and(|row| row.state != State::Ended) {
            return Ok(());
        }
        let tag = new_tag(now);
        let text = celery::encode(job, &tag, &self.origin, now);
        insert(tx, job, lane, &tag, State::Delayed, (now, jobs::replace))?;
        messages::keep(tx, job.id.as_str(), &text, now)
    }

    /// Sends messages and notes what the server has confirmed. Returns what became of each.
    fn send(&self, open: &Arc<Open>, outgoing: Vec<Outgoing>) -> Vec<Result<(), QueueError>> {
        let mut results: Vec<Result<(), QueueError>> = Vec::with_capacity(outgoing.len());
        let mut declared: HashMap<Arc<str>, Option<QueueError>> = HashMap::new();
        let mut coming: BTreeMap<Arc<str>, u64> = BTreeMap::new();
        let (mut messages, mut names) = (Vec::with_capacity(outgoing.len()), Vec::with_capacity(outgoing.len()));
        for Outgoing { id, tag, lane, message } in outgoing {
            let declaring =
                declared.entry(lane.name.clone()).or_insert_with(|| self.link.declare(open, &lane).err()).as_ref();
            results.push(declaring.map_or(Ok(()), |error| Err(copy_of(error))));
            if declaring.is_none() {
                *coming.entry(lane.name.clone()).or_default() += 1;
                names.push((results.len() - 1, id, tag, lane.name.clone()));
                messages.push((lane.name, message));
            }
        }
        coming.iter().for_each(|(lane, count)| lock(&self.streams).expect(lane, *count));
        let said = if messages.is_empty() { Vec::new() } else { self.link.send(open, messages) };
        let mut kept = Vec::with_capacity(said.len());
        for ((index, id, tag, lane), said) in names.into_iter().zip(said) {
            match said {
                Some(Said::Kept) => kept.push((id, tag)),
                other => {
                    lock(&self.streams).expect_no_more(&lane);
                    results[index] = Err(self.unsent(open, other, &id, &tag, &lane));
                }
            }
        }
        let now = self.clock.now();
        // A confirmation that is not noted means that the same message is sent once more, and recognised.
        if let Err(error) = self.tables.note(|tx| jobs::confirm(tx, &kept, now)) {
            tracing::warn!(error = %error, jobs = kept.len(), "confirmations not noted");
        }
        results
    }

    fn unsent(&self, open: &Arc<Open>, said: Option<Said>, id: &str, tag: &str, lane: &str) -> QueueError {
        let unreachable =
            |why: &str| QueueError::Unreachable { broker: self.link.name().to_owned(), why: why.to_owned() };
        match said {
            Some(Said::Refused) => {
                if let Err(error) = self.tables.note(|tx| jobs::refuse(tx, id, tag)) {
                    tracing::warn!(error = %error, job = id, "name of a refused job not freed yet");
                }
                QueueError::Unwritable { why: format!("{} refused the message", self.link.name()) }
            }
            Some(Said::Unroutable) => {
                self.link.forget_declared(open, lane);
                unreachable("the queue had been deleted; it is declared again")
            }
            Some(Said::Kept) | None => unreachable("it did not confirm in time"),
        }
    }

    /// Sends the delayed jobs whose time has come. Returns how many.
    pub(super) fn send_due(&self) -> Result<usize, QueueError> {
        let now = self.clock.now();
        let is_any = self.tables.read(messages::next_due)?.is_some_and(|due| due <= now);
        if !is_any {
            return Ok(0);
        }
        let open = self.open_for_publishing()?;
        let mut sent = 0;
        for _ in 0..DUE_ROUNDS_MAX {
            let due = self.tables.note(|tx| messages::take_due(tx, now, now.minus(ABANDONED_AFTER), DUE_MAX))?;
            if due.is_empty() {
                break;
            }
            sent += self.send_taken(&open, due, now)?;
        }
        Ok(sent)
    }

    fn send_taken(&self, open: &Arc<Open>, due: Vec<messages::Due>, taken_at: Timestamp) -> Result<usize, QueueError> {
        let mut outgoing = Vec::with_capacity(due.len());
        for one in due {
            let edit = Edit { deaths: (one.deaths != (0, 0)).then_some(one.deaths), ..Edit::default() };
            let text = celery::rewrite(&one.body, &edit).unwrap_or(one.body);
            let Some(message) = Message::of_text(&text) else {
                tracing::error!(job = one.id, "the ledger does not give a message back");
                continue;
            };
            let lane = self.lane_named(&one.lane, &one.queue, one.seat);
            let message = if lane.is_shared { message } else { message.packed() };
            outgoing.push(Outgoing { id: one.id, tag: one.tag, lane, message });
        }
        let ids: Vec<String> = outgoing.iter().map(|one| one.id.clone()).collect();
        let results = self.send(open, outgoing);
        let (mut sent, mut unsent, mut problem) = (Vec::new(), Vec::new(), None);
        for (id, result) in ids.into_iter().zip(results) {
            match result {
                Ok(()) => sent.push(id),
                Err(error) => {
                    problem = Some(error);
                    unsent.push(id);
                }
            }
        }
        let now = self.clock.now();
        self.tables.note(|tx| {
            messages::put_off(tx, &unsent, now)?;
            messages::drop_sent(tx, &sent, taken_at)
        })?;
        problem.map_or(Ok(sent.len()), Err)
    }

    /// Sends results to those who wait for them; who is gone does not get it.
    pub(super) fn send_replies(&self, replies: Vec<(Arc<str>, Message)>) {
        if replies.is_empty() {
            return;
        }
        if let Some(open) = self.link.if_open() {
            let said = self.link.send(&open, replies);
            tracing::debug!(replies = said.len(), "results sent to those who wait");
        }
    }
}

enum Plan {
    Known,
    New {
        /// In the place of one that has ended.
        is_again: bool,
    },
    /// It was to be sent before, and whether it was is not known.
    Again {
        tag: String,
    },
}

/// How a row is written: where there is none, or in the place of one that has ended.
type Write = fn(&mut Tx<'_>, &NewRow<'_>, Timestamp) -> Result<(), QueueError>;

fn insert(
    tx: &mut Tx<'_>,
    job: &NewJob,
    lane: &Lane,
    tag: &str,
    state: State,
    (now, write): (Timestamp, Write),
) -> Result<(), QueueError> {
    let unique_key = match job.options.unique_key.as_deref() {
        Some(key) if !jobs::has_unique_key(tx, key, now)? => Some(key),
        _ => None,
    };
    let row = NewRow {
        id: job.id.as_str(),
        tag,
        queue: &lane.queue,
        lane: &lane.name,
        seat: Seat::of(job, lane.is_shared),
        task: &job.task,
        state,
        unique_key,
        fairness_key: job.fairness_key,
        bytes: job.payload.len() as u64,
        attempts: 0,
        deaths: 0,
        company_deaths: 0,
        enqueued_at: job.enqueued_at.unwrap_or(now),
        due_at: (state == State::Delayed).then(|| now.plus(job.delay)),
        lease: None,
    };
    write(tx, &row, now)
}

/// How much more fits.
struct Room {
    max: u64,
    total: u64,
    keys: HashMap<u64, u64>,
}

impl Room {
    fn count(tx: &mut Tx<'_>, max: u64) -> Result<Room, QueueError> {
        Ok(Room { max, total: jobs::count(tx)?, keys: HashMap::new() })
    }

    /// Takes room for all or for none.
    fn take<'a>(&mut self, tx: &mut Tx<'_>, new: impl Iterator<Item = &'a NewJob>) -> Result<(), QueueError> {
        let (mut total, mut keys) = (self.total, self.keys.clone());
        for job in new {
            let share = match keys.get(&job.fairness_key) {
                Some(share) => *share,
                None => jobs::count_key(tx, job.fairness_key)?,
            };
            if total >= self.max {
                return Err(QueueError::Full { bound: "queue.max-jobs" });
            }
            // Unless it is the only one that waits.
            if job.fairness_key != 0 && share != total && share >= self.max / 2 {
                return Err(QueueError::Full { bound: crate::broker::KEYS_SHARE });
            }
            total += 1;
            keys.insert(job.fairness_key, share + 1);
        }
        (self.total, self.keys) = (total, keys);
        Ok(())
    }
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
