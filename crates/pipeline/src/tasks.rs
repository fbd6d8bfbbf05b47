//! The table of tasks: every kind of work this binary can run, one file each.

mod cron_ping;
pub mod debug;
mod digest_event;
pub mod discard_blobs;
mod expire_sessions;

pub use cron_ping::{CronPing, NAME as CRON_PING_TASK, SETTING as CRON_PING_SETTING};
pub use digest_event::{DigestEvent, NAME as DIGEST_TASK, QUEUE as EVENTS_QUEUE};
pub use expire_sessions::{ExpireSessions, NAME as EXPIRE_SESSIONS_TASK};

use crate::digest::Digest;
use debug::{Abort, Append, Echo, Fail, Sleep};
use discard_blobs::DiscardBlobs;
use queue::{Calls, Task};
use std::path::PathBuf;
use std::sync::Arc;
use stdx::Clock;
use store::Stores;

/// Upkeep of all kinds.
pub const DEFAULT_QUEUE: &str = "default";
/// Every queue of this release.
pub const QUEUES: &[&str] = &[EVENTS_QUEUE, debug::QUEUE, DEFAULT_QUEUE];

/// A task's name and what it does, for `docs/reference/tasks.md` and the check that files and table agree.
pub const TASKS: &[(&str, &str)] = &[
    (digest_event::NAME, "turns an accepted envelope into a stored event and its issue"),
    (discard_blobs::NAME, "deletes blobs that nothing refers to any more"),
    (cron_ping::NAME, "records when a scheduler, the queue and a worker last worked together"),
    (expire_sessions::NAME, "deletes logins that have expired"),
];

/// What tasks work with.
pub struct TaskWorld {
    pub stores: Arc<Stores>,
    pub clock: Arc<dyn Clock>,
    pub data_dir: PathBuf,
}

/// Returns every task.
pub fn all(world: &TaskWorld) -> Vec<Arc<dyn Task>> {
    let (stores, clock) = (&world.stores, &world.clock);
    vec![
        Arc::new(DigestEvent(Digest::new(stores.clone(), clock.clone()))),
        Arc::new(DiscardBlobs(stores.clone())),
        Arc::new(CronPing { stores: stores.clone(), clock: clock.clone() }),
        Arc::new(ExpireSessions { stores: stores.clone(), clock: clock.clone() }),
        Arc::new(Calls(Echo)),
        Arc::new(Calls(Sleep)),
        Arc::new(Calls(Fail)),
        Arc::new(Calls(Abort)),
        Arc::new(Calls(Append::new(&world.data_dir))),
    ]
}

/// Returns the queue of a task.
pub fn queue_of(task: &str) -> Option<&'static str> {
    let has = |table: &[(&str, &str)]| table.iter().any(|(name, _)| *name == task);
    match task {
        DIGEST_TASK => Some(EVENTS_QUEUE),
        _ if has(debug::TASKS) => Some(debug::QUEUE),
        _ if has(TASKS) => Some(DEFAULT_QUEUE),
        _ => None,
    }
}
