//! Messages: the template, or the text with its variable parts replaced.

use super::component::Component;
use super::{Components, DEFAULT, GroupConfig, parameters};
use protocol::event::Event;

pub(super) fn components<'e>(event: &'e Event<'_>, _config: &GroupConfig) -> Components<'e> {
    let Some(entry) = &event.logentry else {
        return Vec::new();
    };
    let text = entry.message.as_deref().or(entry.formatted.as_deref()).unwrap_or_default();
    vec![(DEFAULT, Component::text(parameters::replace(text)))]
}
