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
///
/// # Errors
/// `Forbidden` for anybody else.
pub async fn list(cx: &Ops, actor: &Actor) -> Result<Vec<QueueDepth>, ApiError> {
    actor.require_superuser()?;
    Ok(depths(cx))
}

pub(crate) fn depths(cx: &Ops) -> Vec<QueueDepth> {
    let row = |depth: queue::QueueDepth| QueueDepth {
        queue: depth.queue,
        ready: depth.ready,
        delayed: depth.delayed,
        leased: depth.leased,
        dead: depth.dead,
        parked: depth.parked,
        oldest_age_s: depth.oldest_age.map(|age| age.as_secs()),
        paused: depth.paused,
    };
    let mut rows: Vec<QueueDepth> = cx.broker.depths().unwrap_or_default().into_iter().map(row).collect();
    rows.sort_unstable_by(|a, b| a.queue.cmp(&b.queue));
    rows
}
