//! Exceptions and threads: what is empty goes, a type hidden in a value comes out, a loose stack finds its exception.

use super::Context;
use super::frames::is_void;
use crate::limits::{
    EXCEPTION_TYPE_CHARS_MAX, EXCEPTION_VALUE_CHARS_MAX, MECHANISM_TYPE_CHARS_MAX, THREAD_NAME_CHARS_MAX,
};
use crate::text::{cut_field, drop_empty};
use protocol::event::{Event, Exception, Mechanism, RemarkKind};
use protocol::json::{Str, Value};

const MECHANISM_DEFAULT: &str = "generic";

/// Cleans each exception; those with neither type nor value are left out.
pub(super) fn clean_exceptions<'a>(event: &mut Event<'a>, _context: &Context<'_>) {
    let Some(mut exceptions) = event.exceptions.take() else {
        return;
    };
    for (index, exception) in exceptions.iter_mut().enumerate() {
        clean(exception);
        if let Some(length) = cut_field(&mut exception.value, EXCEPTION_VALUE_CHARS_MAX) {
            let path = format!("exception.values.{index}.value");
            event.remark(path, RemarkKind::ValueTooLong, Some(Value::length(length)));
        }
    }
    exceptions.retain(|exception| exception.kind.is_some() || exception.value.is_some());
    if !exceptions.is_empty() {
        event.exceptions = Some(exceptions);
    }
}

fn clean(exception: &mut Exception<'_>) {
    drop_empty(&mut exception.kind);
    drop_empty(&mut exception.value);
    drop_empty(&mut exception.module);
    split_type(exception);
    cut_field(&mut exception.kind, EXCEPTION_TYPE_CHARS_MAX);
    cut_field(&mut exception.module, EXCEPTION_TYPE_CHARS_MAX);
    if let Some(mechanism) = &mut exception.mechanism {
        clean_mechanism(mechanism);
    }
}

/// A value `Word:rest` on one line without a type holds the type.
fn split_type(exception: &mut Exception<'_>) {
    if exception.kind.is_some() {
        return;
    }
    let Some((word, rest)) = exception.value.as_deref().and_then(|value| value.split_once(':')) else {
        return;
    };
    let is_word = !word.is_empty() && word.chars().all(|c| c.is_alphanumeric() || c == '_');
    if !is_word || rest.contains('\n') {
        return;
    }
    let (kind, value) = (word.to_owned(), rest.trim().to_owned());
    exception.kind = Some(Str::from(kind));
    exception.value = Some(Str::from(value));
    drop_empty(&mut exception.value);
}

fn clean_mechanism(mechanism: &mut Mechanism<'_>) {
    drop_empty(&mut mechanism.kind);
    mechanism.kind.get_or_insert(Str::from(MECHANISM_DEFAULT));
    cut_field(&mut mechanism.kind, MECHANISM_TYPE_CHARS_MAX);
    cut_field(&mut mechanism.description, EXCEPTION_VALUE_CHARS_MAX);
    let is_link = |link: &Str<'_>| link.starts_with("http://") || link.starts_with("https://");
    mechanism.help_link = mechanism.help_link.take().filter(is_link);
}

pub(super) fn clean_threads<'a>(event: &mut Event<'a>, _context: &Context<'_>) {
    for thread in event.threads.iter_mut().flatten() {
        drop_empty(&mut thread.name);
        cut_field(&mut thread.name, THREAD_NAME_CHARS_MAX);
    }
}

/// The only exception takes the event's own stack if it has none, or one that says nothing.
pub(super) fn move_event_stack<'a>(event: &mut Event<'a>, _context: &Context<'_>) {
    if let Some([exception]) = event.exceptions.as_deref_mut()
        && event.stacktrace.is_some()
        && exception.stacktrace.as_ref().is_none_or(is_void)
    {
        exception.stacktrace = event.stacktrace.take();
    }
}
