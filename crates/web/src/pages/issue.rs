//! An issue with one of its events: the latest, or the one the address names.

use super::html;
use crate::components::chart::Chart;
use crate::components::event_bar::EventBar;
use crate::components::event_sections::{EventExtras, EventSections};
use crate::components::issue_row::{Badge, Headline, badges};
use crate::components::stacktrace::FrameChoice;
use crate::components::tag_table::TagTable;
use crate::error::PageError;
use crate::format::{Ago, counted, grouped};
use crate::shell::{Nav, Shell};
use crate::state::WebState;
use crate::viewer::Viewer;
use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use ops::ApiError;
use ops::events::{self, EventDetail, EventRef, IssueEvent, Removed};
use ops::issues::{self, Issue, IssueActivity, IssueRef, IssueSeries, IssueStatus, IssueTag, Series, SeriesPeriod};
use ops::projects::ProjectRef;
use serde::Deserialize;
use stdx::Timestamp;

#[derive(Template)]
#[template(path = "issue.html")]
pub(super) struct IssuePage {
    pub shell: Shell,
    pub head: IssueHead,
    pub chart: Chart,
    pub tags: TagTable,
    pub activity: Vec<ActivityLine>,
    pub event: Option<(EventBar, EventSections)>,
    /// What retention removed, in a sentence.
    pub removed: Option<String>,
}

/// What stays the same whichever event is shown.
pub(super) struct IssueHead {
    pub id: i64,
    pub short_id: String,
    pub headline: Headline,
    pub culprit: String,
    pub level: &'static str,
    pub badges: Vec<Badge>,
    pub project: String,
    pub project_url: String,
    pub list_url: String,
    pub status: IssueStatus,
    /// Why it is in its state.
    pub why: String,
    pub events: String,
    pub users: String,
    pub first_seen: Ago,
    pub last_seen: Ago,
    pub first_release: Option<String>,
    pub last_release: Option<String>,
}

pub(super) struct ActivityLine {
    pub what: &'static str,
    /// Short ids of the issues it is about.
    pub issues: String,
    pub who: Option<String>,
    pub at: Ago,
}

#[derive(Deserialize)]
pub struct IssueQuery {
    #[serde(default)]
    period: String,
    #[serde(default)]
    frames: String,
}

/// Everything the page shows, as the operations returned it.
pub(super) struct IssueFacts {
    pub issue: Issue,
    pub series: Series,
    pub period: SeriesPeriod,
    pub tags: Vec<IssueTag>,
    pub activity: Vec<IssueActivity>,
    pub event: Option<EventFacts>,
    pub removed: Removed,
}

pub(super) struct EventFacts {
    pub event: EventDetail,
    pub attachments: Vec<ops::attachments::Attachment>,
    pub receipt: Option<ops::receipts::Receipt>,
    pub grouping: Option<ops::events::EventGrouping>,
}

/// `GET /issues/{id}/`
pub async fn show_latest(
    State(state): State<WebState>,
    viewer: Viewer,
    Path(id): Path<String>,
    Query(query): Query<IssueQuery>,
) -> Result<Response, PageError> {
    show(&state, &viewer, id, &IssueEvent::Latest, &query).await
}

/// `GET /issues/{id}/events/{event_id}/`, also with `latest` and `oldest`.
pub async fn show_event(
    State(state): State<WebState>,
    viewer: Viewer,
    Path((id, event_id)): Path<(String, String)>,
    Query(query): Query<IssueQuery>,
) -> Result<Response, PageError> {
    let event = match event_id.as_str() {
        "latest" => IssueEvent::Latest,
        "oldest" | "first" => IssueEvent::Oldest,
        _ => IssueEvent::Id(event_id),
    };
    show(&state, &viewer, id, &event, &query).await
}

async fn show(
    state: &WebState,
    viewer: &Viewer,
    id: String,
    event: &IssueEvent,
    query: &IssueQuery,
) -> Result<Response, PageError> {
    let facts = load(state, viewer, id.clone(), event, query).await?;
    // The address of an issue that was merged leads to the one it was merged into.
    if id.parse::<i64>().is_ok_and(|id| id != facts.issue.id) {
        return Ok(Redirect::to(&format!("/issues/{}/", facts.issue.id)).into_response());
    }
    let title = format!("{} {}", facts.issue.short_id, facts.issue.title);
    let shell = Shell::of(state, viewer, Nav::Issues, title);
    let choice = if query.frames == "all" { FrameChoice::All } else { FrameChoice::App };
    html(&IssuePage::of(shell, facts, choice, viewer.now))
}

async fn load(
    state: &WebState,
    viewer: &Viewer,
    id: String,
    event: &IssueEvent,
    query: &IssueQuery,
) -> Result<IssueFacts, PageError> {
    let (cx, actor) = (&state.ops, &viewer.caller);
    let reference = IssueRef { org: None, issue: id };
    let issue = issues::get(cx, actor, &reference).await?;
    // A short id may be ambiguous over organizations; the id is not.
    let reference = IssueRef { org: None, issue: issue.id.to_string() };
    let period = SeriesPeriod::parse(&query.period).unwrap_or_else(|| fitting_period(&issue, viewer.now));
    let wanted = IssueSeries { issue: reference.clone(), period, environments: Vec::new() };
    let (series, tags, activity, removed, found) = tokio::join!(
        issues::series(cx, actor, &wanted),
        issues::tags(cx, actor, &reference),
        issues::activity(cx, actor, &reference),
        events::removed_of_issue(cx, actor, &reference),
        events::get_of_issue(cx, actor, &reference, event),
    );
    let found = match found {
        Ok(found) => Some(event_facts(state, viewer, &issue, found).await?),
        // Retention removes events and keeps the issue; only an event asked for by its id is then missing.
        Err(ApiError::NotFound) if !matches!(event, IssueEvent::Id(_)) => None,
        Err(error) => return Err(error.into()),
    };
    let (series, tags, activity, removed) = (series?, tags?, activity?, removed?);
    Ok(IssueFacts { issue, series, period, tags, activity, event: found, removed })
}

