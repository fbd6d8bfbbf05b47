//! The state of the whole: what the stores and the queue hold.

use crate::queues::{self, QueueDepth};
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
///
/// # Errors
/// `Forbidden` for anybody else.
pub async fn get(cx: &Ops, actor: &Actor) -> Result<Status, ApiError> {
    actor.require_superuser()?;
    let (organizations, projects, event_days) = cx
        .read("read the status", |tx| {
            let organizations = store::organizations::list(tx)?;
            let mut projects = 0;
            for organization in &organizations {
                projects += store::projects::list(tx, organization.id)?.len();
            }
            let days = store::days::list_open(tx)?;
            let names: Vec<String> = days.iter().rev().map(|open| open.day.to_string()).collect();
            Ok((organizations.len(), projects, names))
        })
        .await?;
    Ok(Status {
        now: cx.clock.now(),
        public_url: cx.public_url(),
        queues: queues::depths(cx),
        organizations: organizations as u64,
        projects: projects as u64,
        event_days,
    })
}
