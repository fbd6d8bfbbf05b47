//! The state of the whole: what the stores and the queue hold.

use crate::queues::{self, QueueDepth};
use crate::{Actor, ApiError, Ops};
use stdx::{Hour, Timestamp};

#[derive(Clone, Debug)]
pub struct Status {
    pub now: Timestamp,
    pub public_url: String,
    /// `None` while the queue does not answer: that is the health's to say, and no reason to say nothing of the rest.
    pub queues: Option<Vec<QueueDepth>>,
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
        queues: queues::depths(cx).await.ok(),
        organizations: organizations as u64,
        projects: projects as u64,
        event_days,
    })
}

/// How many items came to which end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutcomeCount {
    /// Data category of the protocol: error, attachment …
    pub category: String,
    /// accepted, stored, filtered, duplicate, expired, dead, not-kept or refused
    pub outcome: String,
    pub reason: String,
    pub quantity: i64,
}

/// How far back outcomes are summed.
pub const OUTCOME_HOURS: i64 = 24;

/// Returns the outcomes of the last day over all projects, most frequent first; for superusers and the system.
///
/// # Errors
/// `Forbidden` for anybody else.
pub async fn outcomes(cx: &Ops, actor: &Actor) -> Result<Vec<OutcomeCount>, ApiError> {
    actor.require_superuser()?;
    let since = Hour(cx.clock.now().hour().0 - OUTCOME_HOURS);
    let rows = cx.read("sum outcomes", move |tx| Ok(store::outcomes::sums(tx, None, since)?)).await?;
    let count = |(category, outcome, reason, quantity)| OutcomeCount { category, outcome, reason, quantity };
    Ok(rows.into_iter().map(count).collect())
}
