//! How runs end: what becomes of the row, the message, the result and what follows, in one transaction of the ledger; after
//! it RabbitMQ may forget the message.

use super::desk::Entry;
use super::lanes::Lane;
use super::leases::{Blame, Held};
use super::link::lock;
use super::tables::jobs::{self, Next, State};
use super::tables::leaving;
use super::tables::letters::{self, Letter};
use super::tables::messages::{self, Due};
use super::tables::rows;
use super::wire::{self, Message};
use super::{POISON_DEATHS, Shared};
use crate::broker::DeadLetter;
use crate::call::Call;
use crate::celery::{self, Edit, Meta, Parent, Sent, Undecodable};
use crate::{DeadReason, Finish, JobId, LeaseId, NewJob, PRIORITY_DEFAULT, QueueError};
use db::Tx;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use stdx::Timestamp;

/// Bytes of an error's text that are kept.
const ERROR_BYTES_MAX: usize = 8 << 10;
/// A value for whoever asks; what a run without one leaves.
const NOTHING: Value = Value::Null;

/// Why a message of the ledger's own stops.
const DAMAGED: &str = "the ledger kept its message, and cannot read it any more";

/// What is to be done with the delivery after an end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum After {
    Acknowledge,
    /// The job is ready again, and the message is still ours: in its place, or behind the others.
    PutBack {
        is_last: bool,
    },
}

/// One end, with all that needed the broker before the ledger is locked.
struct End {
    lease: LeaseId,
    held: Held,
    finish: Finish,
    /// The connection that brought the message is there, and RabbitMQ has it.
    is_live: bool,
    /// What follows the job, and where it goes.
    followers: Vec<(NewJob, Lane)>,
}

impl Shared {
    pub(super) fn finish(&self, finished: Vec<(LeaseId, Finish)>) -> Result<Vec<LeaseId>, QueueError> {
        let mut lost = Vec::new();
        let mut taken = Vec::with_capacity(finished.len());
        {
            let mut leases = lock(&self.leases);
            for (lease, finish) in finished {
                match leases.begin_end(lease) {
                    Some(held) => taken.push((lease, held, finish)),
                    None => lost.push(lease),
                }
            }
        }
        let leases: Vec<LeaseId> = taken.iter().map(|(lease, ..)| *lease).collect();
        let ended = self.finish_held(taken);
        if ended.is_err() {
            let mut all = lock(&self.leases);
            leases.into_iter().for_each(|lease| all.abort_end(lease));
        }
        self.arrived.notify_all();
        lost.extend(ended?);
        Ok(lost)
    }

    /// Ends leases whose end the caller has taken upon itself. Returns those that were lost. An end of which it cannot be
    /// known where its followers go fails by itself: the others come about.
    pub(super) fn finish_held(&self, taken: Vec<(LeaseId, Held, Finish)>) -> Result<Vec<LeaseId>, QueueError> {
        let now = self.clock.now();
        let mut ends = Vec::with_capacity(taken.len());
        let mut failed = None;
        for (lease, held, finish) in taken {
            let (held, finish) = judged(held, finish);
            let is_live = !held.is_kept && self.is_live(&held.entry.ticket);
            match self.followers(&held, &finish, now) {
                Ok(followers) => ends.push(End { lease, held, finish, is_live, followers }),
                Err(error) => failed = Some(error),
            }
        }
        let lost = if ends.is_empty() { Vec::new() } else { self.end_all(ends, now)? };
        failed.map_or(Ok(lost), Err)
    }

