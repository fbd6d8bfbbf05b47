//! Template errors of web frameworks: the file and its line.

use super::component::Component;
use super::{Components, DEFAULT, GroupConfig};
use protocol::event::Event;

pub(super) fn components<'e>(event: &'e Event<'_>, _config: &GroupConfig) -> Components<'e> {
    let Some(template) = &event.template else {
        return Vec::new();
    };
    let part = |key: &str| match template.get(key).and_then(|value| value.as_str()) {
        Some(text) => Component::text(text),
        None => Component::empty("not given"),
    };
    vec![(DEFAULT, Component::of([part("filename"), part("context_line")]))]
}
