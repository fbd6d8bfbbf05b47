//! Threads: the one that stands out, by its stack.

use super::component::Component;
use super::{APP, Components, GroupConfig, stack};
use protocol::event::{Event, Thread};

pub(super) fn components<'e>(event: &'e Event<'_>, config: &GroupConfig) -> Components<'e> {
    let Some(threads) = event.threads.as_deref().filter(|threads| !threads.is_empty()) else {
        return Vec::new();
    };
    let platform = event.platform.as_deref().unwrap_or_default();
    let Some(thread) = the_one(threads) else {
        return vec![(APP, Component::empty("no single thread stands out"))];
    };
    match thread.stacktrace.as_ref().and_then(|stack| stack.frames.as_deref()) {
        Some(frames) if !frames.is_empty() => stack::of_frames(frames, platform, config),
        Some(_) | None => vec![(APP, Component::empty("the thread has no stack trace"))],
    }
}

/// Returns the only crashed thread, else the only current one, else the only one.
fn the_one<'e, 'a>(threads: &'e [Thread<'a>]) -> Option<&'e Thread<'a>> {
    let single = |wanted: fn(&Thread<'_>) -> bool| {
        let mut found = threads.iter().filter(|thread| wanted(thread));
        found.next().filter(|_| found.next().is_none())
    };
    single(|thread| thread.crashed == Some(true))
        .or_else(|| single(|thread| thread.current == Some(true)))
        .or_else(|| single(|_| true))
}