    fn end_all(&self, ends: Vec<End>, now: Timestamp) -> Result<Vec<LeaseId>, QueueError> {
        let work = |tx: &mut Tx<'_>| ends.iter().map(|end| self.end(tx, end, now)).collect::<Result<Vec<_>, _>>();
        // What a message can tell again needs no disk; what is nowhere else afterwards does.
        let done =
            if ends.iter().all(End::is_forgettable) { self.tables.note(work)? } else { self.tables.write(work)? };
        let (mut lost, mut tickets, mut back, mut replies) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let must_send = ends.iter().any(End::leaves_due);
        for (end, after) in ends.into_iter().zip(done) {
            lock(&self.leases).remove(end.lease);
            let reply = self.replies_of(&end, now);
            let End { lease, held: Held { entry, deaths, .. }, is_live, .. } = end;
            match after {
                None => {
                    lost.push(lease);
                    // Whoever has the lease now needs the message.
                    if is_live {
                        self.give_back(vec![entry.ticket]);
                    }
                }
                Some(After::PutBack { is_last }) => back.push((Entry { deaths, ..entry }, is_last)),
                Some(After::Acknowledge) => {
                    replies.extend(reply);
                    if is_live {
                        tickets.push(entry.ticket);
                    }
                }
            }
        }
        self.acknowledge(tickets);
        self.put_back(back);
        self.send_replies(replies);
        if must_send && let Err(error) = self.send_due() {
            tracing::warn!(error = %error, "jobs not sent yet, the next upkeep sends them");
        }
        Ok(lost)
    }

    fn put_back(&self, entries: Vec<(Entry, bool)>) {
        let mut desk = lock(&self.desk);
        for (entry, is_last) in entries {
            let order = if is_last { desk.next_order() } else { entry.order };
            desk.put(Entry { order, ..entry });
        }
    }

    /// Returns `None` if the lease was lost.
    fn end(&self, tx: &mut Tx<'_>, end: &End, now: Timestamp) -> Result<Option<After>, QueueError> {
        let held = &end.held;
        let done = match &end.finish {
            Finish::Done => end_job(tx, end, now)?.then_some(Meta::Success(&NOTHING)),
            Finish::Returned { value } => end_job(tx, end, now)?.then_some(Meta::Success(value)),
            Finish::Dead { reason, error } => {
                let fairness_key = jobs::fairness_key(tx, held.job.id.as_str())?;
                let is_ours = end_job(tx, end, now)?;
                if is_ours {
                    let letter = Letter { fairness_key, ..letter_of(held, *reason, error, now) };
                    letters::keep(tx, &letter)?;
                    self.fail_chain(tx, held, error, now)?;
                }
                is_ours.then(|| meta_of(*reason, error))
            }
            Finish::Retry { after, error } => {
                tracing::debug!(error, "job will be tried again");
                return match put_off(tx, end, *after, now)? {
                    None => Ok(None),
                    after => {
                        keep_result(tx, held, &Meta::Retry(error), now)?;
                        Ok(after)
                    }
                };
            }
            Finish::GiveBack { after } => return put_off(tx, end, *after, now),
            Finish::Died { .. } => return put_off(tx, end, Duration::ZERO, now),
            Finish::Park => return park(tx, end, now),
        };
        let Some(meta) = done else { return Ok(None) };
        keep_result(tx, held, &meta, now)?;
        for (job, lane) in &end.followers {
            self.keep_delayed(tx, job, lane, now)?;
        }
        Ok(Some(After::Acknowledge))
    }

    /// Steps that will never run have results too.
    fn fail_chain(&self, tx: &mut Tx<'_>, held: &Held, error: &str, now: Timestamp) -> Result<(), QueueError> {
        if !held.job.options.is_call {
            return Ok(());
        }
        let call = Call::parse(&held.job.payload).unwrap_or_default();
        for step in celery::errors_of_chain(&call.embed) {
            rows::keep_result(tx, &step.id, &Meta::Failure(error).to_text(&step.id, None, now), now)?;
        }
        Ok(())
    }

