//! What this process runs. A lease is a row of the ledger with a number of ours; the delivery behind it only says whether
//! RabbitMQ still has the message.

use super::desk::Entry;
use super::link::lock;
use super::tables::jobs::{self, Next, State};
use super::tables::{messages, names};
use super::{POISON_DEATHS, Shared};
use crate::celery::Received;
use crate::{DeadReason, Finish, LeaseId, QueueError};
use db::Tx;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use stdx::Timestamp;

/// A job that we run.
#[derive(Clone)]
pub(super) struct Held {
    pub entry: Entry,
    pub job: Arc<Received>,
    pub attempt: u32,
    pub deaths: (u32, u32),
    pub enqueued_at: Timestamp,
    pub until: Timestamp,
    pub since: Instant,
    /// The ledger has the message and RabbitMQ has not.
    pub is_kept: bool,
    /// Somebody ends it now, and settles its delivery: nobody else may.
    pub is_ending: bool,
}

#[derive(Default)]
pub(super) struct Leases {
    held: HashMap<LeaseId, Held>,
}

impl Leases {
    pub fn add(&mut self, lease: LeaseId, held: Held) {
        self.held.insert(lease, held);
    }

    pub fn get(&self, lease: LeaseId) -> Option<Held> {
        self.held.get(&lease).cloned()
    }

    /// Takes the end of a lease upon oneself; `None` if there is none, or somebody else does.
    pub fn begin_end(&mut self, lease: LeaseId) -> Option<Held> {
        let held = self.held.get_mut(&lease).filter(|held| !held.is_ending)?;
        held.is_ending = true;
        Some(held.clone())
    }

    /// The end did not come about.
    pub fn abort_end(&mut self, lease: LeaseId) {
        if let Some(held) = self.held.get_mut(&lease) {
            held.is_ending = false;
        }
    }

    pub fn contains(&self, lease: LeaseId) -> bool {
        self.held.contains_key(&lease)
    }

    pub fn remove(&mut self, lease: LeaseId) -> Option<Held> {
        self.held.remove(&lease)
    }

    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    pub fn len(&self) -> usize {
        self.held.len()
    }

    pub fn count(&self, queue: &str) -> usize {
        self.held.values().filter(|held| &*held.entry.queue == queue).count()
    }

    fn expired(&self, now: Timestamp) -> Vec<LeaseId> {
        self.held.iter().filter(|(_, held)| held.until <= now && !held.is_ending).map(|(lease, _)| *lease).collect()
    }

    fn held_since_before(&self, before: Duration) -> Vec<LeaseId> {
        let is_old = |held: &Held| !held.is_kept && !held.is_ending && held.since.elapsed() >= before;
        self.held.iter().filter(|(_, held)| is_old(held)).map(|(lease, _)| *lease).collect()
    }
}

/// Whose fault the end of a worker was.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Blame {
    Nobody,
    Alone,
    Company,
}

impl Blame {
    /// Where a suspect was marked as running alone, it and nobody else is to blame.
    pub fn of(marked: Option<bool>, in_company: bool) -> Blame {
        match (marked, in_company) {
            (Some(true), _) | (None, false) => Blame::Alone,
            (Some(false), _) => Blame::Nobody,
            (None, true) => Blame::Company,
        }
    }

    pub fn added_to(self, (alone, company): (u32, u32)) -> (u32, u32) {
        match self {
            Blame::Nobody => (alone, company),
            Blame::Alone => (alone + 1, company),
            Blame::Company => (alone, company + 1),
        }
    }
}

impl Shared {
    pub(super) fn next_lease(&self) -> LeaseId {
        // The table's integers have a sign.
        LeaseId(self.next_lease.fetch_add(1, std::sync::atomic::Ordering::Relaxed) & (u64::MAX >> 1))
    }

