//! What has been delivered and waits to be claimed: entries by class and lane, in their order. Pure bookkeeping; it knows no
//! connection. A buffer is small: what stays here no other process can take.

use super::acks::Ticket;
use super::lanes::{LANES, Seat};
use super::wire::Message;
use crate::celery::{Received, Undecodable};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

/// Of a batch, for each time that its jobs died in company.
const SHRINK: usize = 16;
const SHRINKS_MAX: u32 = 8;

/// A message that was delivered.
#[derive(Clone)]
pub(super) struct Entry {
    /// Its place among those of its seat.
    pub order: u64,
    pub seat: Seat,
    pub lane: Arc<str>,
    pub queue: Arc<str>,
    pub ticket: Ticket,
    /// Shared: a held job is looked at often, and a table of headers is dear to copy.
    pub message: Arc<Message>,
    pub job: Result<Arc<Received>, Arc<Undecodable>>,
    /// The message's name; one that has none from us gets one made of what it says.
    pub tag: Arc<str>,
    /// Deaths of its workers while it ran alone, and in company.
    pub deaths: (u32, u32),
    /// It was delivered before: the ledger must be asked what became of it then.
    pub is_unsure: bool,
    pub arrived_at: Instant,
}

impl Entry {
    pub fn id(&self) -> &str {
        match &self.job {
            Ok(job) => job.id.as_str(),
            Err(rest) => rest.id.as_deref().unwrap_or(&self.tag),
        }
    }
}

/// The waiting entries of one queue.
#[derive(Default)]
struct Shelf {
    seats: BTreeMap<Seat, BTreeMap<u64, Entry>>,
    /// How many of each lane there are: asked for with every delivery.
    lanes: HashMap<Arc<str>, usize>,
    /// The lane whose turn it is.
    turn: u8,
}

/// What a claim may take.
pub(super) enum Picked {
    Nothing,
    /// Entries of equal deaths; whether they are one suspect that is to run with nothing beside it.
    Entries {
        entries: Vec<Entry>,
        is_suspect: bool,
    },
    /// The first is a suspect, and none may run now.
    MustDrain,
}

#[derive(Default)]
pub(super) struct Desk {
    shelves: HashMap<Arc<str>, Shelf>,
    next_order: u64,
    pub bytes: usize,
}

impl Desk {
    pub fn next_order(&mut self) -> u64 {
        self.next_order += 1;
        self.next_order
    }

    pub fn put(&mut self, entry: Entry) {
        self.bytes += entry.message.body.len();
        let shelf = self.shelves.entry(entry.queue.clone()).or_default();
        *shelf.lanes.entry(entry.lane.clone()).or_default() += 1;
        shelf.seats.entry(entry.seat).or_default().insert(entry.order, entry);
    }

    pub fn count(&self, queue: &str) -> usize {
        self.shelves.get(queue).map_or(0, |shelf| shelf.seats.values().map(BTreeMap::len).sum())
    }

    pub fn count_lane(&self, queue: &str, lane: &str) -> usize {
        self.shelves.get(queue).and_then(|shelf| shelf.lanes.get(lane)).copied().unwrap_or(0)
    }

    /// How much lies of each lane.
    pub fn lane_counts(&self) -> impl Iterator<Item = (&Arc<str>, usize)> {
        self.shelves.values().flat_map(|shelf| &shelf.lanes).map(|(lane, count)| (lane, *count))
    }

    /// Removes what the ledger must be asked about.
    pub fn take_unsure(&mut self, queue: &str) -> Vec<Entry> {
        self.take_where(queue, |entry| entry.is_unsure)
    }

    /// Removes entries of one queue.
    pub fn take_where(&mut self, queue: &str, is_wanted: impl Fn(&Entry) -> bool) -> Vec<Entry> {
        let Some(shelf) = self.shelves.get_mut(queue) else { return Vec::new() };
        let mut taken = Vec::new();
        for entries in shelf.seats.values_mut() {
            let orders: Vec<u64> =
                entries.iter().filter(|(_, entry)| is_wanted(entry)).map(|(order, _)| *order).collect();
            taken.extend(orders.iter().filter_map(|order| entries.remove(order)));
        }
        taken.iter().for_each(|entry| shelf.uncount(entry));
        self.bytes -= taken.iter().map(|entry| entry.message.body.len()).sum::<usize>();
        taken
    }

    pub fn queues(&self) -> Vec<Arc<str>> {
        self.shelves.keys().cloned().collect()
    }

    /// Forgets what an earlier connection delivered: it comes again.
    pub fn clear_before(&mut self, epoch: u64) {
        for queue in self.queues() {
            self.take_where(&queue, |entry| entry.ticket.epoch() < epoch);
        }
    }

    /// Takes entries as if each lane of a class gave one in turn, the first class first.
    pub fn pick(&mut self, queue: &str, jobs_max: usize, bytes_max: usize, may_run_suspect: bool) -> Picked {
        let Some(shelf) = self.shelves.get_mut(queue) else { return Picked::Nothing };
        let mut entries: Vec<Entry> = Vec::new();
        let (mut limit, mut bytes, mut is_suspect) = (jobs_max.max(1), 0, false);
        while entries.len() < limit {
            let Some((seat, order)) = shelf.next() else { break };
            let next = &shelf.seats[&seat][&order];
            let size = next.message.body.len();
            match entries.first() {
                None => {
                    limit = limit_of(limit, next.deaths);
                    is_suspect = next.deaths.0 > 0 || (next.deaths.1 > 0 && limit == 1);
                    if is_suspect && !may_run_suspect {
                        return Picked::MustDrain;
                    }
                }
                Some(first) if bytes + size > bytes_max || first.deaths != next.deaths => break,
                Some(_) => {}
            }
            bytes += size;
            shelf.turn = (seat.lane + 1) % LANES;
            let taken = shelf.seats.get_mut(&seat).and_then(|entries| entries.remove(&order));
            taken.iter().for_each(|entry| shelf.uncount(entry));
            entries.extend(taken);
        }
        self.bytes -= bytes;
        if entries.is_empty() { Picked::Nothing } else { Picked::Entries { entries, is_suspect } }
    }
}

impl Shelf {
    fn uncount(&mut self, entry: &Entry) {
        if let Some(count) = self.lanes.get_mut(&entry.lane) {
            *count -= 1;
        }
    }

    fn next(&self) -> Option<(Seat, u64)> {
        let class = self.seats.iter().find(|(_, entries)| !entries.is_empty())?.0.class;
        (0..LANES).find_map(|offset| {
            let seat = Seat { class, lane: (self.turn + offset) % LANES };
            let order = self.seats.get(&seat)?.keys().next()?;
            Some((seat, *order))
        })
    }
}

fn limit_of(jobs_max: usize, (alone, company): (u32, u32)) -> usize {
    if alone > 0 {
        return 1;
    }
    let shrunk = (0..company.min(SHRINKS_MAX)).fold(jobs_max, |jobs, _| jobs / SHRINK);
    shrunk.max(1)
}
