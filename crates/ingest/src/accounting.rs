//! Accounts for everything received: each authenticated request is a `Received` that must end as accepted or refused.
//! One that is dropped without either is counted as refused for an internal reason and logged, never forgotten.
//!
//! Refusals and items that leave no job behind are summed in memory and flushed to the store every second; what was
//! accepted into the queue is counted by the digest, in the transaction that is its effect. That an event was accepted is
//! counted here as well: as a second witness, with which `ops::conservation` compares what the digest says.

use crate::metrics;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use stdx::{Clock, Hour, Timestamp};

/// Distinct sums kept between two flushes; reasons are a closed set, so this bounds projects and keys in one second.
const SUMS_MAX: usize = 10_000;

/// Whose request it is. Zeros before the key is known.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Owner {
    pub project_id: i64,
    pub key_id: i64,
}

/// One counted fate: `outcome_hour` without its quantity.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Outcome {
    pub owner: Owner,
    pub hour: Hour,
    pub category: &'static str,
    pub outcome: &'static str,
    pub reason: String,
}

/// What was counted since the last flush.
#[derive(Default, Debug)]
pub struct Sums {
    pub outcomes: HashMap<Outcome, i64>,
    /// Events that were accepted, by project and hour of receipt.
    pub accepted: HashMap<(i64, Hour), i64>,
}

impl Sums {
    pub fn is_empty(&self) -> bool {
        self.outcomes.is_empty() && self.accepted.is_empty()
    }
}

/// The sums since the last flush.
pub struct Accounting {
    clock: Arc<dyn Clock>,
    sums: Mutex<Sums>,
}

impl Accounting {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Accounting { clock, sums: Mutex::default() }
    }

    /// Starts accounting for a request.
    pub fn receive(self: &Arc<Self>, owner: Owner) -> Received {
        Received { accounting: self.clone(), owner, is_settled: false }
    }

    /// Counts a refusal before a request's owner is known.
    pub fn refuse_unknown(&self, reason: &'static str) {
        metrics::count_refused(reason);
        self.add(Owner::default(), "error", "refused", reason, 1);
    }

    fn add(&self, owner: Owner, category: &'static str, outcome: &'static str, reason: &str, quantity: i64) {
        let key = Outcome { owner, hour: self.clock.now().hour(), category, outcome, reason: reason.to_owned() };
        let mut sums = self.lock();
        if sums.outcomes.len() >= SUMS_MAX && !sums.outcomes.contains_key(&key) {
            // Still counted, only without its owner: the sum over all projects stays exact.
            let anonymous = Outcome { owner: Owner::default(), ..key };
            *sums.outcomes.entry(anonymous).or_default() += quantity;
            return;
        }
        *sums.outcomes.entry(key).or_default() += quantity;
    }

    /// Projects are as many as have keys, and each has one hour or two: this map needs no bound of its own.
    fn witness(&self, owner: Owner, received_at: Timestamp) {
        *self.lock().accepted.entry((owner.project_id, received_at.hour())).or_default() += 1;
    }

    /// Takes all sums, to be written; `put_back` returns them if writing fails.
    pub fn take(&self) -> Sums {
        std::mem::take(&mut *self.lock())
    }

    pub fn put_back(&self, sums: Sums) {
        let mut current = self.lock();
        for (key, quantity) in sums.outcomes {
            *current.outcomes.entry(key).or_default() += quantity;
        }
        for (key, quantity) in sums.accepted {
            *current.accepted.entry(key).or_default() += quantity;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Sums> {
        self.sums.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that has not been settled yet.
#[must_use = "a received request must end as accepted or refused"]
pub struct Received {
    accounting: Arc<Accounting>,
    owner: Owner,
    is_settled: bool,
}

impl Received {
    /// The request's job with an event in it is durable; the digest counts its items.
    pub fn accept(mut self, received_at: Timestamp) {
        self.is_settled = true;
        metrics::count_accepted();
        self.accounting.witness(self.owner, received_at);
    }

    /// The same for a job without an event.
    pub fn accept_loose(mut self) {
        self.is_settled = true;
        metrics::count_accepted();
    }

    /// The request was accepted, but a job with its id waits already: counted here, since no job will be.
    pub fn accept_duplicate(mut self, received_at: Timestamp) {
        self.is_settled = true;
        metrics::count_accepted();
        self.accounting.witness(self.owner, received_at);
        self.accounting.add(self.owner, "error", "accepted", "", 1);
        self.accounting.add(self.owner, "error", "duplicate", "duplicate", 1);
    }

    /// The request was accepted and holds nothing that is kept, and no id a receipt could be asked for.
    pub fn accept_not_kept(mut self, items: &[(&'static str, String, i64)]) {
        self.is_settled = true;
        metrics::count_accepted();
        for (category, reason, quantity) in items {
            self.accounting.add(self.owner, category, "accepted", "", *quantity);
            self.accounting.add(self.owner, category, "not-kept", reason, *quantity);
        }
    }

    /// The request is answered with an error.
    pub fn refuse(mut self, reason: &'static str) {
        self.settle_refused(reason);
    }

    fn settle_refused(&mut self, reason: &'static str) {
        self.is_settled = true;
        metrics::count_refused(reason);
        self.accounting.add(self.owner, "error", "refused", reason, 1);
    }
}

impl Drop for Received {
    /// A client that goes away while it sends drops the handler: that is the one usual way to get here.
    fn drop(&mut self) {
        if !self.is_settled {
            self.settle_refused("connection_closed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stdx::{ManualClock, Timestamp};

    fn accounting() -> Arc<Accounting> {
        Arc::new(Accounting::new(Arc::new(ManualClock::at(Timestamp::from_seconds(0)))))
    }

    #[test]
    fn a_request_that_is_dropped_is_counted_as_refused() {
        let accounting = accounting();
        drop(accounting.receive(Owner { project_id: 1, key_id: 2 }));
        let sums = accounting.take();
        let rows: Vec<_> = sums.outcomes.iter().map(|(row, n)| (row.outcome, row.reason.as_str(), *n)).collect();
        assert_eq!(rows, [("refused", "connection_closed", 1)]);
    }

    #[test]
    fn sums_that_could_not_be_written_come_back() {
        let accounting = accounting();
        let both = || {
            accounting.receive(Owner::default()).refuse("queue_full");
            accounting.receive(Owner::default()).accept(Timestamp::EPOCH);
        };
        both();
        let sums = accounting.take();
        both();
        accounting.put_back(sums);
        let sums = accounting.take();
        assert_eq!(sums.outcomes.into_values().collect::<Vec<_>>(), [2]);
        assert_eq!(sums.accepted.into_values().collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn an_accepted_event_leaves_a_witness_and_no_refusal() {
        let accounting = accounting();
        accounting.receive(Owner { project_id: 7, key_id: 1 }).accept(Timestamp::from_seconds(3_600));
        accounting.receive(Owner { project_id: 7, key_id: 1 }).accept_loose();
        let sums = accounting.take();
        assert!(sums.outcomes.is_empty());
        assert_eq!(sums.accepted.into_iter().collect::<Vec<_>>(), [((7, Hour(1)), 1)]);
    }
}
