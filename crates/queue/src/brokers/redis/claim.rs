//! What a claim takes. A message whose worker died is a suspect: it runs with nothing beside it in its process, so that if
//! the worker dies again it is known whose fault that is.

use super::leases::Held;
use super::scripts::Script;
use super::{Shared, lock, time};
use crate::broker::POLL_MAX;
use crate::brokers::suspects::{Asking, Turn};
use crate::celery::{self, Undecodable};
use crate::{ClaimRequest, Claimed, DeadReason, Finish, LeaseId, QueueBounds, QueueError};
use redis::{ErrorKind, RedisError, RedisResult, Value};
use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};
use stdx::Timestamp;

/// Pause before a look whether what runs beside a suspect has ended.
const DRAIN_LOOK: Duration = Duration::from_millis(50);
/// Jobs of one claim, whatever is asked: bounds how long the server works on it.
const JOBS_MAX: usize = 1_000;
/// Between two words about messages that cannot be read.
const UNREAD_SAID_EVERY: Duration = Duration::from_secs(60);
/// Rounds in which our own expired leases are freed before a claim gives up.
const FREEING_ROUNDS_MAX: usize = 8;

#[derive(Default)]
pub(super) struct Claims {
    turn: Turn,
    /// Where the next claim of a queue begins among its lanes.
    turns: HashMap<String, usize>,
    /// Messages that could not be read since that was said last.
    unread: u64,
    unread_said_at: Option<Timestamp>,
}

impl AsMut<Turn> for Claims {
    fn as_mut(&mut self) -> &mut Turn {
        &mut self.turn
    }
}

/// What one look found.
enum Found {
    Jobs(Vec<Claimed>),
    /// Nothing; when the next delayed job is due, if that is known, and which queues are paused.
    Nothing {
        due: Option<Timestamp>,
        paused: Vec<String>,
        now: Timestamp,
    },
    /// A suspect runs, or waits to.
    Held,
}

impl Shared {
    pub(super) fn claim(&self, request: &ClaimRequest) -> Result<Vec<Claimed>, QueueError> {
        let until = Instant::now() + POLL_MAX;
        loop {
            let seen = self.waker.seen();
            let found = self.look_for_jobs(request)?;
            let left = until.saturating_duration_since(Instant::now());
            let is_over = left.is_zero() || self.is_closed();
            match found {
                Found::Jobs(jobs) => return Ok(jobs),
                Found::Nothing { .. } | Found::Held if is_over => return Ok(Vec::new()),
                Found::Held => {
                    let claims = lock(&self.claims);
                    drop(self.ended.wait_timeout(claims, DRAIN_LOOK.min(left)).unwrap_or_else(PoisonError::into_inner));
                }
                Found::Nothing { due, paused, now } => {
                    let wait = due.map_or(left, |due| due.since(now).max(Duration::from_millis(1)).min(left));
                    let queues = request.queues.iter().map(|bounds| &bounds.queue);
                    let queues = queues.filter(|queue| !paused.contains(queue)).cloned().collect();
                    self.waker.wait(seen, queues, wait);
                }
            }
        }
    }

    fn look_for_jobs(&self, request: &ClaimRequest) -> Result<Found, QueueError> {
        for _ in 0..FREEING_ROUNDS_MAX {
            let Some(asking) = self.begin() else { return Ok(Found::Held) };
            let answer = self.ask(request, asking.may_run_suspect);
            let taken = answer.and_then(|answer| self.take(request, answer, asking.may_run_suspect));
            drop(asking);
            match taken? {
                Taken::Found(found) => return Ok(found),
                // The leases are extended within a second, or have ended when the time of grace is over.
                Taken::Expired if self.is_hearing_again() => return Ok(Found::Held),
                Taken::Expired => self.free_own()?,
                Taken::MustDrain => {
                    if !self.drain() {
                        return Ok(Found::Held);
                    }
                }
            }
        }
        Ok(Found::Held)
    }

