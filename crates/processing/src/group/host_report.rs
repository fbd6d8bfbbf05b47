//! Reports of obsolete browser checks (key pinning, certificate transparency and staples): the kind and the host.

use super::component::Component;
use super::{Components, DEFAULT, GroupConfig};
use protocol::event::Event;

pub(super) fn components<'e>(event: &'e Event<'_>, _config: &GroupConfig) -> Components<'e> {
    let reports = [("hpkp", &event.hpkp), ("expect-staple", &event.expectstaple), ("expect-ct", &event.expectct)];
    let Some((salt, report)) = reports.into_iter().find_map(|(salt, report)| Some((salt, report.as_ref()?))) else {
        return Vec::new();
    };
    let host = Component::text(report.text("hostname").unwrap_or("None"));
    vec![(DEFAULT, Component::of([Component::text(salt), host]))]
}
