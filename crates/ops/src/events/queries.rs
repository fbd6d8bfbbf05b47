//! The operations on events: authorise in metadata first, then read day partitions on a thread that may wait.

use super::locate::{self, Found, Scope as Events, parse_event_id};
use super::{EventDetail, EventRef, EventSummary, IssueEvent, ListIssueEvents, ListProjectEvents, body, read};
use crate::context::Failure;
use crate::issues::{IssueRef, find};
use crate::lookup;
use crate::page::{Cursor, Page, PageLink};
use crate::{Actor, ApiError, Ops, Scope};
use std::collections::HashMap;
use store::Stores;
use store::event_lookup;
use store::events::StoredEvent;
use store::removals::Removed;

/// Events decompressed for one page when they are filtered by environment.
const EXAMINED_MAX: usize = 300;

/// Returns the issue's events, last received first.
///
/// # Errors
/// `NotFound` if the issue is not there or not the actor's, `Invalid` for a forged cursor.
pub async fn list_of_issue(cx: &Ops, actor: &Actor, input: ListIssueEvents) -> Result<Page<EventSummary>, ApiError> {
    let cursor = input.page.cursor()?;
    let limit = input.page.limit();
    let (issue_id, events) = events_of_issue(cx, actor, &input.issue).await?;
    let environments = input.environments;
    cx.blocking("list an issue's events", move |stores| {
        let is_wanted = |event: &StoredEvent| {
            Ok(environments.is_empty() || environments.contains(&read::environment(stores, event)?))
        };
        // Without a filter every event is wanted, and only the page's events are looked at.
        let found = locate::list(stores, &events, cursor, limit + 1, EXAMINED_MAX, is_wanted)?;
        let page = page_of(found, limit, cursor);
        summaries(stores, page, |_| Ok(Some(issue_id)))
    })
    .await
}

/// Returns the project's events, last received first.
///
/// # Errors
/// `NotFound` if the project is not there or not the actor's, `Invalid` for a forged cursor.
pub async fn list_of_project(
    cx: &Ops,
    actor: &Actor,
    input: ListProjectEvents,
) -> Result<Page<EventSummary>, ApiError> {
    let cursor = input.page.cursor()?;
    let limit = input.page.limit();
    let project_id = project_of(cx, actor, &input.project.org, &input.project.project).await?;
    cx.blocking("list a project's events", move |stores| {
        let events = Events::Project { project_id };
        let found = locate::list(stores, &events, cursor, limit + 1, EXAMINED_MAX, |_| Ok(true))?;
        let mut issues: HashMap<i64, Option<i64>> = HashMap::new();
        summaries(stores, page_of(found, limit, cursor), |event| {
            if let Some(issue_id) = issues.get(&event.group_key) {
                return Ok(*issue_id);
            }
            let issue_id = issue_of(stores, event)?;
            issues.insert(event.group_key, issue_id);
            Ok(issue_id)
        })
    })
    .await
}

fn page_of(found: Found, limit: usize, cursor: Option<Cursor>) -> Page<StoredEvent> {
    let Found { events, stopped_at } = found;
    let mut page = Page::of(events, limit, cursor, |event| (event.received_at.micros(), event.seq));
    if let Some((value, id)) = stopped_at {
        let backwards = cursor.is_some_and(|cursor| cursor.backwards);
        let onward = PageLink { cursor: Cursor { value, id, backwards }.text(), has_results: true };
        *(if backwards { &mut page.previous } else { &mut page.next }) = onward;
    }
    page
}

fn summaries(
    stores: &Stores,
    page: Page<StoredEvent>,
    mut issue_of: impl FnMut(&StoredEvent) -> Result<Option<i64>, Failure>,
) -> Result<Page<EventSummary>, Failure> {
    let mut items = Vec::with_capacity(page.items.len());
    for event in &page.items {
        let issue_id = issue_of(event)?;
        items.push(read::summary(stores, event, issue_id)?);
    }
    Ok(Page { items, previous: page.previous, next: page.next })
}

/// Returns an event of the issue.
///
/// # Errors
/// `NotFound` if the issue or the event is not there, or the event is another issue's.
pub async fn get_of_issue(
    cx: &Ops,
    actor: &Actor,
    issue: &IssueRef,
    event: &IssueEvent,
) -> Result<EventDetail, ApiError> {
    let (issue_id, events) = events_of_issue(cx, actor, issue).await?;
    let wanted = event.clone();
    cx.blocking("read an issue's event", move |stores| {
        let Events::Groups { project_id, group_keys } = &events else { return Err(ApiError::NotFound.into()) };
        let stored = match &wanted {
            IssueEvent::Latest => locate::outermost(stores, &events, true)?,
            IssueEvent::Oldest => locate::outermost(stores, &events, false)?,
            IssueEvent::Id(id) => Some(locate::by_id(stores, *project_id, &parse_event_id(id)?)?),
        };
        let stored = stored.filter(|event| group_keys.contains(&event.group_key)).ok_or(ApiError::NotFound)?;
        with_neighbours(stores, &stored, issue_id, &events)
    })
    .await
}

