//! A project: its DSN, what to copy into a program, and whether events arrive.

use super::html;
use crate::components::chart::Chart;
use crate::components::snippets::Snippets;
use crate::error::PageError;
use crate::format::{Ago, query_string};
use crate::shell::{Nav, Shell};
use crate::state::WebState;
use crate::viewer::Viewer;
use askama::Template;
use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use ops::issues::SeriesPeriod;
use ops::keys::{self, Key};
use ops::projects::{self, ProjectRef};
use ops::statistics::{self, ProjectStatistics, Resolution};
use serde::Serialize;

#[derive(Template)]
#[template(path = "project.html")]
pub(super) struct ProjectPage {
    pub shell: Shell,
    pub name: String,
    pub path: String,
    pub platform: String,
    pub issues_url: String,
    pub first_event_url: String,
    pub last_event: Option<Ago>,
    pub keys: Vec<KeyRow>,
    pub snippets: Option<Snippets>,
    pub chart: Option<Chart>,
}

pub(super) struct KeyRow {
    pub label: String,
    pub dsn: String,
    pub is_active: bool,
}

/// `GET /projects/{org}/{project}/`
pub async fn show(
    State(state): State<WebState>,
    viewer: Viewer,
    Path((org, project)): Path<(String, String)>,
) -> Result<Response, PageError> {
    let reference = ProjectRef { org, project };
    let project = projects::get(&state.ops, &viewer.caller, &reference).await?;
    let keys = keys::list(&state.ops, &viewer.caller, &reference).await?;
    let path = format!("{}/{}", project.organization.slug, project.slug);
    let chart = match project.first_event_at {
        None => None,
        Some(_) => Some(chart(&state, &viewer, reference, &path).await?),
    };
    let active = keys.iter().find(|key| key.is_active);
    html(&ProjectPage {
        shell: Shell::of(&state, &viewer, Nav::Projects, project.name.clone()),
        issues_url: format!("/{}", query_string(&[("project", &path)])),
        first_event_url: format!("/projects/{path}/first-event/"),
        last_event: project.last_event_at.map(|time| Ago { time, now: viewer.now }),
        snippets: active.map(|key| Snippets::of(&key.dsn_public, project.platform.as_deref())),
        keys: keys.iter().map(KeyRow::of).collect(),
        name: project.name,
        platform: project.platform.unwrap_or_default(),
        path,
        chart,
    })
}

/// Whether the first event has come.
#[derive(Serialize)]
pub struct FirstEvent {
    seen: bool,
}

/// `GET /projects/{org}/{project}/first-event/`: what the "listening" line asks every few seconds.
pub async fn first_event(
    State(state): State<WebState>,
    viewer: Viewer,
    Path((org, project)): Path<(String, String)>,
) -> Result<Json<FirstEvent>, PageError> {
    let project = projects::get(&state.ops, &viewer.caller, &ProjectRef { org, project }).await?;
    Ok(Json(FirstEvent { seen: project.first_event_at.is_some() }))
}

impl KeyRow {
    pub fn of(key: &Key) -> KeyRow {
        KeyRow { label: key.label.clone(), dsn: key.dsn_public.clone(), is_active: key.is_active }
    }
}

async fn chart(state: &WebState, viewer: &Viewer, project: ProjectRef, path: &str) -> Result<Chart, PageError> {
    let input = ProjectStatistics { project, since: None, until: None, resolution: Resolution::Hour };
    let series = statistics::project(&state.ops, &viewer.caller, &input).await?;
    Ok(Chart::without_links(&series, SeriesPeriod::Day, &format!("/projects/{path}/")))
}
