//! Task `retention.sweep`: removes what is past its retention, with the engine of `vigie cleanup`.
//!
//! It works for a while, lets others run, and goes on: a long sweep never keeps a worker for itself. Safe to run twice:
//! one sweep at a time has the lock, and what is done is decided by what is there.

use crate::metrics;
use crate::retention::conduct::{self, Held, Origin, OwnHand};
use crate::retention::sweep;
use crate::retention::{Ask, Bench, plan};
use queue::{Claimed, Outcome, Policy, Queue, RunContext, Task};
use std::sync::Arc;
use std::time::{Duration, Instant};
use stdx::{Backoff, Clock};
use store::{StoreError, Stores};

pub const NAME: &str = "retention.sweep";
pub const QUEUE: &str = "default";
const ATTEMPTS_MAX: u32 = 5;
const BACKOFF: Backoff = Backoff::new(Duration::from_secs(10), Duration::from_secs(600));
const LEASE: Duration = Duration::from_secs(20);
/// Planning reads more than a run's work writes; a run that is not over by then hangs.
const TIME_LIMIT: Duration = Duration::from_secs(600);
/// Work of one run; then the worker is free for others.
const RUN_TIME: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_secs(2);
/// A command's sweep is waited for.
const BUSY_PAUSE: Duration = Duration::from_secs(300);
/// A third of the time: nobody waits for it.
const SHARE: f64 = 0.33;

/// Answers how many days events are kept, as is set now.
pub type EventDays = Arc<dyn Fn() -> i64 + Send + Sync>;

pub struct SweepRetention {
    pub stores: Arc<Stores>,
    pub clock: Arc<dyn Clock>,
    pub event_days: EventDays,
    pub queue: Option<Arc<dyn Queue>>,
}

impl Task for SweepRetention {
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

    fn run(&self, jobs: &[Claimed], cx: &RunContext) -> Vec<Outcome> {
        jobs.iter().map(|_| self.sweep(cx)).collect()
    }
}

impl SweepRetention {
    fn sweep(&self, cx: &RunContext) -> Outcome {
        match self.begin(cx) {
            Ok(outcome) => outcome,
            Err(error) => Outcome::Retry { error: stdx::causes::on_one_line(&error) },
        }
    }

    fn begin(&self, cx: &RunContext) -> Result<Outcome, StoreError> {
        let now = self.clock.now();
        let bodies_before = self.queue.as_ref().and_then(|queue| conduct::bodies_before(&**queue, now).ok());
        let ask = Ask { installation_days: (self.event_days)(), bodies_before, share: Some(SHARE), ..Ask::default() };
        if let Some(leap) = conduct::refusal(&self.stores, &ask, now)? {
            tracing::error!(reason = leap.text(), until = %leap.doubted_until(), "retention waits, for the clock is doubted");
            return Ok(Outcome::Done);
        }
        match conduct::begin(&self.stores, Origin::Schedule, now)? {
            Some(held) => self.carry_out(held, &ask, cx),
            None => Ok(Outcome::Snooze { after: BUSY_PAUSE }),
        }
    }

    fn carry_out(&self, held: Held<'_>, ask: &Ask, cx: &RunContext) -> Result<Outcome, StoreError> {
        let (started, now) = (Instant::now(), self.clock.now());
        let plan = plan(&self.stores, ask, now)?;
        let bench = Bench { stores: &self.stores, clock: &*self.clock, sweep: held.sweep, share: SHARE };
        let hand =
            OwnHand { bench, until: Instant::now() + RUN_TIME, is_stopping: &|| cx.is_stopping() || cx.is_over_time() };
        let (report, is_whole) = sweep::run(&plan, vec![Box::new(hand)], |_| {});
        let report = held.finish(&plan, (report, is_whole), self.clock.now())?;
        metrics::record_cleanup(Origin::Schedule.name(), started.elapsed());
        tracing::info!(
            rows = report.rows_total(),
            returned_bytes = report.returned_bytes,
            units = report.units,
            skipped = report.skipped.len(),
            is_whole,
            took_ms = started.elapsed().as_millis() as u64,
            "retention swept"
        );
        Ok(match (is_whole, report.skipped.first()) {
            (false, _) => Outcome::Snooze { after: PAUSE },
            (true, Some(skipped)) => Outcome::Retry { error: format!("set aside: {skipped}") },
            (true, None) => Outcome::Done,
        })
    }
}
