//! What waits and what runs, in memory: entries of fixed size, turns by priority and fairness key, delays, leases.
//! Pure bookkeeping: it reads no clock and touches no file.

mod claim;
pub mod extras;
mod ids;
mod turns;

use super::frame::Holder;
use super::log::Position;
use crate::{LeaseId, QueueDepth};
use extras::{Extra, Extras};
use ids::Ids;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;
use stdx::Timestamp;
use turns::{Place, Turns};

const PRIORITIES: usize = 10;
/// Names of queues: each costs a row in every listing, and their number is 16 bits wide.
const QUEUES_MAX: usize = 1_000;
/// An empty schedule with room for more than this gives its memory back.
const ROOM_KEPT: usize = 16_384;

/// The number of an entry's place.
pub type Slot = u32;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Ready,
    Delayed(Timestamp),
    Leased(LeaseId),
    Parked,
}

/// One living job. A million of them wait in memory, so its size is a promise (`an_entry_is_small`).
#[derive(Clone, Debug)]
pub struct Entry {
    /// 128-bit hash of the id: names are read from the file when needed.
    pub id_hash: u128,
    pub position: Position,
    /// Whole seconds since 1970: only ages are told from it.
    pub enqueued_s: u32,
    pub key: u64,
    pub state: State,
    pub queue: u16,
    pub attempts: u16,
    pub priority: u8,
    /// Deaths while it ran alone.
    pub deaths: u8,
    pub company_deaths: u8,
}

/// Returns a time as `Entry::enqueued_s` keeps it.
pub fn whole_seconds(time: Timestamp) -> u32 {
    u32::try_from(time.micros().max(0) / 1_000_000).unwrap_or(u32::MAX)
}

/// One named queue.
struct Queue {
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

/// Living jobs and bytes of one fairness key.
#[derive(Clone, Copy, Default, Debug)]
pub struct Share {
    pub jobs: u64,
    pub bytes: u64,
}

pub struct Schedule {
    entries: Vec<Option<Entry>>,
    free: Vec<Slot>,
    ids: Ids,
    queues: Vec<Queue>,
    /// Queues are held when they are made.
    holds_new: bool,
    delayed: BTreeSet<(Timestamp, Slot)>,
    leases: HashMap<LeaseId, Lease>,
    /// Leases of the process before that nobody has asserted yet, and who may.
    unheard: HashMap<LeaseId, Option<Holder>>,
    /// No lease ends before this time.
    soonest_end: Timestamp,
    shares: HashMap<u64, Share>,
    next_lease: u64,
    suspects: claim::Suspects,
    extras: Extras,
    pub bytes: u64,
}

impl Schedule {
    /// Leases are numbered on from a number that must be far from those of earlier processes.
    pub fn new(first_lease: u64) -> Schedule {
        Schedule {
            entries: Vec::new(),
            free: Vec::new(),
            ids: Ids::default(),
            queues: Vec::new(),
            holds_new: false,
            delayed: BTreeSet::new(),
            leases: HashMap::new(),
            unheard: HashMap::new(),
            soonest_end: Timestamp::from_micros(i64::MAX),
            shares: HashMap::new(),
            next_lease: first_lease,
            suspects: claim::Suspects::default(),
            extras: Extras::default(),
            bytes: 0,
        }
    }

    pub fn len(&self) -> u64 {
        self.ids.len() as u64
    }

    pub fn find(&self, id_hash: u128) -> Option<&Entry> {
        self.ids.find(id_hash, |slot| self.entry(slot).id_hash).map(|slot| self.entry(slot))
    }

    pub fn share_of(&self, key: u64) -> Share {
        self.shares.get(&key).copied().unwrap_or_default()
    }

    pub fn find_queue(&self, name: &str) -> Option<u16> {
        self.queues.iter().position(|queue| queue.counts.queue == name).map(|index| index as u16)
    }

    /// Whether a queue of this name is there or may be made.
    pub fn has_room_for_queue(&self, name: &str) -> bool {
        self.queues.len() < QUEUES_MAX || self.find_queue(name).is_some()
    }

    /// Returns the number of a queue, made if it is new.
    pub fn queue_number(&mut self, name: &str) -> u16 {
        if let Some(number) = self.find_queue(name) {
            return number;
        }
        let counts = QueueDepth { queue: name.to_owned(), paused: self.holds_new, ..QueueDepth::default() };
        self.queues.push(Queue { turns: Default::default(), counts });
        (self.queues.len() - 1) as u16
    }

    pub fn queue_name(&self, number: u16) -> &str {
        &self.queues[number as usize].counts.queue
    }

    /// Holds a queue, or lets it go on. Returns whether that changed anything.
    pub fn set_paused(&mut self, name: &str, paused: bool) -> bool {
        let number = self.queue_number(name);
        let counts = &mut self.queues[number as usize].counts;
        std::mem::replace(&mut counts.paused, paused) != paused
    }

    /// Holds every queue, those too that are not known yet.
    pub fn hold_all(&mut self) {
        self.holds_new = true;
        self.queues.iter_mut().for_each(|queue| queue.counts.paused = true);
    }

