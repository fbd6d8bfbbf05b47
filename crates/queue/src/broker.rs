//! The two seams. Every implementation passes the same conformance suite.

use crate::{Claimed, Finish, JobId, JobState, LeaseId, NewJob, Published, QueueDepth, QueueError};
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;
use stdx::Timestamp;

pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The longest wait without looking again, whatever wake-up was missed.
pub const POLL_MAX: Duration = Duration::from_millis(500);

/// What a worker asks for.
#[derive(Clone, Debug)]
pub struct ClaimRequest {
    /// One queue: a worker thread serves queues in turns.
    pub queue: String,
    pub jobs_max: usize,
    pub bytes_max: usize,
    pub lease: Duration,
}

/// Moves jobs.
pub trait Broker: Send + Sync + 'static {
    /// Keeps the jobs; durable when it returns. All of a call are kept or none.
    fn publish(&self, jobs: Vec<NewJob>) -> BoxFuture<'_, Result<Vec<Published>, QueueError>>;

    /// Takes what is ready now, fairly, and waits at most `POLL_MAX` for the first job.
    ///
    /// # Errors
    /// If the jobs cannot be read.
    fn claim(&self, request: &ClaimRequest) -> Result<Vec<Claimed>, QueueError>;

    /// Extends leases; returns those that were lost.
    fn extend(&self, leases: &[LeaseId], lease: Duration) -> Vec<LeaseId>;

    /// Ends runs; returns the leases that were lost before, whose results are void.
    ///
    /// # Errors
    /// If a dead letter cannot be kept: the run is then not ended.
    fn finish(&self, finished: Vec<(LeaseId, Finish)>) -> Result<Vec<LeaseId>, QueueError>;

    /// A row for every queue that was ever used or declared.
    fn depths(&self) -> Vec<QueueDepth>;

    fn locate(&self, id: &JobId) -> Option<JobState>;

    /// Whether a job could be kept durably now.
    ///
    /// # Errors
    /// Why not.
    fn accepting(&self) -> Result<(), QueueError>;
}

/// A job that stopped.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize, PartialEq, Eq)]
pub struct DeadLetter {
    pub id: String,
    pub queue: String,
    pub task: String,
    pub reason: String,
    pub attempts: u32,
    pub deaths: u32,
    pub error: String,
    pub at: Timestamp,
}

/// Keeps what a broker cannot: today the dead letters.
pub trait Ledger: Send + Sync + 'static {
    fn dead_letters(&self) -> Vec<DeadLetter>;

    /// Puts a dead letter back into its queue with fresh attempts. Returns whether there was one.
    ///
    /// # Errors
    /// If it cannot be published.
    fn retry_dead<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<bool, QueueError>>;

    /// Forgets a dead letter. Returns whether there was one.
    ///
    /// # Errors
    /// If that cannot be written.
    fn discard_dead(&self, id: &str) -> Result<bool, QueueError>;
}
