//! `/system/dead-letters/`: jobs that stopped, grouped by what they failed with; show, retry, discard, export.

use super::{Tab, count};
use crate::components::pager::Pager;
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
use ops::dead_letters::{self, DeadLetter, LetterCursor, LetterGroup, Selection};
use ops::page::PageLink;
use serde::Deserialize;

/// Rows of one group on the page of all; its buttons mean all of it.
const ROWS_MAX: usize = 20;
/// Rows of one group on its own page.
const GROUP_ROWS_MAX: usize = 100;
/// Groups on a page; the largest first.
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
    pub pager: Pager,
}

pub struct GroupView {
    pub key: String,
    pub task: String,
    pub reason: String,
    pub error: String,
    pub count: String,
    pub last: String,
    pub rows: Vec<RowView>,
    /// Its own page, where it has more rows.
    pub more_url: Option<String>,
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
    group: Option<String>,
    cursor: Option<String>,
    retried: Option<u64>,
    discarded: Option<u64>,
    stay: Option<u64>,
    why: Option<String>,
}

/// What of the letters is shown: of one queue or all, one group or all, and from where on.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    pub queue: Option<String>,
    pub group: Option<String>,
    /// Of a group its last letter that was shown; of groups, how many were.
    pub cursor: Option<String>,
}

/// `GET /system/dead-letters/`, of one `queue` and one `group` if they are named.
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
    let shown = Shown { queue, group: query.group, cursor: query.cursor };
    html(&DeadLettersPage::of(shell, &shown, &letters, said))
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
    pub fn of(shell: Shell, shown: &Shown, letters: &[DeadLetter], said: Option<String>) -> DeadLettersPage {
        let groups = dead_letters::group(letters);
        let query = query_string(&[("queue", shown.queue.as_deref().unwrap_or_default())]);
        let (groups, next) = match &shown.group {
            Some(key) => shown.of_group(groups.iter().find(|group| group.key == *key)),
            None => shown.of_groups(&groups),
        };
        let path = shown.url(shown.group.as_deref());
        let link =
            |cursor: Option<String>| PageLink { has_results: cursor.is_some(), cursor: cursor.unwrap_or_default() };
        DeadLettersPage {
            shell,
            total: count(letters.len() as u64),
            groups,
            export_url: format!("{}export/{query}", Tab::DeadLetters.path()),
            queue: shown.queue.clone(),
            said,
            // The way back is the browser's: letters go while they are read.
            pager: Pager::of(&path, &link(None), &link(next)),
        }
    }

    fn tab(&self) -> Tab {
        Tab::DeadLetters
    }
}

impl Shown {
    /// A page of groups, and where the next begins.
    fn of_groups(&self, groups: &[LetterGroup<'_>]) -> (Vec<GroupView>, Option<String>) {
        let from = self.cursor.as_deref().and_then(|cursor| cursor.parse().ok()).unwrap_or(0).min(groups.len());
        let some = &groups[from..groups.len().min(from + GROUPS_MAX)];
        let next = from + some.len();
        let view = |group: &LetterGroup<'_>| {
            let rows: Vec<&DeadLetter> = group.letters.iter().rev().take(ROWS_MAX).copied().collect();
            let is_cut = group.letters.len() > rows.len();
            GroupView::of(group, &rows, is_cut.then(|| self.url(Some(&group.key))))
        };
        (some.iter().map(view).collect(), (next < groups.len()).then(|| next.to_string()))
    }

    /// A page of a group's letters, the oldest first.
    fn of_group(&self, group: Option<&LetterGroup<'_>>) -> (Vec<GroupView>, Option<String>) {
        let Some(group) = group else { return (Vec::new(), None) };
        let after: Option<LetterCursor> = self.cursor.as_deref().and_then(|cursor| cursor.parse().ok());
        let is_left = |letter: &&&DeadLetter| after.as_ref().is_none_or(|after| letter.cursor() > *after);
        let mut rest = group.letters.iter().filter(is_left).copied();
        let rows: Vec<&DeadLetter> = rest.by_ref().take(GROUP_ROWS_MAX).collect();
        let next = rest.next().and(rows.last()).map(|last| last.cursor().to_string());
        (vec![GroupView::of(group, &rows, None)], next)
    }

    fn url(&self, group: Option<&str>) -> String {
        let queue = self.queue.as_deref().unwrap_or_default();
        let query = query_string(&[("queue", queue), ("group", group.unwrap_or_default())]);
        format!("{}{query}", Tab::DeadLetters.path())
    }
}

impl GroupView {
    fn of(group: &LetterGroup<'_>, rows: &[&DeadLetter], more_url: Option<String>) -> GroupView {
        let latest = group.letters.last().expect("a group has a letter");
        GroupView {
            key: group.key.clone(),
            task: if latest.task.is_empty() { "(unreadable)".to_owned() } else { latest.task.clone() },
            reason: latest.reason.clone(),
            error: said_by(latest),
            count: count(group.letters.len() as u64),
            last: absolute(latest.at),
            rows: rows.iter().map(|letter| RowView::of(letter)).collect(),
            more_url,
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

#[cfg(test)]
mod tests {
    use super::*;
    use stdx::Timestamp;

    fn letter(number: usize, error: &str) -> DeadLetter {
        DeadLetter {
            id: format!("{number:04}"),
            queue: "q".to_owned(),
            task: "t".to_owned(),
            reason: "rejected".to_owned(),
            attempts: 1,
            deaths: 0,
            error: error.to_owned(),
            at: Timestamp::from_seconds(number as i64 / 10),
            enqueued_at: Timestamp::EPOCH,
        }
    }

    #[test]
    fn every_letter_and_every_group_is_on_some_page_once() {
        let letters: Vec<DeadLetter> = (0..250).map(|number| letter(number, "alike")).collect();
        let groups = dead_letters::group(&letters);
        let mut shown = Shown { group: Some(groups[0].key.clone()), ..Shown::default() };
        let mut ids = Vec::new();
        loop {
            let (views, next) = shown.of_group(groups.first());
            assert_eq!(views[0].count, "250", "the group is told whole");
            ids.extend(views[0].rows.iter().map(|row| row.id.clone()));
            shown.cursor = next;
            if shown.cursor.is_none() {
                break;
            }
        }
        assert_eq!(ids, letters.iter().map(|letter| letter.id.clone()).collect::<Vec<_>>());
        let errors: Vec<String> =
            (0..120u8).map(|n| format!("{}{}", (b'a' + n / 26) as char, (b'a' + n % 26) as char)).collect();
        let letters: Vec<DeadLetter> = errors.iter().enumerate().map(|(n, error)| letter(n, error)).collect();
        let groups = dead_letters::group(&letters);
        let mut shown = Shown::default();
        let mut lengths = Vec::new();
        loop {
            let (views, next) = shown.of_groups(&groups);
            lengths.push(views.len());
            shown.cursor = next;
            if shown.cursor.is_none() {
                break;
            }
        }
        assert_eq!(lengths, [GROUPS_MAX, GROUPS_MAX, 20]);
    }
}
