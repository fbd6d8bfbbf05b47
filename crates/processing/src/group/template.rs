//! Template errors of web frameworks: the file and its line.

use super::component::Component;
use super::{Components, DEFAULT, Grouped};

pub(super) fn components<'e>(grouped: &Grouped<'e, '_>) -> Components<'e> {
    let Some(template) = &grouped.event.template else {
        return Vec::new();
    };
    let part = |key| Component::optional(key, template.get(key).and_then(|value| value.as_str()));
    vec![(DEFAULT, Component::of("template", [part("filename"), part("context_line")]))]
}
