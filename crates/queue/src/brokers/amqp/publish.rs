//! What it takes to publish: names are written into the ledger in one transaction, then the messages are sent, and whoever
//! asked is answered when the server has confirmed them. A name that was written and not confirmed is sent again under the
//! same tag, so that whoever repeats a request keeps its jobs once.

use super::super::redis::{check_lengths, new_tag};
use super::Shared;
use super::connection::Open;
use super::lanes::{Lane, Seat};
use super::link::lock;
use super::post::Said;
use super::publisher::{Answer, Request, Settled, Ticket, Turn};
use super::room::Room;
use super::tables::jobs::{self, Confirmed, NewRow, State};
use super::tables::messages;
use super::wire::Message;
use crate::celery::{self, Edit};
use crate::{NewJob, Published, QueueError};
use db::Tx;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use stdx::Timestamp;
use tokio::sync::oneshot;

/// Delayed jobs sent by one call.
const DUE_MAX: usize = 200;
const DUE_ROUNDS_MAX: usize = 20;

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

/// What is known of messages before they are sent, and the place, job, tag and lane of each that is sent.
struct Parcel {
    results: Vec<Result<(), QueueError>>,
    names: Vec<(usize, String, String, Arc<str>)>,
}

/// What the ledger says of one request: what becomes of each job, and which messages that takes.
type Planned = Result<(Vec<Published>, Vec<Outgoing>), QueueError>;

impl Shared {
    /// Notes what was settled, and sends a batch, whose requests are answered when the server has confirmed it.
    pub(super) fn publish_turn(&self, Turn { settled, batch }: Turn) {
        let Some((requests, ticket)) = batch else { return self.note_settled(&settled) };
        let ready = self.place_all(requests);
        let planned = self.open_for_publishing().and_then(|open| Ok((open, self.plan_batch(&ready, &settled)?)));
        match planned {
            Ok((open, planned)) => self.send_batch(&open, ready, planned, ticket),
            Err(error) => {
                self.note_settled(&settled);
                ready.into_iter().for_each(|one| drop(one.answer.send(Err(copy_of(&error)))));
            }
        }
    }

    fn place_all(&self, requests: Vec<Request>) -> Vec<Ready> {
        let mut ready = Vec::with_capacity(requests.len());
        for Request { jobs, answer } in requests {
            match self.place(jobs) {
                Ok(jobs) => ready.push(Ready { jobs, answer }),
                // A publisher that went away does not need its refusal; so for all answers below.
                Err(refusal) => drop(answer.send(Err(refusal))),
            }
        }
        ready
    }

    fn send_batch(&self, open: &Arc<Open>, ready: Vec<Ready>, planned: Vec<Planned>, mut ticket: Ticket) {
        let (mut outgoing, mut answers) = (Vec::new(), Vec::new());
        for (one, plan) in ready.into_iter().zip(planned) {
            match plan {
                Ok((published, messages)) => {
                    answers.push((one.answer, published, messages.len()));
                    outgoing.extend(messages);
                }
                Err(refusal) => drop(one.answer.send(Err(refusal))),
            }
        }
        let (parcel, messages) = self.pack(open, outgoing);
        let (shared, opened) = (self.own.clone(), open.clone());
        open.post.send(messages, move |said| {
            let Some(shared) = shared.upgrade() else { return };
            let mut sent = shared.read_answers(&opened, parcel, said, &mut ticket.settled).into_iter();
            for (answer, published, count) in answers {
                let problem = sent.by_ref().take(count).filter_map(Result::err).reduce(|first, _| first);
                let _ = answer.send(problem.map_or(Ok(published), Err));
            }
        });
    }

    /// A confirmation that is not noted means that the same message is sent once more, and recognised.
    fn note_settled(&self, settled: &Settled) {
        if settled.is_empty() {
            return;
        }
        if let Err(error) = self.tables.note(|tx| note_in(tx, settled)) {
            tracing::warn!(error = %error, jobs = settled.kept.len(), "confirmations not noted");
        }
    }

    fn open_for_publishing(&self) -> Result<Arc<Open>, QueueError> {
        let open = self.open()?;
        self.link.check_alarm(&open)?;
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

    fn plan_batch(&self, ready: &[Ready], settled: &Settled) -> Result<Vec<Planned>, QueueError> {
        let now = self.clock.now();
        let mut room = self.room_for(ready.iter().flat_map(|one| &one.jobs).map(|(job, _)| job))?;
        let work = |tx: &mut Tx<'_>| {
            note_in(tx, settled)?;
            let mut planned = Vec::with_capacity(ready.len());
            for one in ready {
                match self.plan(tx, &one.jobs, room.as_mut(), now) {
                    Err(refusal @ QueueError::Full { .. }) => planned.push(Err(refusal)),
                    Err(error) => return Err(error),
                    Ok(plan) => planned.push(Ok(plan)),
                }
            }
            Ok(planned)
        };
        let has_delayed = ready.iter().flat_map(|one| &one.jobs).any(|(job, _)| !job.delay.is_zero());
        let planned = if has_delayed { self.tables.write(work) } else { self.tables.note(work) }?;
        let kept = ready.iter().zip(&planned).filter(|(_, plan)| plan.is_ok()).flat_map(|(one, _)| &one.jobs);
        self.note_published(kept.map(|(job, _)| job));
        Ok(planned)
    }

