//! The events of an issue, last received first.

use super::html;
use super::issue::IssueHead;
use crate::components::pager::Pager;
use crate::error::PageError;
use crate::event_json::{cut_to, text};
use crate::format::Ago;
use crate::shell::{Nav, Shell};
use crate::state::WebState;
use crate::viewer::Viewer;
use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use ops::PageRequest;
use ops::events::{self, EventSummary, ListIssueEvents};
use ops::issues::{self, IssueRef};
use serde::Deserialize;
use stdx::Timestamp;

const ROWS: usize = 50;
const CELL_CHARS_MAX: usize = 160;

#[derive(Template)]
#[template(path = "event_list.html")]
pub(super) struct EventListPage {
    pub shell: Shell,
    pub head: IssueHead,
    pub rows: Vec<EventRow>,
    pub pager: Pager,
}

pub(super) struct EventRow {
    pub url: String,
    pub short_id: String,
    pub at: Ago,
    pub message: String,
    pub level: &'static str,
    pub release: String,
    pub environment: String,
    pub user: String,
}

#[derive(Deserialize)]
pub struct EventListQuery {
    cursor: Option<String>,
}

/// `GET /issues/{id}/events/`
pub async fn show(
    State(state): State<WebState>,
    viewer: Viewer,
    Path(id): Path<String>,
    Query(query): Query<EventListQuery>,
) -> Result<Response, PageError> {
    let issue = issues::get(&state.ops, &viewer.caller, &IssueRef { org: None, issue: id }).await?;
    let wanted = ListIssueEvents {
        issue: IssueRef { org: None, issue: issue.id.to_string() },
        environments: Vec::new(),
        page: PageRequest { cursor: query.cursor, limit: Some(ROWS) },
    };
    let page = events::list_of_issue(&state.ops, &viewer.caller, wanted).await?;
    let path = format!("/issues/{}/events/", issue.id);
    html(&EventListPage {
        shell: Shell::of(&state, &viewer, Nav::Issues, format!("Events of {}", issue.short_id)),
        head: IssueHead::of(&issue, viewer.now),
        rows: page.items.iter().map(|event| EventRow::of(event, &path, viewer.now)).collect(),
        pager: Pager::of(&path, &page.previous, &page.next),
    })
}

impl EventRow {
    pub fn of(event: &EventSummary, path: &str, now: Timestamp) -> EventRow {
        let tag = |wanted: &str| {
            let found = event.tags.iter().find(|(key, _)| key == wanted);
            found.map(|(_, value)| cut_to(value, CELL_CHARS_MAX).into_owned()).unwrap_or_default()
        };
        let message = if event.message.is_empty() { &event.title } else { &event.message };
        EventRow {
            url: format!("{path}{}/", crate::format::url_part(&event.event_id)),
            short_id: cut_to(&event.event_id, 8).trim_end_matches('…').to_owned(),
            at: Ago { time: event.timestamp, now },
            message: cut_to(message, CELL_CHARS_MAX).into_owned(),
            level: crate::level::known(&event.level),
            release: tag("release"),
            environment: tag("environment"),
            user: text(&event.user, &["email", "username", "id", "ip_address"]).unwrap_or_default(),
        }
    }
}
