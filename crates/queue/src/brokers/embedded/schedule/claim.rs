//! What a claim takes: by priority and turns, within the bounds. Jobs that saw their process die in company run in smaller
//! and smaller batches, in the end with nothing beside them: that finds the one that kills.

use super::{PRIORITIES, Schedule, Slot};
use crate::{LeaseId, QueueBounds};
use std::time::Duration;
use stdx::Timestamp;

/// After each death in company a job runs in batches this much smaller, down to alone.
const COMPANY_SHRINK: usize = 16;
/// So long a suspect waits for other runs to end before it runs beside them after all.
const DRAIN_MAX: Duration = Duration::from_secs(5);
/// So long nothing new starts beside a suspect, doubled with each of its deaths in company: most killers kill at once,
/// and a long innocent run must not stop all other work.
const ALONE_BASE: Duration = Duration::from_secs(1);
const ALONE_DOUBLINGS_MAX: u8 = 10;

/// What is held back so that a suspect runs with nothing beside it.
#[derive(Default)]
pub struct Suspects {
    /// The lease beside which nothing starts before the time.
    running: Option<(LeaseId, Timestamp)>,
    /// Since when claims wait for other runs to end.
    draining_since: Option<Timestamp>,
}

impl Schedule {
    /// Takes ready jobs of the first queue that has any and leases them. Attempts are counted here.
    pub fn claim(&mut self, queues: &[QueueBounds], now: Timestamp) -> Vec<(LeaseId, Slot)> {
        if let Some((lease, until)) = self.suspects.running {
            if self.leases.contains_key(&lease) && now < until {
                return Vec::new();
            }
            self.suspects.running = None;
        }
        for bounds in queues {
            let Some(number) = self.find_queue(&bounds.queue) else { continue };
            let queue = &self.queues[number as usize];
            if queue.counts.paused || queue.counts.ready == 0 {
                continue;
            }
            return self.claim_from(number, bounds, now);
        }
        Vec::new()
    }

    fn claim_from(&mut self, number: u16, bounds: &QueueBounds, now: Timestamp) -> Vec<(LeaseId, Slot)> {
        let Some((_, first)) = self.front_in_time(number, now) else { return Vec::new() };
        let company_deaths = self.entry(first).company_deaths;
        let limit = batch_limit(bounds.jobs_max, company_deaths);
        let is_suspect = company_deaths > 0 && limit == 1;
        if is_suspect && self.must_drain(now) {
            return Vec::new();
        }
        let taken = self.take_ready(number, limit, bounds.bytes_max, company_deaths, now);
        let alone = taken.len() == 1;
        let deadline = now.plus(bounds.lease);
        let mut claimed = Vec::with_capacity(taken.len());
        for slot in taken {
            let entry = self.entry_mut(slot);
            entry.attempts = entry.attempts.saturating_add(1);
            claimed.push((self.lease_slot(slot, deadline, alone), slot));
        }
        if is_suspect && let Some((lease, _)) = claimed.first() {
            let window = ALONE_BASE * (1 << company_deaths.min(ALONE_DOUBLINGS_MAX));
            self.suspects = Suspects { running: Some((*lease, now.plus(window))), draining_since: None };
        }
        claimed
    }

    fn must_drain(&mut self, now: Timestamp) -> bool {
        if self.leases.is_empty() {
            self.suspects.draining_since = None;
            return false;
        }
        let since = *self.suspects.draining_since.get_or_insert(now);
        now.since(since) < DRAIN_MAX
    }

    fn take_ready(
        &mut self,
        number: u16,
        limit: usize,
        bytes_max: usize,
        company_deaths: u8,
        now: Timestamp,
    ) -> Vec<Slot> {
        let mut taken: Vec<Slot> = Vec::new();
        let mut bytes = 0;
        while taken.len() < limit {
            let Some((priority, slot)) = self.front_in_time(number, now) else { break };
            let entry = self.entry(slot);
            let length = entry.position.length as usize;
            // One that is larger than the bound runs by itself.
            let fits = taken.is_empty() || bytes + length <= bytes_max && entry.company_deaths == company_deaths;
            if !fits {
                break;
            }
            self.queues[number as usize].turns[priority].pop();
            bytes += length;
            taken.push(slot);
        }
        taken
    }

    /// The next job that may still be begun; those before it are set aside.
    fn front_in_time(&mut self, number: u16, now: Timestamp) -> Option<(usize, Slot)> {
        loop {
            let (priority, slot) = self.front(number)?;
            if !self.is_overdue(slot, now) {
                return Some((priority, slot));
            }
            self.queues[number as usize].turns[priority].pop();
            self.set_overdue(slot);
        }
    }

    fn front(&self, number: u16) -> Option<(usize, Slot)> {
        let turns = &self.queues[number as usize].turns;
        (0..PRIORITIES).rev().find_map(|priority| turns[priority].front().map(|slot| (priority, slot)))
    }
}

fn batch_limit(jobs_max: usize, company_deaths: u8) -> usize {
    let shrunk = (0..company_deaths.min(8)).fold(jobs_max, |limit, _| limit / COMPANY_SHRINK);
    shrunk.max(1)
}
