//! Facts as operations return them, made by hand.

use crate::pages::issue::{EventFacts, IssueFacts};
use crate::shell::{Nav, Shell, ShellUser};
use crate::state::{HealthCheck, PipelineHealth, PipelineLight};
use crate::viewer::Theme;
use ops::Permission;
use ops::attachments::Attachment;
use ops::events::{EventDetail, EventEntry, EventGrouping, EventSummary, GroupingVariant};
use ops::issues::{
    Issue, IssueActivity, IssueHash, IssueProject, IssueStatus, IssueTag, Lineage, SeriesPeriod, Strand, TagValue,
};
use ops::organizations::Organization;
use ops::projects::Project;
use ops::receipts::{Receipt, ReceiptRemark, ReceiptState, ReceiptStep};
use serde_json::json;
use std::time::Duration;
use stdx::Timestamp;

pub const EVENT_ID: &str = "0123456789abcdef0123456789abcdef";

pub fn now() -> Timestamp {
    Timestamp::parse_rfc3339("2026-11-21T12:00:00Z").expect("a time")
}

pub fn minutes_ago(minutes: u64) -> Timestamp {
    now().minus(Duration::from_secs(60 * minutes))
}

pub fn shell(is_superuser: bool) -> Shell {
    Shell {
        title: "Page".to_owned(),
        nav: Nav::Issues,
        user: Some(ShellUser {
            email: "ana@example.com".to_owned(),
            is_superuser,
            permissions: Permission::all().collect(),
        }),
        health: PipelineHealth {
            light: PipelineLight::Green,
            summary: "Nothing waits".to_owned(),
            waiting: 0,
            checks: vec![HealthCheck { name: "workers".to_owned(), ok: false, detail: "none was heard".to_owned() }],
        },
        theme: Theme::Auto,
        notice: None,
        path: "/".to_owned(),
    }
}

/// An issue whose every text is `text`.
pub fn issue(text: &str) -> Issue {
    let series = (0..24i64).map(|hour| (minutes_ago(60 * (24 - hour.unsigned_abs())), (hour * 7) % 11)).collect();
    Issue {
        id: 17,
        short_id: "SHOP-H".to_owned(),
        project: IssueProject {
            id: 1,
            slug: "shop".to_owned(),
            name: text.to_owned(),
            platform: Some(text.to_owned()),
            org_id: 1,
            org_slug: "acme".to_owned(),
        },
        kind: "error".to_owned(),
        title: text.to_owned(),
        culprit: text.to_owned(),
        metadata: json!({"type": text, "value": text, "filename": text, "function": text}),
        platform: text.to_owned(),
        logger: text.to_owned(),
        level: text.to_owned(),
        status: IssueStatus::Unresolved,
        substatus: "regressed".to_owned(),
        status_at: minutes_ago(90),
        is_unhandled: true,
        first_seen: minutes_ago(5_000),
        last_seen: minutes_ago(3),
        event_count: 12_345,
        user_count: 678,
        first_release: Some(text.to_owned()),
        last_release: Some(text.to_owned()),
        series: Some((SeriesPeriod::Day, series)),
        permalink: String::new(),
    }
}

/// An event whose every text, key and interface holds `text`.
pub fn event(text: &str) -> EventDetail {
    EventDetail {
        summary: EventSummary {
            event_id: EVENT_ID.to_owned(),
            project_id: 1,
            issue_id: Some(17),
            title: text.to_owned(),
            message: text.to_owned(),
            culprit: text.to_owned(),
            level: text.to_owned(),
            platform: text.to_owned(),
            kind: "error".to_owned(),
            timestamp: minutes_ago(3),
            received_at: minutes_ago(3),
            tags: vec![(text.to_owned(), text.to_owned()), ("release".to_owned(), text.to_owned())],
            user: json!({"id": text, "email": text, "username": text, text: {text: text}}),
        },
        metadata: json!({"type": text, "value": text}),
        entries: entries(text),
        contexts: json!({
            text: {"name": text, text: [text, {text: text}]},
            "runtime": {"name": text, "version": text, "type": "runtime"},
            "browser": {"name": text, "version": text},
            "os": {"name": text, "version": text},
        }),
        extra: json!({text: text, "long": text.repeat(200), "list": [text, 1, null, true]}),
        modules: json!({text: text}),
        sdk: json!({"name": text, "version": text}),
        release: Some(text.to_owned()),
        dist: Some(text.to_owned()),
        environment: Some(text.to_owned()),
        transaction: Some(text.to_owned()),
        fingerprint: vec![text.to_owned()],
        errors: vec![json!({"type": text, "name": text, "value": {text: text}})],
        meta: json!({}),
        size_bytes: 10_240,
        previous_event_id: Some(text.to_owned()),
        next_event_id: Some(text.to_owned()),
    }
}

fn entries(text: &str) -> Vec<EventEntry> {
    let entry = |kind, data| EventEntry { kind, data };
    vec![
        entry("exception", json!({"values": [exception(text), exception(text)]})),
        entry("stacktrace", stacktrace(text)),
        entry(
            "threads",
            json!({"values": [{"id": text, "name": text, "state": text, "crashed": true, "current": true,
            "stacktrace": stacktrace(text)}, {"id": 2}]}),
        ),
        entry("message", json!({"formatted": format!("{text} 1"), "message": text, "params": [text]})),
        entry(
            "breadcrumbs",
            json!({"values": [
                {"timestamp": "2026-11-21T11:56:58Z", "category": text, "type": text, "level": text, "message": text,
                    "data": {text: text}},
                {"timestamp": 1.5, "level": "warning", "data": text},
            ]}),
        ),
        entry(
            "request",
            json!({"method": text, "url": text, "query": [[text, text]], "headers": [[text, text]],
            "cookies": {text: text}, "data": text, "env": {text: text}}),
        ),
        entry("csp", json!({text: text, "blocked_uri": text})),
    ]
}