/// Returns how many of the issue's counted events retention has removed, and when.
///
/// # Errors
/// `NotFound` if the issue is not there or not the actor's.
pub async fn removed_of_issue(cx: &Ops, actor: &Actor, issue: &IssueRef) -> Result<Removed, ApiError> {
    let (actor, issue) = (actor.clone(), issue.clone());
    cx.read("look at what retention removed", move |tx| {
        let row = find::issue(tx, &actor, &issue, Scope::EventRead)?;
        let keys = event_lookup::groups_of_issue(tx, row.id)?;
        Ok(store::removals::of_groups(tx, row.project_id, &keys)?)
    })
    .await
}

/// Returns an event of the project.
///
/// # Errors
/// `NotFound` if the project or the event is not there, or not the actor's.
pub async fn get(cx: &Ops, actor: &Actor, input: &EventRef) -> Result<EventDetail, ApiError> {
    let project_id = project_of(cx, actor, &input.project.org, &input.project.project).await?;
    let event_id = parse_event_id(&input.event_id)?;
    cx.blocking("read an event", move |stores| {
        let stored = locate::by_id(stores, project_id, &event_id)?;
        match issue_of(stores, &stored)? {
            Some(issue_id) => {
                let events = stores.db.read_blocking(|tx| groups(tx, project_id, issue_id))?;
                with_neighbours(stores, &stored, issue_id, &events)
            }
            None => read::detail(stores, &stored, None),
        }
    })
    .await
}

fn with_neighbours(
    stores: &Stores,
    stored: &StoredEvent,
    issue_id: i64,
    events: &Events,
) -> Result<EventDetail, Failure> {
    let mut detail = read::detail(stores, stored, Some(issue_id))?;
    let id = |event: StoredEvent| stdx::hex::encode(&event.event_id);
    detail.previous_event_id = locate::neighbour(stores, events, stored, true)?.map(id);
    detail.next_event_id = locate::neighbour(stores, events, stored, false)?.map(id);
    Ok(detail)
}

/// Returns the payload as received, as JSON text, with `event_id`, `received` and `project` added by the server.
///
/// # Errors
/// `NotFound` as for `get`.
pub async fn raw_json(cx: &Ops, actor: &Actor, input: &EventRef) -> Result<Vec<u8>, ApiError> {
    let project_id = project_of(cx, actor, &input.project.org, &input.project.project).await?;
    let event_id = parse_event_id(&input.event_id)?;
    cx.blocking("read an event's payload", move |stores| {
        let stored = locate::by_id(stores, project_id, &event_id)?;
        body::Body::read(stores.body(&stored)?)?.raw_json(&stored)
    })
    .await
}

pub(crate) async fn project_of(cx: &Ops, actor: &Actor, org: &str, project: &str) -> Result<i64, ApiError> {
    let (actor, org, project) = (actor.clone(), org.to_owned(), project.to_owned());
    let work = move |tx: &mut db::Tx<'_>| Ok(lookup::project(tx, &actor, &org, &project, Scope::EventRead)?.id);
    cx.read("look a project up", work).await
}

async fn events_of_issue(cx: &Ops, actor: &Actor, issue: &IssueRef) -> Result<(i64, Events), ApiError> {
    let (actor, issue) = (actor.clone(), issue.clone());
    cx.read("look an issue up", move |tx| {
        let row = find::issue(tx, &actor, &issue, Scope::EventRead)?;
        Ok((row.id, groups(tx, row.project_id, row.id)?))
    })
    .await
}

fn groups(tx: &mut db::Tx<'_>, project_id: i64, issue_id: i64) -> Result<Events, Failure> {
    Ok(Events::Groups { project_id, group_keys: event_lookup::groups_of_issue(tx, issue_id)? })
}

pub(crate) fn issue_of(stores: &Stores, event: &StoredEvent) -> Result<Option<i64>, Failure> {
    let (project_id, group_key) = (event.project_id, event.group_key);
    stores.db.read_blocking(|tx| Ok(store::issues::id_by_group(tx, project_id, group_key)?))
}

/// Returns the newest stored event of a group.
pub(crate) fn latest_of_group(
    stores: &Stores,
    project_id: i64,
    group_key: i64,
    issue_id: i64,
) -> Result<Option<EventSummary>, Failure> {
    let events = Events::Groups { project_id, group_keys: vec![group_key] };
    let stored = locate::outermost(stores, &events, true)?;
    stored.map(|stored| read::summary(stores, &stored, Some(issue_id))).transpose()
}

/// Returns the newest stored events of a project, newest first: as many as are wanted, within the days one page opens.
pub(crate) fn newest_of_project(stores: &Stores, project_id: i64, limit: usize) -> Result<Vec<StoredEvent>, Failure> {
    let events = Events::Project { project_id };
    Ok(locate::list(stores, &events, None, limit, limit, |_| Ok(true))?.events)
}
