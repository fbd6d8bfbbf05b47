//! Task `sessions.expire`: deletes logins that have expired. Doing it twice is doing it once.

use queue::{Claimed, Outcome, Policy, RunContext, Task};
use std::sync::Arc;
use std::time::Duration;
use stdx::{Backoff, Clock};
use store::Stores;

pub const NAME: &str = "sessions.expire";
pub const QUEUE: &str = "default";
const ATTEMPTS_MAX: u32 = 3;
const BACKOFF: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
const LEASE: Duration = Duration::from_secs(20);
const TIME_LIMIT: Duration = Duration::from_secs(60);

pub struct ExpireSessions {
    pub stores: Arc<Stores>,
    pub clock: Arc<dyn Clock>,
}

impl Task for ExpireSessions {
    fn name(&self) -> &'static str {
        NAME
    }

    fn policy(&self) -> Policy {
        Policy {
            queue: QUEUE,
            batch_jobs_max: 1,
            batch_bytes_max: 1 << 20,
            attempts_max: ATTEMPTS_MAX,
            backoff: BACKOFF,
            lease: LEASE,
            time_limit: TIME_LIMIT,
        }
    }

    fn run(&self, jobs: &[Claimed], _cx: &RunContext) -> Vec<Outcome> {
        jobs.iter().map(|job| self.run_one(job)).collect()
    }
}

impl ExpireSessions {
    fn run_one(&self, _job: &Claimed) -> Outcome {
        let now = self.clock.now();
        let record = |tx: &mut db::Tx<'_>| store::sessions::delete_expired(tx, now).map(|_deleted| ());
        match self.stores.db.write_blocking(record) {
            Ok(()) => Outcome::Done,
            Err(error) => Outcome::Retry { error: stdx::causes::on_one_line(&error) },
        }
    }
}
