//! What nobody else does: frees leases that ended and those of dead brokers, sends chords that were left, and makes delayed
//! jobs ready. Any process does it, one at a time; everything is fenced, so that two would do no harm.

use super::finish::{Asker, Operations, Unended, is_before};
use super::leases::{Held, SEPARATOR};
use super::link::lock;
use super::scripts::Script;
use super::{Shared, seconds, time};
use crate::broker::WORKER_DEAD_AFTER;
use crate::celery::{self, Edit};
use crate::{DeadReason, QueueError};
use redis::Value;
use serde_json::value::RawValue;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use stdx::Timestamp;

/// Deaths of its worker while a job ran alone, after which it stops.
const POISON_DEATHS: u32 = 3;
/// Messages of one call.
const BATCH_MAX: usize = 100;
/// Calls of one upkeep for one session: what is left is for the next.
const BATCHES_MAX: usize = 100;
/// Rounds of 200 delayed jobs for each queue.
const PROMOTE_ROUNDS: usize = 20;
/// So long one process may be the one; it gives the place back when it is done.
const UPKEEP_LEASE_MS: usize = 5_000;

/// What a session holds, and how it counts when it dies.
struct Lost {
    member: String,
    score: String,
    record: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Blame {
    Nobody,
    Alone,
    Company,
}

/// Why a job stops whose death was one too many.
pub(super) struct Verdict<'a> {
    pub reason: DeadReason,
    pub error: &'a str,
}

impl Shared {
    pub(super) fn upkeep(&self) -> Result<(), QueueError> {
        let token = stdx::random::hex::<8>();
        let lock = self.key("upkeep");
        if !self.take_lock(&lock, &token)? {
            return Ok(());
        }
        let done = self.keep_up();
        self.free_lock(&lock, &token)?;
        done
    }

    fn take_lock(&self, key: &str, token: &str) -> Result<bool, QueueError> {
        let taken: Option<String> = self.link.with(|open| {
            redis::cmd("SET").arg(key).arg(token).arg("NX").arg("PX").arg(UPKEEP_LEASE_MS).query(&mut open.connection)
        })?;
        Ok(taken.is_some())
    }

    fn free_lock(&self, key: &str, token: &str) -> Result<(), QueueError> {
        const FREE: &str =
            "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0";
        self.link.with(|open| redis::cmd("EVAL").arg(FREE).arg(1).arg(key).arg(token).exec(&mut open.connection))
    }

    fn keep_up(&self) -> Result<(), QueueError> {
        let words = self.words().with(PROMOTE_ROUNDS.to_string());
        let (now, sessions): (String, Vec<(String, String)>) = self.link.run(Script::Upkeep, &words.0)?;
        let now = time(&now);
        let is_hearing_again = self.is_hearing_again();
        let mut failed = None;
        for (session, heard) in sessions.into_iter().filter(|_| !is_hearing_again) {
            let is_dead = session != self.session && now.since(time(&heard)) >= WORKER_DEAD_AFTER;
            match self.free(&session, is_dead) {
                Ok(0) => {}
                Ok(freed) => tracing::warn!(jobs = freed, session, is_dead, "runs ended without a word"),
                // What one session left must not keep the jobs of another.
                Err(error) => failed = Some(error),
            }
        }
        self.renew_names()?;
        if let Some(error) = failed {
            return Err(error);
        }
        let whole: Vec<String> =
            self.link.with(|open| redis::cmd("HKEYS").arg(self.key("chords")).query(&mut open.connection))?;
        for key in whole {
            self.send_chord(&key)?;
        }
        if is_hearing_again { Ok(()) } else { self.sweep_as_kombu(now) }
    }

    /// Frees our own leases that ended; before a claim, so that a process by itself gets its jobs back.
    pub(super) fn free_own(&self) -> Result<(), QueueError> {
        let session = self.session.clone();
        self.free(&session, false).map(drop)
    }

    /// Puts back what a session holds: all of it if it is dead, otherwise what has ended.
    fn free(&self, session: &str, is_dead: bool) -> Result<usize, QueueError> {
        let mut freed = 0;
        let mut company = None;
        for _ in 0..BATCHES_MAX {
            let words = self.words().with(session).with(u8::from(is_dead).to_string()).with(BATCH_MAX.to_string());
            let words = words.with(WORKER_DEAD_AFTER.as_secs().to_string());
            let answer: Vec<Value> = self.link.run(Script::Held, &words.0)?;
            let (now, mark, held, lost) = read_held(answer).map_err(|error| self.link.error(&error))?;
            if lost.is_empty() {
                break;
            }
            // The first look counts: later ones see fewer because we freed the others.
            let in_company = *company.get_or_insert(held > 1);
            self.put_back(session, now, &mark, in_company, &lost)?;
            freed += lost.len();
        }
        Ok(freed)
    }

