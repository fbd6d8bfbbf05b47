//! `/system/events/`: what became of an event id, in whatever project.

use super::Tab;
use crate::components::receipt::Receipt;
use crate::error::PageError;
use crate::pages::html;
use crate::shell::{Nav, Shell};
use crate::state::WebState;
use crate::viewer::Viewer;
use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use ops::events::EventRef;
use ops::projects::{self, ProjectRef};
use ops::receipts::{self, ReceiptState};
use serde::Deserialize;

/// Projects in which an id is looked up; each costs a few reads by key.
const PROJECTS_SEARCHED_MAX: usize = 500;
/// Characters of an id that are read; one with its hyphens has 36.
const ID_CHARS_MAX: usize = 64;

#[derive(Template)]
#[template(path = "system/events.html")]
pub struct EventsPage {
    pub shell: Shell,
    pub event_id: String,
    pub found: Vec<FoundEvent>,
}

/// An event id in one project.
pub struct FoundEvent {
    pub project: String,
    pub url: Option<String>,
    pub receipt: Receipt,
}

#[derive(Default, Deserialize)]
pub struct EventsQuery {
    #[serde(default)]
    event: String,
}

/// `GET /system/events/`, with `event` to look an id up.
pub async fn show(
    State(state): State<WebState>,
    viewer: Viewer,
    Query(query): Query<EventsQuery>,
) -> Result<Response, PageError> {
    viewer.caller.require_superuser()?;
    let event_id: String = query.event.trim().chars().filter(|c| *c != '-').take(ID_CHARS_MAX).collect();
    let found = if event_id.is_empty() { Vec::new() } else { look_up(&state, &viewer, &event_id).await? };
    html(&EventsPage { shell: Shell::of(&state, &viewer, Nav::System, "Event lookup"), event_id, found })
}

impl EventsPage {
    fn tab(&self) -> Tab {
        Tab::Events
    }
}

async fn look_up(state: &WebState, viewer: &Viewer, event_id: &str) -> Result<Vec<FoundEvent>, PageError> {
    let mut found = Vec::new();
    let projects = projects::list(&state.ops, &viewer.caller, None).await?;
    for project in projects.iter().take(PROJECTS_SEARCHED_MAX) {
        let reference = ProjectRef { org: project.organization.slug.clone(), project: project.slug.clone() };
        let wanted = EventRef { project: reference, event_id: event_id.to_owned() };
        let receipt = match receipts::get(&state.ops, &viewer.caller, &wanted).await {
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
