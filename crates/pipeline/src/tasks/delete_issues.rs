//! Task `issues.delete`: removes the events and counters of issues that people deleted, a little at a time.
//!
//! Safe to run twice: the issue is gone since somebody said so, what is left of it stands in the metadata, and each step
//! looks at what is there. A worker that dies is followed by another, which carries on.

use queue::{Claimed, Outcome, Policy, RunContext, Task};
use std::sync::Arc;
use std::time::{Duration, Instant};
use stdx::{Backoff, Clock};
use store::issues::deletion::{self, Deletion};
use store::{StoreError, Stores, sweeps};

pub const NAME: &str = "issues.delete";
pub const QUEUE: &str = "default";
/// For tries of a store that cannot be written.
const ATTEMPTS_MAX: u32 = 20;
const BACKOFF: Backoff = Backoff::new(Duration::from_secs(2), Duration::from_secs(600));
const LEASE: Duration = Duration::from_secs(20);
const TIME_LIMIT: Duration = Duration::from_secs(120);
/// Work of one run; then the worker is free for others.
const RUN_TIME: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_secs(1);
/// Longest pause between two steps.
const REST_MAX: Duration = Duration::from_millis(250);
/// Pause between two looks whether a cleanup or a backup is over.
const BUSY_PAUSE: Duration = Duration::from_secs(5);

pub struct DeleteIssues {
    pub stores: Arc<Stores>,
    pub clock: Arc<dyn Clock>,
}

/// What a run came to.
enum Ran {
    Done,
    TimeIsUp,
    /// A cleanup or a backup runs.
    Busy,
}

impl Task for DeleteIssues {
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

    fn run(&self, jobs: &[Claimed], cx: &RunContext) -> Vec<Outcome> {
        jobs.iter().map(|job| self.outcome(&job.payload, cx)).collect()
    }
}

impl DeleteIssues {
    fn outcome(&self, payload: &[u8], cx: &RunContext) -> Outcome {
        let text = String::from_utf8_lossy(payload);
        let issue_ids = match deletion::of_json(&text) {
            Ok(issue_ids) => issue_ids,
            Err(error) => return Outcome::Dead { error: stdx::causes::on_one_line(&error) },
        };
        let until = Instant::now() + RUN_TIME;
        for issue_id in issue_ids {
            let is_stopping = || Instant::now() >= until || cx.is_stopping() || cx.is_over_time();
            match self.delete(issue_id, &is_stopping) {
                Ok(Ran::Done) => {}
                Ok(Ran::TimeIsUp) => return Outcome::Snooze { after: PAUSE },
                Ok(Ran::Busy) => return Outcome::Snooze { after: BUSY_PAUSE },
                Err(error) => return Outcome::Retry { error: stdx::causes::on_one_line(&error) },
            }
        }
        Outcome::Done
    }

    fn delete(&self, issue_id: i64, is_stopping: &dyn Fn() -> bool) -> Result<Ran, StoreError> {
        let Some(mut deletion) = Deletion::resume(&self.stores, issue_id)? else { return Ok(Ran::Done) };
        loop {
            // Held for each step: a sweep and a backup see what was before it or after, in all stores.
            let Some(lock) = sweeps::lock(&self.stores.data_dir)? else { return Ok(Ran::Busy) };
            let started = Instant::now();
            if deletion.step(&self.stores, self.clock.now())? {
                tracing::info!(issue.id = issue_id, "deleted issue's events and counters removed");
                return Ok(Ran::Done);
            }
            drop(lock);
            if is_stopping() {
                return Ok(Ran::TimeIsUp);
            }
            // Half of the time is for others: nobody waits for it.
            std::thread::sleep(started.elapsed().min(REST_MAX));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_store_asks_for_this_task_by_its_name() {
        assert_eq!(NAME, deletion::TASK);
    }
}
