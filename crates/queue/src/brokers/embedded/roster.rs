//! Which workers were heard lately. In memory only: they say it again every few seconds.

use crate::WorkerRow;
use std::collections::BTreeMap;
use std::time::Duration;
use stdx::Timestamp;

/// A worker that was not heard for this long is forgotten; until then it is shown as dead.
const SHOWN_FOR: Duration = Duration::from_secs(3_600);
/// Workers known at once; beyond it the one not heard for longest goes.
const WORKERS_MAX: usize = 1_000;

#[derive(Default)]
pub struct Roster(BTreeMap<String, WorkerRow>);

impl Roster {
    pub fn note(&mut self, row: &WorkerRow) {
        self.0.insert(row.name.clone(), row.clone());
        if self.0.len() > WORKERS_MAX
            && let Some(name) = self.0.values().min_by_key(|row| row.heard_at).map(|row| row.name.clone())
        {
            self.0.remove(&name);
        }
    }

    pub fn forget(&mut self, name: &str) {
        self.0.remove(name);
    }

    pub fn list(&mut self, now: Timestamp) -> Vec<WorkerRow> {
        self.0.retain(|_, row| now.since(row.heard_at) <= SHOWN_FOR);
        self.0.values().cloned().collect()
    }
}
