//! Messages: the template, or the text with its variable parts replaced.

use super::component::Component;
use super::{Components, DEFAULT, Grouped};

pub(super) fn components<'e>(grouped: &Grouped<'e, '_>) -> Components<'e> {
    let Some(entry) = &grouped.event.logentry else {
        return Vec::new();
    };
    let text = entry.message.as_deref().or(entry.formatted.as_deref()).unwrap_or_default();
    vec![(DEFAULT, Component::text("message", grouped.parameterised_lines(text)))]
}
