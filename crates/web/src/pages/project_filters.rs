//! Which events a project does not want: switches, old browsers, and lists of addresses, releases and messages.

use super::html;
use crate::error::PageError;
use crate::shell::{Nav, Shell};
use crate::state::WebState;
use crate::viewer::Viewer;
use askama::Template;
use axum::extract::{Form, Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use ops::ApiError;
use ops::project_settings::{self, LegacyBrowser, ProjectSettings};
use ops::projects::{ProjectRef, UpdateProject};

/// Old browsers by Sentry's names, and what they are called; where old ends is `processing`'s to say.
const BROWSERS: &[(&str, &str)] = &[
    ("ie", "Internet Explorer"),
    ("edge", "Edge before 111"),
    ("safari", "Safari before 16"),
    ("firefox", "Firefox before 111"),
    ("chrome", "Chrome before 111"),
    ("opera", "Opera before 100"),
    ("opera_mini", "Opera Mini before 35"),
    ("android", "Android browser before 5"),
];

#[derive(Template)]
#[template(path = "project_filters.html")]
pub(super) struct FiltersPage {
    pub shell: Shell,
    pub path: String,
    pub is_saved: bool,
    pub problem: Option<String>,
    pub switches: Vec<SwitchRow>,
    pub browsers: Vec<SwitchRow>,
    pub lists: Vec<ListRow>,
}

pub(super) struct SwitchRow {
    pub name: &'static str,
    pub label: &'static str,
    pub hint: &'static str,
    pub is_on: bool,
}

pub(super) struct ListRow {
    pub name: &'static str,
    pub label: &'static str,
    pub hint: &'static str,
    pub text: String,
}

/// `GET /settings/projects/{org}/{project}/filters/`
pub async fn show(
    State(state): State<WebState>,
    viewer: Viewer,
    Path((org, project)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    let reference = ProjectRef { org, project };
    let settings = project_settings::get(&state.ops, &viewer.caller, &reference).await?;
    let mut page = FiltersPage::of(shell(&state, &viewer), &reference, &settings);
    page.is_saved = query.as_deref() == Some("saved");
    html(&page)
}

/// `POST …/filters/`
pub async fn save(
    State(state): State<WebState>,
    viewer: Viewer,
    Path((org, project)): Path<(String, String)>,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, PageError> {
    let reference = ProjectRef { org, project };
    let before = project_settings::get(&state.ops, &viewer.caller, &reference).await?;
    let typed = fields.clone();
    let change = move |settings: &mut ProjectSettings| {
        apply(settings, &typed);
        Ok(())
    };
    let input = UpdateProject::of(reference.clone());
    match project_settings::update(&state.ops, &viewer.caller, input, change).await {
        Ok(_) => {
            let path = format!("/settings/projects/{}/{}/filters/?saved", reference.org, reference.project);
            Ok(Redirect::to(&path).into_response())
        }
        Err(ApiError::Invalid { detail }) => {
            let mut typed = before;
            apply(&mut typed, &fields);
            let mut page = FiltersPage::of(shell(&state, &viewer), &reference, &typed);
            page.problem = Some(detail);
            Ok((StatusCode::BAD_REQUEST, html(&page)?).into_response())
        }
        Err(error) => Err(error.into()),
    }
}

/// Old browsers that the form does not list (Sentry's older names, set by the API) stay as they are.
fn apply(settings: &mut ProjectSettings, fields: &[(String, String)]) {
    let filters = &mut settings.filters;
    filters.browser_extensions = has(fields, "browser_extensions");
    filters.localhost = has(fields, "localhost");
    filters.web_crawlers = has(fields, "web_crawlers");
    filters.health_checks = has(fields, "health_checks");
    filters.react_hydration_errors = has(fields, "react_hydration_errors");
    filters.chunk_load_errors = has(fields, "chunk_load_errors");
    filters.ip_addresses = lines(text_of(fields, "ip_addresses"));
    filters.releases = lines(text_of(fields, "releases"));
    filters.error_messages = lines(text_of(fields, "error_messages"));
    for (name, browser) in BROWSERS.iter().filter_map(|(name, _)| Some((name, LegacyBrowser::from_name(name)?))) {
        filters.legacy_browsers.retain(|known| *known != browser);
        if fields.iter().any(|(field, value)| field == "browser" && value == name) {
            filters.legacy_browsers.push(browser);
        }
    }
}

fn shell(state: &WebState, viewer: &Viewer) -> Shell {
    Shell::of(state, viewer, Nav::Projects, "Filters")
}

impl FiltersPage {
    pub fn of(shell: Shell, project: &ProjectRef, settings: &ProjectSettings) -> FiltersPage {
        let filters = &settings.filters;
        let switch = |name, label, hint, is_on| SwitchRow { name, label, hint, is_on };
        let list = |name, label, hint, lines: &[String]| ListRow { name, label, hint, text: lines.join("\n") };
        let is_listed = |name| LegacyBrowser::from_name(name).is_some_and(|it| filters.legacy_browsers.contains(&it));
        FiltersPage {
            shell,
            path: format!("{}/{}", project.org, project.project),
            is_saved: false,
            problem: None,
            switches: vec![
                switch(
                    "browser_extensions",
                    "Browser extensions",
                    "Errors that extensions make in other people's pages.",
                    filters.browser_extensions,
                ),
                switch(
                    "localhost",
                    "Localhost",
                    "Events of people's own machines, by address, host or file.",
                    filters.localhost,
                ),
                switch(
                    "web_crawlers",
                    "Web crawlers",
                    "Events made by programs that read the web.",
                    filters.web_crawlers,
                ),
                switch(
                    "health_checks",
                    "Health checks",
                    "Transactions that only ask whether the program is there.",
                    filters.health_checks,
                ),
                switch(
                    "react_hydration_errors",
                    "React hydration errors",
                    "Differences between server and browser that React reports.",
                    filters.react_hydration_errors,
                ),
                switch(
                    "chunk_load_errors",
                    "Chunk load errors",
                    "Scripts that were not there any more.",
                    filters.chunk_load_errors,
                ),
            ],
            browsers: BROWSERS.iter().map(|(name, label)| switch(name, label, "", is_listed(name))).collect(),
            lists: vec![
                list(
                    "error_messages",
                    "Error messages",
                    "TypeError: *cancelled* — one pattern a line, on “Type: value” and on messages.",
                    &filters.error_messages,
                ),
                list("releases", "Releases", "shop@1.* — one pattern a line.", &filters.releases),
                list("ip_addresses", "Addresses", "203.0.113.7 or 10.0.0.0/8, one a line.", &filters.ip_addresses),
            ],
        }
    }
}

/// Whether a box was ticked: browsers send only those.
pub(super) fn has(fields: &[(String, String)], name: &str) -> bool {
    fields.iter().any(|(field, _)| field == name)
}

pub(super) fn text_of<'f>(fields: &'f [(String, String)], name: &str) -> &'f str {
    fields.iter().find(|(field, _)| field == name).map_or("", |(_, value)| value)
}

/// The lines of a text that are not blank.
pub(super) fn lines(text: &str) -> Vec<String> {
    text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect()
}
