//! Workers: who runs jobs, and what no worker can run. For superusers and the system.

use crate::{Actor, ApiError, Ops};
pub use queue::pool::{ChildRow, PoolRow};
pub use queue::{Parked, RateLimitRow, RunningRow, WORKER_DEAD_AFTER, WorkerRow};

/// A worker and whether it was heard lately.
#[derive(Clone, Debug)]
pub struct Worker {
    pub row: WorkerRow,
    pub is_alive: bool,
}

/// Returns all that were heard within the hour, by name; schedulers too, which have no slots.
///
/// # Errors
/// `Forbidden` for anybody else, `Queue` if the ledger does not answer; so for all of this file.
pub async fn list(cx: &Ops, actor: &Actor) -> Result<Vec<Worker>, ApiError> {
    actor.require_superuser()?;
    let now = cx.clock.now();
    let mut rows = cx.ask("list the workers", |queue| queue.workers()).await?;
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    let worker = |row: WorkerRow| Worker { is_alive: now.since(row.heard_at) < WORKER_DEAD_AFTER, row };
    Ok(rows.into_iter().map(worker).collect())
}

/// Returns what no worker knows, by queue and task.
///
/// # Errors
/// See `list`.
pub async fn parked(cx: &Ops, actor: &Actor) -> Result<Vec<Parked>, ApiError> {
    actor.require_superuser()?;
    cx.ask("list what is parked", |queue| queue.parked()).await
}
