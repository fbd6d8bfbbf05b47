//! Contexts: each says of which type it is.

use super::Context;
use protocol::event::Event;
use protocol::json::{Str, Value};

/// Fills a missing `type` with the context's name.
pub(super) fn set_types<'a>(event: &mut Event<'a>, _context: &Context<'_>) {
    for (name, context) in event.contexts.iter_mut().flat_map(|contexts| &mut contexts.0) {
        if context.get("type").is_none_or(Value::is_null) {
            context.retain(|(key, _)| key.as_str() != "type");
            context.push((Str::from("type"), Value::Str(name.clone())));
        }
    }
}
