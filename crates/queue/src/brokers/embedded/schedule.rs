//! What waits and what runs, in memory: entries of fixed size, turns by priority and fairness key, delays, leases.
//! Pure bookkeeping: it reads no clock and touches no file.

use super::log::Position;
use crate::{LeaseId, QueueDepth};
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use stdx::Timestamp;

const PRIORITIES: usize = 10;
/// After each death in company a job runs in batches this much smaller, down to alone.
const COMPANY_SHRINK: usize = 16;

/// The number of an entry's place.
pub type Slot = u32;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Ready,
    Delayed(Timestamp),
    Leased(LeaseId),
    Parked,
}

/// One living job.
#[derive(Clone, Debug)]
pub struct Entry {
    /// 128-bit hash of the id: names are read from the file when needed.
    pub id_hash: u128,
    pub position: Position,
    pub key: u64,
    pub enqueued_at: Timestamp,
    pub state: State,
    pub queue: u16,
    pub attempts: u16,
    pub priority: u8,
    /// Deaths while it ran alone.
    pub deaths: u8,
    pub company_deaths: u8,
}

/// Jobs of one queue and priority: keys take turns, each key is first in, first out.
#[derive(Default)]
struct Turns {
    ring: VecDeque<u64>,
    by_key: HashMap<u64, VecDeque<Slot>>,
}

impl Turns {
    fn push(&mut self, key: u64, slot: Slot, first: bool) {
        let waiting = self.by_key.entry(key).or_default();
        if waiting.is_empty() {
            self.ring.push_back(key);
        }
        if first { waiting.push_front(slot) } else { waiting.push_back(slot) }
    }

    fn front(&self) -> Option<Slot> {
        self.by_key.get(self.ring.front()?)?.front().copied()
    }

    fn take(&mut self, key: u64, slot: Slot) {
        let Some(waiting) = self.by_key.get_mut(&key) else { return };
        waiting.retain(|other| *other != slot);
        if waiting.is_empty() {
            self.by_key.remove(&key);
            self.ring.retain(|other| *other != key);
        }
    }

