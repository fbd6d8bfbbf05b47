//! How runs end. What is to happen is written down as operations; one script checks the fence of each lease and does them in
//! the same step in which the message leaves the server's books.

use super::leases::{Held, SEPARATOR};
use super::letters::{Letter, since_of};
use super::link::lock;
use super::publish::{lane_of, new_tag, step_of};
use super::restore::{Blame, Verdict};
use super::scripts::Script;
use super::{ID_KEPT, Shared, Words, seconds, time};
use crate::call::Call;
use crate::celery::{self, Edit, Meta, Parent, Received, Sent};
use crate::job::RESULT_KEPT;
use crate::{DeadReason, Finish, LeaseId, NewJob, PRIORITY_DEFAULT, QueueError};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::time::Duration;
use stdx::Timestamp;

/// Ends of one call of a script.
const CALL_MAX: usize = 1_000;

/// What happens to a message that leaves the books.
#[derive(Default)]
pub(super) struct Operations {
    count: usize,
    words: Vec<Vec<u8>>,
}

impl Operations {
    fn add<const N: usize>(&mut self, operation: [Vec<u8>; N]) {
        self.count += 1;
        self.words.push(N.to_string().into());
        self.words.extend(operation);
    }

    /// A command of the server's.
    pub fn call<const N: usize>(&mut self, command: [&[u8]; N]) {
        self.count += 1;
        self.words.push((N + 1).to_string().into());
        self.words.push(b"CALL".to_vec());
        self.words.extend(command.map(<[u8]>::to_vec));
    }

    pub fn push_to(self, words: &mut Words) {
        words.push(self.count.to_string());
        words.0.extend(self.words);
    }
}

/// Who asks for ends: of a holder that does not have the lease any more nothing is left in the books, one that renewed it
/// while another process meant to free it keeps it.
#[derive(Clone, Copy)]
pub(super) enum Asker {
    Holder,
    Other,
}

/// What could not be ended, by place.
pub(super) struct Unended {
    pub lost: Vec<usize>,
    /// A key that they need is of another type: somebody else uses its name.
    pub foul: Vec<usize>,
}

/// A value for whoever asks; what a run without one leaves.
const NOTHING: Value = Value::Null;

impl Shared {
    pub(super) fn finish(&self, finished: Vec<(LeaseId, Finish)>) -> Result<Vec<LeaseId>, QueueError> {
        let mut lost = Vec::new();
        let mut seen = HashSet::new();
        let mut foul = 0;
        let mut rest = finished.into_iter().peekable();
        while rest.peek().is_some() {
            let mut ends = Vec::new();
            for (lease, finish) in rest.by_ref().take(CALL_MAX) {
                let held = lock(&self.leases).get(lease).filter(|_| seen.insert(lease));
                match held {
                    Some(held) => ends.push((lease, held, finish)),
                    None => lost.push(lease),
                }
            }
            foul += self.end_leases(ends, &mut lost)?;
        }
        self.ended.notify_all();
        self.check_foul(foul)?;
        Ok(lost)
    }

    /// Fails if ends met keys of somebody else's.
    pub(super) fn check_foul(&self, foul: usize) -> Result<(), QueueError> {
        if foul == 0 {
            return Ok(());
        }
        let why = format!("{foul} runs not ended: keys that they need are of another type");
        Err(QueueError::Refused { broker: self.link.name().to_owned(), why })
    }

    /// Returns how many could not be ended.
    fn end_leases(&self, ends: Vec<(LeaseId, Held, Finish)>, lost: &mut Vec<LeaseId>) -> Result<usize, QueueError> {
        if ends.is_empty() {
            return Ok(0);
        }
        // Delays and results need no more than this process's clock.
        let now = self.clock.now();
        let mut words = self.words_of_ends(&self.session, Asker::Holder);
        let mut leases = Vec::with_capacity(ends.len());
        for (lease, held, finish) in ends {
            // An extension may be under way: its score was noted before it was sent. None begins from here on.
            let held = lock(&self.leases).end(lease).unwrap_or(held);
            self.push_end(&mut words, &held, self.operations_of(&held, finish, now));
            leases.push(lease);
        }
        let ended = self.run_ends(&words);
        let mut all = lock(&self.leases);
        if ended.is_err() {
            leases.iter().for_each(|lease| all.goes_on(*lease));
        }
        let Unended { lost: gone, foul } = ended?;
        for (place, lease) in leases.iter().enumerate() {
            if foul.contains(&place) { all.goes_on(*lease) } else { all.remove(*lease) }
        }
        lost.extend(gone.into_iter().filter_map(|place| leases.get(place)));
        Ok(foul.len())
    }