async fn event_facts(
    state: &WebState,
    viewer: &Viewer,
    issue: &Issue,
    event: EventDetail,
) -> Result<EventFacts, PageError> {
    let reference = event_ref(issue, &event.summary.event_id);
    let (attachments, receipt, grouping) = tokio::join!(
        ops::attachments::list(&state.ops, &viewer.caller, &reference),
        ops::receipts::get(&state.ops, &viewer.caller, &reference),
        events::grouping(&state.ops, &viewer.caller, &reference),
    );
    Ok(EventFacts { event, attachments: attachments?, receipt: Some(receipt?), grouping: Some(grouping?) })
}

pub(super) fn event_ref(issue: &Issue, event_id: &str) -> EventRef {
    let project = ProjectRef { org: issue.project.org_slug.clone(), project: issue.project.slug.clone() };
    EventRef { project, event_id: event_id.to_owned() }
}

/// Hours while they have something to show, else days.
fn fitting_period(issue: &Issue, now: Timestamp) -> SeriesPeriod {
    const DAY: std::time::Duration = std::time::Duration::from_secs(24 * 3_600);
    if issue.last_seen.plus(DAY) > now { SeriesPeriod::Day } else { SeriesPeriod::Fortnight }
}

/// Nothing while nothing was removed.
fn removal_sentence(removed: Removed) -> Option<String> {
    let Removed { events, at } = removed;
    if events <= 0 {
        return None;
    }
    let (what, on) = (counted(events, "stored event was", "stored events were"), at.map(|at| at.day()));
    let on = on.map(|day| format!(" on {day}")).unwrap_or_default();
    Some(format!("{what} removed by retention{on}; counts kept."))
}

impl IssuePage {
    pub fn of(shell: Shell, facts: IssueFacts, choice: FrameChoice, now: Timestamp) -> IssuePage {
        let IssueFacts { issue, series, period, tags, activity, event, removed } = facts;
        let event = event.map(|EventFacts { event, attachments, receipt, grouping }| {
            let url = format!("/issues/{}/events/{}/", issue.id, crate::format::url_part(&event.summary.event_id));
            let bar = EventBar::of(&event, issue.id, now);
            (bar, EventSections::of(&event, EventExtras { attachments, receipt, grouping, choice, url }))
        });
        let activity = activity.into_iter().map(|line| ActivityLine {
            what: activity_word(&line.kind),
            issues: line.issues.join(", "),
            who: line.user_name,
            at: Ago { time: line.at, now },
        });
        let path = format!("/issues/{}/", issue.id);
        IssuePage {
            shell,
            chart: Chart::of(&series, period, &path),
            tags: TagTable::of(&tags),
            activity: activity.collect(),
            head: IssueHead::of(&issue, now),
            event,
            removed: removal_sentence(removed),
        }
    }
}

impl IssueHead {
    pub fn of(issue: &Issue, now: Timestamp) -> IssueHead {
        let project = format!("{}/{}", issue.project.org_slug, issue.project.slug);
        IssueHead {
            id: issue.id,
            short_id: issue.short_id.clone(),
            headline: Headline::of(&issue.metadata, &issue.title),
            culprit: crate::event_json::cut_to(&issue.culprit, 300).into_owned(),
            level: crate::level::known(&issue.level),
            badges: badges(issue),
            project_url: format!("/projects/{project}/"),
            list_url: format!("/{}", crate::format::query_string(&[("project", &project)])),
            project: issue.project.slug.clone(),
            status: issue.status,
            why: why(issue, now),
            events: grouped(issue.event_count),
            users: grouped(issue.user_count),
            first_seen: Ago { time: issue.first_seen, now },
            last_seen: Ago { time: issue.last_seen, now },
            first_release: issue.first_release.clone(),
            last_release: issue.last_release.clone(),
        }
    }
}

fn why(issue: &Issue, now: Timestamp) -> String {
    let at = Ago { time: issue.status_at, now }.words();
    match (issue.status, issue.substatus.as_str()) {
        (IssueStatus::Resolved, _) => format!("Resolved {at}"),
        (IssueStatus::Ignored, _) => format!("Ignored {at}"),
        (IssueStatus::Unresolved, "regressed") => match &issue.last_release {
            Some(release) => format!("Came back {at} in {}", crate::event_json::cut_to(release, 80)),
            None => format!("Came back {at} after it was resolved"),
        },
        (IssueStatus::Unresolved, "new") => format!("New, unresolved since {at}"),
        (IssueStatus::Unresolved, _) => format!("Unresolved since {at}"),
    }
}

fn activity_word(kind: &str) -> &'static str {
    match kind {
        "first_seen" => "First seen",
        "set_resolved" => "Resolved",
        "set_unresolved" => "Unresolved",
        "set_ignored" => "Ignored",
        "set_regression" => "Came back",
        "merge" => "Merged in",
        "unmerge_source" => "Taken out:",
        "import" => "Imported",
        "unmerge_destination" => "Taken out of another issue",
        _ => "Changed",
    }
}
