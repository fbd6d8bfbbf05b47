//! Content-security reports: the directive, and what was blocked.

use super::component::Component;
use super::{Components, DEFAULT, GroupConfig};
use protocol::event::Event;
use std::borrow::Cow;

const SELF: &str = "'self'";
/// Inline code that a script directive forbids; the kind of it is the violation.
const LOCAL_VIOLATIONS: [&str; 2] = ["'unsafe-inline'", "'unsafe-eval'"];

pub(super) fn components<'e>(event: &'e Event<'_>, _config: &GroupConfig) -> Components<'e> {
    let Some(csp) = &event.csp else {
        return Vec::new();
    };
    let directive = csp.text("effective_directive").unwrap_or("None");
    let uri = normalized_uri(csp.text("blocked_uri").unwrap_or_default());
    let violated = csp.text("violated_directive").unwrap_or_default();
    let local = LOCAL_VIOLATIONS.into_iter().find(|violation| violated.contains(violation));
    let what = match local {
        Some(violation) if directive == "script-src" && uri == SELF => Component::text(violation),
        Some(_) | None => Component::text(uri),
    };
    vec![(DEFAULT, Component::of([Component::text(directive), what]))]
}

/// `https://host/path` is its host; other schemes keep their name.
fn normalized_uri(uri: &str) -> Cow<'_, str> {
    if matches!(uri, "" | "self" | SELF) {
        return Cow::Borrowed(SELF);
    }
    let (scheme, rest) = uri.split_once(':').unwrap_or((uri, ""));
    let authority = rest.strip_prefix("//").and_then(|rest| rest.split(['/', '?', '#']).next()).unwrap_or_default();
    match scheme {
        _ if authority.is_empty() => Cow::Owned(format!("{scheme}:")),
        "http" | "https" => Cow::Borrowed(authority),
        scheme => Cow::Owned(format!("{scheme}://{authority}")),
    }
}
