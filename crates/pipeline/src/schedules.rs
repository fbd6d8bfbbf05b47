//! The schedule table: everything that happens by the clock.

use crate::tasks::{CRON_PING_TASK, DEFAULT_QUEUE, EXPIRE_SESSIONS_TASK, SWEEP_RETENTION_TASK};
use queue::cron::{Entry, Missed, Overlap, When, WhenError};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

/// Returns every entry.
///
/// # Errors
/// If an entry's time cannot be read; a test reads them all.
pub fn all() -> Result<Vec<Entry>, WhenError> {
    let entry = |name, when, task, expires| Entry {
        name,
        when,
        task,
        queue: DEFAULT_QUEUE,
        missed: Missed::Once,
        overlap: Overlap::Skip,
        expires: Some(expires),
    };
    Ok(vec![
        entry("cron.ping", When::every(MINUTE)?, CRON_PING_TASK, MINUTE),
        // A quiet hour in most places, and away from the full hour, when everybody's schedules begin.
        entry("retention.sweep", When::crontab("37 3 * * *", "UTC")?, SWEEP_RETENTION_TASK, MINUTE * 60 * 20),
        entry("sessions.expire", When::crontab("17 * * * *", "UTC")?, EXPIRE_SESSIONS_TASK, MINUTE * 50),
    ])
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_entry_has_a_time_and_a_task_that_is_there() {
        for entry in super::all().expect("all times are read") {
            assert_eq!(crate::tasks::queue_of(entry.task), Some(entry.queue), "{}", entry.name);
        }
    }
}
