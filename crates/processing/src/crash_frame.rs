//! Which frame of an event stands for where it happened.

use crate::group::Stacks;
use crate::group::stacks::StackFrame;

/// Returns the stack that shows where it happened: the last exception's, else the event's own, else the only thread's.
pub(crate) fn crash_stack<'s, 'e>(stacks: &'s Stacks<'e>) -> &'s [StackFrame<'e>] {
    let of_thread = stacks.thread.as_ref().filter(|_| stacks.threads == 1);
    let all = [stacks.exceptions.last(), Some(&stacks.event), of_thread];
    let frames = all.into_iter().flatten().map(|stack| stack.frames.as_slice());
    frames.into_iter().find(|frames| !frames.is_empty()).unwrap_or_default()
}

/// Returns the newest frame of the application that `allowed` takes, else the newest of all that it takes.
pub(crate) fn crash_frame<'s, 'e>(
    stacks: &'s Stacks<'e>,
    allowed: impl Fn(&StackFrame<'e>) -> bool,
) -> Option<&'s StackFrame<'e>> {
    let newest_first = || crash_stack(stacks).iter().rev().filter(|frame| allowed(frame));
    newest_first().find(|frame| frame.in_app).or_else(|| newest_first().next())
}