    pub fn paused(&self) -> Vec<String> {
        let paused = self.queues.iter().filter(|queue| queue.counts.paused);
        paused.map(|queue| queue.counts.queue.clone()).collect()
    }

    /// Takes a job in, in the state it names.
    pub fn insert(&mut self, entry: Entry, extra: Option<Extra>) -> Slot {
        let (key, state) = (entry.key, entry.state);
        let length = u64::from(entry.position.length) + extra.map_or(0, |extra| extra.outside_bytes);
        self.bytes += length;
        self.queues[entry.queue as usize].counts.bytes += length;
        let share = self.shares.entry(key).or_default();
        *share = Share { jobs: share.jobs + 1, bytes: share.bytes + length };
        let slot = self.free.pop().unwrap_or(self.entries.len() as Slot);
        if slot as usize == self.entries.len() {
            self.entries.push(None);
        }
        self.entries[slot as usize] = Some(entry);
        let entries = &self.entries;
        self.ids.insert(slot, |slot| hash_at(entries, slot));
        if let Some(extra) = extra {
            self.extras.insert(slot, extra);
        }
        self.enter(slot, state, Place::Last);
        slot
    }

    /// Forgets a job that is over; returns its entry. A ready one must have left its turn.
    pub fn remove(&mut self, slot: Slot) -> Entry {
        self.leave(slot);
        let outside = self.extras.outside_bytes(slot);
        self.extras.remove(slot);
        let entries = &self.entries;
        self.ids.remove(slot, |slot| hash_at(entries, slot));
        let entry = self.entries[slot as usize].take().expect("the slot is taken");
        self.free.push(slot);
        let length = u64::from(entry.position.length) + outside;
        self.bytes -= length;
        self.queues[entry.queue as usize].counts.bytes -= length;
        if let Some(share) = self.shares.get_mut(&entry.key) {
            *share = Share { jobs: share.jobs - 1, bytes: share.bytes - length };
            if share.jobs == 0 {
                self.shares.remove(&entry.key);
            }
        }
        if self.len() == 0 && self.entries.len() > ROOM_KEPT {
            (self.entries, self.free, self.ids) = (Vec::new(), Vec::new(), Ids::default());
        }
        entry
    }

    /// Forgets the jobs with an id or a unique key, in whatever state, and returns their places.
    pub fn withdraw(&mut self, id_hash: u128, unique: Option<u128>) -> Vec<(Slot, Position)> {
        let same_id = self.ids.find(id_hash, |slot| hash_at(&self.entries, slot));
        let same_key = unique.and_then(|unique| self.extras.slot_of(unique)).filter(|slot| Some(*slot) != same_id);
        let slots = same_id.into_iter().chain(same_key);
        slots.collect::<Vec<Slot>>().into_iter().map(|slot| (slot, self.withdraw_slot(slot))).collect()
    }

    fn withdraw_slot(&mut self, slot: Slot) -> Position {
        let Entry { state, queue, priority, key, .. } = *self.entry(slot);
        if state == State::Ready {
            self.queues[queue as usize].turns[priority as usize].withdraw(key, slot);
        }
        self.remove(slot).position
    }

    /// Jobs of a queue that do not run, by slot, beginning with one.
    pub fn waiting_from(&self, name: &str, from: Slot) -> impl Iterator<Item = (Slot, &Entry)> {
        let number = self.find_queue(name);
        let entries = self.entries.iter().enumerate().skip(from as usize);
        let entries = entries.filter_map(|(slot, entry)| Some((slot as Slot, entry.as_ref()?)));
        entries.filter(move |(_, entry)| Some(entry.queue) == number && !matches!(entry.state, State::Leased(_)))
    }

    /// Removes the jobs of a queue with these ids that do not run, and returns their places.
    pub fn remove_waiting(&mut self, name: &str, ids: &[u128]) -> Vec<Position> {
        let Some(number) = self.find_queue(name) else { return Vec::new() };
        let find = |id: &u128| self.ids.find(*id, |slot| hash_at(&self.entries, slot));
        let mut slots: Vec<Slot> = ids.iter().filter_map(find).collect();
        slots.sort_unstable();
        slots.dedup();
        slots.retain(|slot| {
            let entry = self.entry(*slot);
            entry.queue == number && !matches!(entry.state, State::Leased(_))
        });
        let mut ready: HashMap<(u8, u64), HashSet<Slot>> = HashMap::new();
        for slot in &slots {
            let entry = self.entry(*slot);
            if entry.state == State::Ready {
                ready.entry((entry.priority, entry.key)).or_default().insert(*slot);
            }
        }
        for ((priority, key), slots) in ready {
            self.queues[number as usize].turns[priority as usize].withdraw_all(key, slots);
        }
        slots.into_iter().map(|slot| self.remove(slot).position).collect()
    }

    /// Moves a job from the state it is in (not `Ready`) into another.
    pub fn move_to(&mut self, slot: Slot, state: State) {
        self.leave(slot);
        self.enter(slot, state, Place::First);
    }

