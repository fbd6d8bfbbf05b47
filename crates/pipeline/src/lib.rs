//! From a durable job to its effect: the digest (parse → filter → scrub → normalise → group → plan → apply), the table of
//! tasks, and the upkeep that follows (dictionaries, idle checkpoints).
//!
//! `pipeline` knows nothing of HTTP, configuration or pages. It reads no clock and no environment: both are passed in.

pub mod digest;
mod drill;
pub mod idle;
pub mod metrics;
pub mod outbox;
pub mod pace;
pub mod retention;
pub mod schedules;
pub mod tasks;
pub mod training;