    /// Enters a claim; `None` if nothing may start now.
    fn begin(&self) -> Option<Asking<'_, Claims>> {
        let now = self.clock.now();
        let mut claims = lock(&self.claims);
        if claims.turn.is_exclusive() {
            return None;
        }
        let leases = lock(&self.leases);
        if let Some((lease, until)) = claims.turn.alone
            && leases.contains(lease)
            && now < until
        {
            return None;
        }
        claims.turn.alone = None;
        Some(Asking::enter(&self.claims, &mut claims, leases.is_empty(), now))
    }

    /// A suspect waits. Returns whether it may be asked for at once.
    fn drain(&self) -> bool {
        let mut claims = lock(&self.claims);
        let has_no_leases = lock(&self.leases).is_empty();
        claims.turn.drain(has_no_leases, self.clock.now())
    }

    fn ask(&self, request: &ClaimRequest, may_run_suspect: bool) -> Result<Vec<Value>, QueueError> {
        let nonce = stdx::random::uuid();
        let mut words =
            self.words().with(self.session.as_str()).with(u8::from(may_run_suspect).to_string()).with(nonce);
        {
            let claims = lock(&self.claims);
            for bounds in &request.queues {
                let name = serde_json::to_string(&bounds.queue).expect("a text can be written");
                words.push(bounds.queue.as_str());
                words.push(&name[1..name.len() - 1]);
                words.push(bounds.jobs_max.clamp(1, JOBS_MAX).to_string());
                words.push((bounds.bytes_max.min(1 << 50)).to_string());
                words.push(format!("{:.6}", bounds.lease.as_secs_f64()));
                words.push(claims.turns.get(&bounds.queue).copied().unwrap_or(0).to_string());
            }
        }
        self.link.run(Script::Claim, &words.0)
    }

    fn take(&self, request: &ClaimRequest, answer: Vec<Value>, was_exclusive: bool) -> Result<Taken, QueueError> {
        let answer = Answer::read(answer).map_err(|error| self.link.error(&error))?;
        match answer {
            Answer::Expired => Ok(Taken::Expired),
            Answer::Drain => Ok(Taken::MustDrain),
            Answer::Empty { now, due, paused } => {
                if was_exclusive {
                    lock(&self.claims).turn.has_drained();
                }
                Ok(Taken::Found(Found::Nothing { due, paused, now }))
            }
            Answer::Taken { now, score, queue, suspect, lane, messages } => {
                let bounds = request.queues.iter().find(|bounds| bounds.queue == queue);
                let jobs = self.hold(bounds, &queue, now, &score, messages)?;
                let mut claims = lock(&self.claims);
                claims.turns.insert(queue, lane);
                if let (Some(company), Some(job)) = (suspect, jobs.first()) {
                    claims.turn.runs_alone(job.lease, company, self.clock.now());
                }
                drop(claims);
                Ok(Taken::Found(Found::Jobs(jobs)))
            }
        }
    }

    /// Says it once a minute, however many strangers' messages come: each is a dead letter, and counted there.
    fn note_unread(&self, queue: &str, why: &str) {
        let now = self.clock.now();
        let mut claims = lock(&self.claims);
        claims.unread += 1;
        if claims.unread_said_at.is_none_or(|said_at| now.since(said_at) >= UNREAD_SAID_EVERY) {
            tracing::warn!(queue, why, messages = claims.unread, "messages not understood, they became dead letters");
            (claims.unread, claims.unread_said_at) = (0, Some(now));
        }
    }

    /// Makes leases of what was taken. What cannot be read, has expired or is to run later is ended here and now.
    fn hold(
        &self,
        bounds: Option<&QueueBounds>,
        queue: &str,
        now: Timestamp,
        score: &str,
        messages: Vec<(String, String, Vec<u8>)>,
    ) -> Result<Vec<Claimed>, QueueError> {
        let queue: Arc<str> = queue.into();
        let bytes_max = bounds.map_or(usize::MAX, |bounds| bounds.bytes_max);
        let (mut claimed, mut ends) = (Vec::with_capacity(messages.len()), Vec::new());
        let mut bytes = 0;
        for (tag, seat, message) in messages {
            let decoded = celery::decode(&message);
            let mut held = Held {
                tag,
                queue: queue.clone(),
                seat,
                scores: vec![score.to_owned()],
                message: message.into(),
                job: None,
            };
            match decoded {
                Ok(job) => {
                    let job = Arc::new(job);
                    held.job = Some(job.clone());
                    let lease = lock(&self.leases).add(held);
                    bytes += job.payload.len();
                    match unready(&job, now) {
                        Some(finish) => ends.push((lease, finish)),
                        // The server counts messages; decompressed ones may be larger than it knew.
                        None if bytes > bytes_max && !claimed.is_empty() => {
                            ends.push((lease, Finish::GiveBack { after: Duration::ZERO }));
                        }
                        None => claimed.push(claimed_job(lease, &job, queue.clone(), now)),
                    }
                }
                Err(Undecodable { why, .. }) => {
                    self.note_unread(&queue, &why);
                    let lease = lock(&self.leases).add(held);
                    ends.push((lease, Finish::Dead { reason: DeadReason::Rejected, error: why }));
                }
            }
        }
        if !ends.is_empty() {
            // What is given back goes in the opposite order, so that it stands in its own again.
            ends.reverse();
            if let Err(error) = self.finish(ends) {
                tracing::warn!(error = %error, "messages that cannot run now not put aside, their leases will end");
            }
        }
        Ok(claimed)
    }
}

