//! The tags an event can be found by: its own, and those made of its fields.

use crate::limits::{DERIVED_TAGS_MAX, TAG_CHARS_MAX};
use crate::text::cut;
use protocol::event::{Event, Mechanism};
use protocol::json::Object;
use std::collections::HashSet;

/// Returns the searchable tags of a normalised event: fields first, then its own tags, then what its contexts tell.
/// Each key occurs once, the first one counts; at most `DERIVED_TAGS_MAX`, values at most `TAG_CHARS_MAX` characters.
pub fn derived(event: &Event<'_>) -> Vec<(String, String)> {
    let mut tags = Collected::default();
    add_fields(&mut tags, event);
    for (key, value) in event.tags.iter().flat_map(|tags| &tags.0) {
        tags.add(key, Some(value));
    }
    add_mechanism(&mut tags, event);
    add_contexts(&mut tags, event);
    tags.tags
}

#[derive(Default)]
struct Collected {
    tags: Vec<(String, String)>,
    seen: HashSet<String>,
}

impl Collected {
    fn add(&mut self, key: &str, value: Option<&str>) {
        let Some(value) = value.map(str::trim).filter(|value| !value.is_empty()) else {
            return;
        };
        if self.tags.len() < DERIVED_TAGS_MAX && self.seen.insert(key.to_owned()) {
            // A line break would end the tag in lists and queries.
            let line = value.replace(['\n', '\r'], " ");
            self.tags.push((key.to_owned(), cut(&line, TAG_CHARS_MAX).into_owned()));
        }
    }
}

fn add_fields(tags: &mut Collected, event: &Event<'_>) {
    let user = event.user.as_ref().and_then(|user| user.sentry_user.as_deref());
    let url = event.request.as_ref().and_then(|request| request.url.as_deref());
    tags.add("level", event.level.map(|level| level.as_str()));
    tags.add("environment", event.environment.as_deref());
    tags.add("release", event.release.as_deref());
    tags.add("dist", event.dist.as_deref());
    tags.add("user", user);
    tags.add("transaction", event.transaction.as_deref());
    tags.add("url", url);
    tags.add("logger", event.logger.as_deref());
    tags.add("server_name", event.server_name.as_deref());
    tags.add("site", event.site.as_deref());
}

/// Returns how the exception that was thrown came to the SDK.
fn main_mechanism<'e, 'a>(event: &'e Event<'a>) -> Option<&'e Mechanism<'a>> {
    event.exceptions.as_ref().and_then(|list| list.last()).and_then(|exception| exception.mechanism.as_ref())
}

fn add_mechanism(tags: &mut Collected, event: &Event<'_>) {
    let Some(mechanism) = main_mechanism(event) else {
        return;
    };
    tags.add("mechanism", mechanism.kind.as_deref());
    tags.add("handled", mechanism.handled.map(|handled| if handled { "yes" } else { "no" }));
}

fn add_contexts(tags: &mut Collected, event: &Event<'_>) {
    let Some(contexts) = &event.contexts else {
        return;
    };
    for name in ["browser", "client_os", "os", "runtime"] {
        if let Some(context) = contexts.get(name) {
            tags.add(name, named_version(context).as_deref());
            tags.add(&format!("{name}.name"), context.text("name"));
        }
    }
    if let Some(device) = contexts.get("device") {
        tags.add("device", device.text("model"));
        tags.add("device.family", device.text("family"));
    }
    if let Some(app) = contexts.get("app") {
        tags.add("app", app.text("app_name"));
    }
    if let Some(replay) = contexts.get("replay") {
        tags.add("replayId", replay.text("replay_id"));
    }
}

/// `CPython 3.11.2`, or the name alone.
fn named_version(context: &Object<'_>) -> Option<String> {
    let name = context.text("name")?;
    Some(match context.text("version") {
        Some(version) => format!("{name} {version}"),
        None => name.to_owned(),
    })
}
