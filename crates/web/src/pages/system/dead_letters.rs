//! `/system/dead-letters/`: jobs that stopped, grouped by what they failed with; show, retry, discard, export.

use super::{Tab, count};
use crate::error::PageError;
use crate::format::{absolute, query_string, url_part};
use crate::pages::html;
use crate::shell::{Nav, Shell};
use crate::state::WebState;
use crate::viewer::Viewer;
use askama::Template;
use axum::extract::{Form, Path, Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Redirect, Response};
use ops::ApiError;
use ops::dead_letters::{self, DeadLetter, LetterGroup, Selection};
use serde::Deserialize;

/// Rows of one group on the page; its buttons mean all of it.
const ROWS_MAX: usize = 20;
/// Groups on the page; the largest first.
const GROUPS_MAX: usize = 50;
/// Characters of an error in a group's head.
const ERROR_CHARS: usize = 400;

#[derive(Template)]
#[template(path = "system/dead_letters.html")]
pub struct DeadLettersPage {
    pub shell: Shell,
    pub queue: Option<String>,
    pub total: String,
    pub groups: Vec<GroupView>,
    pub export_url: String,
    pub said: Option<String>,
}

pub struct GroupView {
    pub key: String,
    pub task: String,
    pub reason: String,
    pub error: String,
    pub count: String,
    pub last: String,
    pub rows: Vec<RowView>,
    pub is_cut: bool,
}

pub struct RowView {
    pub id: String,
    pub url: String,
    pub queue: String,
    pub attempts: u32,
    pub deaths: u32,
    pub at: String,
}

#[derive(Template)]
#[template(path = "system/dead_letter.html")]
pub struct DeadLetterPage {
    pub shell: Shell,
    pub row: RowView,
    pub task: String,
    pub reason: String,
    pub meaning: &'static str,
    pub error: String,
}

#[derive(Default, Deserialize)]
pub struct LettersQuery {
    queue: Option<String>,
    retried: Option<u64>,
    discarded: Option<u64>,
    stay: Option<u64>,
    why: Option<String>,
}

/// `GET /system/dead-letters/`, of one `queue` if it is named.
pub async fn show(
    State(state): State<WebState>,
    viewer: Viewer,
    Query(query): Query<LettersQuery>,
) -> Result<Response, PageError> {
    let queue = query.queue.filter(|name| !name.is_empty());
    let letters = dead_letters::list(&state.ops, &viewer.caller, queue.as_deref()).await?;
    let said = match (query.retried, query.discarded) {
        (Some(jobs), _) => Some(match query.stay {
            None => format!("{} jobs went back into their queues.", count(jobs)),
            Some(stay) => format!(
                "{} jobs went back into their queues; {} stay. The first of them: {}.",
                count(jobs),
                count(stay),
                query.why.unwrap_or_default()
            ),
        }),
        (None, Some(jobs)) => Some(format!("{} jobs were thrown away.", count(jobs))),
        (None, None) => None,
    };
    let shell = Shell::of(&state, &viewer, Nav::System, "Dead letters");
    html(&DeadLettersPage::of(shell, queue, &letters, said))
}

/// `GET /system/dead-letters/{id}/`
pub async fn show_one(
    State(state): State<WebState>,
    viewer: Viewer,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let letter = dead_letters::get(&state.ops, &viewer.caller, &id).await?;
    html(&DeadLetterPage::of(Shell::of(&state, &viewer, Nav::System, "Dead letter"), &letter))
}

/// `GET /system/dead-letters/export/`: all of them, or one `queue`'s, as JSON.
pub async fn export(
    State(state): State<WebState>,
    viewer: Viewer,
    Query(query): Query<LettersQuery>,
) -> Result<Response, PageError> {
    let queue = query.queue.filter(|name| !name.is_empty());
    let letters = dead_letters::list(&state.ops, &viewer.caller, queue.as_deref()).await?;
    let headers = [(header::CONTENT_DISPOSITION, "attachment; filename=\"dead-letters.json\"")];
    Ok((headers, axum::Json(letters)).into_response())
}

