//! The table of tasks: every kind of work this binary can run, one file each.

mod cron_ping;
mod debug_abort;
mod debug_append;
mod debug_echo;
mod debug_fail;
mod debug_hang;
mod debug_hog;
mod debug_segfault;
mod debug_sleep;
mod delete_issues;
mod digest_event;
pub mod discard_blobs;
mod expire_sessions;
mod sweep_retention;

pub use cron_ping::{CronPing, NAME as CRON_PING_TASK, SETTING as CRON_PING_SETTING};
pub use digest_event::{DigestEvent, NAME as DIGEST_TASK, QUEUE as EVENTS_QUEUE};
pub use expire_sessions::{ExpireSessions, NAME as EXPIRE_SESSIONS_TASK};
pub use sweep_retention::{EventDays, NAME as SWEEP_RETENTION_TASK, SweepRetention};

use crate::digest::Digest;
use debug_abort::Abort;
use debug_append::Append;
use debug_echo::Echo;
use debug_fail::Fail;
use debug_hang::Hang;
use debug_hog::Hog;
use debug_segfault::Segfault;
use debug_sleep::Sleep;
use delete_issues::DeleteIssues;
use discard_blobs::DiscardBlobs;
use queue::{Calls, Queue, Task};
use std::path::PathBuf;
use std::sync::Arc;
use stdx::Clock;
use store::Stores;

/// Checks and drills, callable from any Celery client.
pub const DEBUG_QUEUE: &str = debug_echo::QUEUE;
/// Upkeep of all kinds.
pub const DEFAULT_QUEUE: &str = "default";
/// Every queue of this release.
pub const QUEUES: &[&str] = &[EVENTS_QUEUE, DEBUG_QUEUE, DEFAULT_QUEUE];

/// A task's name and what it does, for `docs/reference/tasks.md` and the check that files and table agree.
pub const TASKS: &[(&str, &str)] = &[
    (digest_event::NAME, "turns an accepted envelope into a stored event and its issue"),
    (discard_blobs::NAME, "deletes blobs that nothing refers to any more"),
    (delete_issues::NAME, "removes the events and counters of issues that people deleted"),
    (cron_ping::NAME, "records when a scheduler, the queue and a worker last worked together"),
    (expire_sessions::NAME, "deletes logins that have expired"),
    (sweep_retention::NAME, "removes what is past its retention, a little at a time"),
    (debug_abort::NAME, "drill: aborts the process it runs in"),
    (
        debug_append::NAME,
        "drill: appends `job-id line` to `file` under `debug/` of the data directory, once per job id",
    ),
    (debug_echo::NAME, "drill: returns its argument; of several `[args…]`, with names `{args, kwargs}`"),
    (debug_fail::NAME, "drill: fails with `message`, three times"),
    (debug_hang::NAME, "drill: hangs without end, in a process pool only: `time limit`"),
    (debug_hog::NAME, "drill: takes `mib` MiB of memory and returns them, in a process pool only"),
    (debug_segfault::NAME, "drill: faults (SIGSEGV), in a process pool only: `crashed`"),
    (debug_sleep::NAME, "drill: sleeps for `seconds` and returns them"),
];

/// What tasks work with.
pub struct TaskWorld {
    pub stores: Arc<Stores>,
    pub clock: Arc<dyn Clock>,
    pub data_dir: PathBuf,
    /// Answers how many days events are kept, as is set now.
    pub event_days: EventDays,
    /// `None` in child processes.
    pub queue: Option<Arc<dyn Queue>>,
}

/// Returns every task.
pub fn all(world: &TaskWorld) -> Vec<Arc<dyn Task>> {
    let (stores, clock) = (&world.stores, &world.clock);
    vec![
        Arc::new(DigestEvent(Digest::new(stores.clone(), clock.clone()))),
        Arc::new(DiscardBlobs(stores.clone())),
        Arc::new(DeleteIssues { stores: stores.clone(), clock: clock.clone() }),
        Arc::new(CronPing { stores: stores.clone(), clock: clock.clone() }),
        Arc::new(ExpireSessions { stores: stores.clone(), clock: clock.clone() }),
        Arc::new(SweepRetention {
            stores: stores.clone(),
            clock: clock.clone(),
            event_days: world.event_days.clone(),
            queue: world.queue.clone(),
        }),
        Arc::new(Calls(Echo)),
        Arc::new(Calls(Sleep)),
        Arc::new(Calls(Fail)),
        Arc::new(Calls(Abort)),
        Arc::new(Calls(Hang)),
        Arc::new(Calls(Hog)),
        Arc::new(Calls(Segfault)),
        Arc::new(Calls(Append::new(&world.data_dir))),
    ]
}

/// Returns the queue of a task.
pub fn queue_of(task: &str) -> Option<&'static str> {
    let is_known = TASKS.iter().any(|(name, _)| *name == task);
    match task {
        DIGEST_TASK => Some(EVENTS_QUEUE),
        _ if is_known && task.starts_with("debug.") => Some(DEBUG_QUEUE),
        _ if is_known => Some(DEFAULT_QUEUE),
        _ => None,
    }
}