fn exception(text: &str) -> serde_json::Value {
    json!({"type": text, "value": text, "module": text,
        "mechanism": {"type": text, "handled": false, "source": text, "help_link": text},
        "stacktrace": stacktrace(text)})
}

fn stacktrace(text: &str) -> serde_json::Value {
    let frame = |in_app: bool| {
        json!({"function": text, "module": text, "filename": text, "absPath": format!("/{text}"), "package": text,
            "lineNo": 12, "colNo": 3, "inApp": in_app, "context": [[11, text], [12, text], [13, text]],
            "vars": {text: text, "n": 1, "o": {text: text}}})
    };
    json!({"frames": [frame(false), frame(false), frame(true), frame(false)]})
}

pub fn tags(text: &str) -> Vec<IssueTag> {
    let value = |value: &str, event_count| TagValue {
        value: value.to_owned(),
        event_count,
        first_seen: minutes_ago(9),
        last_seen: minutes_ago(3),
    };
    vec![IssueTag {
        key: text.to_owned(),
        event_count: 100,
        value_count: 2,
        other_count: 5,
        values: vec![value(text, 60), value("", 35)],
    }]
}

pub fn receipt(text: &str) -> Receipt {
    let step = |step, at| ReceiptStep { step, at };
    Receipt {
        event_id: EVENT_ID.to_owned(),
        state: ReceiptState::Stored,
        reason: Some(text.to_owned()),
        issue_id: Some(17),
        steps: vec![step("received", Some(minutes_ago(3))), step("queued", None), step("stored", Some(minutes_ago(3)))],
        remarks: vec![ReceiptRemark { state: text.to_owned(), reason: text.to_owned(), quantity: 2, at: now() }],
    }
}

pub fn attachment(text: &str) -> Attachment {
    Attachment {
        id: 5,
        event_id: EVENT_ID.to_owned(),
        name: text.to_owned(),
        content_type: text.to_owned(),
        attachment_type: text.to_owned(),
        size_bytes: 1_234,
        sha256: text.to_owned(),
        created_at: now(),
    }
}

pub fn issue_facts(text: &str) -> IssueFacts {
    let issue = issue(text);
    let series = issue.series.clone().map(|(_, series)| series).unwrap_or_default();
    let line = IssueActivity {
        id: 1,
        kind: text.to_owned(),
        user_name: Some(text.to_owned()),
        issues: vec![text.to_owned()],
        at: minutes_ago(90),
    };
    let event = EventFacts {
        event: event(text),
        attachments: vec![attachment(text)],
        receipt: Some(receipt(text)),
        grouping: Some(grouping(text)),
    };
    let removed = ops::events::Removed { events: 7, at: Some(now()) };
    let (period, event) = (SeriesPeriod::Day, Some(event));
    IssueFacts { issue, series, period, tags: tags(text), activity: vec![line], event, removed }
}

pub fn grouping(text: &str) -> EventGrouping {
    let part = |id: &str, on: bool| json!({"id": id, "contributes": on, "hint": text, "rule": text, "values": [text]});
    let root = json!({"id": "app", "contributes": true, "hint": null, "rule": null, "values": [
        {"id": "exception", "contributes": true, "hint": null, "rule": null,
         "values": [part("type", true), part("value", false)]}]});
    let variant = |name: &str, contributes, component| GroupingVariant {
        name: name.to_owned(),
        hash: Some(text.to_owned()),
        contributes,
        hint: Some(text.to_owned()),
        is_new: true,
        component,
    };
    EventGrouping {
        config: "newstyle:2026-01-20".to_owned(),
        variants: vec![variant("app", true, root), variant("system", false, json!(null))],
        hashes: vec![text.to_owned()],
        stored: json!({"revision": 3, "hashes": [text]}),
        explanation: json!({
            "fingerprint": {"entries": [text], "rule": text},
            "stacks": [{"frames": [{"in_app_rule": text, "category_rule": null}],
                        "rules": [{"rule": text, "frames": [0]}]}],
        }),
    }
}

pub fn lineage(text: &str) -> Lineage {
    let strand = |id: i64, merged_into: Option<i64>| Strand {
        id,
        short_id: format!("SHOP-{id}"),
        title: text.to_owned(),
        level: text.to_owned(),
        event_count: 5_000,
        first_seen: minutes_ago(90),
        last_seen: minutes_ago(3),
        merged_into,
        merged_at: merged_into.map(|_| minutes_ago(9)),
        merged_by: Some(text.to_owned()),
    };
    let hash = |latest| IssueHash { hash: text.to_owned(), strand_id: Some(3), event_count: 2, latest };
    Lineage {
        strands: vec![strand(17, None), strand(3, Some(17)), strand(4, Some(3))],
        hashes: vec![hash(Some(event(text).summary)), hash(None)],
        hashes_left_out: 3,
    }
}

pub fn project(text: &str) -> Project {
    Project {
        id: 1,
        slug: "shop".to_owned(),
        name: text.to_owned(),
        platform: Some(text.to_owned()),
        is_active: true,
        created_at: minutes_ago(9_000),
        first_event_at: Some(minutes_ago(5_000)),
        last_event_at: Some(minutes_ago(3)),
        short_prefix: "SHOP".to_owned(),
        organization: Organization {
            id: 1,
            slug: "acme".to_owned(),
            name: text.to_owned(),
            created_at: minutes_ago(9_000),
        },
    }
}
