//! Threads: the one that stands out, by its stack.

use super::component::Component;
use super::{APP, Components, Grouped, stack};
use protocol::event::Thread;

pub(super) fn components<'e>(grouped: &Grouped<'e, '_>) -> Components<'e> {
    if grouped.event.threads.as_deref().is_none_or(<[_]>::is_empty) {
        return Vec::new();
    }
    match &grouped.stacks.thread {
        None => vec![(APP, Component::empty("threads").off("no single thread stands out"))],
        Some(stack) if stack.frames.is_empty() => {
            vec![(APP, Component::empty("threads").off("the thread has no stack trace"))]
        }
        Some(stack) => {
            let stacks = stack::of_stack(stack, grouped.config.name).into_iter();
            stacks.map(|(name, stack)| (name, Component::of("threads", [stack]))).collect()
        }
    }
}

/// Returns the only crashed thread, else the only current one, else the only one.
pub(super) fn the_one<'e, 'a>(threads: &'e [Thread<'a>]) -> Option<&'e Thread<'a>> {
    let single = |wanted: fn(&Thread<'_>) -> bool| {
        let mut found = threads.iter().filter(|thread| wanted(thread));
        found.next().filter(|_| found.next().is_none())
    };
    single(|thread| thread.crashed == Some(true))
        .or_else(|| single(|thread| thread.current == Some(true)))
        .or_else(|| single(|_| true))
}