    /// Puts messages back. One of ours that we do not know was never handed out, its claim's answer was lost on the way:
    /// that is nobody's death and no attempt.
    fn put_back(
        &self,
        session: &str,
        now: Timestamp,
        mark: &str,
        in_company: bool,
        lost: &[Lost],
    ) -> Result<(), QueueError> {
        let mut words = self.words_of_ends(session, Asker::Other);
        let mut tags = Vec::with_capacity(lost.len());
        let is_own = session == self.session;
        let known = if is_own { lock(&self.leases).tags() } else { HashSet::new() };
        // The last goes first: they stand in their order again, before what came later.
        for one in lost.iter().rev() {
            let (tag, queue) = one.member.split_once(SEPARATOR).unwrap_or((&one.member, ""));
            let blame = match (mark.is_empty(), tag == mark, in_company) {
                (false, true, _) | (true, _, false) => Blame::Alone,
                (false, false, _) => Blame::Nobody,
                (true, _, true) => Blame::Company,
            };
            let held = self.held_of(tag, queue, one);
            let was_run = !is_own || known.contains(tag);
            let operations = if was_run { self.restored(&held, blame, now) } else { self.given_back(&held) };
            self.push_end(&mut words, &held, operations);
            tags.push(tag.to_owned());
        }
        let Unended { lost, foul } = self.run_ends(&words)?;
        if is_own {
            // What was renewed meanwhile goes on.
            let goes_on = |place: &usize| lost.contains(place) || foul.contains(place);
            let freed = tags.into_iter().enumerate().filter(|(place, _)| !goes_on(place));
            lock(&self.leases).forget_tags(&freed.map(|(_, tag)| tag).collect::<Vec<_>>());
        }
        self.check_foul(foul.len())
    }

    fn given_back(&self, held: &Held) -> Operations {
        let mut operations = Operations::default();
        let list = format!("{}{}{}", self.config.prefix, held.queue, held.seat);
        operations.call([b"RPUSH", list.as_bytes(), &held.message]);
        operations
    }

    /// Reads a record of kombu's, `[message, exchange, routing key]`.
    fn held_of(&self, tag: &str, queue: &str, lost: &Lost) -> Held {
        let record: Option<(Box<RawValue>, String, String)> = serde_json::from_slice(&lost.record).ok();
        let (message, route) = match record {
            Some((message, _exchange, route)) => (message.get().as_bytes().to_vec(), route),
            None => (lost.record.clone(), queue.to_owned()),
        };
        let job = celery::decode(&message).ok().map(Arc::new);
        let lane = route.strip_prefix(queue).unwrap_or_default();
        let step = celery::step_of(&message);
        let step = if step == 0 { String::new() } else { format!("{SEPARATOR}{step}") };
        Held {
            tag: tag.to_owned(),
            queue: queue.into(),
            seat: format!("{lane}{step}"),
            scores: if lost.score.is_empty() { Vec::new() } else { vec![lost.score.clone()] },
            message: message.into(),
            job,
        }
    }

    fn restored(&self, held: &Held, blame: Blame, now: Timestamp) -> Operations {
        let mut operations = Operations::default();
        let error = "WorkerLostError: its worker died while it ran alone";
        self.died(&mut operations, held, blame, &Verdict { reason: DeadReason::Poison, error }, now);
        operations
    }

    /// Puts a message back whose run has died, with the death written on it; one that died too often stops.
    pub(super) fn died(
        &self,
        operations: &mut Operations,
        held: &Held,
        blame: Blame,
        verdict: &Verdict<'_>,
        now: Timestamp,
    ) {
        let Some(job) = held.job.as_deref() else {
            return self.bury(operations, held, DeadReason::Damaged, "it cannot be read any more", now);
        };
        let deaths = match blame {
            Blame::Nobody => (job.deaths, job.company_deaths),
            Blame::Alone => (job.deaths + 1, job.company_deaths),
            Blame::Company => (job.deaths, job.company_deaths + 1),
        };
        if deaths.0 >= POISON_DEATHS {
            let mut copy = celery::decode(&held.message).ok();
            if let Some(copy) = &mut copy {
                copy.deaths = deaths.0;
            }
            let held = Held { job: copy.map(Arc::new), ..held.clone() };
            return self.fail(operations, &held, verdict.reason, verdict.error, now);
        }
        let edit = Edit { retries: Some(job.attempt), is_redelivered: true, deaths: Some(deaths), is_fresh: false };
        let message = celery::rewrite(&held.message, &edit).unwrap_or_else(|| held.message.to_vec());
        let list = format!("{}{}{}", self.config.prefix, held.queue, held.seat);
        operations.call([b"RPUSH", list.as_bytes(), &message]);
    }

