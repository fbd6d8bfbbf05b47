//! Which frame of an event stands for where it happened.

use crate::in_app::is_in_app;
use protocol::event::{Event, Frame};

/// Returns the stack that shows where it happened: the last exception's, else the event's own, else the only thread's.
pub fn crash_stack<'e, 'a>(event: &'e Event<'a>) -> &'e [Frame<'a>] {
    let exception = event.exceptions.as_ref().and_then(|list| list.last());
    let of_exception = exception.and_then(|exception| exception.stacktrace.as_ref());
    let of_thread = match event.threads.as_deref() {
        Some([thread]) => thread.stacktrace.as_ref(),
        Some(_) | None => None,
    };
    let stacks = [of_exception, event.stacktrace.as_ref(), of_thread];
    let frames = stacks.into_iter().flatten().filter_map(|stack| stack.frames.as_deref());
    frames.into_iter().find(|frames| !frames.is_empty()).unwrap_or_default()
}

/// Returns the newest frame of the application that `allowed` takes, else the newest of all that it takes.
pub fn crash_frame<'e, 'a>(event: &'e Event<'a>, allowed: impl Fn(&Frame<'a>) -> bool) -> Option<&'e Frame<'a>> {
    let platform = event.platform.as_deref().unwrap_or_default();
    let newest_first = || crash_stack(event).iter().rev().filter(|frame| allowed(frame));
    newest_first().find(|frame| is_in_app(frame, platform)).or_else(|| newest_first().next())
}
