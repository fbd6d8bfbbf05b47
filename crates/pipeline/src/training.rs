//! Trains a project's zstd dictionary once it has enough stored events: events then take a third of the space.
//!
//! Training runs on the worker thread that crosses the mark, at its low priority: about half a second, once a project.
//! Missing a training (a crash) only delays it to the next batch: the mark is "no dictionary yet", not "exactly 300".

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use stdx::Clock;
use store::Stores;

/// Stored events after which a dictionary is trained.
const EVENTS_MIN: u64 = 300;
/// After a failed training, so many more events are waited for.
const RETRY_EVENTS: u64 = 1_000;
/// Projects watched at once; one beyond it is watched when it stores again.
const PROJECTS_MAX: usize = 10_000;

#[derive(Clone)]
pub struct Trainer {
    stores: Arc<Stores>,
    clock: Arc<dyn Clock>,
    /// Events stored since the last look, by project; `u64::MAX` = has a dictionary, nothing to do.
    progress: Arc<Mutex<HashMap<i64, u64>>>,
}

const TRAINED: u64 = u64::MAX;

impl Trainer {
    pub fn new(stores: Arc<Stores>, clock: Arc<dyn Clock>) -> Self {
        Trainer { stores, clock, progress: Arc::default() }
    }

    /// Counts stored events of a project, and trains its dictionary when there are enough.
    pub fn note_stored(&self, project_id: i64, count: u64) {
        if self.is_due(project_id, count) {
            self.train(project_id);
        }
    }

    /// Only one thread sees the mark crossed: the counter is set back under the lock.
    fn is_due(&self, project_id: i64, count: u64) -> bool {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        if progress.len() >= PROJECTS_MAX && !progress.contains_key(&project_id) {
            progress.clear();
        }
        let seen = progress.entry(project_id).or_default();
        if *seen == TRAINED {
            return false;
        }
        *seen += count;
        let is_due = *seen >= EVENTS_MIN;
        if is_due {
            *seen = TRAINED;
        }
        is_due
    }

    fn train(&self, project_id: i64) {
        match self.stores.train_dictionary(project_id, self.clock.now()) {
            Ok(true) => tracing::info!(project.id = project_id, "event dictionary trained"),
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(project.id = project_id, error = %error, "event dictionary not trained");
                let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
                progress.insert(project_id, EVENTS_MIN.saturating_sub(RETRY_EVENTS));
            }
        }
    }
}
