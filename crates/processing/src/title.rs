//! What an event is called: its kind, title, culprit and the metadata they are made of. Users compare these with
//! Sentry's, so the rules are Sentry's; none of them enters a hash.

mod culprit;

pub use culprit::culprit;

use crate::crash_frame::crash_frame;
use crate::group::Stacks;
use crate::limits::{METADATA_TYPE_CHARS_MAX, METADATA_VALUE_CHARS_MAX, TITLE_LINE_CHARS_MAX};
use crate::text::{cut, first_line};
use protocol::event::{Event, Exception};

const EXCEPTION_TYPE_DEFAULT: &str = "Error";
const TITLE_UNKNOWN: &str = "<unknown>";
const TITLE_UNLABELED: &str = "<unlabeled event>";

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// It holds an exception.
    Error,
    /// A content-security report.
    Csp,
    /// A message, or anything else.
    Default,
}

impl Kind {
    pub fn of(event: &Event<'_>) -> Kind {
        if event.exceptions.as_ref().is_some_and(|list| !list.is_empty()) {
            Kind::Error
        } else if event.csp.is_some() {
            Kind::Csp
        } else {
            Kind::Default
        }
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Error => "error",
            Kind::Csp => "csp",
            Kind::Default => "default",
        }
    }
}

/// The parts an issue's title is shown from.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Metadata {
    /// Type of the main exception; absent where it says nothing (synthetic exceptions) or there is none.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function: Option<String>,
    /// First line of the message, for events without an exception.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
}

impl Metadata {
    /// Returns the parts of an event of which the stacks are prepared. `main` is the place of the exception to name it
    /// after, where a group of exceptions decided it.
    pub fn of(event: &Event<'_>, stacks: &Stacks<'_>, main: Option<usize>) -> Metadata {
        match (Kind::of(event), main_exception(event, main)) {
            (Kind::Error, Some(exception)) => of_exception(stacks, exception),
            (Kind::Error | Kind::Csp | Kind::Default, _) => {
                Metadata { title: Some(message_line(event)), ..Metadata::default() }
            }
        }
    }

    /// Returns the title these parts make.
    pub fn title(&self) -> String {
        if let Some(title) = &self.title {
            return title.clone();
        }
        match (&self.kind, &self.value) {
            (Some(kind), Some(value)) if !first_line(value).is_empty() => {
                format!("{kind}: {}", cut(first_line(value), TITLE_LINE_CHARS_MAX))
            }
            (Some(kind), _) => kind.clone(),
            (None, _) => self.function.clone().unwrap_or_else(|| TITLE_UNKNOWN.to_owned()),
        }
    }

    /// Returns the parts as a JSON object.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("five texts serialise without failing")
    }
}

/// Returns the exception an event is named after: that of the group, else the last, which is the one that was thrown.
fn main_exception<'e, 'a>(event: &'e Event<'a>, main: Option<usize>) -> Option<&'e Exception<'a>> {
    let exceptions = event.exceptions.as_deref()?;
    main.and_then(|place| exceptions.get(place)).or(exceptions.last())
}

fn of_exception(stacks: &Stacks<'_>, exception: &Exception<'_>) -> Metadata {
    let is_synthetic = exception.mechanism.as_ref().and_then(|mechanism| mechanism.synthetic) == Some(true);
    let kind = exception.kind.as_deref().unwrap_or(EXCEPTION_TYPE_DEFAULT);
    let is_named = |function: &str| !matches!(function, "" | "<redacted>" | "<unknown>");
    let frame = crash_frame(stacks, |frame| frame.function().is_some_and(is_named));
    Metadata {
        kind: (!is_synthetic).then(|| cut(kind, METADATA_TYPE_CHARS_MAX).into_owned()),
        value: Some(cut(exception.value.as_deref().unwrap_or_default(), METADATA_VALUE_CHARS_MAX).into_owned()),
        filename: frame
            .and_then(|frame| frame.filename.as_deref().or(frame.frame.abs_path.as_deref()))
            .map(str::to_owned),
        function: frame.and_then(|frame| frame.function()).map(str::to_owned),
        title: None,
    }
}

/// The first line of the message, else what stands for one.
fn message_line(event: &Event<'_>) -> String {
    let entry = event.logentry.as_ref();
    let message = entry.and_then(|entry| entry.formatted.as_deref().or(entry.message.as_deref())).unwrap_or_default();
    let line = first_line(message);
    if line.is_empty() { TITLE_UNLABELED.to_owned() } else { cut(line, TITLE_LINE_CHARS_MAX).into_owned() }
}
