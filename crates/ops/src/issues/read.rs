//! One issue: itself, its series, tags and history.

use super::{Issue, IssueActivity, IssueRef, IssueSeries, IssueTag, Series, TagValue, find, list, rows};
use crate::context::Failure;
use crate::lookup;
use crate::{Actor, ApiError, Ops, Scope};
use db::Tx;
use store::issues::TagKeyRow;

/// Values shown with each tag of an issue.
const TOP_VALUES: usize = 10;
/// Values shown of one tag.
const VALUES_MAX: usize = 100;

/// Returns an issue.
///
/// # Errors
/// `NotFound` if it is not there or not the actor's.
pub async fn get(cx: &Ops, actor: &Actor, input: &IssueRef) -> Result<Issue, ApiError> {
    let (actor, input, public_url) = (actor.clone(), input.clone(), cx.public_url());
    cx.read("read an issue", move |tx| {
        let row = find::issue(tx, &actor, &input, Scope::EventRead)?;
        let project = lookup::project_by_id(tx, row.project_id)?;
        Ok(rows::issue(row, &project, &public_url))
    })
    .await
}

/// Returns the issue's events by step over a period that ends now.
///
/// # Errors
/// `NotFound` as for `get`.
pub async fn series(cx: &Ops, actor: &Actor, input: &IssueSeries) -> Result<Series, ApiError> {
    let (now, actor, input) = (cx.clock.now(), actor.clone(), input.clone());
    cx.read("read an issue's series", move |tx| {
        let row = find::issue(tx, &actor, &input.issue, Scope::EventRead)?;
        let since = list::first_hour(input.period, now);
        let hours = store::issues::hours_of_issue(tx, row.id, since, &input.environments)?;
        Ok(list::steps(input.period, now, &hours))
    })
    .await
}

/// Returns every tag of the issue by key, each with its ten most frequent values.
///
/// # Errors
/// `NotFound` as for `get`.
pub async fn tags(cx: &Ops, actor: &Actor, input: &IssueRef) -> Result<Vec<IssueTag>, ApiError> {
    let (actor, input) = (actor.clone(), input.clone());
    cx.read("read an issue's tags", move |tx| {
        let row = find::issue(tx, &actor, &input, Scope::EventRead)?;
        let keys = store::issues::tag_keys(tx, row.id)?;
        keys.into_iter().map(|key| with_values(tx, row.id, key, TOP_VALUES)).collect()
    })
    .await
}

/// Returns one tag of the issue with its hundred most frequent values.
///
/// # Errors
/// `NotFound` as for `get`, and if no event of the issue carries the tag.
pub async fn tag(cx: &Ops, actor: &Actor, input: &IssueRef, key: &str) -> Result<IssueTag, ApiError> {
    let (actor, input, key) = (actor.clone(), input.clone(), key.to_owned());
    cx.read("read an issue's tag", move |tx| {
        let row = find::issue(tx, &actor, &input, Scope::EventRead)?;
        let tag = store::issues::tag_key(tx, row.id, &key)?.ok_or(ApiError::NotFound)?;
        with_values(tx, row.id, tag, VALUES_MAX)
    })
    .await
}

fn with_values(tx: &mut Tx<'_>, issue_id: i64, tag: TagKeyRow, limit: usize) -> Result<IssueTag, Failure> {
    let values = store::issues::tag_values(tx, issue_id, &tag.key, limit)?;
    let value = |row: store::issues::TagValueRow| TagValue {
        value: row.value,
        event_count: row.event_count,
        first_seen: row.first_seen,
        last_seen: row.last_seen,
    };
    Ok(IssueTag {
        key: tag.key,
        event_count: tag.event_count,
        value_count: tag.value_count,
        other_count: tag.other_count,
        values: values.into_iter().map(value).collect(),
    })
}

/// Returns the newest hundred lines of the issue's history, newest first.
///
/// # Errors
/// `NotFound` as for `get`.
pub async fn activity(cx: &Ops, actor: &Actor, input: &IssueRef) -> Result<Vec<IssueActivity>, ApiError> {
    let (actor, input) = (actor.clone(), input.clone());
    cx.read("read an issue's history", move |tx| {
        let row = find::issue(tx, &actor, &input, Scope::EventRead)?;
        let project = lookup::project_by_id(tx, row.project_id)?;
        let line = |row: store::issues::ActivityRow| IssueActivity {
            id: row.id,
            kind: row.kind,
            user_name: row.user_name,
            issues: short_ids(&row.data, &project.short_prefix),
            at: row.at,
        };
        Ok(store::issues::activity(tx, row.id)?.into_iter().map(line).collect())
    })
    .await
}

/// The issues that a line of the history names.
fn short_ids(data: &str, prefix: &str) -> Vec<String> {
    let data: serde_json::Value = serde_json::from_str(data).unwrap_or_default();
    let numbers = data["short_numbers"].as_array().into_iter().flatten().filter_map(serde_json::Value::as_i64);
    numbers.map(|number| store::short_id::format(prefix, number)).collect()
}
