//! The projects, and the form that makes one.

use super::html;
use crate::error::PageError;
use crate::format::Ago;
use crate::shell::{Nav, Shell};
use crate::state::WebState;
use crate::viewer::Viewer;
use askama::Template;
use axum::extract::{Form, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use ops::organizations::{self, Organization};
use ops::projects::{self, CreateProject};
use ops::{Actor, ApiError, Permission, Scope};
use serde::Deserialize;

#[derive(Template)]
#[template(path = "project_list.html")]
pub(super) struct ProjectListPage {
    pub shell: Shell,
    pub rows: Vec<ProjectRow>,
    pub may_create: bool,
}

pub(super) struct ProjectRow {
    pub url: String,
    pub issues_url: String,
    pub name: String,
    pub path: String,
    pub platform: String,
    pub last_event: Option<Ago>,
}

#[derive(Template)]
#[template(path = "project_new.html")]
pub(super) struct ProjectFormPage {
    pub shell: Shell,
    pub organizations: Vec<Organization>,
    pub input: ProjectForm,
    pub problem: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
pub struct ProjectForm {
    pub org: String,
    pub slug: String,
    #[serde(default)]
    pub name: String,
    #[serde(default)]
    pub platform: String,
}

/// Platforms to choose from, as SDKs call themselves.
pub(super) const PLATFORMS: [(&str, &str); 13] = [
    ("python", "Python"),
    ("node", "Node.js"),
    ("javascript", "JavaScript (browser)"),
    ("go", "Go"),
    ("rust", "Rust"),
    ("ruby", "Ruby"),
    ("php", "PHP"),
    ("java", "Java or Kotlin"),
    ("csharp", ".NET"),
    ("elixir", "Elixir"),
    ("native", "C and C++"),
    ("cocoa", "Apple"),
    ("other", "Something else"),
];

/// `GET /projects/`
pub async fn show(State(state): State<WebState>, viewer: Viewer) -> Result<Response, PageError> {
    let projects = projects::list(&state.ops, &viewer.caller, None).await?;
    let rows = projects.into_iter().map(|project| {
        let path = format!("{}/{}", project.organization.slug, project.slug);
        ProjectRow {
            url: format!("/projects/{path}/"),
            issues_url: format!("/{}", crate::format::query_string(&[("project", &path)])),
            name: project.name,
            path,
            platform: project.platform.unwrap_or_default(),
            last_event: project.last_event_at.map(|time| Ago { time, now: viewer.now }),
        }
    });
    html(&ProjectListPage {
        rows: rows.collect(),
        may_create: may_create_somewhere(viewer.caller.actor()),
        shell: Shell::of(&state, &viewer, Nav::Projects, "Projects"),
    })
}

/// `GET /projects/new/`
pub async fn show_form(State(state): State<WebState>, viewer: Viewer) -> Result<Response, PageError> {
    form(&state, &viewer, ProjectForm::default(), None).await
}

/// `POST /projects/new/`
pub async fn create(
    State(state): State<WebState>,
    viewer: Viewer,
    Form(input): Form<ProjectForm>,
) -> Result<Response, PageError> {
    let filled = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let wanted = CreateProject {
        org: input.org.clone(),
        slug: input.slug.trim().to_owned(),
        name: filled(&input.name),
        platform: filled(&input.platform),
    };
    match projects::create(&state.ops, &viewer.caller, wanted).await {
        Ok(project) => {
            let url = format!("/projects/{}/{}/", project.organization.slug, project.slug);
            Ok(Redirect::to(&url).into_response())
        }
        Err(ApiError::Invalid { detail } | ApiError::Conflict { detail }) => {
            let page = form(&state, &viewer, input, Some(detail)).await?;
            Ok((StatusCode::BAD_REQUEST, page).into_response())
        }
        Err(error) => Err(error.into()),
    }
}

async fn form(
    state: &WebState,
    viewer: &Viewer,
    input: ProjectForm,
    problem: Option<String>,
) -> Result<Response, PageError> {
    let organizations = organizations::list(&state.ops, &viewer.caller).await?;
    let shell = Shell::of(state, viewer, Nav::Projects, "New project");
    html(&ProjectFormPage { shell, organizations, input, problem })
}

/// Whether to offer the form at all; the operation decides when it is sent.
fn may_create_somewhere(actor: &Actor) -> bool {
    match actor {
        Actor::User(user) => {
            user.permissions.has(Permission::ProjectsAdmin)
                || user.roles.iter().any(|(org, _)| actor.require_in(*org, Scope::ProjectWrite).is_ok())
        }
        Actor::Anonymous | Actor::System => false,
    }
}
