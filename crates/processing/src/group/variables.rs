//! Variables of fingerprints: `{{ transaction }}` and its kin. A variable without a value has a placeholder, so that
//! events that lack it are still one group.

use super::parameters;
use crate::crash_frame::crash_frame;
use crate::title::main_exception;
use protocol::event::{Event, Frame};
use std::borrow::Cow;

/// Returns the variable's name if the whole entry has the form `{{ name }}`.
pub(super) fn name_of(entry: &str) -> Option<&str> {
    let name = entry.strip_prefix("{{")?.strip_suffix("}}")?.trim();
    (!name.is_empty() && !name.contains(char::is_whitespace)).then_some(name)
}

/// Returns the variable's value in this event, or its placeholder.
pub(super) fn resolve<'e>(name: &str, event: &'e Event<'_>) -> Cow<'e, str> {
    let exception = main_exception(event);
    let kind = || exception.and_then(|exception| exception.kind.as_deref());
    let value = || exception.and_then(|exception| exception.value.as_deref());
    let parameterised = |text: Option<&'e str>| text.map(parameters::replace);
    let (found, placeholder) = match name {
        "transaction" => (borrowed(event.transaction.as_deref()), "<no-transaction>"),
        "message" => (parameterised(message(event).or_else(value)), "<no-message>"),
        "raw_message" => (borrowed(message(event).or_else(value)), "<no-message>"),
        "type" | "error.type" => (borrowed(kind()), "<no-type>"),
        "value" | "error.value" => (parameterised(value()), "<no-value>"),
        "raw_value" | "error.raw_value" => (borrowed(value()), "<no-value>"),
        "level" => (event.level.map(|level| Cow::Borrowed(level.as_str())), "<no-level>"),
        "logger" => (borrowed(event.logger.as_deref()), "<no-logger>"),
        _ => return of_frame_or_tag(name, event),
    };
    found.unwrap_or(Cow::Borrowed(placeholder))
}

fn of_frame_or_tag<'e>(name: &str, event: &'e Event<'_>) -> Cow<'e, str> {
    let frame = crash_frame(event, |_| true);
    let (found, placeholder) = match name {
        "function" | "stack.function" => (frame.and_then(|frame| frame.function.as_deref()), "<no-function>"),
        "path" | "stack.abs_path" => (frame.and_then(path), "<no-abs-path>"),
        "stack.filename" => (frame.and_then(filename), "<no-filename>"),
        "module" | "stack.module" => (frame.and_then(|frame| frame.module.as_deref()), "<no-module>"),
        "package" | "stack.package" => (frame.and_then(package), "<no-package>"),
        _ => return of_tag(name, event),
    };
    Cow::Borrowed(found.unwrap_or(placeholder))
}

fn of_tag<'e>(name: &str, event: &'e Event<'_>) -> Cow<'e, str> {
    let Some(key) = name.strip_prefix("tags.") else {
        return Cow::Owned(format!("<unrecognized-variable-{name}>"));
    };
    match event.tags.as_ref().and_then(|tags| tags.get(key)) {
        Some(value) => Cow::Borrowed(value),
        None => Cow::Owned(format!("<no-value-for-tag-{key}>")),
    }
}

fn borrowed(text: Option<&str>) -> Option<Cow<'_, str>> {
    text.map(Cow::Borrowed)
}

fn message<'e>(event: &'e Event<'_>) -> Option<&'e str> {
    let entry = event.logentry.as_ref()?;
    entry.formatted.as_deref().or(entry.message.as_deref())
}

fn path<'e>(frame: &'e Frame<'_>) -> Option<&'e str> {
    frame.abs_path.as_deref().or(frame.filename.as_deref())
}

fn filename<'e>(frame: &'e Frame<'_>) -> Option<&'e str> {
    frame.filename.as_deref().or(frame.abs_path.as_deref())
}

fn package<'e>(frame: &'e Frame<'_>) -> Option<&'e str> {
    frame.package.as_deref().and_then(|package| package.rsplit(['/', '\\']).next())
}
