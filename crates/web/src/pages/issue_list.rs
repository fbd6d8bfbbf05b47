//! The issue list: tabs of states, one search box, pickers, pages, and what to say when it is empty.

use super::html;
use crate::components::issue_row::IssueRow;
use crate::components::pager::Pager;
use crate::error::PageError;
use crate::format::{Ago, query_string};
use crate::search_text;
use crate::shell::{Nav, Shell};
use crate::state::WebState;
use crate::viewer::Viewer;
use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use ops::PageRequest;
use ops::issues::{self, IssueSort, ListIssues, SeriesPeriod};
use ops::projects::{self, Project, ProjectRef};
use serde::Deserialize;

/// Rows of a page of people; scripts may ask the web API for more.
const ROWS: usize = 50;
/// What the list shows when nobody asked for anything.
const QUERY_DEFAULT: &str = "is:unresolved";
/// Filters tried one by one when nothing matched; each costs a query.
const FILTERS_TRIED_MAX: usize = 6;

#[derive(Template)]
#[template(path = "issue_list.html")]
pub(super) struct IssueListPage {
    pub shell: Shell,
    pub filters: Filters,
    pub tabs: Vec<Tab>,
    pub projects: Vec<Project>,
    pub environments: Vec<String>,
    pub rows: Vec<IssueRow>,
    pub pager: Pager,
    pub empty: Option<Empty>,
    pub problem: Option<String>,
}

/// What the address asks for; every field is a parameter of it.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Filters {
    pub query: Option<String>,
    /// `organization/project`
    #[serde(default)]
    pub project: String,
    #[serde(default)]
    pub environment: String,
    #[serde(default)]
    pub sort: String,
    #[serde(default)]
    pub cursor: String,
}

pub(super) struct Tab {
    pub name: &'static str,
    pub url: String,
    pub is_current: bool,
}

/// Why there are no rows.
pub(super) enum Empty {
    /// No project has had an event, ever.
    NoEvents { project: Option<Project> },
    /// Nothing is unresolved; events do flow.
    Clear { last_event: Option<Ago> },
    /// The filters leave nothing.
    NoMatch { filters: Vec<FilterDrop> },
    /// The page after the last.
    PastTheEnd,
}

/// A filter, and this list without it.
pub(super) struct FilterDrop {
    pub filter: String,
    pub url: String,
    /// Whether anything matches then.
    pub helps: bool,
}

/// `GET /`
pub async fn show(
    State(state): State<WebState>,
    viewer: Viewer,
    Query(filters): Query<Filters>,
) -> Result<Response, PageError> {
    let projects = projects::list(&state.ops, &viewer.caller, None).await?;
    let environments = environments(&state, &viewer, &filters, &projects).await?;
    let listed = issues::list(&state.ops, &viewer.caller, filters.request(&filters.cursor, ROWS, true)).await;
    let (page, problem) = match listed {
        Ok(page) => (Some(page), None),
        // A query that cannot be read is answered beside the box it was typed into.
        Err(ops::ApiError::Invalid { detail }) => (None, Some(detail)),
        Err(error) => return Err(error.into()),
    };
    let rows: Vec<IssueRow> =
        page.iter().flat_map(|page| &page.items).map(|issue| IssueRow::of(issue, viewer.now)).collect();
    let empty = match page {
        Some(_) if rows.is_empty() => Some(why_empty(&state, &viewer, &filters, &projects).await?),
        Some(_) | None => None,
    };
    let path = filters.url("");
    let pager = page.map(|page| Pager::of(&path, &page.previous, &page.next));
    html(&IssueListPage {
        shell: Shell::of(&state, &viewer, Nav::Issues, "Issues"),
        tabs: filters.tabs(),
        pager: pager.unwrap_or_else(Pager::none),
        filters,
        projects,
        environments,
        rows,
        empty,
        problem,
    })
}

impl Filters {
    pub fn query(&self) -> &str {
        self.query.as_deref().unwrap_or(QUERY_DEFAULT)
    }

    fn project_ref(&self) -> Option<ProjectRef> {
        let (org, project) = self.project.split_once('/')?;
        Some(ProjectRef { org: org.to_owned(), project: project.to_owned() })
    }

    fn request(&self, cursor: &str, limit: usize, with_series: bool) -> ListIssues {
        let project = self.project_ref();
        ListIssues {
            org: project.as_ref().map(|project| project.org.clone()),
            projects: project.into_iter().map(|project| project.project).collect(),
            query: Some(self.query().to_owned()),
            sort: IssueSort::parse(&self.sort).unwrap_or_default(),
            environments: Some(self.environment.clone()).filter(|name| !name.is_empty()).into_iter().collect(),
            series: with_series.then_some(SeriesPeriod::Day),
            page: PageRequest { cursor: Some(cursor.to_owned()), limit: Some(limit) },
        }
    }

