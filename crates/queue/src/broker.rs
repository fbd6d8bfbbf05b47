//! The two seams. Every implementation passes the same conformance suite.

use crate::{Claimed, Finish, JobId, JobState, LeaseId, NewJob, Published, QueueDepth, QueueError};
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;
use stdx::Timestamp;

pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The longest wait without looking again, whatever wake-up was missed.
pub const POLL_MAX: Duration = Duration::from_millis(500);

/// What a worker asks for: the first of the queues that has ready jobs is served, by its bounds. Whoever asks rotates
/// them, so that none starves.
#[derive(Clone, Debug)]
pub struct ClaimRequest {
    pub queues: Vec<QueueBounds>,
}

/// How much of one queue a worker takes at once.
#[derive(Clone, Debug)]
pub struct QueueBounds {
    pub queue: String,
    pub jobs_max: usize,
    /// A single job may be larger.
    pub bytes_max: usize,
    pub lease: Duration,
}

/// Moves jobs.
pub trait Broker: Send + Sync + 'static {
    /// Keeps the jobs; durable when it returns. All of a call are kept or none.
    ///
    /// Fails with `Full` or `Unwritable` when the queue refuses, with `IdTooLong` for an id or name beyond its bound.
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
    /// If a dead letter cannot be kept: its run is then not ended, the others are.
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

/// Keeps what a broker cannot: dead letters and pauses; and does what operators ask.
pub trait Ledger: Send + Sync + 'static {
    /// The oldest first.
    fn dead_letters(&self) -> Vec<DeadLetter>;

    fn dead_letter(&self, id: &str) -> Option<DeadLetter>;

    /// Puts a dead letter back into its queue with fresh attempts. Returns whether there was one; one whose payload was
    /// damaged cannot go back.
    ///
    /// # Errors
    /// If it cannot be published.
    fn retry_dead<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<bool, QueueError>>;

    /// Forgets a dead letter. Returns whether there was one.
    ///
    /// # Errors
    /// If that cannot be written.
    fn discard_dead(&self, id: &str) -> Result<bool, QueueError>;

    /// Stops claims from a queue; what runs goes on, publishing too. Holds over restarts.
    ///
    /// # Errors
    /// If that cannot be written: nothing is changed then.
    fn pause(&self, queue: &str) -> Result<(), QueueError>;

    /// # Errors
    /// If that cannot be written: nothing is changed then.
    fn resume(&self, queue: &str) -> Result<(), QueueError>;

    /// Removes every job of a queue that does not run, and returns how many. Dead letters stay.
    ///
    /// # Errors
    /// If that cannot be written.
    fn purge(&self, queue: &str) -> Result<u64, QueueError>;
}
