//! Keeps the leases of running jobs alive. A run beyond its time limit is no longer kept: its jobs go to another thread
//! when the lease ends, and its own result is void.

use super::Shared;
use crate::LeaseId;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Pause between two extensions; far below any lease.
const EXTEND_EVERY: Duration = Duration::from_millis(1_000);
/// The thread looks this often whether it should stop.
const LOOK_EVERY: Duration = Duration::from_millis(100);

#[derive(Clone, Copy)]
struct Running {
    lease: Duration,
    ends_at: Instant,
}

#[derive(Default)]
pub(super) struct Leases(Mutex<HashMap<LeaseId, Running>>);

impl Leases {
    pub fn hold(&self, leases: &[LeaseId], lease: Duration, time_limit: Duration) {
        let running = Running { lease, ends_at: Instant::now() + time_limit };
        self.lock().extend(leases.iter().map(|id| (*id, running)));
    }

    pub fn let_go(&self, leases: &[LeaseId]) {
        let mut held = self.lock();
        for id in leases {
            held.remove(id);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<LeaseId, Running>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The leases to extend now, by their length.
    fn due(&self) -> HashMap<Duration, Vec<LeaseId>> {
        let now = Instant::now();
        let mut due: HashMap<Duration, Vec<LeaseId>> = HashMap::new();
        let mut held = self.lock();
        held.retain(|_, running| running.ends_at > now);
        for (id, running) in held.iter() {
            due.entry(running.lease).or_default().push(*id);
        }
        due
    }
}

impl Shared {
    pub(super) fn keep_leases(&self) {
        let mut extended = Instant::now();
        while !self.context.is_stopping() || self.progress.running.load(std::sync::atomic::Ordering::Relaxed) > 0 {
            std::thread::sleep(LOOK_EVERY);
            if extended.elapsed() < EXTEND_EVERY {
                continue;
            }
            extended = Instant::now();
            for (lease, ids) in self.leases.due() {
                let lost = self.broker.extend(&ids, lease);
                self.leases.let_go(&lost);
            }
        }
    }
}
