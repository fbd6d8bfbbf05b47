//! What a folder holds when it is opened: every frame that is not over becomes an entry again, in the state its records
//! say. A job that was claimed and not ended saw its process die.

use super::dead::DeadLetters;
use super::frame::{self, Record};
use super::log::{Log, Recovered};
use super::schedule::{Entry, Schedule, Slot, State};
use super::{Inner, POISON_DEATHS, hash_id, waiting_until};
use crate::{DeadReason, QueueError};
use std::io;
use std::path::Path;
use stdx::Timestamp;

/// Reads the folder.
pub(super) fn recover(folder: &Path, now: Timestamp) -> io::Result<Inner> {
    let mut schedule = Schedule::default();
    let log = Log::open(folder, |found| take_in(&mut schedule, &found, now))?;
    if log.damaged_bytes > 0 {
        tracing::warn!(bytes = log.damaged_bytes, "queue log had a torn or damaged part, passed over");
    }
    let dead = DeadLetters::open(&folder.join("dead"))?;
    Ok(Inner { schedule, log, dead, unwritable: None })
}

/// Ends jobs that have killed their process alone too often.
pub(super) fn bury_poisoned(inner: &mut Inner, now: Timestamp) -> Result<(), QueueError> {
    for slot in inner.schedule.poisoned(POISON_DEATHS) {
        inner.bury(slot, DeadReason::Poison, "its process died while it ran alone", now)?;
    }
    Ok(())
}

fn take_in(schedule: &mut Schedule, found: &Recovered<'_>, now: Timestamp) {
    let Some(frame) = frame::decode_body(found.body) else {
        tracing::error!("queue frame of an unknown shape, passed over");
        return;
    };
    let id_hash = hash_id(frame.id);
    if schedule.contains(id_hash) {
        return;
    }
    let mut entry = Entry {
        id_hash,
        position: found.position,
        key: frame.key,
        enqueued_at: frame.enqueued_at,
        state: waiting_until(frame.not_before, now),
        queue: schedule.queue_number(frame.queue),
        attempts: 0,
        priority: frame.priority,
        deaths: 0,
        company_deaths: 0,
    };
    let mut running = None;
    for record in found.records {
        replay(&mut entry, &mut running, *record, now);
    }
    if let Some(alone) = running {
        count_death(&mut entry, alone);
        entry.state = State::Ready;
    }
    schedule.insert(entry);
}

fn replay(entry: &mut Entry, running: &mut Option<bool>, record: Record, now: Timestamp) {
    match record {
        Record::Claimed { attempt, alone } => {
            if let Some(alone) = *running {
                count_death(entry, alone);
            }
            entry.attempts = u16::try_from(attempt).unwrap_or(u16::MAX);
            *running = Some(alone);
        }
        Record::Retry { not_before } => {
            entry.state = waiting_until(not_before, now);
            *running = None;
        }
        Record::GivenBack { not_before } => {
            entry.attempts = entry.attempts.saturating_sub(1);
            entry.state = waiting_until(not_before, now);
            *running = None;
        }
        Record::Over => {}
    }
}

fn count_death(entry: &mut Entry, alone: bool) {
    if alone {
        entry.deaths = entry.deaths.saturating_add(1);
    } else {
        entry.company_deaths = entry.company_deaths.saturating_add(1);
    }
}

impl Schedule {
    /// Waiting jobs with at least so many deaths alone, taken out of their turns.
    fn poisoned(&mut self, deaths: u8) -> Vec<Slot> {
        let poisoned = self.slots_where(|entry| entry.deaths >= deaths);
        for slot in &poisoned {
            self.set_aside(*slot);
        }
        poisoned
    }
}
