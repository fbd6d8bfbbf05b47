//! The state of the whole, for superusers: what waits in which queue, and what became of an event id.

mod work;

use super::html;
use crate::components::receipt::Receipt;
use crate::error::PageError;
use crate::format::{grouped, span};
use crate::shell::{Nav, Shell};
use crate::state::WebState;
use crate::viewer::Viewer;
use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use ops::events::EventRef;
use ops::projects::{self, ProjectRef};
use ops::queues::QueueDepth;
use ops::receipts::{self, ReceiptState};
use ops::status::{self, OutcomeCount, Status};
use ops::{dead_letters, schedules, workers};
use serde::Deserialize;
use std::time::Duration;
use stdx::Timestamp;
pub(super) use work::Work;

/// Projects in which an id is looked up; each costs a few reads by key.
const PROJECTS_SEARCHED_MAX: usize = 500;

#[derive(Template)]
#[template(path = "system.html")]
pub(super) struct SystemPage {
    pub shell: Shell,
    pub version: &'static str,
    pub public_url: String,
    pub organizations: String,
    pub projects: String,
    pub event_days: Vec<String>,
    pub queues: Vec<QueueRow>,
    pub outcomes: Vec<OutcomeRow>,
    pub work: Work,
    pub event_id: String,
    pub found: Vec<FoundEvent>,
}

pub(super) struct QueueRow {
    pub name: String,
    pub ready: String,
    pub delayed: String,
    pub leased: String,
    pub dead: String,
    pub has_dead: bool,
    pub parked: String,
    pub oldest: String,
    pub is_paused: bool,
}

/// An event id that was asked for, and where it is known.
pub(super) struct Lookup {
    pub event_id: String,
    pub found: Vec<FoundEvent>,
}

/// How many items came to one end for one reason.
pub(super) struct OutcomeRow {
    pub category: String,
    pub outcome: String,
    pub reason: String,
    pub quantity: String,
}

/// An event id in one project.
pub(super) struct FoundEvent {
    pub project: String,
    pub url: Option<String>,
    pub receipt: Receipt,
}

#[derive(Default, Deserialize)]
pub struct SystemQuery {
    #[serde(default)]
    event: String,
}

/// `GET /system/`, with `event` to look an id up.
pub async fn show(
    State(state): State<WebState>,
    viewer: Viewer,
    Query(query): Query<SystemQuery>,
) -> Result<Response, PageError> {
    let status = status::get(&state.ops, &viewer.actor).await?;
    let outcomes = status::outcomes(&state.ops, &viewer.actor).await?;
    let work = look_at_work(&state, &viewer, status.now).await?;
    let event_id: String = query.event.trim().chars().filter(|c| *c != '-').take(64).collect();
    let found = if event_id.is_empty() { Vec::new() } else { look_up(&state, &viewer, &event_id).await? };
    let shell = Shell::of(&state, &viewer, Nav::System, "System");
    html(&SystemPage::of(shell, status, outcomes, work, Lookup { event_id, found }))
}

impl SystemPage {
    pub fn of(shell: Shell, status: Status, outcomes: Vec<OutcomeCount>, work: Work, lookup: Lookup) -> SystemPage {
        let outcomes = outcomes.into_iter().map(|count| OutcomeRow {
            quantity: grouped(count.quantity),
            category: count.category,
            outcome: count.outcome,
            reason: count.reason,
        });
        SystemPage {
            shell,
            version: env!("CARGO_PKG_VERSION"),
            public_url: status.public_url,
            organizations: grouped(i64::try_from(status.organizations).unwrap_or(i64::MAX)),
            projects: grouped(i64::try_from(status.projects).unwrap_or(i64::MAX)),
            event_days: status.event_days,
            queues: status.queues.iter().map(QueueRow::of).collect(),
            outcomes: outcomes.collect(),
            work,
            event_id: lookup.event_id,
            found: lookup.found,
        }
    }
}

impl QueueRow {
    fn of(queue: &QueueDepth) -> QueueRow {
        let count = |number: u64| grouped(i64::try_from(number).unwrap_or(i64::MAX));
        QueueRow {
            name: queue.queue.clone(),
            ready: count(queue.ready),
            delayed: count(queue.delayed),
            leased: count(queue.leased),
            dead: count(queue.dead),
            has_dead: queue.dead > 0,
            parked: count(queue.parked),
            oldest: queue.oldest_age_s.map(|age| span(Duration::from_secs(age))).unwrap_or_else(|| "–".to_owned()),
            is_paused: queue.paused,
        }
    }
}

async fn look_at_work(state: &WebState, viewer: &Viewer, now: Timestamp) -> Result<Work, PageError> {
    let workers = workers::list(&state.ops, &viewer.actor).await?;
    let letters = dead_letters::list(&state.ops, &viewer.actor, None).await?;
    let parked = workers::parked(&state.ops, &viewer.actor).await?;
    let schedules = schedules::list(&state.ops, &viewer.actor).await?;
    Ok(Work::of(&workers, &letters, &parked, now).with_schedules(&schedules))
}

async fn look_up(state: &WebState, viewer: &Viewer, event_id: &str) -> Result<Vec<FoundEvent>, PageError> {
    let mut found = Vec::new();
    let projects = projects::list(&state.ops, &viewer.actor, None).await?;
    for project in projects.iter().take(PROJECTS_SEARCHED_MAX) {
        let reference = ProjectRef { org: project.organization.slug.clone(), project: project.slug.clone() };
        let wanted = EventRef { project: reference, event_id: event_id.to_owned() };
        let receipt = match receipts::get(&state.ops, &viewer.actor, &wanted).await {
            Ok(receipt) if receipt.state != ReceiptState::Unknown => receipt,
            // What is not an event id is in no project.
            Ok(_) | Err(ops::ApiError::NotFound | ops::ApiError::Invalid { .. }) => continue,
            Err(error) => return Err(error.into()),
        };
        let url =
            receipt.issue_id.map(|issue| format!("/issues/{issue}/events/{}/", crate::format::url_part(event_id)));
        found.push(FoundEvent {
            project: format!("{}/{}", project.organization.slug, project.slug),
            url,
            receipt: Receipt::of(&receipt),
        });
    }
    Ok(found)
}
