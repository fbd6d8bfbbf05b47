//! Event id, platform and kind.

use super::Context;
use crate::title::Kind;
use protocol::event::Event;
use protocol::json::Str;

/// Platforms that exist; exact lower case is needed, anything else is `other`.
const PLATFORMS: &[&str] = &[
    "as3",
    "c",
    "cfml",
    "cocoa",
    "csharp",
    "elixir",
    "go",
    "groovy",
    "haskell",
    "java",
    "javascript",
    "native",
    "node",
    "objc",
    "other",
    "perl",
    "php",
    "python",
    "ruby",
];
const PLATFORM_DEFAULT: &str = "other";

/// The id was settled when the event was accepted; what the payload says no longer counts.
pub(super) fn set_event_id<'a>(event: &mut Event<'a>, context: &Context<'_>) {
    event.id = Some(context.event_id);
}

/// Sets an unknown or missing platform to `other`.
pub(super) fn set_platform<'a>(event: &mut Event<'a>, _context: &Context<'_>) {
    let known = event.platform.as_deref().is_some_and(|platform| PLATFORMS.contains(&platform));
    if !known {
        event.platform = Some(Str::from(PLATFORM_DEFAULT));
    }
}

/// Only `transaction` and `feedback` are believed; all other kinds follow from what the event holds.
pub(super) fn set_kind<'a>(event: &mut Event<'a>, _context: &Context<'_>) {
    let believed = event.kind.as_deref().is_some_and(|kind| matches!(kind, "transaction" | "feedback"));
    if !believed {
        event.kind = Some(Str::from(Kind::of(event).as_str()));
    }
}
