//! The table of tasks: every kind of work this binary can run, one file each.

mod digest_event;
pub mod discard_blobs;

pub use digest_event::{DigestEvent, NAME as DIGEST_TASK, QUEUE as EVENTS_QUEUE};

/// A task's name and what it does, for `docs/reference/tasks.md` and the check that files and table agree.
/// Returns the queue of a task.
pub fn queue_of(task: &str) -> Option<&'static str> {
    (task == DIGEST_TASK).then_some(EVENTS_QUEUE)
}

pub const TASKS: &[(&str, &str)] = &[
    (digest_event::NAME, "turns an accepted envelope into a stored event and its issue"),
    (discard_blobs::NAME, "deletes blobs that nothing refers to any more"),
];
