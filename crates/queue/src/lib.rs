//! A durable task queue: at-least-once, leased, fair, bounded.
//!
//! * **task** – a kind of work: name, code, policy. **job** – one unit of it. **run** – one attempt. **lease** – a claim
//!   that ends. **dead letter** – a job that stopped, kept with its reason.
//! * A published job is durable before `publish` returns; it is then run at least once, or ends among the dead letters.
//! * A run that lost its lease cannot finish the job (`finish` is fenced). Attempts are counted when claimed.
//! * Every wait has a poll behind it of at most `POLL_MAX`.
//!
//! Two seams: `Broker` moves jobs, `Ledger` keeps what a broker cannot. A broker that Celery's tools know carries their
//! requests and events too (`broadcast`). This crate knows nothing of what its jobs mean.

pub mod broadcast;
mod broker;
pub mod call;
mod celery;
pub mod cron;
mod error;
mod job;
mod letters;
pub mod pool;
mod spool;
mod task;
mod tend;
mod waiting;
mod worker;

pub mod brokers;
pub mod sim;

pub use broker::{
    Account, BoxFuture, Broker, ClaimRequest, Cursor, DeadLetter, Leaving, Ledger, POLL_MAX, Parked, Queue,
    QueueBounds, RateLimitRow, RunningRow, WORKER_BEAT_EVERY, WORKER_DEAD_AFTER, WorkerRow,
};
pub use error::QueueError;
pub use job::{
    Claimed, DeadReason, Finish, JobId, JobOptions, JobResult, JobState, LeaseId, NAME_BYTES_MAX, NewJob,
    PRIORITY_DEFAULT, Published, QueueDepth, RESULT_BYTES_MAX, RESULT_KEPT,
};
pub use letters::{
    DeadName, DeadNames, LETTERS_KEPT, LETTERS_MAX, LETTERS_PAGE_MAX, LetterCursor, LetterPage, Letters,
};
pub use spool::{SPOOL_BOUND, SPOOL_TAKEN_OVER_WITHIN, Spool, SpoolFolder, SpoolState};
pub use task::{CallTask, Calls, Outcome, Policy, RunContext, Task};
pub use tend::{Fallen, fallen};
pub use waiting::wait_for;
pub use worker::{RemoteConfig, RunEnd, Worker, WorkerConfig, WorkerProgress};
