//! Workers: who runs jobs, and what no worker can run. For superusers and the system.

use crate::{Actor, ApiError, Ops};
pub use queue::pool::{ChildRow, PoolRow};
pub use queue::{Parked, RateLimitRow, RunningRow, WORKER_DEAD_AFTER, WorkerRow};
use stdx::Timestamp;

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
    Ok(rows.into_iter().map(|row| Worker::seen(row, now)).collect())
}

impl Worker {
    /// A dead one runs nothing and has no children: its leases have ended, and what it ran runs elsewhere or waits.
    fn seen(mut row: WorkerRow, now: Timestamp) -> Worker {
        let is_alive = now.since(row.heard_at) < WORKER_DEAD_AFTER;
        if !is_alive {
            row.running.clear();
            row.pool.children.clear();
        }
        Worker { row, is_alive }
    }
}

/// Returns what no worker knows, by queue and task.
///
/// # Errors
/// See `list`.
pub async fn parked(cx: &Ops, actor: &Actor) -> Result<Vec<Parked>, ApiError> {
    actor.require_superuser()?;
    cx.ask("list what is parked", |queue| queue.parked()).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_worker_that_is_not_heard_any_more_runs_nothing() {
        let heard_at = Timestamp::from_seconds(1_000);
        let running = RunningRow { task: "t".to_owned(), job: "j".to_owned(), jobs: 272, since: heard_at };
        let row = WorkerRow {
            name: "worker@host".to_owned(),
            host: "host".to_owned(),
            pid: 1,
            version: "1".to_owned(),
            started_at: heard_at,
            heard_at,
            slots: 2,
            queues: Vec::new(),
            tasks: Vec::new(),
            running: vec![running],
            finished: 0,
            failed: 0,
            dead: 0,
            finished_by_queue: Default::default(),
            last_error: None,
            is_stopping: false,
            fallen: Vec::new(),
            pool: Default::default(),
            rate_limits: Vec::new(),
        };
        let seen = |after: Duration| Worker::seen(row.clone(), heard_at.plus(after));
        let alive = seen(Duration::from_secs(1));
        assert!(alive.is_alive && alive.row.running.len() == 1);
        let dead = seen(WORKER_DEAD_AFTER);
        assert!(!dead.is_alive && dead.row.running.is_empty() && dead.row.slots == 2, "{dead:?}");
    }
}