    /// Begins the words of the script that ends leases of a session.
    pub(super) fn words_of_ends(&self, session: &str, asker: Asker) -> Words {
        let is_holder = match asker {
            Asker::Holder => "1",
            Asker::Other => "0",
        };
        self.words().with(session).with(is_holder)
    }

    /// Adds one message with its fence.
    pub(super) fn push_end(&self, words: &mut Words, held: &Held, operations: Operations) {
        words.push(held.tag.as_str());
        words.push(held.member());
        held.push_scores(words);
        operations.push_to(words);
    }

    /// Runs the script. Chords that became whole are sent.
    pub(super) fn run_ends(&self, words: &Words) -> Result<Unended, QueueError> {
        let (lost, whole, foul, unsent): (Vec<usize>, Vec<String>, Vec<usize>, u64) =
            self.link.run(Script::Finish, &words.0)?;
        if unsent > 0 {
            tracing::error!(jobs = unsent, "jobs that follow calls not sent: their queues' keys are of another type");
        }
        for key in whole {
            if let Err(error) = self.send_chord(&key) {
                tracing::warn!(error = %error, "body of a chord not sent, tried again at the next upkeep");
            }
        }
        Ok(Unended { lost, foul })
    }

    fn operations_of(&self, held: &Held, finish: Finish, now: Timestamp) -> Operations {
        let mut operations = Operations::default();
        let job = held.job.as_deref();
        match finish {
            Finish::Done => self.succeed(&mut operations, held, &NOTHING, now),
            Finish::Returned { value } => self.succeed(&mut operations, held, &value, now),
            Finish::Retry { after, error } => {
                tracing::debug!(error, "job will be tried again");
                if let Some(job) = job.filter(|job| job.options.keeps_result) {
                    self.keep_result(&mut operations, job, &Meta::Retry(&error), now);
                }
                let retries = Some(job.map_or(1, |job| job.attempt));
                let edit = Edit { retries, ..Edit::default() };
                let message = celery::rewrite(&held.message, &edit).unwrap_or_else(|| held.message.to_vec());
                self.seat(&mut operations, held, &message, after, "LPUSH", now);
            }
            Finish::GiveBack { after } => self.seat(&mut operations, held, &held.message, after, "RPUSH", now),
            Finish::Park => self.park(&mut operations, held, now),
            Finish::Dead { reason, error } => self.fail(&mut operations, held, reason, &error, now),
            Finish::Died { reason, error } => {
                self.died(&mut operations, held, Blame::Alone, &Verdict { reason, error: &error }, now);
            }
        }
        operations
    }

    /// Puts a message back: aside until its time, or into its list.
    fn seat(&self, into: &mut Operations, held: &Held, message: &[u8], after: Duration, end: &str, now: Timestamp) {
        if after.is_zero() {
            let list = format!("{}{}{}", self.config.prefix, held.queue, held.seat);
            into.call([end.as_bytes(), list.as_bytes(), message]);
            return;
        }
        let due = seconds(now.plus(after));
        let (room, delayed) = (self.key(&format!("room:{}", held.queue)), self.key(&format!("delayed:{}", held.queue)));
        into.call([b"HSET", room.as_bytes(), held.tag.as_bytes(), &aside(&held.seat, message)]);
        into.call([b"ZADD", delayed.as_bytes(), due.as_bytes(), held.tag.as_bytes()]);
        if let Some(job) = held.job.as_deref() {
            let id_key = self.key(&format!("id:{}", job.id));
            let kept = (ID_KEPT + after).as_secs().to_string();
            into.call([b"EXPIRE", id_key.as_bytes(), kept.as_bytes()]);
            if let Some(key) = &job.options.unique_key {
                into.call([b"EXPIRE", self.key(&format!("unique:{key}")).as_bytes(), kept.as_bytes()]);
            }
        }
    }

    fn park(&self, into: &mut Operations, held: &Held, now: Timestamp) {
        let task = held.job.as_deref().map_or("", |job| &job.task);
        let field = format!("{}{SEPARATOR}{task}", held.queue);
        let room = self.key(&format!("room:{}", held.queue));
        let since = seconds(now);
        into.call([b"HSET", room.as_bytes(), held.tag.as_bytes(), &aside(&held.seat, &held.message)]);
        into.call([b"ZADD", self.key(&format!("parked:{field}")).as_bytes(), since.as_bytes(), held.tag.as_bytes()]);
        into.call([b"HSETNX", self.key("parked").as_bytes(), field.as_bytes(), since.as_bytes()]);
    }