fn unready(job: &celery::Received, now: Timestamp) -> Option<Finish> {
    if job.options.expires_at.is_some_and(|expires_at| expires_at <= now) {
        return Some(Finish::Dead { reason: DeadReason::Expired, error: "expired".to_owned() });
    }
    let eta = job.eta.filter(|eta| *eta > now)?;
    Some(Finish::GiveBack { after: eta.since(now) })
}

fn claimed_job(lease: LeaseId, job: &celery::Received, queue: Arc<str>, now: Timestamp) -> Claimed {
    Claimed {
        lease,
        id: job.id.clone(),
        task: job.task.clone(),
        queue,
        attempt: job.attempt,
        enqueued_at: job.published_at.unwrap_or(now),
        payload: job.payload.clone(),
        options: job.options.clone(),
    }
}

enum Taken {
    Found(Found),
    Expired,
    MustDrain,
}

/// What the script says.
enum Answer {
    Expired,
    Drain,
    Empty {
        now: Timestamp,
        due: Option<Timestamp>,
        paused: Vec<String>,
    },
    Taken {
        now: Timestamp,
        /// The time as it stands in the index.
        score: String,
        queue: String,
        /// Deaths in company of the one suspect that was taken.
        suspect: Option<u32>,
        lane: usize,
        /// Tag, seat and text of each.
        messages: Vec<(String, String, Vec<u8>)>,
    },
}

impl Answer {
    fn read(values: Vec<Value>) -> RedisResult<Answer> {
        let mut values = values.into_iter();
        let mut next = || values.next().unwrap_or_default();
        let score: String = redis::from_redis_value(next())?;
        let kind: String = redis::from_redis_value(next())?;
        let now = time(&score);
        match kind.as_str() {
            "expired" => Ok(Answer::Expired),
            "drain" => Ok(Answer::Drain),
            "empty" => {
                let due: String = redis::from_redis_value(next())?;
                let paused = redis::from_redis_value(next())?;
                Ok(Answer::Empty { now, due: (!due.is_empty()).then(|| time(&due)), paused })
            }
            "taken" => {
                let queue = redis::from_redis_value(next())?;
                let company: i64 = redis::from_redis_value(next())?;
                let lane: usize = redis::from_redis_value(next())?;
                let flat = next().into_sequence().unwrap_or_default();
                let suspect = u32::try_from(company).ok();
                Ok(Answer::Taken { now, score, queue, suspect, lane, messages: messages_of(flat)? })
            }
            _ => Err(RedisError::from((ErrorKind::UnexpectedReturnType, "the script that claims gave no answer"))),
        }
    }
}

/// Tags and messages are bytes to us: a hostile one need not be text.
fn messages_of(flat: Vec<Value>) -> RedisResult<Vec<(String, String, Vec<u8>)>> {
    let mut flat = flat.into_iter();
    let mut messages = Vec::with_capacity(flat.len() / 3);
    while let (Some(tag), Some(seat), Some(Value::BulkString(message))) = (flat.next(), flat.next(), flat.next()) {
        messages.push((redis::from_redis_value(tag)?, redis::from_redis_value(seat)?, message));
    }
    Ok(messages)
}

#[cfg(test)]
mod tests {
    #[test]
    fn neighbouring_keys_have_lanes_of_their_own() {
        let lanes: std::collections::HashSet<String> = (1..=8).map(crate::brokers::redis::publish::lane_of).collect();
        assert_eq!(lanes.len(), 8);
        assert_eq!(crate::brokers::redis::publish::lane_of(0), "");
    }
}
