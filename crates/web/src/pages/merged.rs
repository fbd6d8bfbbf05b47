//! What an issue is made of: the issues that were merged into it, and its hashes; merging, and taking apart.

use super::html;
use super::issue::IssueHead;
use crate::error::PageError;
use crate::event_json::cut_to;
use crate::format::{Ago, grouped};
use crate::shell::{Nav, Shell};
use crate::state::WebState;
use crate::viewer::Viewer;
use askama::Template;
use axum::extract::{Form, Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use ops::ApiError;
use ops::issues::{self, IssueHash, IssueRef, Lineage, MergeIssues, Part, Strand};
use stdx::Timestamp;

const TITLE_CHARS_MAX: usize = 160;

#[derive(Template)]
#[template(path = "merged.html")]
pub(super) struct MergedPage {
    pub shell: Shell,
    pub head: IssueHead,
    pub strands: Vec<StrandRow>,
    pub hashes: Vec<HashRow>,
    pub hashes_left_out: usize,
}

pub(super) struct StrandRow {
    pub id: i64,
    pub short_id: String,
    pub title: String,
    pub level: &'static str,
    pub events: String,
    pub last_seen: Ago,
    /// When and by whom; none for the issue's own.
    pub merged: Option<(Ago, String)>,
    /// The strand it came with, if that is not the issue's own.
    pub with: Option<String>,
}

pub(super) struct HashRow {
    pub hash: String,
    pub strand: String,
    pub events: String,
    pub latest: Option<(String, String, Ago)>,
}

/// `GET /issues/{id}/merged/`
pub async fn show(
    State(state): State<WebState>,
    viewer: Viewer,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let issue = issues::get(&state.ops, &viewer.caller, &IssueRef { org: None, issue: id }).await?;
    let reference = IssueRef { org: None, issue: issue.id.to_string() };
    let lineage = issues::lineage(&state.ops, &viewer.caller, &reference).await?;
    let shell = Shell::of(&state, &viewer, Nav::Issues, format!("What {} is made of", issue.short_id));
    html(&MergedPage::of(shell, IssueHead::of(&issue, viewer.now), &lineage, viewer.now))
}

impl MergedPage {
    pub fn of(shell: Shell, head: IssueHead, lineage: &Lineage, now: Timestamp) -> MergedPage {
        let own = head.id;
        let name =
            |id: i64| lineage.strands.iter().find(|strand| strand.id == id).map(|strand| strand.short_id.clone());
        let strands = lineage.strands.iter().map(|strand| StrandRow {
            with: strand.merged_into.filter(|into| *into != own).and_then(name),
            ..StrandRow::of(strand, now)
        });
        let hash = |hash: &IssueHash| HashRow {
            strand: hash.strand_id.and_then(name).unwrap_or_default(),
            ..HashRow::of(hash, own, now)
        };
        MergedPage {
            strands: strands.collect(),
            hashes: lineage.hashes.iter().map(hash).collect(),
            hashes_left_out: lineage.hashes_left_out,
            shell,
            head,
        }
    }
}

impl StrandRow {
    fn of(strand: &Strand, now: Timestamp) -> StrandRow {
        let by = strand.merged_by.clone().unwrap_or_else(|| "the command line".to_owned());
        StrandRow {
            id: strand.id,
            short_id: strand.short_id.clone(),
            title: cut_to(&strand.title, TITLE_CHARS_MAX).into_owned(),
            level: crate::level::known(&strand.level),
            events: grouped(strand.event_count),
            last_seen: Ago { time: strand.last_seen, now },
            merged: strand.merged_at.map(|time| (Ago { time, now }, by)),
            with: None,
        }
    }
}

impl HashRow {
    fn of(hash: &IssueHash, issue_id: i64, now: Timestamp) -> HashRow {
        HashRow {
            hash: hash.hash.clone(),
            strand: String::new(),
            events: grouped(hash.event_count),
            latest: hash.latest.as_ref().map(|event| {
                let url = format!("/issues/{issue_id}/events/{}/", crate::format::url_part(&event.event_id));
                let title = cut_to(&event.title, TITLE_CHARS_MAX).into_owned();
                (url, title, Ago { time: event.timestamp, now })
            }),
        }
    }
}

/// `POST /issues/merge/` with `id` two times or more; then to what came of it, where it can be undone.
pub async fn merge(
    State(state): State<WebState>,
    viewer: Viewer,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, PageError> {
    let issues = fields.into_iter().filter(|(key, _)| key == "id").map(|(_, id)| id).collect();
    let input = MergeIssues { org: None, projects: vec![], issues };
    let merged = issues::merge(&state.ops, &viewer.caller, input).await?;
    Ok(Redirect::to(&format!("/issues/{}/merged/", merged.parent.id)).into_response())
}

/// `POST /issues/{id}/unmerge/` with `strand`, or `hash` any number of times; then back.
pub async fn unmerge(
    State(state): State<WebState>,
    viewer: Viewer,
    Path(id): Path<String>,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, PageError> {
    let strand = fields.iter().find(|(key, _)| key == "strand").map(|(_, value)| value);
    let part = match strand {
        Some(strand) => Part::Merged(strand.parse().map_err(|_| ApiError::NotFound)?),
        None => Part::Hashes(fields.into_iter().filter(|(key, _)| key == "hash").map(|(_, hash)| hash).collect()),
    };
    let reference = IssueRef { org: None, issue: id };
    let made = issues::unmerge(&state.ops, &viewer.caller, &reference, part).await?;
    Ok(Redirect::to(&format!("/issues/{}/", made.id)).into_response())
}
