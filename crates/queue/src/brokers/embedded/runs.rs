//! What becomes of claimed jobs: they are read, finished, given back, or their run dies. Every change is recorded before
//! it is answered, and a job ends only after the copy among the dead letters, if there is one, is durable.

use super::dead::Burial;
use super::disk::DiskFile;
use super::frame::{self, Holder, Record};
use super::log::{self, Position, ReadError};
use super::schedule::extras::ParkedJob;
use super::schedule::{Lease, Slot, State};
use super::{Inner, Shared, unwritable, waiting_until};
use crate::{ClaimRequest, Claimed, DeadReason, Finish, JobId, JobResult, LeaseId, Parked, QueueError};
use bytes::Bytes;
use std::collections::{BTreeMap, HashSet};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use stdx::Timestamp;

/// Deaths of its worker while a job ran alone, after which it stops.
const POISON_DEATHS: u8 = 3;
const POISON_TEXT: &str = "its worker died while it ran alone";
/// Pause before a job is taken again that the disk did not give.
const UNREAD_PAUSE: Duration = Duration::from_secs(1);

/// Upkeep comes several times a second. After such a pause this process was stopped.
const STOPPED_MIN: Duration = Duration::from_secs(3);

/// A claimed entry whose body is still to be read.
pub(super) struct Taken {
    lease: LeaseId,
    position: Position,
    file: Option<Arc<dyn DiskFile>>,
    attempt: u32,
}

impl Shared {
    /// Delays that have passed and leases that have ended; done before each claim and every tick.
    pub fn upkeep(&self, inner: &mut Inner) {
        let now = self.clock.now();
        let idle = std::mem::replace(&mut inner.kept_up_at, Instant::now()).elapsed();
        if idle >= STOPPED_MIN {
            // Nobody could extend a lease meanwhile: that is no death of its holder.
            tracing::warn!(seconds = idle.as_secs(), "the queue's owner did not run, leases go on for as long");
            inner.schedule.postpone_ends(idle);
        }
        inner.schedule.promote(now);
        inner.bury_overdue(now);
        let expired = inner.schedule.expired(now);
        if expired.is_empty() {
            return;
        }
        tracing::warn!(jobs = expired.len(), "runs ended without a word");
        if let Err(error) = inner.died(expired, now) {
            tracing::error!(error = %error, "dead letters not written, tried again");
        }
    }

    /// The same, for callers that hold no lock.
    pub fn keep_up(&self) {
        self.upkeep(&mut self.lock());
    }

    pub fn take(&self, inner: &mut Inner, request: &ClaimRequest) -> Vec<Taken> {
        self.upkeep(inner);
        let claimed = inner.schedule.claim(&request.queues, self.clock.now());
        inner.bury_overdue(self.clock.now());
        let alone = claimed.len() == 1;
        let mut records = Vec::with_capacity(claimed.len());
        let mut taken = Vec::with_capacity(claimed.len());
        for (lease, slot) in claimed {
            let entry = inner.schedule.entry(slot);
            let (position, attempt) = (entry.position, u32::from(entry.attempts));
            records.push((position, Record::Claimed { attempt, alone, holder: Some(Holder::of(lease)) }));
            taken.push(Taken { lease, position, file: inner.log.file(position.segment), attempt });
        }
        inner.log.note(records);
        taken
    }

    /// Reads the bodies of what was taken. A job that the disk gives back damaged becomes a dead letter; one that it does
    /// not give now is tried again, and the others are run meanwhile.
    pub fn read(&self, taken: Vec<Taken>) -> Result<Vec<Claimed>, QueueError> {
        let mut claimed = Vec::with_capacity(taken.len());
        let mut failure = None;
        for job in taken {
            let lease = job.lease;
            let unread = match read_one(job) {
                Ok(job) => {
                    claimed.push(job);
                    continue;
                }
                Err(unread) => unread,
            };
            let finish = match unread {
                ReadError::Damaged => {
                    tracing::error!("queue frame was damaged, its job became a dead letter");
                    Finish::Dead { reason: DeadReason::Damaged, error: "its frame is damaged".to_owned() }
                }
                ReadError::Disk(error) => {
                    tracing::error!(error = %error, "queue frame not read, tried again");
                    failure = Some(self.failed(error));
                    Finish::GiveBack { after: UNREAD_PAUSE }
                }
            };
            self.lock().finish(vec![(lease, finish)], self.clock.now())?;
        }
        match failure {
            Some(failure) if claimed.is_empty() => Err(failure),
            Some(_) | None => Ok(claimed),
        }
    }
}