    /// A job is over: its id and its unique key are free.
    fn forget(&self, into: &mut Operations, job: &Received) {
        let id_key = self.key(&format!("id:{}", job.id)).into_bytes();
        match &job.options.unique_key {
            None => into.add([b"DEL".to_vec(), id_key]),
            Some(key) => into.add([b"DEL".to_vec(), id_key, self.key(&format!("unique:{key}")).into_bytes()]),
        }
    }

    fn succeed(&self, into: &mut Operations, held: &Held, value: &Value, now: Timestamp) {
        let Some(job) = held.job.as_deref() else { return };
        self.forget(into, job);
        if job.options.is_call {
            let call = Call::parse(&job.payload).unwrap_or_default();
            let parent = self.parent(held, job, now);
            self.send(into, celery::after_success(&parent, &call, value), now);
            self.end_part(into, held, job, &call, &Meta::Success(value));
        }
        if job.options.keeps_result {
            self.keep_result(into, job, &Meta::Success(value), now);
        }
    }

    pub(super) fn fail(&self, into: &mut Operations, held: &Held, reason: DeadReason, error: &str, now: Timestamp) {
        self.bury(into, held, reason, error, now);
        let Some(job) = held.job.as_deref() else { return };
        self.forget(into, job);
        let meta = match reason {
            DeadReason::Expired | DeadReason::Revoked => Meta::Revoked(error),
            DeadReason::Attempts
            | DeadReason::Poison
            | DeadReason::Rejected
            | DeadReason::Damaged
            | DeadReason::Crashed
            | DeadReason::MemoryLimit
            | DeadReason::TimeLimit => Meta::Failure(error),
        };
        if job.options.is_call {
            let call = Call::parse(&job.payload).unwrap_or_default();
            let parent = self.parent(held, job, now);
            self.send(into, celery::after_failure(&parent, call.embed.errbacks.as_ref()), now);
            for step in celery::errors_of_chain(&call.embed) {
                let text = Meta::Failure(error).to_text(&step.id, None, now);
                self.add_result(into, &step.id, text);
            }
            self.end_part(into, held, job, &call, &meta);
        }
        if job.options.keeps_result {
            self.keep_result(into, job, &meta, now);
        }
    }

    pub(super) fn bury(&self, into: &mut Operations, held: &Held, reason: DeadReason, error: &str, now: Timestamp) {
        let letter = Letter::of(held, reason, error, now);
        let (id, queue) = (letter.letter.id.clone(), letter.letter.queue.clone());
        let since = since_of(&letter.letter);
        into.add([b"BURY".to_vec(), id.into(), queue.into(), letter.to_text(), since.into()]);
    }

    fn parent<'a>(&self, held: &'a Held, job: &'a Received, now: Timestamp) -> Parent<'a> {
        let headers = job.options.headers.as_deref();
        Parent { id: job.id.as_str(), queue: &held.queue, priority: PRIORITY_DEFAULT, headers, now }
    }

    /// Publishes what follows, in the same step as the end that it follows.
    fn send(&self, into: &mut Operations, sent: Vec<Sent>, now: Timestamp) {
        for Sent(job) in sent {
            if super::publish::check_lengths(&job).is_err() {
                tracing::error!(task = &*job.task, "a job that follows a call has a name beyond its bound, not sent");
                continue;
            }
            let (list, message) = self.letter_for(&job, now);
            if job.delay.is_zero() {
                into.add([b"SEND".to_vec(), list.into_bytes(), message]);
            } else {
                let seat = list[self.config.prefix.len() + job.queue.len()..].to_owned();
                let tag = new_tag(now);
                let held = Held {
                    tag,
                    queue: job.queue.clone(),
                    seat,
                    scores: Vec::new(),
                    message: message.into(),
                    job: None,
                };
                self.seat(into, &held, &held.message, job.delay, "LPUSH", now);
            }
            into.call([b"SADD", self.key("queues").as_bytes(), job.queue.as_bytes()]);
        }
    }

    /// Returns the list that a job belongs into, and its message.
    pub(super) fn letter_for(&self, job: &NewJob, now: Timestamp) -> (String, Vec<u8>) {
        let message = celery::encode(job, &new_tag(now), &self.origin, now);
        let seat = lane_of(job.fairness_key) + &step_of(job.priority);
        (format!("{}{}{seat}", self.config.prefix, job.queue), message)
    }