    /// Decides before it writes: a request that is refused leaves nothing.
    fn plan(
        &self,
        tx: &mut Tx<'_>,
        jobs: &[(NewJob, Lane)],
        room: Option<&mut Room>,
        now: Timestamp,
    ) -> Result<(Vec<Published>, Vec<Outgoing>), QueueError> {
        let mut plans = Vec::with_capacity(jobs.len());
        let (mut ids, mut keys) = (HashSet::new(), HashSet::new());
        for (job, _) in jobs {
            let plan = match jobs::find(tx, job.id.as_str())? {
                _ if ids.contains(job.id.as_str()) => Plan::Known,
                Some(row) if row.state == State::Sending => Plan::Again { tag: row.tag },
                Some(row) if row.state != State::Ended => Plan::Known,
                row => match job.options.unique_key.as_deref() {
                    Some(key) if keys.contains(key) || jobs::has_unique_key(tx, key, now)? => Plan::Known,
                    _ => Plan::New { is_again: row.is_some() },
                },
            };
            if !matches!(plan, Plan::Known) {
                ids.insert(job.id.as_str());
                keys.extend(job.options.unique_key.as_deref());
            }
            plans.push(plan);
        }
        if let Some(room) = room {
            let new =
                jobs.iter().zip(&plans).filter(|(_, plan)| matches!(plan, Plan::New { .. })).map(|((job, _), _)| job);
            room.take(new)?;
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
        let (parcel, messages) = self.pack(open, outgoing);
        let said = if messages.is_empty() { Vec::new() } else { self.link.send(open, messages) };
        let mut settled = Settled::default();
        let results = self.read_answers(open, parcel, said, &mut settled);
        self.note_settled(&settled);
        results
    }

    /// Sees to it that there are queues for messages; those that have one go.
    fn pack(&self, open: &Arc<Open>, outgoing: Vec<Outgoing>) -> (Parcel, Vec<(Arc<str>, Message)>) {
        let mut declared: HashMap<Arc<str>, Option<QueueError>> = HashMap::new();
        let mut coming: BTreeMap<Arc<str>, u64> = BTreeMap::new();
        let mut messages = Vec::with_capacity(outgoing.len());
        let mut parcel = Parcel { results: Vec::with_capacity(outgoing.len()), names: Vec::new() };
        for Outgoing { id, tag, lane, message } in outgoing {
            let declaring =
                declared.entry(lane.name.clone()).or_insert_with(|| self.link.declare(open, &lane).err()).as_ref();
            parcel.results.push(declaring.map_or(Ok(()), |error| Err(copy_of(error))));
            if declaring.is_none() {
                *coming.entry(lane.name.clone()).or_default() += 1;
                parcel.names.push((parcel.results.len() - 1, id, tag, lane.name.clone()));
                messages.push((lane.name, message));
            }
        }
        coming.iter().for_each(|(lane, count)| lock(&self.streams).expect(lane, *count));
        (parcel, messages)
    }

    /// Sorts what the server said of the messages of a parcel. What it said nothing of ends the connection.
    fn read_answers(
        &self,
        open: &Arc<Open>,
        Parcel { mut results, names }: Parcel,
        said: Vec<Option<Said>>,
        settled: &mut Settled,
    ) -> Vec<Result<(), QueueError>> {
        // While an alarm is on nothing is confirmed, and what waits to be sent is sent after it.
        if said.contains(&None) && open.alarm().is_none() {
            self.link.end(open.epoch);
        }
        let now = self.clock.now();
        for ((index, id, tag, lane), said) in names.into_iter().zip(said) {
            let unreachable =
                |why: &str| QueueError::Unreachable { broker: self.link.name().to_owned(), why: why.to_owned() };
            let problem = match said {
                Some(Said::Kept) => {
                    settled.kept.push(Confirmed { id, tag, at: now });
                    continue;
                }
                Some(Said::Refused) => {
                    settled.refused.push((id, tag));
                    QueueError::Unwritable { why: format!("{} refused the message", self.link.name()) }
                }
                Some(Said::Unroutable) => {
                    self.link.forget_declared(open, &lane);
                    unreachable("the queue had been deleted; it is declared again")
                }
                None => unreachable("it did not confirm in time"),
            };
            lock(&self.streams).expect_no_more(&lane);
            results[index] = Err(problem);
        }
        results
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
            let due = self.tables.note(|tx| messages::take_due(tx, now, DUE_MAX))?;
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
            let text = celery::rewrite(&one.body, &edit).map_or(Cow::Borrowed(&one.body[..]), Cow::Owned);
            let Some(message) = Message::of_text(&text) else {
                self.bury_damaged(one, taken_at)?;
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
        if let Some(open) = self.link.if_open().filter(|open| open.alarm().is_none()) {
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

fn note_in(tx: &mut Tx<'_>, Settled { kept, refused }: &Settled) -> Result<(), QueueError> {
    jobs::confirm(tx, kept)?;
    refused.iter().try_for_each(|(id, tag)| jobs::refuse(tx, id, tag))
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