    fn enter(&mut self, slot: Slot, state: State, place: Place) {
        let entry = self.entries[slot as usize].as_mut().expect("the slot is taken");
        entry.state = state;
        self.extras.entered(slot, state);
        let queue = &mut self.queues[entry.queue as usize];
        match state {
            State::Ready => {
                queue.counts.ready += 1;
                queue.turns[entry.priority as usize].push(entry.key, slot, place);
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
        self.extras.left(slot);
        let entry = self.entries[slot as usize].as_ref().expect("the slot is taken");
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
                self.unheard.remove(&lease);
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

    /// Makes delayed jobs ready whose time has come.
    pub fn promote(&mut self, now: Timestamp) {
        while let Some(&(until, slot)) = self.delayed.first() {
            if until > now {
                break;
            }
            self.leave(slot);
            self.enter(slot, State::Ready, Place::Last);
        }
    }

    /// Leases whose deadline has passed. The last comes first, so that jobs put back one by one stand in their order.
    pub fn expired(&mut self, now: Timestamp) -> Vec<Lease> {
        if now < self.soonest_end {
            return Vec::new();
        }
        let last = Timestamp::from_micros(i64::MAX);
        self.soonest_end = self.leases.values().map(|lease| lease.deadline).min().unwrap_or(last);
        let mut expired: Vec<(LeaseId, Lease)> = self.leases.iter().map(|(id, lease)| (*id, *lease)).collect();
        expired.retain(|(_, lease)| lease.deadline <= now);
        expired.sort_unstable_by_key(|(id, _)| std::cmp::Reverse(id.0));
        expired.into_iter().map(|(_, lease)| lease).collect()
    }

    pub fn lease(&self, id: LeaseId) -> Option<Lease> {
        self.leases.get(&id).copied()
    }

    pub fn extend(&mut self, id: LeaseId, deadline: Timestamp) -> bool {
        self.soonest_end = self.soonest_end.min(deadline);
        self.leases.get_mut(&id).map(|lease| lease.deadline = deadline).is_some()
    }

    /// All leases end so much later.
    pub fn postpone_ends(&mut self, by: Duration) {
        self.leases.values_mut().for_each(|lease| lease.deadline = lease.deadline.plus(by));
    }

    /// Leases a waiting job that has left its turn.
    pub fn lease_slot(&mut self, slot: Slot, deadline: Timestamp, alone: bool) -> LeaseId {
        self.next_lease += 1;
        let id = LeaseId(self.next_lease);
        self.leave(slot);
        self.enter(slot, State::Leased(id), Place::Last);
        self.leases.insert(id, Lease { slot, deadline, alone });
        self.soonest_end = self.soonest_end.min(deadline);
        id
    }

    /// Leases a job that ran in the process before, until its holder is heard or the deadline has passed.
    pub fn lease_unheard(&mut self, slot: Slot, deadline: Timestamp, alone: bool, holder: Option<Holder>) {
        let lease = self.lease_slot(slot, deadline, alone);
        self.unheard.insert(lease, holder);
    }

    /// The holder of a lease of the process before is heard. Returns whether it still has it, or has it again: a run that
    /// had lost its job, to another run or to a later job of the same name, does not get that one.
    pub fn reassert(&mut self, id_hash: u128, lease: LeaseId, deadline: Timestamp) -> bool {
        if self.leases.contains_key(&lease) {
            return self.extend(lease, deadline);
        }
        let Some(slot) = self.ids.find(id_hash, |slot| hash_at(&self.entries, slot)) else { return false };
        let State::Leased(unheard) = self.entry(slot).state else { return false };
        if self.unheard.get(&unheard).copied().flatten() != Some(Holder::of(lease)) {
            return false;
        }
        self.unheard.remove(&unheard);
        let Some(held) = self.leases.remove(&unheard) else { return false };
        self.entry_mut(slot).state = State::Leased(lease);
        self.leases.insert(lease, Lease { deadline, ..held });
        self.soonest_end = self.soonest_end.min(deadline);
        true
    }

    /// Counts of every queue, by name. The oldest age is that of the oldest job that is next of its key.
    pub fn depths(&self, now: Timestamp) -> Vec<QueueDepth> {
        let depth = |queue: &Queue| {
            let fronts = queue.turns.iter().flat_map(Turns::fronts);
            let oldest = fronts.map(|slot| self.entry(slot).enqueued_s).min();
            let oldest_age = oldest.map(|at| now.since(Timestamp::from_seconds(i64::from(at))));
            QueueDepth { oldest_age, ..queue.counts.clone() }
        };
        let mut depths: Vec<QueueDepth> = self.queues.iter().map(depth).collect();
        depths.sort_by(|left, right| left.queue.cmp(&right.queue));
        depths
    }
}

fn hash_at(entries: &[Option<Entry>], slot: Slot) -> u128 {
    entries[slot as usize].as_ref().expect("the slot is taken").id_hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_small() {
        assert!(size_of::<Option<Entry>>() <= 64, "{}", size_of::<Option<Entry>>());
    }
}
