//! What a folder holds when it is opened: every frame that is not over becomes an entry again, in the state its records
//! say. A job that was claimed and not ended saw its process die: it gets a lease that has ended already, so that upkeep
//! counts the death as any other. It died alone only if nothing else ran in that process.

use super::cursors::Cursors;
use super::dead::DeadLetters;
use super::disk::Disk;
use super::frame::{self, Frame, Holder, Record};
use super::log::{Keep, Log, Position, Recovered};
use super::results::Results;
use super::roster::Roster;
use super::schedule::extras::{Extra, ParkedJob};
use super::schedule::{Entry, Schedule, Slot, State, whole_seconds};
use super::{Inner, hash_id, pauses, waiting_until};
use crate::QueueError;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use stdx::Timestamp;

/// Reads the folder.
///
/// Returns the latest time that something was published too: the machine's clock may have gone back since.
///
/// Jobs that ran when the process before ended count as dying at the end of `grace`, unless their holders are heard.
pub(super) fn recover(
    disk: &Arc<dyn Disk>,
    folder: &Path,
    now: Timestamp,
    grace: Duration,
) -> Result<(Inner, Timestamp), QueueError> {
    // By chance and not by time: a clock that was set back would number the leases of the process before again.
    let mut schedule = Schedule::new(stdx::random::u64() >> 2);
    let mut running: Vec<(Slot, Begun)> = Vec::new();
    let mut latest = now;
    let mut replaced: Vec<Position> = Vec::new();
    let mut log = Log::open(disk, folder, |found| {
        let Some(frame) = frame::decode_body(found.body) else {
            return if found.is_over { Keep::Over } else { Keep::Unreadable };
        };
        latest = latest.max(frame.enqueued_at);
        for (slot, position) in withdraw_ended(&mut schedule, &frame) {
            running.retain(|(other, _)| *other != slot);
            replaced.push(position);
        }
        if found.is_over {
            return Keep::Over;
        }
        take_in(&mut schedule, &mut running, &found, &frame, now);
        Keep::Living
    })?;
    log.note(replaced.iter().map(|position| (*position, Record::Over)));
    for position in replaced {
        log.release(position.segment);
    }
    let dead = DeadLetters::open(disk, &folder.join("dead"))?;
    let damages = log.damages + dead.damages();
    if damages > 0 {
        tracing::error!(damages, "queue files were damaged, the rest was read");
    }
    let only_one_ran = running.len() == 1;
    for (slot, begun) in running {
        schedule.lease_unheard(slot, latest.plus(grace), begun.alone && only_one_ran, begun.holder);
    }
    let paused =
        pauses::read(&**disk, folder).map_err(|source| QueueError::Files { folder: folder.to_owned(), source })?;
    let cursors =
        Cursors::read(&**disk, folder).map_err(|source| QueueError::Files { folder: folder.to_owned(), source })?;
    let results = Results::open(disk, &folder.join("results"))?;
    let roster = Roster::default();
    let mut inner = Inner {
        schedule,
        log,
        dead,
        results,
        cursors,
        roster,
        is_pause_unsure: false,
        are_pauses_damaged: false,
        unwritable: None,
        writing_since: None,
        kept_up_at: Instant::now(),
    };
    inner.hold(paused);
    Ok((inner, latest))
}

/// A power loss may bring ended jobs back. That a job was written later shows that an earlier one of its id, and one of
/// its unique key, had ended: nothing is written while they live. So it does also if the later one is over itself.
fn withdraw_ended(schedule: &mut Schedule, later: &Frame<'_>) -> Vec<(Slot, Position)> {
    let unique = Extra::of(&later.options).and_then(|extra| extra.unique);
    schedule.withdraw(hash_id(later.id), unique)
}

fn take_in(
    schedule: &mut Schedule,
    running: &mut Vec<(Slot, Begun)>,
    found: &Recovered<'_>,
    frame: &Frame<'_>,
    now: Timestamp,
) {
    let mut entry = Entry {
        id_hash: hash_id(frame.id),
        position: found.position,
        key: frame.key,
        enqueued_s: whole_seconds(frame.enqueued_at),
        state: waiting_until(frame.not_before, now),
        queue: schedule.queue_number(frame.queue),
        attempts: 0,
        priority: frame.priority,
        deaths: 0,
        company_deaths: 0,
    };
    let mut begun = None;
    for record in found.records {
        replay(&mut entry, &mut begun, *record, now);
    }
    if begun.is_some() {
        // Set aside, so that it is in no turn when it gets its lease.
        entry.state = State::Parked;
    }
    let is_parked = entry.state == State::Parked && begun.is_none();
    let slot = schedule.insert(entry, Extra::of(&frame.options));
    if is_parked {
        let since = found.records.iter().rev().find_map(|record| match record {
            Record::Parked { since } => Some(*since),
            _ => None,
        });
        let since = since.filter(|since| *since != Timestamp::EPOCH).unwrap_or(frame.enqueued_at);
        schedule.note_parked(slot, ParkedJob { task: frame.task.into(), since });
    }
    running.extend(begun.map(|begun| (slot, begun)));
}

/// A run that began and did not end.
struct Begun {
    /// Its batch was of one.
    alone: bool,
    holder: Option<Holder>,
}

fn replay(entry: &mut Entry, running: &mut Option<Begun>, record: Record, now: Timestamp) {
    match record {
        Record::Claimed { attempt, alone, holder } => {
            entry.attempts = u16::try_from(attempt).unwrap_or(u16::MAX);
            *running = Some(Begun { alone, holder });
            return;
        }
        Record::Retry { not_before } => entry.state = waiting_until(not_before, now),
        Record::GivenBack { not_before } => {
            entry.attempts = entry.attempts.saturating_sub(1);
            entry.state = waiting_until(not_before, now);
        }
        Record::Died { alone } => {
            let deaths = if alone { &mut entry.deaths } else { &mut entry.company_deaths };
            *deaths = deaths.saturating_add(1);
            entry.state = State::Ready;
        }
        Record::Parked { .. } => {
            // A worker that knows the task says so when it starts.
            entry.attempts = entry.attempts.saturating_sub(1);
            entry.state = State::Parked;
        }
        Record::Over | Record::Opened => {}
    }
    *running = None;
}
