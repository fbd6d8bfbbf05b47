//! The culprit: the transaction, or the place in the code, that an event is blamed on.

use crate::group::Stacks;
use crate::group::stacks::StackFrame;
use crate::in_app::Family;
use crate::limits::CULPRIT_CHARS_MAX;
use crate::text::cut;
use protocol::event::Event;

/// Returns the culprit of an event of which the stacks are prepared, empty when nothing tells.
pub fn culprit(event: &Event<'_>, stacks: &Stacks<'_>) -> String {
    if let Some(transaction) = event.transaction.as_deref().filter(|name| !name.is_empty()) {
        return cut(transaction, CULPRIT_CHARS_MAX).into_owned();
    }
    let exception = event.exceptions.as_ref().and_then(|list| list.last());
    let mechanism = exception.and_then(|exception| exception.mechanism.as_ref());
    if mechanism.and_then(|mechanism| mechanism.synthetic) == Some(true) {
        return String::new();
    }
    let of_exception = stacks.exceptions.last().map(|stack| stack.frames.as_slice());
    let frames = of_exception.filter(|frames| !frames.is_empty()).unwrap_or(&stacks.event.frames);
    let place = match frames.is_empty() {
        false => of_frames(frames),
        true => event.request.as_ref().and_then(|request| request.url.as_deref()).unwrap_or_default().to_owned(),
    };
    cut(&place, CULPRIT_CHARS_MAX).into_owned()
}

/// The newest frame of the application that has a place, else the newest of the others.
fn of_frames(frames: &[StackFrame<'_>]) -> String {
    let newest_first = |in_app: bool| {
        let wanted = frames.iter().rev().filter(move |frame| frame.in_app == in_app);
        wanted.map(of_frame).find(|place| !place.is_empty())
    };
    newest_first(true).or_else(|| newest_first(false)).unwrap_or_default()
}

fn of_frame(frame: &StackFrame<'_>) -> String {
    let function = frame.function().unwrap_or("?");
    if matches!(frame.platform, "objc" | "cocoa" | "native") {
        return function.to_owned();
    }
    match frame.frame.module.as_deref().or(frame.filename.as_deref()) {
        Some(location) if frame.family == Family::Javascript => format!("{function}({location})"),
        Some(location) => format!("{location} in {function}"),
        None => String::new(),
    }
}
