//! Content-security reports: the directive, and what was blocked.

use super::component::Component;
use super::{Components, DEFAULT, Grouped};
use protocol::addresses;

/// Inline code that a script directive forbids; the kind of it is the violation.
const LOCAL_VIOLATIONS: [&str; 2] = ["'unsafe-inline'", "'unsafe-eval'"];

pub(super) fn components<'e>(grouped: &Grouped<'e, '_>) -> Components<'e> {
    let Some(csp) = &grouped.event.csp else {
        return Vec::new();
    };
    let directive = csp.get("effective_directive").and_then(|value| value.as_str()).unwrap_or("None");
    let blocked = csp.text("blocked_uri").unwrap_or_default();
    let mut uri = Component::text("uri", addresses::origin(blocked));
    let violated = csp.text("violated_directive").unwrap_or_default();
    let local = LOCAL_VIOLATIONS.into_iter().find(|violation| violated.contains(violation));
    let violation = match local.filter(|_| directive == "script-src" && addresses::is_page_itself(blocked)) {
        Some(violation) => {
            uri.switch_off("the violation takes precedence");
            Component::text("violation", violation)
        }
        None => Component::empty("violation").off("not a local script violation"),
    };
    vec![(DEFAULT, Component::of("csp", [Component::text("salt", directive), violation, uri]))]
}
