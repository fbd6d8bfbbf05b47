//! One row of the issue list.

use super::sparkline::Sparkline;
use crate::event_json::{cut_to, text};
use crate::format::{Ago, grouped, short};
use askama::Template;
use ops::issues::{Issue, IssueStatus};
use stdx::Timestamp;

const TITLE_CHARS_MAX: usize = 300;

#[derive(Clone, Debug, Template)]
#[template(path = "components/issue_row.html")]
pub struct IssueRow {
    id: i64,
    short_id: String,
    level: &'static str,
    headline: Headline,
    culprit: String,
    project: String,
    badges: Vec<Badge>,
    first_seen: Ago,
    last_seen: Ago,
    sparkline: Option<Sparkline>,
    events: String,
    events_exact: String,
    users: String,
    users_exact: String,
}

impl askama::filters::HtmlSafe for IssueRow {}

/// Type and value of an issue, so that the first can be set apart.
#[derive(Clone, Debug)]
pub struct Headline {
    pub kind: String,
    pub value: String,
}

#[derive(Clone, Copy, Debug)]
pub struct Badge {
    pub class: &'static str,
    pub word: &'static str,
}

impl Headline {
    pub fn of(metadata: &serde_json::Value, title: &str) -> Headline {
        let Some(kind) = text(metadata, &["type"]) else {
            // A message that its SDK sent with a stack has no type: the title is the function, and the words say more.
            let value = text(metadata, &["value"]).filter(|value| !title.contains(value.as_str()));
            let value = cut_to(&value.unwrap_or_default(), TITLE_CHARS_MAX).into();
            return Headline { kind: cut_to(title, TITLE_CHARS_MAX).into(), value };
        };
        let after_kind = || Some(title.strip_prefix(&kind)?.strip_prefix(": ")?.to_owned());
        let value = text(metadata, &["value"]).or_else(after_kind).unwrap_or_default();
        Headline { kind: cut_to(&kind, TITLE_CHARS_MAX).into(), value: cut_to(&value, TITLE_CHARS_MAX).into() }
    }
}

impl IssueRow {
    pub fn of(issue: &Issue, now: Timestamp) -> IssueRow {
        let series = issue.series.as_ref();
        IssueRow {
            id: issue.id,
            short_id: issue.short_id.clone(),
            level: crate::level::known(&issue.level),
            headline: Headline::of(&issue.metadata, &issue.title),
            culprit: place(issue),
            project: issue.project.slug.clone(),
            badges: badges(issue),
            first_seen: Ago { time: issue.first_seen, now },
            last_seen: Ago { time: issue.last_seen, now },
            sparkline: series.map(|(period, series)| Sparkline::of(series, period.as_str())),
            events: short(issue.event_count),
            events_exact: grouped(issue.event_count),
            users: short(issue.user_count),
            users_exact: grouped(issue.user_count),
        }
    }
}

/// Returns where it happened: the culprit, else file and function of the top frame.
fn place(issue: &Issue) -> String {
    if !issue.culprit.is_empty() {
        return cut_to(&issue.culprit, TITLE_CHARS_MAX).into_owned();
    }
    let parts = [text(&issue.metadata, &["filename"]), text(&issue.metadata, &["function"])];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" in ")
}

/// Returns what one should know about an issue at a glance, beyond its numbers.
pub fn badges(issue: &Issue) -> Vec<Badge> {
    let mut badges = Vec::new();
    match issue.status {
        IssueStatus::Unresolved => match issue.substatus.as_str() {
            "new" => badges.push(Badge { class: "new", word: "new" }),
            "regressed" => badges.push(Badge { class: "regressed", word: "regressed" }),
            _ => {}
        },
        IssueStatus::Resolved => badges.push(Badge { class: "good", word: "resolved" }),
        IssueStatus::Ignored => badges.push(Badge { class: "dull", word: "ignored" }),
    }
    if issue.is_unhandled {
        badges.push(Badge { class: "bad", word: "unhandled" });
    }
    badges
}
