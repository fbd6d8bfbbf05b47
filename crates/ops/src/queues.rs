//! Queues: how deep each is.

use crate::{Actor, ApiError, Ops};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueDepth {
    pub queue: String,
    pub ready: u64,
    pub delayed: u64,
    pub leased: u64,
    pub dead: u64,
    pub parked: u64,
    /// Age of the oldest job that waits, in seconds; `None` when none waits.
    pub oldest_age_s: Option<u64>,
    pub paused: bool,
}

/// Returns a row for each known queue, by name; for superusers and the system.
pub async fn list(_cx: &Ops, _actor: &Actor) -> Result<Vec<QueueDepth>, ApiError> {
    Err(ApiError::NotFound)
}
