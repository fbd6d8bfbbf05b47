//! A durable task queue: at-least-once, leased, fair, bounded.
//!
//! * **task** – a kind of work: name, code, policy. **job** – one unit of it. **run** – one attempt. **lease** – a claim
//!   that ends. **dead letter** – a job that stopped, kept with its reason.
//! * A published job is durable before `publish` returns; it is then run at least once, or ends among the dead letters.
//! * A run that lost its lease cannot finish the job (`finish` is fenced). Attempts are counted when claimed.
//! * Every wait has a poll behind it of at most `POLL_MAX`.
//!
//! Two seams: `Broker` moves jobs, `Ledger` keeps what a broker cannot. This crate knows nothing of what its jobs mean.

mod broker;
mod error;
mod job;
mod task;
mod worker;

pub mod brokers;

pub use broker::{BoxFuture, Broker, ClaimRequest, DeadLetter, Ledger, POLL_MAX, QueueBounds};
pub use error::QueueError;
pub use job::{Claimed, DeadReason, Finish, JobId, JobState, LeaseId, NewJob, Published, QueueDepth};
pub use task::{Outcome, Policy, RunContext, Task};
pub use worker::{Worker, WorkerConfig, WorkerProgress};
