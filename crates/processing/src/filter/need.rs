//! Whether any filter could take an event, told from what was sent: most projects have the default filters only, and most
//! events nothing in them that those look for. Then nobody needs to normalise an event just to ask.
//!
//! It may say yes where no filter takes the event in the end, never no where one would.

use super::Settings;
use protocol::json::{Object, Value};

/// Of each text that the filters for errors of frameworks look for, a part that stays whatever normalisation does.
const PARTS: &[&str] =
    &["Loading chunk ", "eact", "Hydration failed", "hydrating", "Suspense boundary", "server-rendered"];

/// What an exception holds beside its text, by far the largest of it.
const BESIDE: &[&str] = &["stacktrace", "raw_stacktrace", "mechanism"];

/// Returns whether the settings have a filter that could take any event.
pub(super) fn of_all(settings: &Settings) -> bool {
    let Settings {
        browser_extensions,
        localhost,
        web_crawlers,
        legacy_browsers,
        // Those of some events only.
        health_checks: _,
        react_hydration_errors: _,
        chunk_load_errors: _,
        ip_addresses,
        releases,
        error_messages,
    } = settings;
    let lists = [ip_addresses, releases, error_messages];
    *browser_extensions
        || *localhost
        || *web_crawlers
        || !legacy_browsers.is_empty()
        || lists.iter().any(|list| !list.is_empty())
}

/// Returns whether the event is a report, a transaction, or has an error of a framework.
pub(super) fn of_some(event: &Object<'_>) -> bool {
    event.0.iter().any(|(key, value)| match key.as_str() {
        "csp" | "sentry.interfaces.Csp" => true,
        "type" => value.as_str() == Some("transaction"),
        "exception" | "sentry.interfaces.Exception" => of_exceptions(value),
        _ => false,
    })
}

/// Goes through exceptions in any form that a list of them has.
fn of_exceptions(value: &Value<'_>) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Str(_) => false,
        Value::Array(values) => values.iter().any(of_exceptions),
        Value::Object(object) => match object.get("values") {
            Some(values) => of_exceptions(values),
            None => object.0.iter().any(|(key, value)| !BESIDE.contains(&key.as_str()) && holds_part(value)),
        },
    }
}

/// A value that is no text becomes its JSON, so keys and values of any depth count.
fn holds_part(value: &Value<'_>) -> bool {
    let is_in = |text: &str| PARTS.iter().any(|part| text.contains(part));
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
        Value::Str(text) => is_in(text),
        Value::Array(values) => values.iter().any(holds_part),
        Value::Object(object) => object.0.iter().any(|(key, value)| is_in(key) || holds_part(value)),
    }
}
