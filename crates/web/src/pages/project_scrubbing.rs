//! What a project has scrubbed: switches, fields, rules, and a preview on a stored event before anything is saved.

use super::html;
use super::project_filters::{has, lines, text_of};
use crate::error::PageError;
use crate::shell::{Nav, Shell};
use crate::state::WebState;
use crate::viewer::Viewer;
use askama::Template;
use axum::extract::{Form, Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use ops::ApiError;
use ops::events::EventRef;
use ops::project_settings::{self, Change, Method, ProjectSettings, ScrubbingPreview};
use ops::projects::{ProjectRef, UpdateProject};

/// Changes of a preview that are listed; the event below them shows all.
const CHANGES_SHOWN_MAX: usize = 200;

/// Name of the settings that cannot be shown.
const UNREADABLE: &str = "scrubbing";
const EVENTS_WAIT: &str = "What is stored cannot be read by this release, so it is not shown and cannot be changed here. \
    Events of the project wait until the release that stored it runs again.";

#[derive(Template)]
#[template(path = "project_scrubbing.html")]
pub(super) struct ScrubbingPage {
    pub shell: Shell,
    pub path: String,
    pub is_saved: bool,
    pub problem: Option<String>,
    pub form: ScrubbingForm,
    pub preview: Option<Preview>,
}

/// What is in the form: what is stored, or what was typed.
#[derive(Clone, Default)]
pub(super) struct ScrubbingForm {
    pub scrubs_data: bool,
    pub with_defaults: bool,
    pub scrubs_ip: bool,
    pub sensitive_fields: String,
    pub safe_fields: String,
    pub rules: String,
    pub event: String,
}

pub(super) struct Preview {
    pub changes: Vec<ChangeRow>,
    pub more: usize,
    pub event: String,
}

pub(super) struct ChangeRow {
    pub path: String,
    pub rule: String,
    pub what: &'static str,
}

/// What the address says beside the path.
#[derive(serde::Deserialize)]
pub struct Asked {
    saved: Option<String>,
    /// An event to look at, from its page.
    event: Option<String>,
}

/// `GET /settings/projects/{org}/{project}/scrubbing/`
pub async fn show(
    State(state): State<WebState>,
    viewer: Viewer,
    Path((org, project)): Path<(String, String)>,
    Query(asked): Query<Asked>,
) -> Result<Response, PageError> {
    let reference = ProjectRef { org, project };
    let settings = project_settings::get(&state.ops, &viewer.caller, &reference).await?;
    let mut page = ScrubbingPage::of(&state, &viewer, &reference, ScrubbingForm::of(&settings));
    page.is_saved = asked.saved.is_some();
    if settings.unreadable.contains(&UNREADABLE) {
        page.problem = Some(EVENTS_WAIT.to_owned());
    }
    page.form.event = asked.event.unwrap_or_default();
    html(&page)
}

/// `POST …/scrubbing/` with `act` = `preview` or `save`.
pub async fn act(
    State(state): State<WebState>,
    viewer: Viewer,
    Path((org, project)): Path<(String, String)>,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, PageError> {
    let reference = ProjectRef { org, project };
    let form = ScrubbingForm::read(&fields);
    let typed = form.clone();
    let change = move |settings: &mut ProjectSettings| {
        typed.apply(settings);
        Ok(())
    };
    let mut page = ScrubbingPage::of(&state, &viewer, &reference, form);
    if text_of(&fields, "act") == "preview" {
        let event = EventRef { project: reference, event_id: page.form.event.trim().to_owned() };
        match project_settings::preview(&state.ops, &viewer.caller, &event, change).await {
            Ok(preview) => page.preview = Some(Preview::of(preview)),
            Err(ApiError::NotFound) => page.problem = Some("This project has no such event.".to_owned()),
            Err(ApiError::Invalid { detail }) => page.problem = Some(detail),
            Err(error) => return Err(error.into()),
        }
        return html(&page);
    }
    match project_settings::update(&state.ops, &viewer.caller, UpdateProject::of(reference), change).await {
        Ok(_) => Ok(Redirect::to(&format!("/settings/projects/{}/scrubbing/?saved", page.path)).into_response()),
        Err(ApiError::Invalid { detail } | ApiError::Conflict { detail }) => {
            page.problem = Some(detail);
            Ok((StatusCode::BAD_REQUEST, html(&page)?).into_response())
        }
        Err(error) => Err(error.into()),
    }
}

impl ScrubbingPage {
    fn of(state: &WebState, viewer: &Viewer, project: &ProjectRef, form: ScrubbingForm) -> ScrubbingPage {
        ScrubbingPage {
            shell: Shell::of(state, viewer, Nav::Projects, "Scrubbing"),
            path: format!("{}/{}", project.org, project.project),
            is_saved: false,
            problem: None,
            form,
            preview: None,
        }
    }
}

impl ScrubbingForm {
    fn of(settings: &ProjectSettings) -> ScrubbingForm {
        let scrubbing = &settings.scrubbing;
        ScrubbingForm {
            scrubs_data: scrubbing.scrubs_data,
            with_defaults: scrubbing.with_defaults,
            scrubs_ip: scrubbing.scrubs_ip,
            sensitive_fields: scrubbing.sensitive_fields.join("\n"),
            safe_fields: scrubbing.safe_fields.join("\n"),
            rules: scrubbing.rules.clone(),
            event: String::new(),
        }
    }

    fn read(fields: &[(String, String)]) -> ScrubbingForm {
        let text = |name| text_of(fields, name).to_owned();
        ScrubbingForm {
            scrubs_data: has(fields, "scrubs_data"),
            with_defaults: has(fields, "with_defaults"),
            scrubs_ip: has(fields, "scrubs_ip"),
            sensitive_fields: text("sensitive_fields"),
            safe_fields: text("safe_fields"),
            rules: text("rules"),
            event: text("event"),
        }
    }

    fn apply(self, settings: &mut ProjectSettings) {
        let scrubbing = &mut settings.scrubbing;
        scrubbing.scrubs_data = self.scrubs_data;
        scrubbing.with_defaults = self.with_defaults;
        scrubbing.scrubs_ip = self.scrubs_ip;
        scrubbing.sensitive_fields = lines(&self.sensitive_fields);
        scrubbing.safe_fields = lines(&self.safe_fields);
        scrubbing.rules = self.rules.trim().to_owned();
    }
}

impl Preview {
    fn of(preview: ScrubbingPreview) -> Preview {
        let text = String::from_utf8_lossy(&preview.event);
        let value: Result<serde_json::Value, _> = serde_json::from_str(&text);
        Preview {
            more: preview.changes.len().saturating_sub(CHANGES_SHOWN_MAX),
            changes: preview.changes.iter().take(CHANGES_SHOWN_MAX).map(ChangeRow::of).collect(),
            event: value.and_then(|value| serde_json::to_string_pretty(&value)).unwrap_or_else(|_| text.into_owned()),
        }
    }
}

impl ChangeRow {
    fn of(change: &Change) -> ChangeRow {
        let what = match change.method {
            Method::Substituted => "replaced",
            Method::Masked => "masked",
            Method::Hashed => "hashed",
            Method::Removed => "removed",
        };
        ChangeRow { path: change.path.join("."), rule: change.rule.clone(), what }
    }
}
