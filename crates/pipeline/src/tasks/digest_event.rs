//! Task `ingest.digest`: an accepted envelope becomes a stored event, counted once.
//!
//! Safe to run twice: event rows are inserted unless they are there, and the metadata transaction counts only ids that
//! pass the fence (`store::digest`).

use crate::digest::Digest;
use queue::{Claimed, Outcome, Policy, RunContext, Task};
use std::time::Duration;
use stdx::Backoff;

pub const NAME: &str = "ingest.digest";
pub const QUEUE: &str = "events";

/// Jobs of one batch. One batch is one transaction in each store: 1,024 spreads its two fsyncs and the counters' rows
/// over many events, and holds about 10 MB.
const BATCH_JOBS_MAX: usize = 1_024;
const BATCH_BYTES_MAX: usize = 16 << 20;
/// Attempts for an error that is not the store's being unwritable (that one costs no attempt).
const ATTEMPTS_MAX: u32 = 5;
const BACKOFF: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
const LEASE: Duration = Duration::from_secs(20);
const TIME_LIMIT: Duration = Duration::from_secs(120);

pub struct DigestEvent(pub Digest);

impl Task for DigestEvent {
    fn name(&self) -> &'static str {
        NAME
    }

    fn policy(&self) -> Policy {
        Policy {
            queue: QUEUE,
            batch_jobs_max: BATCH_JOBS_MAX,
            batch_bytes_max: BATCH_BYTES_MAX,
            attempts_max: ATTEMPTS_MAX,
            backoff: BACKOFF,
            lease: LEASE,
            time_limit: TIME_LIMIT,
        }
    }

    fn run(&self, jobs: &[Claimed], cx: &RunContext) -> Vec<Outcome> {
        self.0.run(jobs, &|| cx.is_over_time())
    }
}