fn read_one(taken: Taken) -> Result<Claimed, ReadError> {
    let file = taken.file.ok_or(ReadError::Damaged)?;
    let body = Bytes::from(log::read_body(&*file, taken.position)?);
    let frame = frame::decode_body(&body).ok_or(ReadError::Damaged)?;
    Ok(Claimed {
        lease: taken.lease,
        id: JobId::new(frame.id),
        task: frame.task.into(),
        queue: frame.queue.into(),
        attempt: taken.attempt,
        enqueued_at: frame.enqueued_at,
        payload: body.slice_ref(frame.payload),
        options: frame.options.clone(),
    })
}

impl Inner {
    /// Ends runs and returns the leases that were lost before.
    pub fn finish(&mut self, finished: Vec<(LeaseId, Finish)>, now: Timestamp) -> Result<Vec<LeaseId>, QueueError> {
        let mut lost = Vec::new();
        let mut seen = HashSet::new();
        let (mut over, mut burials, mut records) = (Vec::new(), Vec::new(), Vec::new());
        let mut blamed = Vec::new();
        for (lease, finish) in finished {
            let held = self.schedule.lease(lease).filter(|held| seen.insert(held.slot));
            let Some(Lease { slot, .. }) = held else {
                lost.push(lease);
                continue;
            };
            let position = self.schedule.entry(slot).position;
            let finish = self.count_death(slot, finish, &mut blamed);
            if !matches!(finish, Finish::Dead { .. }) {
                self.keep_result(slot, &finish, now);
            }
            match finish {
                Finish::Done | Finish::Returned { .. } => over.push(slot),
                Finish::Dead { reason, error } => burials.push((slot, reason, error)),
                Finish::Retry { after, error } => {
                    tracing::debug!(error, "job will be tried again");
                    let not_before = now.plus(after);
                    records.push((position, Record::Retry { not_before }));
                    self.schedule.move_to(slot, waiting_until(not_before, now));
                }
                Finish::Died { .. } => {
                    records.push((position, Record::Died { alone: true }));
                    self.schedule.move_to(slot, State::Ready);
                }
                Finish::GiveBack { after } => {
                    let not_before = now.plus(after);
                    records.push((position, Record::GivenBack { not_before }));
                    self.give_back(slot, waiting_until(not_before, now));
                }
                Finish::Park => {
                    records.push((position, Record::Parked { since: now }));
                    self.give_back(slot, State::Parked);
                    let task = self.task_of(slot).unwrap_or_else(|| "(unreadable)".into());
                    self.schedule.note_parked(slot, ParkedJob { task, since: now });
                }
            }
        }
        self.log.note(records);
        self.end(&over);
        // Unless they are buried their leases are still held: whoever asks again counts these deaths again.
        self.bury(burials, now).map(|()| lost).inspect_err(|_| self.uncount_deaths(&blamed))
    }

    /// Counts a death; the one that is too many ends the job, and its slot is noted as blamed.
    fn count_death(&mut self, slot: Slot, finish: Finish, blamed: &mut Vec<Slot>) -> Finish {
        let Finish::Died { reason, error } = finish else { return finish };
        let entry = self.schedule.entry_mut(slot);
        entry.deaths = entry.deaths.saturating_add(1);
        if entry.deaths < POISON_DEATHS {
            return Finish::Died { reason, error };
        }
        blamed.push(slot);
        Finish::Dead { reason, error }
    }

    fn uncount_deaths(&mut self, slots: &[Slot]) {
        for slot in slots {
            self.schedule.entry_mut(*slot).deaths -= 1;
        }
    }

    /// Keeps what a run came to, if its job asked for that; before the job ends.
    fn keep_result(&mut self, slot: Slot, finish: &Finish, now: Timestamp) {
        if !self.schedule.keeps_result(slot) {
            return;
        }
        let result = match finish {
            Finish::Done => JobResult::Success { value: serde_json::Value::Null },
            Finish::Returned { value } => JobResult::Success { value: value.clone() },
            Finish::Retry { error, .. } | Finish::Died { error, .. } => JobResult::Retry { error: error.clone() },
            Finish::Dead { error, .. } => JobResult::Failure { error: error.clone() },
            Finish::GiveBack { .. } | Finish::Park => return,
        };
        let body = self.body_of(slot).ok().flatten();
        if let Some(frame) = body.as_deref().and_then(frame::decode_body) {
            self.results.keep(frame.id, result, now);
        }
    }

    fn task_of(&self, slot: Slot) -> Option<Arc<str>> {
        let body = self.body_of(slot).ok().flatten()?;
        frame::decode_body(&body).map(|frame| frame.task.into())
    }

    /// Jobs whose time has passed before they began.
    fn bury_overdue(&mut self, now: Timestamp) {
        let slots = self.schedule.take_overdue(now);
        if slots.is_empty() {
            return;
        }
        let text = "its time had passed before it began";
        let burials = slots.iter().map(|slot| (*slot, DeadReason::Expired, text.to_owned())).collect();
        if let Err(error) = self.bury(burials, now) {
            tracing::error!(error = %error, "dead letters not written, tried again");
            self.schedule.put_back_overdue(&slots);
        }
    }

