//! The culprit: what the client or a security report says, the transaction, or the place in the code, that an event is blamed on.

use crate::group::Stacks;
use crate::group::stacks::StackFrame;
use crate::in_app::Family;
use crate::limits::CULPRIT_CHARS_MAX;
use crate::text::cut;
use protocol::event::Event;

/// Returns the culprit of an event of which the stacks are prepared, empty when nothing tells.
pub fn culprit(event: &Event<'_>, stacks: &Stacks<'_>) -> String {
    let named = [&event.culprit, &event.transaction].into_iter().flatten().find(|name| !name.is_empty());
    if let Some(name) = named {
        return cut(name, CULPRIT_CHARS_MAX).into_owned();
    }
    let exception = event.exceptions.as_ref().and_then(|list| list.last());
    let mechanism = exception.and_then(|exception| exception.mechanism.as_ref());
    if mechanism.and_then(|mechanism| mechanism.synthetic) == Some(true) {
        return String::new();
    }
    let of_exceptions = stacks.exceptions.iter().rev().map(|stack| stack.frames.as_slice());
    let frames = of_exceptions.chain([stacks.event.frames.as_slice()]).find(|frames| !frames.is_empty());
    let place = frames.map(of_frames).filter(|place| !place.is_empty()).unwrap_or_else(|| {
        event.request.as_ref().and_then(|request| request.url.as_deref()).unwrap_or_default().to_owned()
    });
    cut(&place, CULPRIT_CHARS_MAX).into_owned()
}

/// The newest frame of the application that has a place, else the newest of the others, whether it has one or not.
fn of_frames(frames: &[StackFrame<'_>]) -> String {
    let newest_first = |in_app: bool| frames.iter().rev().filter(move |frame| frame.in_app == in_app).map(of_frame);
    let of_app = newest_first(true).find(|place| !place.is_empty());
    of_app.or_else(|| newest_first(false).next()).unwrap_or_default()
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