    pub(super) fn extend(&self, leases: &[LeaseId], lease: Duration) -> Result<Vec<LeaseId>, QueueError> {
        let until = self.clock.now().plus(lease);
        let mut lost = Vec::new();
        let mut asked = Vec::with_capacity(leases.len());
        let mut rows = Vec::with_capacity(leases.len());
        {
            let held = lock(&self.leases);
            for id in leases {
                match held.held.get(id) {
                    // Its row may be gone already.
                    Some(held) if held.is_ending => {}
                    Some(held) => {
                        asked.push(*id);
                        rows.push((held.job.id.to_string(), id.0.cast_signed()));
                    }
                    None => lost.push(*id),
                }
            }
        }
        if asked.is_empty() {
            return Ok(lost);
        }
        let gone = self.tables.note(|tx| jobs::extend(tx, &rows, until))?;
        let mut all = lock(&self.leases);
        for (index, id) in asked.into_iter().enumerate() {
            if all.held.get(&id).is_some_and(|held| held.is_ending) {
                continue;
            }
            if gone.contains(&index) {
                let held = all.remove(id);
                // Somebody freed it: the message goes back for whoever may run it.
                self.give_back(held.filter(|held| !held.is_kept).map(|held| held.entry.ticket).into_iter().collect());
                lost.push(id);
            } else if let Some(held) = all.held.get_mut(&id) {
                held.until = until;
            }
        }
        Ok(lost)
    }

    /// Ends our own leases whose time is over, and counts that as the death of a worker: nobody extended them.
    pub(super) fn free_own(&self) -> Result<bool, QueueError> {
        let now = self.clock.now();
        let (expired, in_company, alone) = {
            let leases = lock(&self.leases);
            (leases.expired(now), leases.len() > 1, lock(&self.claims).alone.map(|(lease, _)| lease))
        };
        if expired.is_empty() {
            return Ok(false);
        }
        // A suspect was marked as long as it held its lease.
        let marked = alone.filter(|alone| lock(&self.leases).contains(*alone));
        for lease in &expired {
            let Some(held) = lock(&self.leases).begin_end(*lease) else { continue };
            let blame = Blame::of(marked.map(|marked| marked == *lease), in_company);
            if let Err(error) = self.free_one(*lease, held, blame, now) {
                lock(&self.leases).abort_end(*lease);
                return Err(error);
            }
        }
        tracing::warn!(jobs = expired.len(), session = &*self.session, "runs ended without a word");
        Ok(true)
    }

    fn free_one(&self, lease: LeaseId, held: Held, blame: Blame, now: Timestamp) -> Result<(), QueueError> {
        let deaths = blame.added_to(held.deaths);
        let number = lease.0.cast_signed();
        let id = held.job.id.to_string();
        if deaths.0 >= POISON_DEATHS {
            return self.finish_held(vec![(lease, Held { deaths, ..held }, poisoned())]).map(drop);
        }
        let is_live = !held.is_kept && self.is_live(&held.entry.ticket);
        let was_ours = self.tables.note(|tx| {
            let has_message = jobs::held(tx, &id, number)?.is_some_and(|row| row.has_message);
            let (state, due_at) = if has_message { (State::Delayed, Some(now)) } else { (State::Ready, None) };
            let next = Next { state, due_at, gives_attempt_back: false, deaths };
            jobs::release(tx, &id, number, &next, now)
        })?;
        lock(&self.leases).remove(lease);
        if is_live && was_ours {
            lock(&self.desk).put(Entry { deaths, ..held.entry });
        } else if is_live {
            self.give_back(vec![held.entry.ticket]);
        }
        Ok(())
    }

