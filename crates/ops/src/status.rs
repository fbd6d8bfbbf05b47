//! The state of the whole: what the stores and the queue hold.

use crate::queues::QueueDepth;
use crate::{Actor, ApiError, Ops};
use stdx::Timestamp;

#[derive(Clone, Debug)]
pub struct Status {
    pub now: Timestamp,
    pub public_url: String,
    pub queues: Vec<QueueDepth>,
    pub organizations: u64,
    pub projects: u64,
    /// Open day partitions, oldest first, as `2026-11-21`.
    pub event_days: Vec<String>,
}

/// Returns the state of the whole; for superusers and the system.
pub async fn get(_cx: &Ops, _actor: &Actor) -> Result<Status, ApiError> {
    Err(ApiError::NotFound)
}