    fn end_part(&self, into: &mut Operations, held: &Held, job: &Received, call: &Call, meta: &Meta<'_>) {
        let (Some(body), Some(group)) = (&call.embed.chord, &job.group) else { return };
        let key = self.result_key("celery-taskset-meta-", group);
        // A client that does not say it here writes it beside the parts, before it sends the last of them.
        let size = body["chord_size"].as_u64().map_or_else(String::new, |size| size.to_string());
        let whole = json!({"body": body, "queue": &*held.queue, "parent": job.id.as_str()});
        into.add([
            b"CHORD".to_vec(),
            key.into(),
            job.group_index.unwrap_or(0).to_string().into(),
            celery::chord_part(job.id.as_str(), meta).into(),
            size.into(),
            whole.to_string().into(),
        ]);
    }

    fn keep_result(&self, into: &mut Operations, job: &Received, meta: &Meta<'_>, now: Timestamp) {
        self.add_result(into, job.id.as_str(), meta.to_text(job.id.as_str(), job.group.as_deref(), now));
    }

    fn add_result(&self, into: &mut Operations, id: &str, text: Vec<u8>) {
        let key = self.result_key("celery-task-meta-", id);
        into.add([b"RESULT".to_vec(), key.into(), RESULT_KEPT.as_secs().to_string().into(), text]);
    }

    /// A key of Celery's result backend, which ends a prefix by itself where kombu does not.
    pub(super) fn result_key(&self, kind: &str, id: &str) -> String {
        let prefix = &self.config.prefix;
        let gap = if prefix.is_empty() || prefix.ends_with([':', '_', '-', '.']) { "" } else { "_" };
        format!("{prefix}{gap}{kind}{id}")
    }

    /// Sends the body of a chord whose parts have all ended, or its failure. Done again it does nothing: the script that
    /// pushes the body is the one that forgets the chord.
    pub(super) fn send_chord(&self, key: &str) -> Result<(), QueueError> {
        let chords = self.key("chords");
        let (text, parts): (Option<String>, Vec<Vec<u8>>) = self.link.with(|open| {
            let mut pipeline = redis::pipe();
            pipeline.cmd("HGET").arg(&chords).arg(key).cmd("ZRANGE").arg(format!("{key}.j")).arg(0).arg(-1);
            pipeline.query(&mut open.connection)
        })?;
        let Some(whole) = text.and_then(|text| serde_json::from_str::<Value>(&text).ok()) else { return Ok(()) };
        let now = self.clock.now();
        let (id, queue) = (whole["parent"].as_str().unwrap_or(""), whole["queue"].as_str().unwrap_or("celery"));
        let parent = Parent { id, queue, priority: PRIORITY_DEFAULT, headers: None, now };
        let body = &whole["body"];
        let values: Result<Vec<Value>, String> = parts.iter().map(|part| celery::read_chord_part(part)).collect();
        let sent = match values {
            Ok(values) => celery::chord_body(&parent, body, values),
            Err(error) => {
                self.fail_body(body, &error, now)?;
                let errbacks = body["options"]["link_error"].as_array();
                let id = body["options"]["task_id"].as_str().unwrap_or(id);
                celery::after_failure(&Parent { id, ..parent }, errbacks)
            }
        };
        let mut words = self.words().with(key);
        for Sent(job) in sent {
            let (list, message) = self.letter_for(&job, now);
            words.push(list);
            words.push(message);
        }
        self.link.run::<u64>(Script::Chord, &words.0).map(drop)
    }

    fn fail_body(&self, body: &Value, error: &str, now: Timestamp) -> Result<(), QueueError> {
        let Some(id) = body["options"]["task_id"].as_str() else { return Ok(()) };
        let (key, text) = (self.result_key("celery-task-meta-", id), Meta::Failure(error).to_text(id, None, now));
        self.link.with(|open| {
            let mut pipeline = redis::pipe();
            pipeline.atomic().cmd("SETEX").arg(&key).arg(RESULT_KEPT.as_secs()).arg(&text).ignore();
            pipeline.cmd("PUBLISH").arg(&key).arg(&text).ignore();
            pipeline.exec(&mut open.connection)
        })
    }
}

/// How a message waits aside: where it goes, and itself.
fn aside(seat: &str, message: &[u8]) -> Vec<u8> {
    [seat.as_bytes(), b"\n", message].concat()
}

/// Whether a score is later than a time; for sweeps.
pub(super) fn is_before(score: &str, limit: Timestamp) -> bool {
    time(score) <= limit
}