    /// Takes messages that were delivered long ago into the ledger: RabbitMQ ends the channel of those who hold them longer.
    pub(super) fn keep_long_held(&self) -> Result<(), QueueError> {
        let now = self.clock.now();
        let old = lock(&self.leases).held_since_before(self.config.held_max);
        for lease in old {
            // From here on an end writes the message into the ledger by itself, if it is still needed.
            let held = lock(&self.leases).held.get_mut(&lease).filter(|held| !held.is_ending).map(|held| {
                held.is_kept = true;
                held.clone()
            });
            let Some(held) = held else { continue };
            let kept = self.tables.write(|tx| keep_held(tx, lease, &held, now));
            if kept.is_err()
                && let Some(held) = lock(&self.leases).held.get_mut(&lease).filter(|held| !held.is_ending)
            {
                held.is_kept = false;
            } else if matches!(kept, Ok(Kept::Here)) {
                self.acknowledge(vec![held.entry.ticket]);
            } else {
                // Whoever ended or lost the lease meanwhile has left its message to us.
                self.give_back(vec![held.entry.ticket]);
            }
            kept?;
        }
        Ok(())
    }

    /// Frees what dead processes held, and leases of others that ended.
    pub(super) fn free_others(&self, now: Timestamp) -> Result<(), QueueError> {
        let silent = now.minus(crate::WORKER_DEAD_AFTER);
        for (session, alone) in self.tables.read(|tx| names::silent(tx, &self.session, silent))? {
            let freed = self.free_session(&session, alone.as_deref(), now)?;
            if freed > 0 {
                tracing::warn!(jobs = freed, session, "a process died and left its runs");
            }
        }
        let expired = self.tables.read(|tx| jobs::expired(tx, &self.session, now, FREED_MAX))?;
        for row in &expired {
            let in_company = expired.iter().filter(|other| other.session == row.session).count() > 1;
            self.free_row(row, Blame::of(None, in_company), now)?;
        }
        Ok(())
    }

    fn free_session(&self, session: &str, alone: Option<&str>, now: Timestamp) -> Result<usize, QueueError> {
        let rows = self.tables.read(|tx| jobs::held_by(tx, session, FREED_MAX))?;
        let marked = alone.filter(|alone| rows.iter().any(|row| row.id == *alone));
        for row in &rows {
            self.free_row(row, Blame::of(marked.map(|marked| marked == row.id), rows.len() > 1), now)?;
        }
        if rows.len() < FREED_MAX {
            self.tables.note(|tx| names::forget_session(tx, session))?;
        }
        Ok(rows.len())
    }

    /// A row of somebody else's: its message is in the ledger, or back in RabbitMQ, or on its way there.
    fn free_row(&self, row: &jobs::HeldRow, blame: Blame, now: Timestamp) -> Result<(), QueueError> {
        let deaths = blame.added_to((row.deaths, row.company_deaths));
        let (state, due_at) = if row.has_message { (State::Delayed, Some(now)) } else { (State::Ready, None) };
        let next = Next { state, due_at, gives_attempt_back: false, deaths };
        self.tables.note(|tx| jobs::release(tx, &row.id, row.lease, &next, now)).map(drop)
    }
}

/// Who has the message of a long run.
enum Kept {
    /// The ledger, or nobody needs it.
    Here,
    /// RabbitMQ alone, and its job is still to be run.
    There,
}

/// Takes a message into the ledger, if its lease is still ours. Where somebody freed the lease the job waits for this very
/// message: only what is kept or over may be acknowledged.
fn keep_held(tx: &mut Tx<'_>, lease: LeaseId, held: &Held, now: Timestamp) -> Result<Kept, QueueError> {
    let id = held.job.id.as_str();
    if jobs::held(tx, id, lease.0.cast_signed())?.is_some() {
        messages::keep(tx, id, &held.entry.message.to_text(), now)?;
        return Ok(Kept::Here);
    }
    Ok(match jobs::find(tx, id)? {
        Some(row) if row.tag == *held.entry.tag => match row.state {
            State::Sending | State::Ready | State::Leased => Kept::There,
            State::Delayed | State::Parked | State::Ended => Kept::Here,
        },
        Some(_) | None => Kept::Here,
    })
}

/// The end of a job whose worker died too often.
pub(super) fn poisoned() -> Finish {
    let error = "WorkerLostError: its worker died while it ran alone";
    Finish::Dead { reason: DeadReason::Poison, error: error.to_owned() }
}

/// Leases freed in one go; what is left is for the next upkeep.
const FREED_MAX: usize = 10_000;
