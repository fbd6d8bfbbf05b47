//! Whose turn it is: keys take turns, each key is first in, first out.

use super::Slot;
use std::collections::{HashMap, HashSet, VecDeque};

/// Waiting jobs of one queue and priority.
#[derive(Default)]
pub struct Turns {
    ring: VecDeque<u64>,
    by_key: HashMap<u64, VecDeque<Slot>>,
}

/// Where a job joins the others of its key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Place {
    First,
    Last,
}

impl Turns {
    pub fn push(&mut self, key: u64, slot: Slot, place: Place) {
        let waiting = self.by_key.entry(key).or_default();
        if waiting.is_empty() {
            self.ring.push_back(key);
        }
        match place {
            Place::First => waiting.push_front(slot),
            Place::Last => waiting.push_back(slot),
        }
    }

    /// The job that is next.
    pub fn front(&self) -> Option<Slot> {
        self.by_key.get(self.ring.front()?)?.front().copied()
    }

    /// The next job of each key.
    pub fn fronts(&self) -> impl Iterator<Item = Slot> {
        self.by_key.values().filter_map(|waiting| waiting.front().copied())
    }

    /// Takes a job out of its turn; slow, for the few that leave otherwise than by being next.
    pub fn withdraw(&mut self, key: u64, slot: Slot) {
        let Some(waiting) = self.by_key.get_mut(&key) else { return };
        waiting.retain(|other| *other != slot);
        if waiting.is_empty() {
            self.by_key.remove(&key);
            self.ring.retain(|other| *other != key);
        }
    }

    /// Takes many jobs of a key out of their turns. Those at its front, as the oldest are, cost little; only for what stands
    /// behind others are all of the key looked at.
    pub fn withdraw_all(&mut self, key: u64, mut slots: HashSet<Slot>) {
        let Some(waiting) = self.by_key.get_mut(&key) else { return };
        while waiting.front().is_some_and(|slot| slots.remove(slot)) {
            waiting.pop_front();
        }
        if !slots.is_empty() {
            waiting.retain(|other| !slots.contains(other));
        }
        if waiting.is_empty() {
            self.by_key.remove(&key);
            self.ring.retain(|other| *other != key);
        }
    }

    pub fn pop(&mut self) -> Option<Slot> {
        let key = self.ring.pop_front()?;
        let waiting = self.by_key.get_mut(&key)?;
        let slot = waiting.pop_front();
        if waiting.is_empty() {
            self.by_key.remove(&key);
        } else {
            self.ring.push_back(key);
        }
        slot
    }
}
