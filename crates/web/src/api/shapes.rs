//! Sentry's JSON shapes of issues, events, receipts and attachments. Ids are text, `count` is text, times RFC 3339.

use ops::attachments::Attachment;
use ops::events::{EventDetail, EventSummary};
use ops::issues::{Issue, IssueProject, IssueStatus, IssueTag, TagValue};
use ops::receipts::Receipt;
use serde_json::{Map, Value, json};
use stdx::Timestamp;

pub(super) fn issue(issue: &Issue) -> Value {
    json!({
        "id": issue.id.to_string(),
        "shortId": issue.short_id,
        "title": issue.title,
        "culprit": issue.culprit,
        "permalink": issue.permalink,
        "level": issue.level,
        "status": issue.status.as_str(),
        "substatus": substatus(issue),
        "statusDetails": {},
        "type": issue.kind,
        "issueType": "error",
        "issueCategory": "error",
        "metadata": issue.metadata,
        "platform": issue.platform,
        "logger": if issue.logger.is_empty() { Value::Null } else { issue.logger.as_str().into() },
        "project": issue_project(&issue.project),
        "count": issue.event_count.to_string(),
        "userCount": issue.user_count,
        "firstSeen": issue.first_seen.to_rfc3339(),
        "lastSeen": issue.last_seen.to_rfc3339(),
        "firstRelease": issue.first_release.as_deref().map(release),
        "lastRelease": issue.last_release.as_deref().map(release),
        "stats": stats(issue),
        "isUnhandled": issue.is_unhandled,
        "annotations": [],
        "assignedTo": null,
        "hasSeen": false,
        "isBookmarked": false,
        "isPublic": false,
        "isSubscribed": false,
        "numComments": 0,
        "shareId": null,
        "subscriptionDetails": null,
    })
}

/// Sentry knows fewer words than we store; a resolved issue has none.
fn substatus(issue: &Issue) -> Value {
    match issue.status {
        IssueStatus::Resolved => Value::Null,
        IssueStatus::Ignored => "archived_forever".into(),
        IssueStatus::Unresolved => issue.substatus.as_str().into(),
    }
}

fn issue_project(project: &IssueProject) -> Value {
    json!({
        "id": project.id.to_string(),
        "slug": project.slug,
        "name": project.name,
        "platform": project.platform,
    })
}

fn release(version: &str) -> Value {
    json!({"version": version, "shortVersion": version})
}

fn stats(issue: &Issue) -> Value {
    let Some((period, series)) = &issue.series else { return json!({}) };
    let points: Vec<Value> = series.iter().map(|(at, count)| json!([seconds(*at), count])).collect();
    let mut stats = Map::new();
    stats.insert(period.as_str().to_owned(), Value::Array(points));
    Value::Object(stats)
}

fn seconds(at: Timestamp) -> i64 {
    at.micros().div_euclid(1_000_000)
}

pub(super) fn tag(tag: &IssueTag) -> Value {
    let values: Vec<Value> = tag.values.iter().map(|value| tag_value(&tag.key, value)).collect();
    json!({
        "key": tag.key,
        "name": tag.key,
        "totalValues": tag.event_count,
        "uniqueValues": tag.value_count,
        "otherValues": tag.other_count,
        "topValues": values,
    })
}

pub(super) fn tag_value(key: &str, value: &TagValue) -> Value {
    json!({
        "key": key,
        "name": value.value,
        "value": value.value,
        "count": value.event_count,
        "firstSeen": value.first_seen.to_rfc3339(),
        "lastSeen": value.last_seen.to_rfc3339(),
    })
}

pub(super) fn event_summary(event: &EventSummary) -> Value {
    let issue_id = event.issue_id.map(|id| id.to_string());
    json!({
        "id": event.event_id,
        "eventID": event.event_id,
        "event.type": event.kind,
        "type": event.kind,
        "groupID": issue_id,
        "projectID": event.project_id.to_string(),
        "title": event.title,
        "message": event.message,
        "culprit": event.culprit,
        "level": event.level,
        "platform": event.platform,
        "dateCreated": event.timestamp.to_rfc3339(),
        "dateReceived": event.received_at.to_rfc3339(),
        "tags": tags(&event.tags),
        "user": event.user,
        "crashFile": null,
    })
}

fn tags(tags: &[(String, String)]) -> Value {
    tags.iter().map(|(key, value)| json!({"key": key, "value": value})).collect()
}

pub(super) fn event(event: &EventDetail) -> Value {
    let mut shape = event_summary(&event.summary);
    let entries: Vec<Value> =
        event.entries.iter().map(|entry| json!({"type": entry.kind, "data": entry.data})).collect();
    let rest = json!({
        "metadata": event.metadata,
        "entries": entries,
        "contexts": event.contexts,
        "context": event.extra,
        "packages": event.modules,
        "sdk": event.sdk,
        "release": event.release.as_deref().map(release),
        "dist": event.dist,
        "environment": event.environment,
        "transaction": event.transaction,
        "location": event.metadata.get("filename").cloned().unwrap_or_default(),
        "fingerprints": event.fingerprint,
        "errors": event.errors,
        "_meta": event.meta,
        "size": event.size_bytes,
        "previousEventID": event.previous_event_id,
        "nextEventID": event.next_event_id,
        "occurrence": null,
        "userReport": null,
    });
    if let (Value::Object(shape), Value::Object(rest)) = (&mut shape, rest) {
        shape.extend(rest);
    }
    shape
}

pub(super) fn receipt(receipt: &Receipt) -> Value {
    let steps: Vec<Value> =
        receipt.steps.iter().map(|step| json!({"step": step.step, "at": step.at.map(Timestamp::to_rfc3339)})).collect();
    let remarks: Vec<Value> = receipt
        .remarks
        .iter()
        .map(|remark| {
            json!({
                "state": remark.state,
                "reason": remark.reason,
                "quantity": remark.quantity,
                "at": remark.at.to_rfc3339(),
            })
        })
        .collect();
    json!({
        "event_id": receipt.event_id,
        "state": receipt.state.as_str(),
        "reason": receipt.reason,
        "issue_id": receipt.issue_id.map(|id| id.to_string()),
        "steps": steps,
        "remarks": remarks,
    })
}

pub(super) fn attachment(attachment: &Attachment) -> Value {
    json!({
        "id": attachment.id.to_string(),
        "event_id": attachment.event_id,
        "type": attachment.attachment_type,
        "name": attachment.name,
        "mimetype": attachment.content_type,
        "size": attachment.size_bytes,
        "sha256": attachment.sha256,
        "headers": {"Content-Type": attachment.content_type},
        "dateCreated": attachment.created_at.to_rfc3339(),
    })
}
