//! Traces of Vigie's own runs: one transaction for each run that is drawn, by the share of its task. They go upstream alone:
//! at home this release keeps no transactions, and a report's own run is never traced.

use super::bucket::Bucket;
use super::own::{self, About};
use super::{CLIENT, HOP_TAG};
use sentry::Envelope;
use sentry::protocol::{Context, EnvelopeItem, SpanStatus, TraceContext, Transaction};
use std::time::{Duration, Instant, SystemTime};
use stdx::Timestamp;

/// Traces a minute, and as many at once; beyond they are counted as `rate`.
const TRACES_A_MINUTE: u32 = 60;

/// Which share of runs is traced.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TracesSampler {
    /// Of tasks that are not named.
    pub share: f64,
    pub by_task: Vec<(String, f64)>,
}

/// A run that has ended.
#[derive(Clone, Copy, Debug)]
pub struct TracedRun<'a> {
    pub task: &'a str,
    pub jobs: usize,
    pub ended_at: Timestamp,
    pub took: Duration,
    pub is_success: bool,
}

impl TracesSampler {
    /// Returns the share of a task's runs.
    pub fn share_of(&self, task: &str) -> f64 {
        self.by_task.iter().find(|(name, _)| name == task).map_or(self.share, |(_, share)| *share)
    }

    /// Traces the run, if it is drawn.
    pub fn trace(&self, run: &TracedRun<'_>) {
        let share = self.share_of(run.task);
        if share <= 0.0 || own::handled_here() != About::Other || stdx::random::unit() >= share {
            return;
        }
        if let Some(client) = CLIENT.get() {
            client.send_envelope(envelope(run));
        }
    }
}

fn envelope(run: &TracedRun<'_>) -> Envelope {
    let micros = u64::try_from(run.ended_at.micros()).unwrap_or_default();
    let ended = SystemTime::UNIX_EPOCH + Duration::from_micros(micros);
    let status = if run.is_success { SpanStatus::Ok } else { SpanStatus::InternalError };
    let context = TraceContext { op: Some("queue.task".to_owned()), status: Some(status), ..TraceContext::default() };
    let options = CLIENT.get().map(|client| client.options());
    let mut transaction = Transaction {
        name: Some(run.task.to_owned()),
        release: options.and_then(|options| options.release.clone()),
        environment: options.and_then(|options| options.environment.clone()),
        start_timestamp: ended.checked_sub(run.took).unwrap_or(ended),
        timestamp: Some(ended),
        ..Transaction::default()
    };
    transaction.contexts.insert("trace".to_owned(), Context::from(context));
    transaction.tags.insert(HOP_TAG.to_owned(), "1".to_owned());
    transaction.extra.insert("jobs".to_owned(), run.jobs.into());
    transaction.into()
}

pub(super) fn is_trace(envelope: &Envelope) -> bool {
    envelope.items().any(|item| matches!(item, EnvelopeItem::Transaction(_)))
}

/// Traces and errors have bounds of their own: neither takes the other's place.
pub(super) fn bucket() -> Bucket {
    Bucket::full(Instant::now(), TRACES_A_MINUTE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_has_its_own_share_or_the_others() {
        let sampler = TracesSampler { share: 0.25, by_task: vec![("ingest.digest".to_owned(), 0.0)] };
        assert_eq!((sampler.share_of("ingest.digest"), sampler.share_of("debug.echo")), (0.0, 0.25));
    }

    #[test]
    fn a_run_is_a_transaction_of_its_task_with_times_and_outcome() {
        let run = TracedRun {
            task: "debug.fail",
            jobs: 3,
            ended_at: Timestamp::from_seconds(1_795_233_960),
            took: Duration::from_millis(1_500),
            is_success: false,
        };
        let envelope = envelope(&run);
        assert!(is_trace(&envelope));
        let mut bytes = Vec::new();
        envelope.to_writer(&mut bytes).expect("memory takes it");
        let text = String::from_utf8(bytes).expect("text");
        for part in ["debug.fail", "queue.task", "internal_error", "\"start_timestamp\":1795233958.5", "\"jobs\":3"] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
    }
}
