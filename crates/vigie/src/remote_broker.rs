//! The queue as a command sees it: through the running process that owns it, or, when none runs, by opening it for a
//! moment. It can look; it moves no job.

use crate::config::Config;
use crate::control::{self, Question};
use crate::roles;
use queue::{
    BoxFuture, Broker, ClaimRequest, Claimed, Finish, JobId, JobState, LeaseId, NewJob, Published, QueueDepth,
    QueueError,
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// One queue's depth, as the control socket carries it.
#[derive(Debug, Serialize, Deserialize)]
pub struct DepthRow {
    queue: String,
    ready: u64,
    delayed: u64,
    leased: u64,
    dead: u64,
    parked: u64,
    oldest_age_s: Option<f64>,
    paused: bool,
    bytes: u64,
}

impl From<QueueDepth> for DepthRow {
    fn from(depth: QueueDepth) -> Self {
        let QueueDepth { queue, ready, delayed, leased, dead, parked, oldest_age, paused, bytes } = depth;
        let oldest_age_s = oldest_age.map(|age| age.as_secs_f64());
        DepthRow { queue, ready, delayed, leased, dead, parked, oldest_age_s, paused, bytes }
    }
}

impl From<DepthRow> for QueueDepth {
    fn from(row: DepthRow) -> Self {
        let DepthRow { queue, ready, delayed, leased, dead, parked, oldest_age_s, paused, bytes } = row;
        let oldest_age = oldest_age_s.and_then(|age| Duration::try_from_secs_f64(age).ok());
        QueueDepth { queue, ready, delayed, leased, dead, parked, oldest_age, paused, bytes }
    }
}

pub struct RemoteBroker(pub Config);

impl RemoteBroker {
    /// Asks the owner, or looks itself.
    fn look<T>(
        &self,
        question: &Question,
        read: impl FnOnce(serde_json::Value) -> anyhow::Result<T>,
        here: impl FnOnce(&queue::brokers::embedded::Embedded) -> T,
    ) -> anyhow::Result<T> {
        if let Some(answer) = control::ask(&self.0.data_dir, question)? {
            return read(answer);
        }
        Ok(here(&roles::open_broker(&self.0)?))
    }
}

/// What a command asked of the queue and could not learn is said once; its listing then lacks it.
fn or_default<T: Default>(looked: anyhow::Result<T>) -> T {
    looked.unwrap_or_else(|error| {
        tracing::error!(error = format!("{error:#}"), "queue not looked at");
        T::default()
    })
}

impl Broker for RemoteBroker {
    fn publish(&self, _jobs: Vec<NewJob>) -> BoxFuture<'_, Result<Vec<Published>, QueueError>> {
        Box::pin(async { Err(QueueError::Closed) })
    }

    fn claim(&self, _request: &ClaimRequest) -> Result<Vec<Claimed>, QueueError> {
        Err(QueueError::Closed)
    }

    fn extend(&self, leases: &[LeaseId], _lease: Duration) -> Result<Vec<LeaseId>, QueueError> {
        Ok(leases.to_vec())
    }

    fn finish(&self, finished: Vec<(LeaseId, Finish)>) -> Result<Vec<LeaseId>, QueueError> {
        Ok(finished.into_iter().map(|(lease, _)| lease).collect())
    }

    fn declare(&self, _queue: &str) -> Result<(), QueueError> {
        Ok(())
    }

    fn upkeep(&self) -> Result<(), QueueError> {
        Ok(())
    }

    fn depths(&self) -> Result<Vec<QueueDepth>, QueueError> {
        let read = |answer| Ok(serde_json::from_value::<Vec<DepthRow>>(answer)?);
        let rows = self.look(&Question::Queues, read, |broker| {
            broker.depths().unwrap_or_default().into_iter().map(DepthRow::from).collect()
        });
        Ok(or_default(rows).into_iter().map(QueueDepth::from).collect())
    }

    fn locate(&self, id: &JobId) -> Result<Option<JobState>, QueueError> {
        let read = |answer: serde_json::Value| Ok(answer["state"].as_str().and_then(parse_state));
        Ok(or_default(self.look(&Question::Job(id.to_string()), read, |broker| broker.locate(id).unwrap_or_default())))
    }

    fn accepting(&self) -> Result<(), QueueError> {
        Err(QueueError::Closed)
    }
}

/// The state's word on the socket.
pub fn state_word(state: JobState) -> &'static str {
    match state {
        JobState::Ready => "ready",
        JobState::Delayed => "delayed",
        JobState::Leased => "leased",
        JobState::Parked => "parked",
        JobState::Dead => "dead",
    }
}

fn parse_state(word: &str) -> Option<JobState> {
    [JobState::Ready, JobState::Delayed, JobState::Leased, JobState::Parked, JobState::Dead]
        .into_iter()
        .find(|state| state_word(*state) == word)
}
