//! What few jobs have: a time after which they are not begun, a unique key, a result that is kept, bytes elsewhere. Kept
//! beside the entries, so that a job without costs nothing.

use super::{Schedule, Slot, State};
use crate::JobOptions;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use stdx::Timestamp;

/// A job's options, as far as the schedule needs them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extra {
    pub expires_at: Option<Timestamp>,
    /// Hash of its unique key.
    pub unique: Option<u128>,
    pub keeps_result: bool,
    pub outside_bytes: u64,
}

impl Extra {
    /// Returns what the options say, or `None` if that is nothing.
    pub fn of(options: &JobOptions) -> Option<Extra> {
        let extra = Extra {
            expires_at: options.expires_at,
            unique: options.unique_key.as_deref().map(super::super::hash_id),
            keeps_result: options.keeps_result,
            outside_bytes: options.outside_bytes,
        };
        (extra != Extra::default()).then_some(extra)
    }
}

/// A parked job's task, and since when.
#[derive(Clone, Debug)]
pub struct ParkedJob {
    pub task: Arc<str>,
    pub since: Timestamp,
}

#[derive(Default)]
pub struct Extras {
    by_slot: HashMap<Slot, Extra>,
    uniques: HashMap<u128, Slot>,
    /// Of delayed and parked jobs; a ready one is looked at when its turn comes.
    expiring: BTreeSet<(Timestamp, Slot)>,
    parked: HashMap<Slot, ParkedJob>,
    /// Out of their turn, to become dead letters.
    overdue: Vec<Slot>,
}

impl Extras {
    pub fn insert(&mut self, slot: Slot, extra: Extra) {
        if let Some(unique) = extra.unique {
            self.uniques.insert(unique, slot);
        }
        self.by_slot.insert(slot, extra);
    }

    pub fn remove(&mut self, slot: Slot) {
        // One whose burial failed may be purged.
        self.overdue.retain(|overdue| *overdue != slot);
        if let Some(extra) = self.by_slot.remove(&slot)
            && let Some(unique) = extra.unique
            && self.uniques.get(&unique) == Some(&slot)
        {
            self.uniques.remove(&unique);
        }
    }

    pub fn outside_bytes(&self, slot: Slot) -> u64 {
        self.by_slot.get(&slot).map_or(0, |extra| extra.outside_bytes)
    }

    pub fn slot_of(&self, unique: u128) -> Option<Slot> {
        self.uniques.get(&unique).copied()
    }

    pub fn entered(&mut self, slot: Slot, state: State) {
        if let Some(expires_at) = self.by_slot.get(&slot).and_then(|extra| extra.expires_at)
            && matches!(state, State::Delayed(_) | State::Parked)
        {
            self.expiring.insert((expires_at, slot));
        }
    }

    pub fn left(&mut self, slot: Slot) {
        self.parked.remove(&slot);
        if let Some(expires_at) = self.by_slot.get(&slot).and_then(|extra| extra.expires_at) {
            self.expiring.remove(&(expires_at, slot));
        }
    }
}

impl Schedule {
    pub fn has_unique(&self, unique: u128) -> bool {
        self.extras.uniques.contains_key(&unique)
    }

    pub fn keeps_result(&self, slot: Slot) -> bool {
        self.extras.by_slot.get(&slot).is_some_and(|extra| extra.keeps_result)
    }

    /// Whether a job may not be begun any more.
    pub(super) fn is_overdue(&self, slot: Slot, now: Timestamp) -> bool {
        let extra = self.extras.by_slot.get(&slot);
        extra.and_then(|extra| extra.expires_at).is_some_and(|expires_at| expires_at <= now)
    }

    /// A ready job whose turn came too late.
    pub(super) fn set_overdue(&mut self, slot: Slot) {
        self.extras.overdue.push(slot);
    }

    /// Takes the jobs whose time has passed; ready ones among them are in no turn.
    pub fn take_overdue(&mut self, now: Timestamp) -> Vec<Slot> {
        let mut overdue = std::mem::take(&mut self.extras.overdue);
        while let Some(&(expires_at, slot)) = self.extras.expiring.first() {
            if expires_at > now {
                break;
            }
            self.extras.expiring.remove(&(expires_at, slot));
            overdue.push(slot);
        }
        overdue
    }

    /// They could not become dead letters now: they are found again.
    pub fn put_back_overdue(&mut self, slots: &[Slot]) {
        for slot in slots {
            match self.entry(*slot).state {
                State::Ready => self.extras.overdue.push(*slot),
                state => self.extras.entered(*slot, state),
            }
        }
    }

    pub fn note_parked(&mut self, slot: Slot, parked: ParkedJob) {
        self.extras.parked.insert(slot, parked);
    }

    /// The parked jobs, in the order they were published.
    pub fn parked_jobs(&self) -> Vec<(Slot, &ParkedJob)> {
        let mut parked: Vec<(Slot, &ParkedJob)> = self.extras.parked.iter().map(|(slot, job)| (*slot, job)).collect();
        parked.sort_by_key(|(slot, _)| {
            let position = self.entry(*slot).position;
            (position.segment, position.offset)
        });
        parked
    }
}
