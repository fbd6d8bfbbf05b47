//! Content-security reports: the directive, and what was blocked.

use super::component::Component;
use super::{Components, DEFAULT, Grouped};
use std::borrow::Cow;

const SELF: &str = "'self'";
/// Inline code that a script directive forbids; the kind of it is the violation.
const LOCAL_VIOLATIONS: [&str; 2] = ["'unsafe-inline'", "'unsafe-eval'"];

pub(super) fn components<'e>(grouped: &Grouped<'e, '_>) -> Components<'e> {
    let Some(csp) = &grouped.event.csp else {
        return Vec::new();
    };
    let directive = csp.get("effective_directive").and_then(|value| value.as_str()).unwrap_or("None");
    let mut uri = Component::text("uri", normalized_uri(csp.text("blocked_uri").unwrap_or_default()));
    let violated = csp.text("violated_directive").unwrap_or_default();
    let is_self = csp.text("blocked_uri").is_none_or(|uri| matches!(uri, "self" | SELF));
    let local = LOCAL_VIOLATIONS.into_iter().find(|violation| violated.contains(violation));
    let violation = match local.filter(|_| directive == "script-src" && is_self) {
        Some(violation) => {
            uri.switch_off("the violation takes precedence");
            Component::text("violation", violation)
        }
        None => Component::empty("violation").off("not a local script violation"),
    };
    vec![(DEFAULT, Component::of("csp", [Component::text("salt", directive), violation, uri]))]
}

/// `https://host/path` is its host; other schemes keep their name.
fn normalized_uri(uri: &str) -> Cow<'_, str> {
    if matches!(uri, "" | "self" | SELF) {
        return Cow::Borrowed(SELF);
    }
    let (scheme, rest) = uri.split_once(':').unwrap_or((uri, ""));
    let authority = rest.strip_prefix("//").and_then(|rest| rest.split(['/', '?', '#']).next()).unwrap_or_default();
    match scheme {
        "http" | "https" => Cow::Borrowed(authority),
        _ if authority.is_empty() => Cow::Owned(format!("{scheme}:")),
        scheme => Cow::Owned(format!("{scheme}://{authority}")),
    }
}
