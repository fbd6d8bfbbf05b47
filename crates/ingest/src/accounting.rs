//! Accounts for everything received: each authenticated request is a `Received` that must end as accepted or refused.
//! One that is dropped without either is counted as refused for an internal reason and logged, never forgotten.
//!
//! Refusals and items that leave no job behind are summed in memory and flushed to the store every second; what was
//! accepted into the queue is counted by the digest, in the transaction that is its effect.

use crate::metrics;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use stdx::{Clock, Hour};

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

/// The sums since the last flush.
pub struct Accounting {
    clock: Arc<dyn Clock>,
    sums: Mutex<HashMap<Outcome, i64>>,
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
        if sums.len() >= SUMS_MAX && !sums.contains_key(&key) {
            // Still counted, only without its owner: the sum over all projects stays exact.
            let anonymous = Outcome { owner: Owner::default(), ..key };
            *sums.entry(anonymous).or_default() += quantity;
            return;
        }
        *sums.entry(key).or_default() += quantity;
    }

    /// Takes all sums, to be written; `put_back` returns them if writing fails.
    pub fn take(&self) -> Vec<(Outcome, i64)> {
        self.lock().drain().collect()
    }

    pub fn put_back(&self, sums: Vec<(Outcome, i64)>) {
        let mut current = self.lock();
        for (key, quantity) in sums {
            *current.entry(key).or_default() += quantity;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Outcome, i64>> {
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
    /// The request's job is durable; the digest counts its items.
    pub fn accept(mut self) {
        self.is_settled = true;
        metrics::count_accepted();
    }

    /// The request was accepted, but a job with its id waits already: counted here, since no job will be.
    pub fn accept_duplicate(mut self) {
        self.is_settled = true;
        metrics::count_accepted();
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
        assert_eq!(sums.len(), 1);
        assert_eq!((sums[0].0.outcome, sums[0].0.reason.as_str(), sums[0].1), ("refused", "connection_closed", 1));
    }

    #[test]
    fn sums_that_could_not_be_written_come_back() {
        let accounting = accounting();
        accounting.receive(Owner::default()).refuse("queue_full");
        let sums = accounting.take();
        accounting.receive(Owner::default()).refuse("queue_full");
        accounting.put_back(sums);
        assert_eq!(accounting.take()[0].1, 2);
    }

    #[test]
    fn an_accepted_request_leaves_no_refusal() {
        let accounting = accounting();
        accounting.receive(Owner::default()).accept();
        assert!(accounting.take().is_empty());
    }
}
