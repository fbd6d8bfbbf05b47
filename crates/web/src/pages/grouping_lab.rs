//! The grouping lab of a project: edit its rules, see what they would make of its newest events, then set them.

use super::html;
use crate::error::PageError;
use crate::event_json::cut_to;
use crate::format::counted;
use crate::shell::{Nav, Shell};
use crate::state::WebState;
use crate::viewer::Viewer;
use askama::Template;
use axum::extract::{Form, Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use ops::ApiError;
use ops::grouping::{self, Destination, Outcome, Trial, TrialReport};
use ops::issues::Issue;
use ops::project_settings;
use ops::projects::{self, ProjectRef};
use serde::Deserialize;

/// Bytes of the form: two texts of rules, each percent-encoded.
pub(super) const FORM_BYTES_MAX: usize = 1 << 20;
/// How many events may be looked at.
const EVENTS: [usize; 3] = [100, 300, 1_000];
const CONFIGS: [&str; 2] = ["newstyle:2026-01-20", "newstyle:2023-01-11"];
const TITLE_CHARS_MAX: usize = 120;

#[derive(Template)]
#[template(path = "grouping_lab.html")]
pub(super) struct LabPage {
    pub shell: Shell,
    pub name: String,
    pub path: String,
    pub config: String,
    pub stack_rules: String,
    pub fingerprint_rules: String,
    /// What the form changes: set in another tab meanwhile, it is refused.
    pub revision: u64,
    pub events: usize,
    pub may_set: bool,
    pub problem: Option<String>,
    pub was_set: bool,
    pub report: Option<ReportView>,
}

pub(super) struct ReportView {
    pub examined: String,
    pub unchanged: String,
    pub is_cut: bool,
    pub moving: Vec<MoveView>,
    pub left_out: usize,
}

pub(super) struct MoveView {
    pub id: i64,
    pub short_id: String,
    pub title: String,
    /// splits, merges or moves
    pub word: &'static str,
    pub class: &'static str,
    pub destinations: Vec<DestinationView>,
}

pub(super) struct DestinationView {
    pub events: String,
    pub text: String,
    pub url: Option<String>,
    /// Short id, or the start of the hash.
    pub name: String,
}

#[derive(Default, Deserialize)]
pub struct LabQuery {
    #[serde(default)]
    set: String,
}

#[derive(Deserialize)]
pub struct LabForm {
    config: String,
    stack_rules: String,
    fingerprint_rules: String,
    #[serde(default)]
    revision: u64,
    #[serde(default)]
    events: usize,
    act: String,
}

/// `GET /projects/{org}/{project}/grouping/`
pub async fn show(
    State(state): State<WebState>,
    viewer: Viewer,
    Path((org, project)): Path<(String, String)>,
    Query(query): Query<LabQuery>,
) -> Result<Response, PageError> {
    let reference = ProjectRef { org, project };
    let settings = project_settings::get(&state.ops, &viewer.caller, &reference).await?.grouping;
    let mut page = page(&state, &viewer, &reference).await?;
    page.config = settings.config;
    page.stack_rules = settings.stack_rules;
    page.fingerprint_rules = settings.fingerprint_rules;
    page.revision = settings.revision;
    page.was_set = query.set == "yes";
    html(&page)
}

/// `POST /projects/{org}/{project}/grouping/` with `act` = `try` or `set`.
pub async fn submit(
    State(state): State<WebState>,
    viewer: Viewer,
    Path((org, project)): Path<(String, String)>,
    Form(form): Form<LabForm>,
) -> Result<Response, PageError> {
    let reference = ProjectRef { org, project };
    let mut page = page(&state, &viewer, &reference).await?;
    // Browsers end lines with CR LF.
    let trial = Trial {
        config: form.config,
        stack_rules: form.stack_rules.replace("\r\n", "\n"),
        fingerprint_rules: form.fingerprint_rules.replace("\r\n", "\n"),
        revision: form.revision,
        events: if EVENTS.contains(&form.events) { form.events } else { EVENTS[1] },
    };
    page.config = trial.config.clone();
    page.stack_rules = trial.stack_rules.clone();
    page.fingerprint_rules = trial.fingerprint_rules.clone();
    page.revision = trial.revision;
    page.events = trial.events;
    if form.act == "set" {
        return match grouping::apply(&state.ops, &viewer.caller, &reference, trial).await {
            Ok(_) => Ok(Redirect::to(&format!("/projects/{}/grouping/?set=yes", page.path)).into_response()),
            Err(error @ ApiError::Conflict { .. }) => {
                // Told so, who sets them once more means to replace the others.
                let settings = project_settings::get(&state.ops, &viewer.caller, &reference).await?;
                page.revision = settings.grouping.revision;
                refused(page, error)
            }
            Err(error) => refused(page, error),
        };
    }
    match grouping::trial(&state.ops, &viewer.caller, &reference, trial).await {
        Ok(report) => page.report = Some(ReportView::of(&report)),
        Err(error) => return refused(page, error),
    }
    html(&page)
}

/// What was typed is kept, with what is wrong with it.
fn refused(mut page: LabPage, error: ApiError) -> Result<Response, PageError> {
    let (status, detail) = match error {
        ApiError::Invalid { detail } => (StatusCode::BAD_REQUEST, detail),
        ApiError::Conflict { detail } => (StatusCode::CONFLICT, detail),
        error => return Err(error.into()),
    };
    page.problem = Some(detail);
    Ok((status, html(&page)?).into_response())
}

async fn page(state: &WebState, viewer: &Viewer, reference: &ProjectRef) -> Result<LabPage, PageError> {
    let project = projects::get(&state.ops, &viewer.caller, reference).await?;
    Ok(LabPage {
        shell: Shell::of(state, viewer, Nav::Projects, format!("Grouping of {}", project.name)),
        path: format!("{}/{}", project.organization.slug, project.slug),
        name: project.name,
        config: String::new(),
        stack_rules: String::new(),
        fingerprint_rules: String::new(),
        revision: 0,
        events: EVENTS[1],
        may_set: viewer.caller.require_in(project.organization.id, ops::Scope::ProjectWrite).is_ok(),
        problem: None,
        was_set: false,
        report: None,
    })
}

impl ReportView {
    pub fn of(report: &TrialReport) -> ReportView {
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        ReportView {
            examined: counted(number(report.examined), "event", "events"),
            unchanged: match report.unchanged {
                0 => "none".to_owned(),
                unchanged => crate::format::grouped(number(unchanged)),
            },
            is_cut: report.is_cut,
            moving: report.outcomes.iter().map(MoveView::of).collect(),
            left_out: report.outcomes_left_out,
        }
    }
}

impl MoveView {
    fn of(outcome: &Outcome) -> MoveView {
        let meets = |destination: &Destination| match destination {
            Destination::Same => false,
            Destination::Other(_) => true,
            Destination::New { issues, .. } => *issues > 1,
        };
        let (word, class) = match outcome.destinations.as_slice() {
            [(only, _)] if meets(only) => ("merges", "info"),
            [_] => ("gets new hashes", ""),
            _ => ("splits", "warning"),
        };
        MoveView {
            id: outcome.issue.id,
            short_id: outcome.issue.short_id.clone(),
            title: title(&outcome.issue),
            word,
            class,
            destinations: outcome.destinations.iter().map(DestinationView::of).collect(),
        }
    }
}

impl DestinationView {
    fn of((destination, count): &(Destination, usize)) -> DestinationView {
        let events = counted(i64::try_from(*count).unwrap_or(i64::MAX), "event", "events");
        let (text, url, name) = match destination {
            Destination::Same => ("stay".to_owned(), None, String::new()),
            Destination::Other(issue) => {
                (format!("go to {}", title(issue)), Some(format!("/issues/{}/", issue.id)), issue.short_id.clone())
            }
            Destination::New { hash, issues } if *issues > 1 => {
                (format!("meet those of {} other issues", issues - 1), None, cut_to(hash, 9).into_owned())
            }
            Destination::New { hash, .. } => ("have a new hash".to_owned(), None, cut_to(hash, 9).into_owned()),
        };
        DestinationView { events, text, url, name }
    }
}

fn title(issue: &Issue) -> String {
    cut_to(&issue.title, TITLE_CHARS_MAX).into_owned()
}