    /// Callbacks and the next step of a chain. A chord has none: without a backend that counts its parts Celery refuses it
    /// on RabbitMQ too.
    fn followers(&self, held: &Held, finish: &Finish, now: Timestamp) -> Result<Vec<(NewJob, Lane)>, QueueError> {
        let job = &held.job;
        if !job.options.is_call {
            return Ok(Vec::new());
        }
        let headers = job.options.headers.as_deref();
        let parent = Parent { id: job.id.as_str(), queue: &held.entry.queue, priority: PRIORITY_DEFAULT, headers, now };
        let call = || Call::parse(&job.payload).unwrap_or_default();
        let sent = match finish {
            Finish::Done => celery::after_success(&parent, &call(), &NOTHING),
            Finish::Returned { value } => celery::after_success(&parent, &call(), value),
            Finish::Dead { .. } => celery::after_failure(&parent, call().embed.errbacks.as_ref()),
            Finish::Retry { .. } | Finish::GiveBack { .. } | Finish::Died { .. } | Finish::Park => Vec::new(),
        };
        let mut followers = Vec::with_capacity(sent.len());
        for Sent(job) in sent {
            if super::super::redis::check_lengths(&job).is_err() {
                tracing::error!(task = &*job.task, "a job that follows a call has a name beyond its bound, not sent");
                continue;
            }
            match self.lane_of(&job) {
                Ok(lane) => followers.push((job, lane)),
                Err(error) if self.is_final(&error) => {
                    tracing::error!(task = &*job.task, error = %error, "a job that follows a call has no place, not sent");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(followers)
    }

    /// Whether a job would never get a place, however often it is asked for: it must not keep the job before it from ending.
    fn is_final(&self, error: &QueueError) -> bool {
        match error {
            QueueError::Full { .. } | QueueError::IdTooLong { .. } => true,
            // The ledger's refusals may pass.
            QueueError::Refused { broker, .. } => broker == self.link.name(),
            QueueError::Unreachable { .. }
            | QueueError::Unwritable { .. }
            | QueueError::SpoolUnwritable { .. }
            | QueueError::Owned { .. }
            | QueueError::Files { .. }
            | QueueError::Newer { .. }
            | QueueError::Lives { .. }
            | QueueError::Unaccounted { .. }
            | QueueError::Closed => false,
        }
    }

    /// Results for clients that wait for them, as Celery's rpc backend does: of a job, and of steps that its failure ended.
    fn replies_of(&self, end: &End, now: Timestamp) -> Vec<(Arc<str>, Message)> {
        let job = &end.held.job;
        let mut replies = Vec::new();
        if !job.options.is_call {
            return replies;
        }
        let meta = match &end.finish {
            Finish::Done => Meta::Success(&NOTHING),
            Finish::Returned { value } => Meta::Success(value),
            Finish::Dead { reason, error } => {
                let call = Call::parse(&job.payload).unwrap_or_default();
                for step in celery::errors_of_chain(&call.embed) {
                    let text = Meta::Failure(error).to_text(&step.id, None, now);
                    replies.extend(step.reply_to.map(|to| (to.into(), wire::reply(&step.id, text))));
                }
                meta_of(*reason, error)
            }
            Finish::Retry { .. } | Finish::GiveBack { .. } | Finish::Died { .. } | Finish::Park => return replies,
        };
        // What was called from here is in the ledger already.
        let reply_to = end.held.entry.message.reply_to().filter(|to| *to != self.replies_queue());
        if let Some(reply_to) = reply_to.filter(|_| job.options.keeps_result) {
            let id = job.id.as_str();
            replies.push((reply_to.into(), wire::reply(id, meta.to_text(id, job.group.as_deref(), now))));
        }
        replies
    }

    /// What cannot be read becomes a dead letter, of which only the fact and what could be read is kept. Where that fails
    /// the message goes back: what was claimed beside it runs all the same.
    pub(super) fn bury_unreadable(&self, entries: Vec<Entry>) {
        let now = self.clock.now();
        let (mut done, mut back) = (Vec::new(), Vec::new());
        for entry in entries {
            let Err(rest) = &entry.job else { continue };
            tracing::warn!(queue = &*entry.queue, why = rest.why, "message not understood, it became a dead letter");
            let letter = letter_of_unreadable(&entry, rest, now);
            match self.tables.write(|tx| letters::keep(tx, &letter)) {
                Ok(()) => done.push(entry.ticket),
                Err(error) => {
                    tracing::warn!(error = %error, "a message that cannot be read not put aside, it goes back");
                    back.push(entry.ticket);
                }
            }
        }
        self.acknowledge(done);
        self.give_back(back);
    }

    /// A message of the ledger's own that it does not give back becomes a dead letter, bytes and all.
    pub(super) fn bury_damaged(&self, due: Due, now: Timestamp) -> Result<(), QueueError> {
        tracing::error!(job = due.id, "a message that the ledger kept cannot be read, it became a dead letter");
        self.tables.write(|tx| {
            let Some(row) = jobs::find(tx, &due.id)?.filter(|row| row.tag == due.tag) else { return Ok(()) };
            let letter = DeadLetter {
                task: jobs::task(tx, &due.id)?,
                id: due.id,
                queue: due.queue,
                reason: DeadReason::Damaged.as_str().to_owned(),
                attempts: row.attempts,
                deaths: row.deaths,
                error: DAMAGED.to_owned(),
                at: now,
                enqueued_at: row.enqueued_at,
            };
            let fairness_key = jobs::fairness_key(tx, &row.id)?;
            letters::keep(tx, &Letter { letter, lane: due.lane, seat: due.seat, fairness_key, body: Some(due.body) })?;
            leaving::leave(tx, &[&row.id], now).map(drop)
        })
    }
}

fn letter_of_unreadable(entry: &Entry, rest: &Undecodable, now: Timestamp) -> Letter {
    let id = rest.id.as_deref().filter(|id| id.len() <= JobId::BYTES_MAX).unwrap_or(&entry.tag);
    Letter {
        letter: DeadLetter {
            id: id.to_owned(),
            queue: entry.queue.to_string(),
            task: rest.task.clone().unwrap_or_default(),
            reason: DeadReason::Rejected.as_str().to_owned(),
            attempts: 0,
            deaths: 0,
            error: cut(&rest.why),
            at: now,
            enqueued_at: now,
        },
        lane: entry.lane.to_string(),
        seat: entry.seat,
        fairness_key: 0,
        body: None,
    }
}

impl End {
    /// Whether a power cut may take the end: then the message comes again.
    fn is_forgettable(&self) -> bool {
        let is_plain = self.followers.is_empty() && !self.held.job.options.keeps_result;
        match &self.finish {
            Finish::Done | Finish::Returned { .. } => is_plain,
            Finish::Retry { after, .. } | Finish::GiveBack { after } => is_plain && self.is_live && after.is_zero(),
            Finish::Died { .. } => is_plain && self.is_live,
            Finish::Park | Finish::Dead { .. } => false,
        }
    }

    /// Whether it leaves something in the ledger that is to be sent now.
    fn leaves_due(&self) -> bool {
        let goes_again = match &self.finish {
            Finish::Retry { after, .. } | Finish::GiveBack { after } => !self.is_live && after.is_zero(),
            Finish::Died { .. } => !self.is_live,
            Finish::Done | Finish::Returned { .. } | Finish::Park | Finish::Dead { .. } => false,
        };
        goes_again || !self.followers.is_empty()
    }

    fn number(&self) -> i64 {
        self.lease.0.cast_signed()
    }
}

/// A death that was seen counts; one too many is the end, with its own reason.
fn judged(held: Held, finish: Finish) -> (Held, Finish) {
    match finish {
        Finish::Died { reason, error } => {
            let held = Held { deaths: Blame::Alone.added_to(held.deaths), ..held };
            let is_over = held.deaths.0 >= POISON_DEATHS;
            (held, if is_over { Finish::Dead { reason, error } } else { Finish::Died { reason, error } })
        }
        other => (held, other),
    }
}

fn end_job(tx: &mut Tx<'_>, end: &End, now: Timestamp) -> Result<bool, QueueError> {
    let id = end.held.job.id.as_str();
    // A message that we cannot acknowledge comes again: the name is kept so that it is known then.
    let is_ours = if end.is_live || end.held.is_kept {
        jobs::end(tx, id, end.number())?
    } else {
        jobs::end_doubtful(tx, id, end.number(), now)?
    };
    if is_ours && !end.is_live {
        messages::drop_all(tx, &[id])?;
    }
    Ok(is_ours)
}

/// Makes a job ready again, at once or later.
fn put_off(tx: &mut Tx<'_>, end: &End, after: Duration, now: Timestamp) -> Result<Option<After>, QueueError> {
    let held = &end.held;
    let is_retry = matches!(end.finish, Finish::Retry { .. });
    let stays = end.is_live && after.is_zero();
    let next = Next {
        state: if stays { State::Ready } else { State::Delayed },
        due_at: (!stays).then(|| now.plus(after)),
        gives_attempt_back: matches!(end.finish, Finish::GiveBack { .. }),
        deaths: held.deaths,
    };
    if !jobs::release(tx, held.job.id.as_str(), end.number(), &next, now)? {
        return Ok(None);
    }
    if stays {
        return Ok(Some(After::PutBack { is_last: is_retry }));
    }
    let is_spent = !matches!(end.finish, Finish::GiveBack { .. });
    keep_message(tx, held, is_spent.then_some(held.attempt), now)?;
    Ok(Some(After::Acknowledge))
}

fn park(tx: &mut Tx<'_>, end: &End, now: Timestamp) -> Result<Option<After>, QueueError> {
    let held = &end.held;
    let next = Next { state: State::Parked, due_at: None, gives_attempt_back: true, deaths: held.deaths };
    if !jobs::release(tx, held.job.id.as_str(), end.number(), &next, now)? {
        return Ok(None);
    }
    keep_message(tx, held, None, now)?;
    Ok(Some(After::Acknowledge))
}

fn keep_message(tx: &mut Tx<'_>, held: &Held, retries: Option<u32>, now: Timestamp) -> Result<(), QueueError> {
    let text = tagged_text(&held.entry);
    let edit = Edit { retries, ..Edit::default() };
    let text = celery::rewrite(&text, &edit).unwrap_or(text);
    messages::keep(tx, held.job.id.as_str(), &text, now)
}

/// The message with the name by which the ledger knows it, which others' messages do not carry.
fn tagged_text(entry: &Entry) -> Vec<u8> {
    let text = entry.message.to_text();
    if entry.message.tag().is_some() { text } else { celery::retagged(&text, &entry.tag).unwrap_or(text) }
}

fn keep_result(tx: &mut Tx<'_>, held: &Held, meta: &Meta<'_>, now: Timestamp) -> Result<(), QueueError> {
    if !held.job.options.keeps_result {
        return Ok(());
    }
    let id = held.job.id.as_str();
    rows::keep_result(tx, id, &meta.to_text(id, held.job.group.as_deref(), now), now)
}

fn meta_of(reason: DeadReason, error: &str) -> Meta<'_> {
    match reason {
        DeadReason::Expired | DeadReason::Revoked => Meta::Revoked(error),
        DeadReason::Attempts
        | DeadReason::Poison
        | DeadReason::Rejected
        | DeadReason::Damaged
        | DeadReason::Crashed
        | DeadReason::MemoryLimit
        | DeadReason::TimeLimit => Meta::Failure(error),
    }
}

fn letter_of(held: &Held, reason: DeadReason, error: &str, now: Timestamp) -> Letter {
    Letter {
        letter: DeadLetter {
            id: held.job.id.to_string(),
            queue: held.entry.queue.to_string(),
            task: held.job.task.to_string(),
            reason: reason.as_str().to_owned(),
            attempts: held.attempt,
            deaths: held.deaths.0.min(POISON_DEATHS),
            error: cut(error),
            at: now,
            enqueued_at: held.enqueued_at,
        },
        lane: held.entry.lane.to_string(),
        seat: held.entry.seat,
        fairness_key: 0,
        body: Some(held.entry.message.to_text()),
    }
}

fn cut(error: &str) -> String {
    error[..error.floor_char_boundary(ERROR_BYTES_MAX)].to_owned()
}
