//! `/system/events/`: what became of an event id, in whatever project.

use super::Tab;
use crate::components::receipt::Receipt;
use crate::error::PageError;
use crate::format::url_part;
use crate::pages::html;
use crate::shell::{Nav, Shell};
use crate::state::WebState;
use crate::viewer::Viewer;
use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use ops::ApiError;
use ops::projects::Project;
use ops::receipts;
use serde::Deserialize;

/// Characters of an id that are read; one with its hyphens has 36.
const ID_CHARS_MAX: usize = 64;

#[derive(Template)]
#[template(path = "system/events.html")]
pub struct EventsPage {
    pub shell: Shell,
    pub event_id: String,
    pub found: Vec<FoundEvent>,
    /// Where it may be, if no project knows it.
    pub unseen: Option<String>,
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
    let (found, unseen) =
        if event_id.is_empty() { Default::default() } else { look_up(&state, &viewer, &event_id).await? };
    html(&EventsPage { shell: Shell::of(&state, &viewer, Nav::System, "Event lookup"), event_id, found, unseen })
}

impl EventsPage {
    fn tab(&self) -> Tab {
        Tab::Events
    }
}

async fn look_up(
    state: &WebState,
    viewer: &Viewer,
    event_id: &str,
) -> Result<(Vec<FoundEvent>, Option<String>), PageError> {
    let search = match receipts::search(&state.ops, &viewer.caller, event_id).await {
        // What is not an event id is in no project.
        Err(ApiError::NotFound | ApiError::Invalid { .. }) => return Ok(Default::default()),
        search => search?,
    };
    let of_event = |(project, receipt): (Project, receipts::Receipt)| FoundEvent {
        project: format!("{}/{}", project.organization.slug, project.slug),
        url: receipt.issue_id.map(|issue| format!("/issues/{issue}/events/{}/", url_part(event_id))),
        receipt: Receipt::of(&receipt),
    };
    Ok((search.found.into_iter().map(of_event).collect(), search.unseen))
}
