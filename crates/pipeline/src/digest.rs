//! The digest: rows first, facts second, ack third (ARCHITECTURE.md, "An event's day").
//!
//! A batch is planned in memory (pure, in parallel between worker threads), then written by receipt day: event rows to
//! the day's partition, durable; then one metadata transaction that is the effect. The queue's ack comes last and may
//! be lost: the fence in the metadata transaction makes a second run change nothing.

mod apply;
mod envelope;
mod grouping;
mod plan;
mod policy;

use crate::metrics;
use crate::training::Trainer;
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

    /// Digests a batch. Returns an outcome for each job, in order.
    pub fn run(&self, jobs: &[Claimed]) -> Vec<Outcome> {
        let _handling = telemetry::reporting::handling(jobs.iter().map(|job| job.id.as_str()));
        let started = Instant::now();
        let mut outcomes: Vec<Option<Outcome>> = Vec::new();
        outcomes.resize_with(jobs.len(), || None);
        let mut days: BTreeMap<Day, Vec<(usize, Planned)>> = BTreeMap::new();
        let mut policies = self.policies.of_batch(&self.stores);
        for (index, job) in jobs.iter().enumerate() {
            match plan::plan(&self.stores, &mut policies, job) {
                Ok(planned) => days.entry(planned.plan.day()).or_default().push((index, planned)),
                Err(refusal) => outcomes[index] = Some(refusal.into_outcome()),
            }
        }
        metrics::record_stage("plan", started.elapsed());
        for (day, plans) in days {
            let (indexes, plans): (Vec<usize>, Vec<Planned>) = plans.into_iter().unzip();
            let outcome = self.apply_day(day, plans);
            for index in indexes {
                outcomes[index] = Some(outcome.clone());
            }
        }
        let unset = || Outcome::Retry { error: "the batch did not reach this job".to_owned() };
        outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(unset)).collect()
    }

    /// One outcome for all envelopes of a day: they share their transactions.
    fn apply_day(&self, day: Day, plans: Vec<Planned>) -> Outcome {
        match apply::apply(&self.stores, self.clock.now(), day, plans) {
            Ok(applied) => {
                metrics::count_issues(applied.issues_created, applied.issues_regressed);
                for (project_id, count) in applied.stored_by_project {
                    self.trainer.note_stored(project_id, count);
                }
                Outcome::Done
            }
            Err(error) => outcome_of(&error),
        }
    }
}

/// A store that cannot be written now costs no attempt; any other error is one, and ends among the dead letters.
fn outcome_of(error: &DigestError) -> Outcome {
    let text = stdx::causes::on_one_line(error);
    match error {
        DigestError::Store { source, .. } if source.is_unwritable() => {
            tracing::warn!(error = text, "stores cannot be written, batch waits");
            Outcome::Snooze { after: UNWRITABLE_PAUSE }
        }
        DigestError::Store { .. } => {
            tracing::error!(error = text, "batch failed");
            Outcome::Retry { error: text }
        }
    }
}

#[cfg(test)]
mod tests;
