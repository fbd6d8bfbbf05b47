//! Variables of fingerprints: `{{ transaction }}` and its kin. A variable without a value has a placeholder, so that
//! events that lack it are still one group.

use super::stacks::StackFrame;
use super::{ConfigName, Grouped, parameters};
use crate::crash_frame::crash_frame;
use protocol::event::Event;
use std::borrow::Cow;
use std::collections::HashSet;

/// Returns the variable's name if the whole entry has the form `{{ name }}`.
pub(super) fn name_of(entry: &str) -> Option<&str> {
    let name = entry.strip_prefix("{{")?.strip_suffix("}}")?.trim_matches(super::text::is_blank);
    (!name.is_empty() && !name.contains(super::text::is_blank)).then_some(name)
}

/// Returns what an entry puts into a hash: a variable's value or placeholder, or the entry itself. `messages` are those
/// of the event.
pub(super) fn resolve<'g>(entry: &'g str, grouped: &Grouped<'g, '_>, messages: &HashSet<&str>) -> Cow<'g, str> {
    let Some(name) = name_of(entry) else {
        return literal(entry, grouped, messages);
    };
    let parameterised = |text: Option<&'g str>| match grouped.config.name {
        ConfigName::Newstyle20260120 => text.map(|text| parameters::replace(text, grouped.version())),
        ConfigName::Newstyle20230111 => text.map(Cow::Borrowed),
    };
    let value = match name {
        "message" => parameterised(message(grouped).or_else(|| last_value(grouped))),
        "value" | "error.value" => parameterised(last_value(grouped)),
        _ => plain(name, grouped),
    };
    value.unwrap_or_else(|| placeholder(entry, name, grouped.config.name))
}

/// Returns what a title shows for a variable: its value as it is in the event, or its placeholder.
pub(super) fn shown<'g>(entry: &'g str, name: &str, grouped: &Grouped<'g, '_>) -> Cow<'g, str> {
    plain(name, grouped).unwrap_or_else(|| placeholder(entry, name, grouped.config.name))
}

fn plain<'g>(name: &str, grouped: &Grouped<'g, '_>) -> Option<Cow<'g, str>> {
    let event = grouped.event;
    let is_late = grouped.config.name == ConfigName::Newstyle20260120;
    let found = match name {
        "transaction" => event.transaction.as_deref(),
        "message" => message(grouped).or_else(|| last_value(grouped)),
        "raw_message" if is_late => message(grouped).or_else(|| last_value(grouped)),
        "type" | "error.type" => {
            event.exceptions.as_ref().and_then(|list| list.last()).and_then(|exception| exception.kind.as_deref())
        }
        "value" | "error.value" => last_value(grouped),
        "raw_value" | "error.raw_value" if is_late => last_value(grouped),
        "level" => event.level.map(|level| level.as_str()),
        "logger" => event.logger.as_deref(),
        _ => match name.strip_prefix("tags.") {
            Some(key) => tag(event, key),
            None => return of_frame(name, crash_frame(grouped.stacks, |_| true)?),
        },
    };
    found.map(Cow::Borrowed)
}

/// Returns a tag of the event. Sentry makes these fields tags, so rules may ask for them.
pub(super) fn tag<'e>(event: &'e Event<'_>, key: &str) -> Option<&'e str> {
    let sent = event.tags.as_ref().and_then(|tags| tags.get(key));
    let field = match key {
        "transaction" => &event.transaction,
        "server_name" => &event.server_name,
        "site" => &event.site,
        _ => return sent,
    };
    sent.or(field.as_deref())
}

fn of_frame<'e>(name: &str, frame: &StackFrame<'e>) -> Option<Cow<'e, str>> {
    let owned = |text: Option<Cow<'e, str>>| text.filter(|text| !text.is_empty());
    match name {
        "function" | "stack.function" => owned(frame.function.clone()),
        "path" | "stack.abs_path" => owned(frame.path()),
        "stack.filename" => owned(frame.filename.clone().or(frame.frame.abs_path.as_deref().map(Cow::Borrowed))),
        "module" | "stack.module" => owned(frame.frame.module.as_deref().map(Cow::Borrowed)),
        "package" | "stack.package" => {
            let package = frame.frame.package.as_deref();
            owned(package.and_then(|package| package.rsplit(['/', '\\']).next()).map(Cow::Borrowed))
        }
        _ => None,
    }
}

fn placeholder<'g>(entry: &'g str, name: &str, config: ConfigName) -> Cow<'g, str> {
    let is_late = config == ConfigName::Newstyle20260120;
    Cow::Borrowed(match name {
        "transaction" => "<no-transaction>",
        "message" => "<no-message>",
        "raw_message" if is_late => "<no-message>",
        "type" | "error.type" => "<no-type>",
        "value" | "error.value" => "<no-value>",
        "raw_value" | "error.raw_value" if is_late => "<no-value>",
        "function" | "stack.function" => "<no-function>",
        "path" | "stack.abs_path" => "<no-abs-path>",
        "stack.filename" => "<no-filename>",
        "module" | "stack.module" => "<no-module>",
        "package" | "stack.package" => "<no-package>",
        "level" => "<no-level>",
        "logger" => "<no-logger>",
        _ => {
            return match name.strip_prefix("tags.") {
                Some(key) => Cow::Owned(format!("<no-value-for-tag-{key}>")),
                None if is_late => Cow::Owned(format!("<unrecognized-variable-{name}>")),
                None => Cow::Borrowed(entry),
            };
        }
    })
}

/// Some SDKs repeat the message as a fingerprint; then it varies as the message does.
fn literal<'g>(entry: &'g str, grouped: &Grouped<'g, '_>, messages: &HashSet<&str>) -> Cow<'g, str> {
    if grouped.config.name == ConfigName::Newstyle20260120 && messages.contains(entry) {
        return parameters::replace(entry, grouped.version());
    }
    Cow::Borrowed(entry)
}

/// Returns every text that the event says went wrong: its message in both forms, and the values of its exceptions.
pub(super) fn messages<'g>(grouped: &Grouped<'g, '_>) -> HashSet<&'g str> {
    let event = grouped.event;
    let log = event.logentry.as_ref();
    let messages = log.into_iter().flat_map(|log| [log.message.as_deref(), log.formatted.as_deref()]);
    let values = event.exceptions.iter().flatten().map(|exception| exception.value.as_deref());
    messages.chain(values).flatten().collect()
}

fn message<'g>(grouped: &Grouped<'g, '_>) -> Option<&'g str> {
    let entry = grouped.event.logentry.as_ref()?;
    entry.formatted.as_deref().or(entry.message.as_deref())
}

fn last_value<'g>(grouped: &Grouped<'g, '_>) -> Option<&'g str> {
    grouped.event.exceptions.as_ref().and_then(|list| list.last()).and_then(|exception| exception.value.as_deref())
}
