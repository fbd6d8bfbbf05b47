//! Keeps the leases of claimed jobs alive. A run beyond its time limit is no longer kept: its jobs go to another thread
//! when the lease ends, and its own result is void.

use crate::LeaseId;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

#[derive(Clone, Copy)]
struct Held {
    lease: Duration,
    ends_at: Instant,
    /// `None` while its run has not begun.
    running_since: Option<Instant>,
}

#[derive(Default)]
pub(super) struct Leases(Mutex<HashMap<LeaseId, Held>>);

impl Leases {
    /// Keeps leases of jobs that wait for their run for at most so long.
    pub fn wait(&self, leases: &[LeaseId], lease: Duration, at_most: Duration) {
        self.hold(leases, Held { lease, ends_at: Instant::now() + at_most, running_since: None });
    }

    /// Keeps leases of jobs whose run begins now.
    pub fn run(&self, leases: &[LeaseId], lease: Duration, time_limit: Duration) {
        let now = Instant::now();
        self.hold(leases, Held { lease, ends_at: now + time_limit, running_since: Some(now) });
    }

    fn hold(&self, leases: &[LeaseId], held: Held) {
        self.lock().extend(leases.iter().map(|id| (*id, held)));
    }

    pub fn let_go(&self, leases: &[LeaseId]) {
        let mut held = self.lock();
        for id in leases {
            held.remove(id);
        }
    }

    pub fn longest_run(&self) -> Option<Duration> {
        self.lock().values().filter_map(|held| held.running_since).map(|since| since.elapsed()).max()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<LeaseId, Held>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The leases to extend now, by their length.
    pub fn due(&self) -> HashMap<Duration, Vec<LeaseId>> {
        let now = Instant::now();
        let mut due: HashMap<Duration, Vec<LeaseId>> = HashMap::new();
        let mut leases = self.lock();
        let before = leases.len();
        leases.retain(|_, held| held.ends_at > now);
        if leases.len() < before {
            tracing::error!(jobs = before - leases.len(), "runs exceeded their time limit, their leases will end");
        }
        for (id, held) in leases.iter() {
            due.entry(held.lease).or_default().push(*id);
        }
        due
    }
}
