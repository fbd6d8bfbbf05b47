//! Events: lists of an issue and of a project, one event in Sentry's shape, and its raw JSON.

use crate::issues::IssueRef;
use crate::projects::ProjectRef;
use crate::{Actor, ApiError, Ops, Page, PageRequest};
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

/// Returns the issue's events, last received first.
pub async fn list_of_issue(_cx: &Ops, _actor: &Actor, _input: ListIssueEvents) -> Result<Page<EventSummary>, ApiError> {
    Err(ApiError::NotFound)
}

#[derive(Clone, Debug)]
pub struct ListProjectEvents {
    pub project: ProjectRef,
    pub page: PageRequest,
}

/// Returns the project's events, last received first.
pub async fn list_of_project(
    _cx: &Ops,
    _actor: &Actor,
    _input: ListProjectEvents,
) -> Result<Page<EventSummary>, ApiError> {
    Err(ApiError::NotFound)
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
    /// `{"version": …}` or null.
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

/// Returns an event of the issue.
pub async fn get_of_issue(
    _cx: &Ops,
    _actor: &Actor,
    _issue: &IssueRef,
    _event: &IssueEvent,
) -> Result<EventDetail, ApiError> {
    Err(ApiError::NotFound)
}

/// Which event of which project; the id may carry hyphens.
#[derive(Clone, Debug)]
pub struct EventRef {
    pub project: ProjectRef,
    pub event_id: String,
}

/// Returns an event of the project.
pub async fn get(_cx: &Ops, _actor: &Actor, _input: &EventRef) -> Result<EventDetail, ApiError> {
    Err(ApiError::NotFound)
}

/// Returns the payload as received, as JSON text, with `event_id`, `received` and `project` added by the server.
pub async fn raw_json(_cx: &Ops, _actor: &Actor, _input: &EventRef) -> Result<Vec<u8>, ApiError> {
    Err(ApiError::NotFound)
}
