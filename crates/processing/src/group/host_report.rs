//! Reports of obsolete browser checks (key pinning, certificate transparency and staples): the kind and the host.

use super::component::Component;
use super::{Components, DEFAULT, Grouped};

pub(super) fn components<'e>(grouped: &Grouped<'e, '_>) -> Components<'e> {
    let event = grouped.event;
    let reports = [("hpkp", &event.hpkp), ("expect-staple", &event.expectstaple), ("expect-ct", &event.expectct)];
    let Some((salt, report)) = reports.into_iter().find_map(|(salt, report)| Some((salt, report.as_ref()?))) else {
        return Vec::new();
    };
    let host = report.get("hostname").and_then(|host| host.as_str()).unwrap_or("None");
    let parts = [Component::text("salt", salt), Component::text("hostname", host)];
    vec![(DEFAULT, Component::of(salt, parts))]
}