    /// Makes parked jobs of these tasks ready, in their order; returns how many.
    pub fn unpark(&mut self, tasks: &[&str], now: Timestamp) -> u64 {
        let is_known = |(_, job): &(Slot, &ParkedJob)| tasks.contains(&&*job.task);
        let slots: Vec<Slot> = self.schedule.parked_jobs().into_iter().filter(is_known).map(|(slot, _)| slot).collect();
        let mut records = Vec::with_capacity(slots.len());
        for slot in slots.iter().rev() {
            records.push((self.schedule.entry(*slot).position, Record::Retry { not_before: now }));
            self.schedule.move_to(*slot, State::Ready);
        }
        self.log.note(records);
        slots.len() as u64
    }

    /// By queue and task.
    pub fn parked(&self) -> Vec<Parked> {
        let mut found: BTreeMap<(String, String), (u64, Timestamp)> = BTreeMap::new();
        for (slot, job) in self.schedule.parked_jobs() {
            let queue = self.schedule.queue_name(self.schedule.entry(slot).queue).to_owned();
            let (jobs, since) = found.entry((queue, job.task.to_string())).or_insert((0, job.since));
            (*jobs, *since) = (*jobs + 1, job.since.min(*since));
        }
        let row = |((queue, task), (jobs, since))| Parked { queue, task, jobs, since };
        found.into_iter().map(row).collect()
    }

    fn give_back(&mut self, slot: Slot, state: State) {
        let entry = self.schedule.entry_mut(slot);
        entry.attempts = entry.attempts.saturating_sub(1);
        self.schedule.move_to(slot, state);
    }

    /// Runs ended without a word: their process or thread is gone.
    fn died(&mut self, leases: Vec<Lease>, now: Timestamp) -> Result<(), QueueError> {
        let (mut burials, mut records) = (Vec::new(), Vec::new());
        for Lease { slot, alone, deadline: _ } in leases {
            let entry = self.schedule.entry_mut(slot);
            let deaths = if alone { &mut entry.deaths } else { &mut entry.company_deaths };
            *deaths = deaths.saturating_add(1);
            if entry.deaths >= POISON_DEATHS {
                burials.push((slot, DeadReason::Poison, POISON_TEXT.to_owned()));
            } else {
                records.push((entry.position, Record::Died { alone }));
                self.schedule.move_to(slot, State::Ready);
            }
        }
        self.log.note(records);
        let slots: Vec<Slot> = burials.iter().map(|(slot, ..)| *slot).collect();
        // Its lease has still ended: the next upkeep counts this death again.
        self.bury(burials, now).inspect_err(|_| self.uncount_deaths(&slots))
    }

    /// Copies jobs to the dead letters, durably, and then ends them.
    fn bury(&mut self, dead: Vec<(Slot, DeadReason, String)>, now: Timestamp) -> Result<(), QueueError> {
        if dead.is_empty() {
            return Ok(());
        }
        let mut burials = Vec::with_capacity(dead.len());
        for (slot, reason, error) in &dead {
            let body = self.body_of(*slot).map_err(unwritable)?;
            let entry = self.schedule.entry(*slot);
            burials.push(Burial {
                body,
                id_hash: entry.id_hash,
                enqueued_s: entry.enqueued_s,
                queue: self.schedule.queue_name(entry.queue).to_owned(),
                attempts: u32::from(entry.attempts),
                deaths: u32::from(entry.deaths),
                reason: *reason,
                error: error.clone(),
            });
        }
        self.dead.bury(burials, now).map_err(unwritable)?;
        // Not before: a job that could not be buried has not failed yet.
        for (slot, reason, error) in &dead {
            self.keep_result(*slot, &Finish::Dead { reason: *reason, error: error.clone() }, now);
        }
        let slots: Vec<Slot> = dead.into_iter().map(|(slot, ..)| slot).collect();
        self.end(&slots);
        Ok(())
    }

    /// Returns a job's body, `None` if it is damaged.
    fn body_of(&self, slot: Slot) -> io::Result<Option<Vec<u8>>> {
        let position = self.schedule.entry(slot).position;
        let Some(file) = self.log.file(position.segment) else { return Ok(None) };
        match log::read_body(&*file, position) {
            Ok(body) => Ok(Some(body)),
            Err(ReadError::Damaged) => Ok(None),
            Err(ReadError::Disk(error)) => Err(error),
        }
    }

    /// Forgets jobs; their segments go with the last of each.
    fn end(&mut self, slots: &[Slot]) {
        let over: Vec<Position> = slots.iter().map(|slot| self.schedule.remove(*slot).position).collect();
        self.forget(&over);
    }

    pub fn forget(&mut self, over: &[Position]) {
        self.log.note(over.iter().map(|position| (*position, Record::Over)));
        for position in over {
            self.log.release(position.segment);
        }
    }
}
