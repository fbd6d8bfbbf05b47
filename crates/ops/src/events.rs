//! Events: lists of an issue and of a project, one event in Sentry's shape, and its raw JSON.

mod body;
mod entries;
mod grouping;
pub(crate) mod locate;
mod queries;
mod read;

pub(crate) use grouping::with_event;
pub use grouping::{EventGrouping, GroupingVariant, grouping};
pub use queries::{get, get_of_issue, list_of_issue, list_of_project, raw_json, removed_of_issue};
pub(crate) use queries::{issue_of, latest_of_group, newest_of_project, project_of};
pub use store::removals::Removed;

use crate::PageRequest;
use crate::issues::IssueRef;
use crate::projects::ProjectRef;
use serde_json::Value;
use stdx::Timestamp;

/// A row of an event list.
#[derive(Clone, Debug)]
pub struct EventSummary {
    /// 32 hexadecimal digits.
    pub event_id: String,
    pub project_id: i64,
    pub issue_id: Option<i64>,
    pub title: String,
    pub message: String,
    pub culprit: String,
    pub level: String,
    pub platform: String,
    /// error, default or csp
    pub kind: String,
    pub timestamp: Timestamp,
    pub received_at: Timestamp,
    pub tags: Vec<(String, String)>,
    /// Sentry's user object, or null.
    pub user: Value,
}

#[derive(Clone, Debug)]
pub struct ListIssueEvents {
    pub issue: IssueRef,
    /// Environments; empty = all.
    pub environments: Vec<String>,
    pub page: PageRequest,
}

#[derive(Clone, Debug)]
pub struct ListProjectEvents {
    pub project: ProjectRef,
    pub page: PageRequest,
}

/// One event, normalised for reading. Values are plain JSON in the shapes of Sentry's event API.
#[derive(Clone, Debug)]
pub struct EventDetail {
    pub summary: EventSummary,
    /// `{"type": …, "value": …, …}`
    pub metadata: Value,
    /// exception, threads, message, breadcrumbs, request, csp … in the order a page shows them.
    pub entries: Vec<EventEntry>,
    pub contexts: Value,
    pub extra: Value,
    pub modules: Value,
    pub sdk: Value,
    pub release: Option<String>,
    pub dist: Option<String>,
    pub environment: Option<String>,
    pub transaction: Option<String>,
    pub fingerprint: Vec<String>,
    /// What normalisation had to drop or change: `[{"type", "name", "value"}]`.
    pub errors: Vec<Value>,
    pub meta: Value,
    /// Bytes of the payload as received.
    pub size_bytes: u64,
    /// The event received before this one in the issue, and the one after.
    pub previous_event_id: Option<String>,
    pub next_event_id: Option<String>,
}

/// A part of an event.
#[derive(Clone, Debug)]
pub struct EventEntry {
    pub kind: &'static str,
    /// `{"values": […]}` for exception, threads and breadcrumbs, else the interface itself.
    pub data: Value,
}

/// Which event of an issue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IssueEvent {
    Latest,
    Oldest,
    /// By event id, hyphens allowed.
    Id(String),
}

/// Which event of which project; the id may carry hyphens.
#[derive(Clone, Debug)]
pub struct EventRef {
    pub project: ProjectRef,
    pub event_id: String,
}
