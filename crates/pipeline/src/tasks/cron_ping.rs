//! Task `cron.ping`: records when a scheduler, the queue and a worker last worked together. Doing it twice is doing it once.

use queue::{Claimed, Outcome, Policy, RunContext, Task};
use std::sync::Arc;
use std::time::Duration;
use stdx::{Backoff, Clock};
use store::Stores;

pub const NAME: &str = "cron.ping";
pub const QUEUE: &str = "default";
/// The setting under which it is recorded: the time its job was published.
pub const SETTING: &str = "cron.ping";
const ATTEMPTS_MAX: u32 = 3;
const BACKOFF: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
const LEASE: Duration = Duration::from_secs(20);
const TIME_LIMIT: Duration = Duration::from_secs(60);

pub struct CronPing {
    pub stores: Arc<Stores>,
    pub clock: Arc<dyn Clock>,
}

impl Task for CronPing {
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

impl CronPing {
    fn run_one(&self, job: &Claimed) -> Outcome {
        let (at, now) = (job.enqueued_at, self.clock.now());
        let record = |tx: &mut db::Tx<'_>| store::settings::set(tx, SETTING, &at.to_string(), now);
        match self.stores.db.write_blocking(record) {
            Ok(()) => Outcome::Done,
            Err(error) => Outcome::Retry { error: stdx::causes::on_one_line(&error) },
        }
    }
}
