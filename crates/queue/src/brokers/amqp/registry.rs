//! Queues and lanes as all processes know them: kept in the ledger, looked at each second.

use super::Shared;
use super::lanes::{Lane, Seat};
use super::link::lock;
use super::tables::names;
use crate::{NewJob, QueueError};
use std::collections::HashMap;
use std::sync::Arc;

/// Names of queues; a bound against names made of data.
const QUEUES_MAX: usize = 1_024;

#[derive(Clone, Copy)]
struct Known {
    is_shared: bool,
    is_paused: bool,
}

#[derive(Default)]
pub(super) struct Registry {
    queues: HashMap<String, Known>,
    lanes: HashMap<String, Lane>,
}

impl Shared {
    /// Reads what other processes have named.
    pub(super) fn look_at_names(&self) -> Result<(), QueueError> {
        let (queues, lanes) = self.tables.read(|tx| Ok((names::all(tx)?, names::lanes(tx)?)))?;
        let queues: HashMap<String, Known> = queues
            .into_iter()
            .map(|name| (name.name, Known { is_shared: name.is_shared, is_paused: name.is_paused }))
            .collect();
        let lane_of = |(name, queue, seat): (String, String, Seat)| {
            let is_shared = queues.get(&queue).is_some_and(|known| known.is_shared);
            let lane = Lane { name: name.as_str().into(), queue: queue.into(), is_shared, seat };
            (name, lane)
        };
        let lanes = lanes.into_iter().map(lane_of).collect();
        *lock(&self.registry) = Registry { queues, lanes };
        Ok(())
    }

    pub(super) fn is_paused(&self, queue: &str) -> bool {
        lock(&self.registry).queues.get(queue).is_some_and(|known| known.is_paused)
    }

    pub(super) fn set_paused(&self, queue: &str, is_paused: bool) -> Result<(), QueueError> {
        self.is_shared(queue)?;
        self.tables.write(|tx| names::set_paused(tx, queue, is_paused))?;
        self.look_at_names()
    }

    /// The lanes of a queue that were ever used.
    pub(super) fn lanes_of(&self, queue: &str) -> Vec<Lane> {
        let registry = lock(&self.registry);
        registry.lanes.values().filter(|lane| &*lane.queue == queue).cloned().collect()
    }

    pub(super) fn shared_queues(&self) -> Vec<String> {
        let registry = lock(&self.registry);
        let shared = registry.queues.iter().filter(|(_, known)| known.is_shared);
        shared.map(|(name, _)| name.clone()).collect()
    }

    /// Makes a queue known. Returns whether Python programs may touch it: one of a name that they always have or that the
    /// configuration names, or one that somebody named in a command, if it is on the server when we first hear of it.
    fn is_shared(&self, queue: &str) -> Result<bool, QueueError> {
        let (known, count) = {
            let registry = lock(&self.registry);
            (registry.queues.get(queue).copied(), registry.queues.len())
        };
        if let Some(known) = known {
            return Ok(known.is_shared);
        }
        if count >= QUEUES_MAX {
            return Err(QueueError::Full { bound: "names of queues" });
        }
        let naming = &self.config.naming;
        let is_there = || Ok::<_, QueueError>(self.link.count(&self.open()?, queue)?.is_some());
        let is_shared = naming.is_always_shared(queue) || (!naming.is_own(queue) && is_there()?);
        self.tables.note(|tx| names::add(tx, queue, is_shared))?;
        self.look_at_names()?;
        let known = lock(&self.registry).queues.get(queue).copied();
        Ok(known.is_some_and(|known| known.is_shared))
    }

    /// Returns where a job's message goes.
    pub(super) fn lane_of(&self, job: &NewJob) -> Result<Lane, QueueError> {
        let is_shared = self.is_shared(&job.queue)?;
        self.lane(&job.queue, is_shared, Seat::of(job, is_shared))
    }

    fn lane(&self, queue: &str, is_shared: bool, seat: Seat) -> Result<Lane, QueueError> {
        // A shared queue has one lane, and its messages their own seats.
        let seat = if is_shared { Seat::PLAIN } else { seat };
        let name = self.config.naming.lane(queue, is_shared, seat);
        if let Some(lane) = lock(&self.registry).lanes.get(&name) {
            return Ok(lane.clone());
        }
        self.tables.note(|tx| names::add_lane(tx, &name, queue, seat))?;
        let lane = Lane { name: name.as_str().into(), queue: queue.into(), is_shared, seat };
        lock(&self.registry).lanes.insert(name, lane.clone());
        Ok(lane)
    }

    /// A lane that the ledger names.
    pub(super) fn lane_named(&self, name: &str, queue: &str, seat: Seat) -> Lane {
        let known = lock(&self.registry).lanes.get(name).cloned();
        known.unwrap_or_else(|| {
            let is_shared = self.config.naming.is_always_shared(queue) || name == queue;
            Lane { name: Arc::from(name), queue: queue.into(), is_shared, seat }
        })
    }

    /// Names a queue, so that it has a row and can be claimed from before anything is published.
    pub(super) fn declare(&self, queue: &str) -> Result<(), QueueError> {
        let is_shared = self.is_shared(queue)?;
        let lane = self.lane(queue, is_shared, Seat::PLAIN)?;
        // A Python program may publish to it before we do.
        if is_shared { self.link.declare(&self.open()?, &lane) } else { Ok(()) }
    }
}
