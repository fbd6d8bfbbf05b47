//! The culprit: the transaction, or the place in the code, that an event is blamed on.

use crate::in_app::{frame_platform, is_in_app, is_javascript};
use crate::limits::CULPRIT_CHARS_MAX;
use crate::text::cut;
use crate::title::main_exception;
use protocol::event::{Event, Frame, Stacktrace};

/// Returns the culprit, empty when nothing tells.
pub fn culprit(event: &Event<'_>) -> String {
    if let Some(transaction) = event.transaction.as_deref().filter(|name| !name.is_empty()) {
        return cut(transaction, CULPRIT_CHARS_MAX).into_owned();
    }
    let exception = main_exception(event);
    let mechanism = exception.and_then(|exception| exception.mechanism.as_ref());
    if mechanism.and_then(|mechanism| mechanism.synthetic) == Some(true) {
        return String::new();
    }
    let of_exception = exception.and_then(|exception| exception.stacktrace.as_ref());
    let frames = of_exception.or(event.stacktrace.as_ref()).and_then(frames_of);
    let platform = event.platform.as_deref().unwrap_or_default();
    let place = match frames {
        Some(frames) => of_frames(frames, platform),
        None => event.request.as_ref().and_then(|request| request.url.as_deref()).unwrap_or_default().to_owned(),
    };
    cut(&place, CULPRIT_CHARS_MAX).into_owned()
}

fn frames_of<'e, 'a>(stack: &'e Stacktrace<'a>) -> Option<&'e [Frame<'a>]> {
    stack.frames.as_deref().filter(|frames| !frames.is_empty())
}

/// The newest frame of the application that has a place, else the newest of the others.
fn of_frames(frames: &[Frame<'_>], platform: &str) -> String {
    let newest_first = |in_app: bool| {
        let wanted = frames.iter().rev().filter(move |frame| is_in_app(frame, platform) == in_app);
        wanted.map(|frame| of_frame(frame, platform)).find(|place| !place.is_empty())
    };
    newest_first(true).or_else(|| newest_first(false)).unwrap_or_default()
}

fn of_frame(frame: &Frame<'_>, event_platform: &str) -> String {
    let platform = frame_platform(frame, event_platform);
    let function = frame.function.as_deref().unwrap_or("?");
    if matches!(platform, "objc" | "cocoa" | "native") {
        return function.to_owned();
    }
    match frame.module.as_deref().or(frame.filename.as_deref()) {
        Some(location) if is_javascript(platform) => format!("{function}({location})"),
        Some(location) => format!("{location} in {function}"),
        None => String::new(),
    }
}
