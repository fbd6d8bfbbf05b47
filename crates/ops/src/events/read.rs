//! A stored event becomes what people read: decompressed, normalised again, and put into shape.

use super::body::Body;
use super::{EventDetail, EventSummary, entries};
use crate::context::Failure;
use processing::{Summary, normalise, summarise};
use protocol::event::{Event, Remark};
use serde_json::{Map, Value, json};
use store::events::StoredEvent;
use store::{StoreError, Stores};

/// Returns the event as a row of a list.
pub(super) fn summary(stores: &Stores, stored: &StoredEvent, issue_id: Option<i64>) -> Result<EventSummary, Failure> {
    let body = Body::read(stores.body(stored)?)?;
    let event = normalise(parse(body.payload())?, &body.context(stored));
    Ok(summary_of(&event, summarise(&event), &body, stored, issue_id))
}

/// Returns the event's environment as the digest counted it: empty if none was given.
pub(super) fn environment(stores: &Stores, stored: &StoredEvent) -> Result<String, Failure> {
    let body = Body::read(stores.body(stored)?)?;
    let event = normalise(parse(body.payload())?, &body.context(stored));
    Ok(event.environment.as_deref().unwrap_or_default().to_owned())
}

/// Returns the whole event, without its neighbours.
pub(super) fn detail(stores: &Stores, stored: &StoredEvent, issue_id: Option<i64>) -> Result<EventDetail, Failure> {
    let body = Body::read(stores.body(stored)?)?;
    let event = normalise(parse(body.payload())?, &body.context(stored));
    let facts = summarise(&event);
    let summary = summary_of(&event, facts.clone(), &body, stored, issue_id);
    let metadata = serde_json::to_value(&facts.metadata).unwrap_or_default();
    let fingerprint = event.fingerprint.iter().flatten().map(|part| part.as_str().to_owned()).collect();
    let transaction = event.transaction.as_deref().map(str::to_owned);
    let (release, dist, environment) = (facts.release, facts.dist, facts.environment);
    let errors: Vec<Value> = event.remarks.iter().map(remark).collect();
    let mut rest = tree(event);
    Ok(EventDetail {
        summary,
        metadata,
        entries: entries::take_all(&mut rest),
        contexts: rest.remove("contexts").unwrap_or_else(|| json!({})),
        extra: rest.remove("extra").unwrap_or_else(|| json!({})),
        modules: rest.remove("modules").unwrap_or_else(|| json!({})),
        sdk: rest.remove("sdk").unwrap_or_default(),
        release,
        dist,
        environment,
        transaction,
        fingerprint,
        errors,
        meta: rest.remove("_meta").unwrap_or_else(|| json!({})),
        size_bytes: body.payload().len() as u64,
        previous_event_id: None,
        next_event_id: None,
    })
}

pub(super) fn parse(payload: &[u8]) -> Result<Event<'_>, Failure> {
    let damaged = |_| StoreError::Damaged { what: "read an event's payload".to_owned() };
    Ok(Event::parse(payload).map_err(damaged)?)
}

fn summary_of(
    event: &Event<'_>,
    facts: Summary,
    body: &Body,
    stored: &StoredEvent,
    issue_id: Option<i64>,
) -> EventSummary {
    let message = event.logentry.as_ref().and_then(|entry| entry.formatted.as_deref().or(entry.message.as_deref()));
    EventSummary {
        event_id: stdx::hex::encode(&stored.event_id),
        project_id: stored.project_id,
        issue_id,
        message: message.unwrap_or_default().to_owned(),
        title: body.title().map_or(facts.title, str::to_owned),
        culprit: facts.culprit,
        level: facts.level.as_str().to_owned(),
        platform: facts.platform,
        kind: facts.kind.as_str().to_owned(),
        timestamp: facts.timestamp,
        received_at: stored.received_at,
        tags: facts.tags,
        user: event.user.clone().map_or(Value::Null, user),
    }
}

/// Returns the user without what only the server needs.
fn user(user: protocol::event::User<'_>) -> Value {
    let event = Event { user: Some(user), ..Event::default() };
    let mut user = tree(event).remove("user").unwrap_or_default();
    if let Value::Object(map) = &mut user {
        map.remove("sentry_user");
    }
    user
}

/// Returns the event as the JSON it would have been sent as.
fn tree(event: Event<'_>) -> Map<String, Value> {
    match serde_json::to_value(event.into_value()) {
        Ok(Value::Object(map)) => map,
        // An event's tree is an object and has text keys only.
        Ok(_) | Err(_) => Map::new(),
    }
}

fn remark(remark: &Remark<'_>) -> Value {
    json!({
        "type": remark.kind.as_str(),
        "message": remark.kind.as_str().replace('_', " "),
        "data": {"name": remark.path, "value": serde_json::to_value(&remark.value).unwrap_or_default()},
    })
}
