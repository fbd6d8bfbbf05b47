//! Everything an event says, in the order one reads it: what failed, what led there, for whom and where, what the
//! pipeline did with it.

use super::attachments::Attachments;
use super::breadcrumbs::Breadcrumbs;
use super::data_table::DataTable;
use super::exception::Exception;
use super::grouping::Grouping;
use super::message::Message;
use super::receipt::Receipt;
use super::request::Request;
use super::stacktrace::{FrameChoice, Stacktrace};
use super::tag_table::EventTag;
use super::threads::Threads;
use crate::event_json::{cut_to, field, pairs, shown, text};
use askama::Template;
use ops::events::EventDetail;
use serde_json::Value;
use stdx::Timestamp;

const CONTEXTS_MAX: usize = 50;
const TAGS_MAX: usize = 200;
const NOTES_MAX: usize = 100;
const HIGHLIGHT_CHARS_MAX: usize = 120;

#[derive(Template)]
#[template(path = "components/event_sections.html")]
pub struct EventSections {
    highlights: Vec<(&'static str, String)>,
    exceptions: Vec<Exception>,
    stacktrace: Option<Stacktrace>,
    threads: Option<Threads>,
    message: Option<Message>,
    breadcrumbs: Option<Breadcrumbs>,
    request: Option<Request>,
    /// Interfaces without a component of their own, such as a CSP report.
    others: Vec<(String, DataTable)>,
    user: DataTable,
    contexts: Vec<(String, DataTable)>,
    tags: Vec<EventTag>,
    extra: DataTable,
    modules: DataTable,
    sdk: Option<String>,
    fingerprint: Vec<String>,
    notes: Vec<String>,
    attachments: Attachments,
    grouping: Option<Grouping>,
    receipt: Option<Receipt>,
    choice: FrameChoice,
    /// The event's page, for the links that show other frames.
    url: String,
}

impl askama::filters::HtmlSafe for EventSections {}

/// What belongs to an event beside itself.
pub struct EventExtras {
    pub attachments: Vec<ops::attachments::Attachment>,
    pub receipt: Option<ops::receipts::Receipt>,
    pub grouping: Option<ops::events::EventGrouping>,
    pub choice: FrameChoice,
    /// The event's page, with its final slash.
    pub url: String,
}

impl EventSections {
    pub fn of(event: &EventDetail, extras: EventExtras) -> EventSections {
        let EventExtras { attachments, receipt, grouping, choice, url } = extras;
        let issue_id = event.summary.issue_id.unwrap_or_default();
        let mut sections = EventSections {
            highlights: highlights(event),
            exceptions: Vec::new(),
            stacktrace: None,
            threads: None,
            message: None,
            breadcrumbs: None,
            request: None,
            others: Vec::new(),
            user: DataTable::without(&event.summary.user, &["data"]),
            contexts: contexts(&event.contexts),
            tags: event.summary.tags.iter().take(TAGS_MAX).map(|(key, value)| EventTag::of(key, value)).collect(),
            extra: DataTable::of(&event.extra),
            modules: DataTable::of(&event.modules),
            sdk: sdk(&event.sdk),
            fingerprint: event.fingerprint.iter().map(|part| cut_to(part, 200).into_owned()).collect(),
            notes: event.errors.iter().take(NOTES_MAX).map(note).collect(),
            attachments: Attachments::of(&attachments, &url),
            grouping: grouping.map(|grouping| Grouping::of(&grouping, issue_id)),
            receipt: receipt.as_ref().map(Receipt::of),
            choice,
            url,
        };
        for entry in &event.entries {
            sections.take(entry.kind, &entry.data, event.summary.timestamp);
        }
        sections
    }

    fn take(&mut self, kind: &str, data: &Value, event_at: Timestamp) {
        match kind {
            "exception" => self.exceptions = Exception::list(data, self.choice),
            "stacktrace" => self.stacktrace = Stacktrace::of(&serde_json::json!({ "stacktrace": data }), self.choice),
            "threads" => self.threads = Some(Threads::of(data, self.choice)).filter(|threads| !threads.is_empty()),
            "message" | "logentry" => self.message = Message::of(data),
            "breadcrumbs" => {
                self.breadcrumbs = Some(Breadcrumbs::of(data, event_at)).filter(|crumbs| !crumbs.is_empty());
            }
            "request" => self.request = Some(Request::of(data)),
            other => {
                let table = DataTable::of(data);
                if !table.is_empty() {
                    self.others.push((if other == "debugmeta" { "Debug images" } else { other }.to_owned(), table));
                }
            }
        }
    }

    /// Whether there are frames to choose from.
    fn has_frames(&self) -> bool {
        self.stacktrace.is_some() || self.exceptions.iter().any(|exception| exception.stacktrace.is_some())
    }

    fn shows_all(&self) -> bool {
        self.choice == FrameChoice::All
    }
}

fn highlights(event: &EventDetail) -> Vec<(&'static str, String)> {
    let context = |name: &str| {
        let context = field(&event.contexts, &[name])?;
        let parts = [text(context, &["name"])?, text(context, &["version"]).unwrap_or_default()];
        Some(parts.join(" ").trim_end().to_owned())
    };
    let user = &event.summary.user;
    let all = [
        ("Environment", event.environment.clone()),
        ("Release", event.release.clone()),
        ("Transaction", event.transaction.clone()),
        ("User", text(user, &["email", "username", "id", "ip_address", "ipAddress"])),
        ("Runtime", context("runtime")),
        ("Browser", context("browser")),
        ("OS", context("os").or_else(|| context("client_os"))),
    ];
    let filled = all.into_iter().filter_map(|(name, value)| Some((name, value?)));
    filled.map(|(name, value)| (name, cut_to(&value, HIGHLIGHT_CHARS_MAX).into_owned())).collect()
}

fn contexts(contexts: &Value) -> Vec<(String, DataTable)> {
    let tables = pairs(contexts).into_iter().take(CONTEXTS_MAX);
    let tables = tables.map(|(name, value)| (name, DataTable::without(value, &["type"])));
    tables.filter(|(_, table)| !table.is_empty()).collect()
}

fn sdk(sdk: &Value) -> Option<String> {
    let name = text(sdk, &["name"])?;
    Some(format!("{name} {}", text(sdk, &["version"]).unwrap_or_default()))
}

/// Returns a processing note as a sentence: what, where, and the value that was not taken.
fn note(error: &Value) -> String {
    let kind = text(error, &["type"]).unwrap_or_else(|| "changed".to_owned()).replace('_', " ");
    let name = text(error, &["name"]);
    let value = field(error, &["value"]).map(shown);
    let mut sentence = kind;
    if let Some(name) = name {
        sentence = format!("{name}: {sentence}");
    }
    if let Some(value) = value {
        sentence = format!("{sentence}, was {value}");
    }
    cut_to(&sentence, 500).into_owned()
}
