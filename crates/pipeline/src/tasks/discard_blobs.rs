//! Task `blobs.discard`: deletes blobs that nothing refers to any more, such as the bodies of large requests once their
//! content is in the stores.
//!
//! Safe to run twice: a blob that is gone is fine. It comes as soon as the change is durable that made the blobs useless; a
//! digest that died after its commit and runs again finds recorded that its body is spent (`store::spent_bodies`).

use queue::{Claimed, Outcome, Policy, RunContext, Task};
use std::sync::Arc;
use std::time::Duration;
use stdx::Backoff;
use store::Stores;

/// As `store::spent_bodies` asks for it.
pub const NAME: &str = "blobs.discard";
pub const QUEUE: &str = "default";

/// For tries of a disk that does not delete.
const ATTEMPTS_MAX: u32 = 10;
/// Pause between two looks whether a backup is over.
const BACKUP_PAUSE: Duration = Duration::from_secs(30);
const BACKOFF: Backoff = Backoff::new(Duration::from_secs(10), Duration::from_secs(3_600));
const LEASE: Duration = Duration::from_secs(20);
const TIME_LIMIT: Duration = Duration::from_secs(60);

pub struct DiscardBlobs(pub Arc<Stores>);

impl Task for DiscardBlobs {
    fn name(&self) -> &'static str {
        NAME
    }

    fn policy(&self) -> Policy {
        Policy {
            queue: QUEUE,
            batch_jobs_max: 1,
            batch_bytes_max: usize::MAX,
            attempts_max: ATTEMPTS_MAX,
            backoff: BACKOFF,
            lease: LEASE,
            time_limit: TIME_LIMIT,
        }
    }

    fn run(&self, jobs: &[Claimed], _cx: &RunContext) -> Vec<Outcome> {
        jobs.iter().map(|job| self.discard(&job.payload)).collect()
    }
}

impl DiscardBlobs {
    fn discard(&self, payload: &[u8]) -> Outcome {
        // A backup has the metadata of a moment ago, and jobs that may run again from it.
        let _held_off = match store::copies::hold_off(&self.0.data_dir) {
            Ok(Some(held_off)) => held_off,
            Ok(None) => return Outcome::Snooze { after: BACKUP_PAUSE },
            Err(error) => return Outcome::Retry { error: stdx::causes::on_one_line(&error) },
        };
        let keys: Vec<String> = match serde_json::from_slice(payload) {
            Ok(keys) => keys,
            Err(error) => return Outcome::Dead { error: format!("read the names of blobs: {error}") },
        };
        for key in keys {
            if let Err(error) = self.0.blobs.delete(&key) {
                return Outcome::Retry { error: stdx::causes::on_one_line(&error) };
            }
        }
        Outcome::Done
    }
}