/// `POST /system/dead-letters/act/` with `act` and either `id` (any number of times) or `group`.
pub async fn act(
    State(state): State<WebState>,
    viewer: Viewer,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, PageError> {
    let find = |name: &str| fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let ids: Vec<String> = fields.iter().filter(|(key, _)| key == "id").map(|(_, value)| value.clone()).collect();
    let group = || find("group").map(|key| Selection::Group(key.to_owned()));
    let act = find("act").unwrap_or_default();
    let selection = match act {
        "retry" | "discard" => Some(Selection::Ids(ids)),
        "retry-group" | "discard-group" => group(),
        _ => None,
    };
    let selection = selection.ok_or_else(|| ApiError::invalid("The form says neither retry nor discard."))?;
    if act == "discard-group" && find("sure") != Some("yes") {
        let text = "Jobs that are thrown away are gone for good: tick the box to say that it is meant.";
        return Err(ApiError::invalid(text).into());
    }
    let query = match act {
        "retry" | "retry-group" => {
            let retried = dead_letters::retry(&state.ops, &viewer.caller, &selection).await?;
            let (back, stay) = (retried.gone_back.len().to_string(), retried.stays.len().to_string());
            match retried.stays.first() {
                None => query_string(&[("retried", &back)]),
                Some(first) => query_string(&[("retried", &back), ("stay", &stay), ("why", &first.why)]),
            }
        }
        _ => {
            let discarded = dead_letters::discard(&state.ops, &viewer.caller, &selection).await?;
            query_string(&[("discarded", &discarded.to_string())])
        }
    };
    Ok(Redirect::to(&format!("{}{query}", Tab::DeadLetters.path())).into_response())
}

impl DeadLettersPage {
    pub fn of(shell: Shell, queue: Option<String>, letters: &[DeadLetter], said: Option<String>) -> DeadLettersPage {
        let groups = dead_letters::group(letters);
        let query = query_string(&[("queue", queue.as_deref().unwrap_or_default())]);
        DeadLettersPage {
            shell,
            total: count(letters.len() as u64),
            groups: groups.iter().take(GROUPS_MAX).map(GroupView::of).collect(),
            export_url: format!("{}export/{query}", Tab::DeadLetters.path()),
            queue,
            said,
        }
    }

    fn tab(&self) -> Tab {
        Tab::DeadLetters
    }
}

impl GroupView {
    fn of(group: &LetterGroup<'_>) -> GroupView {
        let latest = group.letters.last().expect("a group has a letter");
        GroupView {
            key: group.key.clone(),
            task: if latest.task.is_empty() { "(unreadable)".to_owned() } else { latest.task.clone() },
            reason: latest.reason.clone(),
            error: said_by(latest),
            count: count(group.letters.len() as u64),
            last: absolute(latest.at),
            rows: group.letters.iter().rev().take(ROWS_MAX).map(|letter| RowView::of(letter)).collect(),
            is_cut: group.letters.len() > ROWS_MAX,
        }
    }
}

impl RowView {
    fn of(letter: &DeadLetter) -> RowView {
        RowView {
            id: letter.id.clone(),
            url: url_of(letter),
            queue: letter.queue.clone(),
            attempts: letter.attempts,
            deaths: letter.deaths,
            at: absolute(letter.at),
        }
    }
}

impl DeadLetterPage {
    pub fn of(shell: Shell, letter: &DeadLetter) -> DeadLetterPage {
        DeadLetterPage {
            shell,
            row: RowView::of(letter),
            task: letter.task.clone(),
            reason: letter.reason.clone(),
            meaning: meaning(&letter.reason),
            error: letter.error.clone(),
        }
    }

    fn tab(&self) -> Tab {
        Tab::DeadLetters
    }
}

/// The page of one.
pub fn url_of(letter: &DeadLetter) -> String {
    format!("{}{}/", Tab::DeadLetters.path(), url_part(&letter.id))
}

/// What it failed with, as far as a table has room; its reason's meaning if it said nothing.
pub fn said_by(letter: &DeadLetter) -> String {
    match letter.error.chars().take(ERROR_CHARS).collect::<String>() {
        empty if empty.is_empty() => meaning(&letter.reason).to_owned(),
        error => error,
    }
}

/// What a reason says to somebody who has not read the documents.
fn meaning(reason: &str) -> &'static str {
    match reason {
        "attempts" => "It failed as often as its task allows. Once the cause is mended, retry it.",
        "poison" => "Its worker died three times while running it alone. A retry may kill a worker again.",
        "rejected" => "Its task said that trying again is of no use: the payload is at fault.",
        "damaged" => "The disk did not give back what was written. There is nothing left to retry.",
        "expired" => "The time by which it had to begin had passed.",
        "revoked" => "Somebody revoked it before it began.",
        "crashed" => "The process that ran it crashed, each time it was tried. A retry may crash another.",
        "memory limit" => "It needed more memory than a child process may have. Raise the limit before a retry.",
        "time limit" => "It ran longer than its task may. Find out what it waits for before a retry.",
        _ => "It stopped and will not run again by itself.",
    }
}