    /// kombu's own rule, for what Celery's workers hold and left: after the visibility timeout it goes back. Ours never is
    /// that old, for its score is renewed. kombu's lock over the same sweep (`unacked_mutex`) is not asked for: a Python worker
    /// that is killed while it has it keeps everybody out for five minutes, and each message has its own fence, the score.
    fn sweep_as_kombu(&self, now: Timestamp) -> Result<(), QueueError> {
        let limit = now.minus(self.config.visibility_timeout);
        let index = format!("{}unacked_index", self.config.prefix);
        let old: Vec<(String, String)> = self.link.with(|open| {
            let mut command = redis::cmd("ZRANGEBYSCORE");
            command.arg(&index).arg("-inf").arg(seconds(limit)).arg("WITHSCORES").arg("LIMIT").arg(0).arg(BATCH_MAX);
            command.query(&mut open.connection)
        })?;
        if old.is_empty() {
            return Ok(());
        }
        self.sweep(&old, limit, now)
    }

    fn sweep(&self, old: &[(String, String)], limit: Timestamp, now: Timestamp) -> Result<(), QueueError> {
        let tags: Vec<&str> = old.iter().map(|(tag, _)| tag.as_str()).collect();
        let unacked = format!("{}unacked", self.config.prefix);
        let records: Vec<Option<Vec<u8>>> =
            self.link.with(|open| redis::cmd("HMGET").arg(&unacked).arg(&tags).query(&mut open.connection))?;
        let mut words = self.words_of_ends(&self.session, Asker::Other);
        for ((tag, score), record) in old.iter().zip(records).rev().filter(|((_, score), _)| is_before(score, limit)) {
            let lost = Lost { member: String::new(), score: score.clone(), record: record.unwrap_or_default() };
            let route = serde_json::from_slice::<(Box<RawValue>, String, String)>(&lost.record).ok();
            let queue = match &route {
                Some((_, exchange, route)) => self.queue_of(exchange, route)?,
                None => String::new(),
            };
            let plain = queue.split(SEPARATOR).next().unwrap_or_default();
            let held = self.held_of(tag, plain, &lost);
            let mut operations = Operations::default();
            if route.is_some() {
                let edit = Edit { is_redelivered: true, ..Edit::default() };
                let message = celery::rewrite(&held.message, &edit).unwrap_or_else(|| held.message.to_vec());
                let list = format!("{}{plain}{}", self.config.prefix, held.seat);
                operations.call([b"RPUSH", list.as_bytes(), &message]);
            } else if !lost.record.is_empty() {
                self.bury(&mut operations, &held, DeadReason::Damaged, "it cannot be read any more", now);
            }
            self.push_end(&mut words, &held, operations);
        }
        let Unended { lost: _, foul } = self.run_ends(&words)?;
        self.check_foul(foul.len())
    }

    /// The queue that an exchange of kombu's routes to; the default one has a queue's name for a key.
    fn queue_of(&self, exchange: &str, route: &str) -> Result<String, QueueError> {
        if exchange.is_empty() {
            return Ok(route.to_owned());
        }
        let key = format!("{}_kombu.binding.{exchange}", self.config.prefix);
        let bindings: Vec<String> =
            self.link.with(|open| redis::cmd("SMEMBERS").arg(&key).query(&mut open.connection))?;
        let bound = bindings.iter().find_map(|binding| {
            let mut parts = binding.split(SEPARATOR);
            (parts.next() == Some(route)).then(|| parts.nth(1)).flatten()
        });
        Ok(bound.unwrap_or(route).to_owned())
    }
}

fn read_held(answer: Vec<Value>) -> redis::RedisResult<(Timestamp, String, u64, Vec<Lost>)> {
    let mut answer = answer.into_iter();
    let mut next = || answer.next().unwrap_or_default();
    let now: String = redis::from_redis_value(next())?;
    let mark: String = redis::from_redis_value(next())?;
    let held: u64 = redis::from_redis_value(next())?;
    let mut lost = Vec::new();
    while let (Some(member), Some(score), Some(record)) = (answer.next(), answer.next(), answer.next()) {
        lost.push(Lost {
            member: redis::from_redis_value(member)?,
            score: redis::from_redis_value(score)?,
            record: redis::from_redis_value(record)?,
        });
    }
    Ok((time(&now), mark, held, lost))
}

/// How long a death may go unnoticed beside the pause between two upkeeps; what readers of the design count on.
const _: () = assert!(WORKER_DEAD_AFTER.as_secs() <= Duration::from_secs(20).as_secs());