    fn pop(&mut self) -> Option<Slot> {
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

/// One named queue.
pub struct Queue {
    pub name: Arc<str>,
    turns: [Turns; PRIORITIES],
    counts: QueueDepth,
}

/// A lease that is held.
#[derive(Clone, Copy, Debug)]
pub struct Lease {
    pub slot: Slot,
    pub deadline: Timestamp,
    pub alone: bool,
}

#[derive(Default)]
pub struct Schedule {
    entries: Vec<Option<Entry>>,
    free: Vec<Slot>,
    by_id: HashMap<u128, Slot>,
    queues: Vec<Queue>,
    delayed: BTreeSet<(Timestamp, Slot)>,
    leases: HashMap<LeaseId, Lease>,
    key_jobs: HashMap<u64, (u64, u64)>,
    next_lease: u64,
    pub bytes: u64,
}

impl Schedule {
    pub fn len(&self) -> u64 {
        self.by_id.len() as u64
    }

    pub fn contains(&self, id_hash: u128) -> bool {
        self.by_id.contains_key(&id_hash)
    }

    pub fn find(&self, id_hash: u128) -> Option<&Entry> {
        self.by_id.get(&id_hash).and_then(|slot| self.entries[*slot as usize].as_ref())
    }

    /// Jobs and bytes of one fairness key.
    pub fn of_key(&self, key: u64) -> (u64, u64) {
        self.key_jobs.get(&key).copied().unwrap_or_default()
    }

    pub fn queue_number(&mut self, name: &str) -> u16 {
        if let Some(index) = self.queues.iter().position(|queue| &*queue.name == name) {
            return index as u16;
        }
        let counts = QueueDepth { queue: name.to_owned(), ..QueueDepth::default() };
        self.queues.push(Queue { name: name.into(), turns: Default::default(), counts });
        (self.queues.len() - 1) as u16
    }

    /// Takes a job in, in the state it names.
    pub fn insert(&mut self, entry: Entry) {
        let (id_hash, key, length) = (entry.id_hash, entry.key, u64::from(entry.position.length));
        let state = entry.state;
        let slot = self.free.pop().unwrap_or(self.entries.len() as Slot);
        if slot as usize == self.entries.len() {
            self.entries.push(None);
        }
        self.entries[slot as usize] = Some(entry);
        self.by_id.insert(id_hash, slot);
        let of_key = self.key_jobs.entry(key).or_default();
        *of_key = (of_key.0 + 1, of_key.1 + length);
        self.bytes += length;
        let queue = self.entry(slot).queue;
        self.queues[queue as usize].counts.bytes += length;
        self.enter(slot, state, false);
    }

    /// Forgets a job that is over; returns its entry.
    pub fn remove(&mut self, slot: Slot) -> Option<Entry> {
        self.leave(slot);
        let entry = self.entries[slot as usize].take()?;
        self.free.push(slot);
        self.by_id.remove(&entry.id_hash);
        let length = u64::from(entry.position.length);
        self.bytes -= length;
        self.queues[entry.queue as usize].counts.bytes -= length;
        if let Some(of_key) = self.key_jobs.get_mut(&entry.key) {
            *of_key = (of_key.0 - 1, of_key.1 - length);
            if of_key.0 == 0 {
                self.key_jobs.remove(&entry.key);
            }
        }
        Some(entry)
    }

    /// Moves a job from the state it is in (not `Ready`) into another.
    pub fn move_to(&mut self, slot: Slot, state: State) {
        self.leave(slot);
        self.enter(slot, state, state == State::Ready);
    }

    fn enter(&mut self, slot: Slot, state: State, first: bool) {
        let entry = self.entries[slot as usize].as_mut().expect("the slot is taken");
        entry.state = state;
        let queue = &mut self.queues[entry.queue as usize];
        match state {
            State::Ready => {
                queue.counts.ready += 1;
                queue.turns[entry.priority as usize].push(entry.key, slot, first);
            }
            State::Delayed(until) => {
                queue.counts.delayed += 1;
                self.delayed.insert((until, slot));
            }
            State::Leased(_) => queue.counts.leased += 1,
            State::Parked => queue.counts.parked += 1,
        }
    }

    fn leave(&mut self, slot: Slot) {
        let Some(entry) = self.entries[slot as usize].as_ref() else { return };
        let counts = &mut self.queues[entry.queue as usize].counts;
        match entry.state {
            // Ready jobs leave their turn by being popped.
            State::Ready => counts.ready -= 1,
            State::Delayed(until) => {
                counts.delayed -= 1;
                self.delayed.remove(&(until, slot));
            }
            State::Leased(lease) => {
                counts.leased -= 1;
                self.leases.remove(&lease);
            }
            State::Parked => counts.parked -= 1,
        }
    }

    pub fn entry(&self, slot: Slot) -> &Entry {
        self.entries[slot as usize].as_ref().expect("the slot is taken")
    }

    pub fn entry_mut(&mut self, slot: Slot) -> &mut Entry {
        self.entries[slot as usize].as_mut().expect("the slot is taken")
    }

    /// Returns the places of entries that fit.
    pub fn slots_where(&self, fits: impl Fn(&Entry) -> bool) -> Vec<Slot> {
        let slots = self.entries.iter().enumerate();
        slots.filter(|(_, entry)| entry.as_ref().is_some_and(&fits)).map(|(slot, _)| slot as Slot).collect()
    }

    /// Takes a waiting job out of its turn and parks it.
    pub fn set_aside(&mut self, slot: Slot) {
        let entry = self.entry(slot);
        if entry.state == State::Ready {
            let (queue, priority, key) = (entry.queue as usize, entry.priority as usize, entry.key);
            self.queues[queue].turns[priority].take(key, slot);
        }
        self.move_to(slot, State::Parked);
    }

    /// Makes delayed jobs ready whose time has come.
    pub fn promote(&mut self, now: Timestamp) {
        while let Some(&(until, slot)) = self.delayed.first() {
            if until > now {
                break;
            }
            self.leave(slot);
            self.enter(slot, State::Ready, false);
        }
    }

    /// Leases whose deadline has passed.
    pub fn expired(&self, now: Timestamp) -> Vec<(LeaseId, Lease)> {
        let is_expired = |(_, lease): &(&LeaseId, &Lease)| lease.deadline <= now;
        self.leases.iter().filter(is_expired).map(|(id, lease)| (*id, *lease)).collect()
    }

    pub fn lease(&self, id: LeaseId) -> Option<Lease> {
        self.leases.get(&id).copied()
    }

    pub fn extend(&mut self, id: LeaseId, deadline: Timestamp) -> bool {
        self.leases.get_mut(&id).map(|lease| lease.deadline = deadline).is_some()
    }

    /// Takes ready jobs of a queue by priority and turns, within the bounds, and leases them.
    pub fn claim(
        &mut self,
        name: &str,
        jobs_max: usize,
        bytes_max: usize,
        deadline: Timestamp,
    ) -> Vec<(LeaseId, Slot)> {
        let queue = self.queue_number(name);
        let mut taken: Vec<Slot> = Vec::new();
        let (mut bytes, mut level) = (0, None);
        while taken.len() < batch_limit(jobs_max, level) {
            let Some((priority, slot)) = self.front(queue) else { break };
            let entry = self.entry(slot);
            let (length, deaths) = (entry.position.length as usize, entry.company_deaths);
            let fits = taken.is_empty() || (bytes + length <= bytes_max && level == Some(deaths));
            if !fits {
                break;
            }
            self.queues[queue as usize].turns[priority].pop();
            (bytes, level) = (bytes + length, Some(deaths));
            taken.push(slot);
        }
        let alone = taken.len() == 1;
        taken.into_iter().map(|slot| (self.lease_slot(slot, deadline, alone), slot)).collect()
    }

    fn front(&self, queue: u16) -> Option<(usize, Slot)> {
        let turns = &self.queues[queue as usize].turns;
        (0..PRIORITIES).rev().find_map(|priority| turns[priority].front().map(|slot| (priority, slot)))
    }

    fn lease_slot(&mut self, slot: Slot, deadline: Timestamp, alone: bool) -> LeaseId {
        self.next_lease += 1;
        let id = LeaseId(self.next_lease);
        self.leave(slot);
        self.enter(slot, State::Leased(id), false);
        self.leases.insert(id, Lease { slot, deadline, alone });
        let entry = self.entry_mut(slot);
        entry.attempts = entry.attempts.saturating_add(1);
        id
    }

    /// Counts of every queue. The oldest age is that of the job next in turn: exact for one key, close for many.
    pub fn depths(&self, now: Timestamp) -> Vec<QueueDepth> {
        let depth = |queue: &Queue| {
            let fronts = queue.turns.iter().filter_map(Turns::front);
            let oldest = fronts.map(|slot| self.entry(slot).enqueued_at).min();
            let oldest_age: Option<Duration> = oldest.map(|at| now.since(at));
            QueueDepth { oldest_age, ..queue.counts.clone() }
        };
        self.queues.iter().map(depth).collect()
    }
}

/// Jobs that saw their worker die in company run in smaller and smaller batches, then alone: that finds the killer.
fn batch_limit(jobs_max: usize, company_deaths: Option<u8>) -> usize {
    let shrunk = (0..company_deaths.unwrap_or(0).min(8)).fold(jobs_max, |limit, _| limit / COMPANY_SHRINK);
    shrunk.max(1)
}
