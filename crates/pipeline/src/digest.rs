//! The digest: rows first, facts second, ack third (ARCHITECTURE.md, "An event's day").
//!
//! A batch is planned in memory (pure, in parallel between worker threads), then written by receipt day: event rows to
//! the day's partition, durable; then one metadata transaction that is the effect. The queue's ack comes last and may
//! be lost: the fence in the metadata transaction makes a second run change nothing.

mod apply;
mod batch;
mod envelope;
mod grouping;
mod plan;
mod policy;

use crate::metrics;
use crate::training::Trainer;
use batch::Batch;
use plan::Planned;
use policy::Policies;
use queue::{Claimed, Outcome};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use stdx::{Clock, Day};
use store::Stores;

/// Wait before trying again when a store cannot be written (disk full, locked): no attempt is spent on it.
const UNWRITABLE_PAUSE: Duration = Duration::from_secs(2);

/// Runs digest batches. Cheap to clone into each worker thread.
#[derive(Clone)]
pub struct Digest {
    stores: Arc<Stores>,
    clock: Arc<dyn Clock>,
    trainer: Trainer,
    policies: Policies,
}

/// Why a planned envelope was not applied.
#[derive(Debug, thiserror::Error)]
pub enum DigestError {
    #[error("write the batch of {day}")]
    Store {
        day: Day,
        #[source]
        source: store::StoreError,
    },
}

impl Digest {
    pub fn new(stores: Arc<Stores>, clock: Arc<dyn Clock>) -> Self {
        Digest { trainer: Trainer::new(stores.clone(), clock.clone()), stores, clock, policies: Policies::default() }
    }

    /// Digests a batch. Returns an outcome for each job, in order. Once `is_over_time`, what was not begun is given back.
    pub fn run(&self, jobs: &[Claimed], is_over_time: &dyn Fn() -> bool) -> Vec<Outcome> {
        let _handling = telemetry::reporting::handling(jobs.iter().map(|job| job.id.as_str()));
        let started = Instant::now();
        let mut outcomes = vec![Outcome::Snooze { after: Duration::ZERO }; jobs.len()];
        let mut days: BTreeMap<Day, Vec<(usize, Planned)>> = BTreeMap::new();
        let mut policies = self.policies.of_batch(&self.stores);
        for (index, job) in jobs.iter().enumerate() {
            // The first is always begun: given back unseen, it would come again for ever.
            if index > 0 && is_over_time() {
                tracing::warn!(planned = index, jobs = jobs.len(), "time for the batch is up, the rest is given back");
                break;
            }
            match plan::plan(&self.stores, &mut policies, job) {
                Ok(planned) => days.entry(planned.plan.day()).or_default().push((index, planned)),
                Err(refusal) => outcomes[index] = refusal.into_outcome(),
            }
        }
        metrics::record_stage("plan", started.elapsed());
        for (day, plans) in days {
            let mut failures = Vec::new();
            self.apply_day(day, Batch::of(plans), &mut outcomes, &mut failures);
            if let Some(error) = failures.first() {
                tracing::error!(error, jobs = failures.len(), "jobs failed");
            }
        }
        outcomes
    }

    /// Applies the plans of a day in one go, for they share their transactions. If that fails for what may be the fault
    /// of one of them, it is tried with each half: only who fails alone is charged.
    fn apply_day(&self, day: Day, mut batch: Batch, outcomes: &mut [Outcome], failures: &mut Vec<String>) {
        match apply::apply(&self.stores, self.clock.now(), day, &mut batch) {
            Ok(applied) => {
                metrics::count_issues(applied.issues_created, applied.issues_regressed);
                for (project_id, count) in applied.stored_by_project {
                    self.trainer.note_stored(project_id, count);
                }
                batch.jobs().for_each(|index| outcomes[index] = Outcome::Done);
            }
            Err(error) if error.is_unwritable() => {
                let text = stdx::causes::on_one_line(&error);
                tracing::warn!(error = text, "stores cannot be written, batch waits");
                batch.jobs().for_each(|index| outcomes[index] = Outcome::Snooze { after: UNWRITABLE_PAUSE });
            }
            Err(_) if batch.len() > 1 => {
                for half in batch.halves() {
                    self.apply_day(day, half, outcomes, failures);
                }
            }
            Err(error) => {
                let error = stdx::causes::on_one_line(&error);
                failures.push(error.clone());
                batch.jobs().for_each(|index| outcomes[index] = Outcome::Retry { error: error.clone() });
            }
        }
    }
}

impl DigestError {
    /// A store that cannot be written now costs no attempt; any other error is one, and ends among the dead letters.
    fn is_unwritable(&self) -> bool {
        match self {
            DigestError::Store { source, .. } => source.is_unwritable(),
        }
    }
}

#[cfg(test)]
mod tests;