    /// Returns the list's address with these filters and the cursor.
    fn url(&self, cursor: &str) -> String {
        let mut pairs = vec![
            ("project", self.project.as_str()),
            ("environment", &self.environment),
            ("sort", &self.sort),
            ("cursor", cursor),
        ];
        // An empty query means "all" and must stay in the address, unlike an absent one.
        let query = match self.query.as_deref() {
            None => String::new(),
            Some("") => "query=".to_owned(),
            Some(query) => format!("query={}", crate::format::url_part(query)),
        };
        pairs.retain(|(_, value)| !value.is_empty());
        let rest = query_string(&pairs);
        match (query.is_empty(), rest.strip_prefix('?')) {
            (true, _) => format!("/{rest}"),
            (false, None) => format!("/?{query}"),
            (false, Some(rest)) => format!("/?{query}&{rest}"),
        }
    }

    fn tabs(&self) -> Vec<Tab> {
        const STATES: [(&str, Option<&str>); 4] = [
            ("Unresolved", Some("unresolved")),
            ("Resolved", Some("resolved")),
            ("Ignored", Some("ignored")),
            ("All", None),
        ];
        let current = search_text::state(self.query());
        let tab = |(name, wanted): (&'static str, Option<&str>)| {
            let query = Some(search_text::with_state(self.query(), wanted));
            let filters = Filters { query, ..self.clone() };
            Tab { name, url: filters.url(""), is_current: current.as_deref() == wanted }
        };
        STATES.into_iter().map(tab).collect()
    }

    /// Whether only the state, or nothing, is asked for.
    fn is_plain(&self) -> bool {
        self.environment.is_empty() && self.query() == QUERY_DEFAULT
    }

    /// Returns every filter in words, with the filters without it.
    fn each_dropped(&self) -> Vec<(String, Filters)> {
        let words = search_text::words(self.query());
        let mut dropped: Vec<(String, Filters)> = (0..)
            .zip(words)
            .map(|(place, word)| {
                (word, Filters { query: Some(search_text::without(self.query(), place)), ..self.clone() })
            })
            .collect();
        if !self.environment.is_empty() {
            let filters = Filters { environment: String::new(), ..self.clone() };
            dropped.push((format!("environment {}", self.environment), filters));
        }
        if !self.project.is_empty() {
            dropped.push((format!("project {}", self.project), Filters { project: String::new(), ..self.clone() }));
        }
        dropped.truncate(FILTERS_TRIED_MAX);
        dropped
    }

    fn is_project(&self, project: &Project) -> bool {
        self.project.split_once('/').is_some_and(|(org, slug)| org == project.organization.slug && slug == project.slug)
    }
}

/// Returns the environments to choose from: those of the project chosen, or of the only one.
async fn environments(
    state: &WebState,
    viewer: &Viewer,
    filters: &Filters,
    projects: &[Project],
) -> Result<Vec<String>, PageError> {
    let only = match projects {
        [project] => Some(ProjectRef { org: project.organization.slug.clone(), project: project.slug.clone() }),
        _ => None,
    };
    let mut environments = match filters.project_ref().or(only) {
        Some(project) => projects::names(&state.ops, &viewer.caller, &project).await?.environments,
        None => Vec::new(),
    };
    environments.retain(|name| !name.is_empty());
    if !filters.environment.is_empty() && !environments.contains(&filters.environment) {
        environments.push(filters.environment.clone());
    }
    Ok(environments)
}

async fn why_empty(
    state: &WebState,
    viewer: &Viewer,
    filters: &Filters,
    projects: &[Project],
) -> Result<Empty, PageError> {
    if !filters.cursor.is_empty() {
        return Ok(Empty::PastTheEnd);
    }
    let wanted = projects.iter().filter(|project| filters.project.is_empty() || filters.is_project(project));
    let last_event = wanted.clone().filter_map(|project| project.last_event_at).max();
    if last_event.is_none() && wanted.clone().all(|project| project.first_event_at.is_none()) {
        return Ok(Empty::NoEvents { project: wanted.clone().next().cloned() });
    }
    if filters.is_plain() {
        return Ok(Empty::Clear { last_event: last_event.map(|time| Ago { time, now: viewer.now }) });
    }
    let mut drops = Vec::new();
    for (filter, without) in filters.each_dropped() {
        let listed = issues::list(&state.ops, &viewer.caller, without.request("", 1, false)).await;
        // What cannot be searched does not help.
        let helps = listed.is_ok_and(|page| !page.items.is_empty());
        drops.push(FilterDrop { filter, url: without.url(""), helps });
    }
    Ok(Empty::NoMatch { filters: drops })
}
