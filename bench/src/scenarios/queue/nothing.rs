//! The task that does nothing, and its jobs: a call with a text of 1 KB, the same message that Celery sends.

use queue::call::{Call, Embed};
use queue::{Claimed, JobId, JobOptions, NewJob, Outcome, Policy, RunContext, Task};
use serde_json::{Map, Value, json};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};
use stdx::Backoff;

pub const BYTES: usize = 1_024;
const NAME: &str = "bench.nothing";
const QUEUE: &str = "bench";

/// Returns the moment that all times count from.
pub fn base() -> Instant {
    static BASE: OnceLock<Instant> = OnceLock::new();
    *BASE.get_or_init(Instant::now)
}

/// Returns a job; with `published` its run notes how long it waited.
pub fn job(id: &str, published: Option<Duration>) -> NewJob {
    let mut args = vec![Value::String("x".repeat(BYTES))];
    args.extend(published.map(|time| json!(u64::try_from(time.as_nanos()).expect("a run of minutes"))));
    let call = Call { args, kwargs: Map::new(), embed: Embed::default() };
    let mut job = NewJob::new(JobId::new(id), NAME, QUEUE, call.to_payload());
    job.options = JobOptions { is_call: true, ..JobOptions::default() };
    job
}

/// Does nothing, and notes how long jobs waited that say when they were published.
#[derive(Default)]
pub struct Nothing {
    pub times: Arc<Mutex<Vec<Duration>>>,
}

impl Task for Nothing {
    fn name(&self) -> &'static str {
        NAME
    }

    fn policy(&self) -> Policy {
        Policy {
            queue: QUEUE,
            batch_jobs_max: 1,
            batch_bytes_max: 1 << 20,
            attempts_max: 3,
            backoff: Backoff::new(Duration::from_secs(1), Duration::from_secs(60)),
            lease: Duration::from_secs(20),
            time_limit: Duration::from_secs(60),
        }
    }

    fn run(&self, jobs: &[Claimed], _cx: &RunContext) -> Vec<Outcome> {
        let now = base().elapsed();
        for job in jobs {
            // A worker of tasks that take calls reads each: so does this one.
            let call = Call::parse(&job.payload).expect("this bench wrote the payload");
            if let Some(published) = call.args.get(1).and_then(Value::as_u64) {
                let waited = now.saturating_sub(Duration::from_nanos(published));
                self.times.lock().expect("no run panics").push(waited);
            }
        }
        vec![Outcome::Done; jobs.len()]
    }
}
