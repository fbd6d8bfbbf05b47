//! What happens by the clock: when it did last, what came of it, and when it will next. For superusers and the system.

use crate::{Actor, ApiError, Ops};
pub use queue::JobResult;
use queue::cron::Cron;
pub use queue::cron::{Entry, ScheduleRow};

/// Returns a row for each entry of the table.
///
/// # Errors
/// `Forbidden` for anybody else, `Queue` if the ledger does not answer.
pub async fn list(cx: &Ops, actor: &Actor) -> Result<Vec<ScheduleRow>, ApiError> {
    actor.require_superuser()?;
    let cron = Cron::new(cx.queue.clone(), cx.schedule.clone(), cx.clock.clone());
    cx.ask("list the schedules", move |_queue| cron.rows()).await
}
