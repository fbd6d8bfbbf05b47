//! Frames of every stack: empty texts are absent, paths fill each other, endless stacks lose their middle.

use super::Context;
use crate::limits::{FRAMES_DETAILED_MAX, FRAMES_NEWEST_KEPT, FRAMES_OLDEST_KEPT, FUNCTION_CHARS_MAX};
use crate::text::{cut_field, drop_empty};
use protocol::event::{Event, Frame, RemarkKind, Stacktrace};
use protocol::json::{Str, Value};

/// Schemes whose path alone says which file it was; `app:` and `webpack:` addresses are file names as they are.
const URL_SCHEMES: &[&str] = &["file:", "http:", "https:", "applewebdata:"];

/// Cleans the stacks of all exceptions and threads, and the event's own. A stack without frames is none.
pub(super) fn clean_stacks<'a>(event: &mut Event<'a>, _context: &Context<'_>) {
    let mut cut: Vec<(String, usize)> = Vec::new();
    for (index, exception) in event.exceptions.iter_mut().flatten().enumerate() {
        let length = clean_stack(&mut exception.stacktrace);
        cut.extend(length.map(|length| (format!("exception.values.{index}.stacktrace.frames"), length)));
        clean_stack(&mut exception.raw_stacktrace);
    }
    for (index, thread) in event.threads.iter_mut().flatten().enumerate() {
        let length = clean_stack(&mut thread.stacktrace);
        cut.extend(length.map(|length| (format!("threads.values.{index}.stacktrace.frames"), length)));
        clean_stack(&mut thread.raw_stacktrace);
    }
    let length = clean_stack(&mut event.stacktrace);
    cut.extend(length.map(|length| ("stacktrace.frames".to_owned(), length)));
    for (path, length) in cut {
        event.remark(path, RemarkKind::ValueTooLong, Some(Value::length(length)));
    }
}

/// Returns whether nothing is left of a stack once its frames are cleaned.
pub(super) fn is_void(stack: &Stacktrace<'_>) -> bool {
    let is_void = |frame: &Frame<'_>| {
        let mut frame = frame.clone();
        clean_frame(&mut frame);
        frame == Frame::default()
    };
    stack.frames.as_ref().is_none_or(|frames| frames.iter().all(is_void))
}

/// Returns how many frames there were if some were cut.
fn clean_stack(stack: &mut Option<Stacktrace<'_>>) -> Option<usize> {
    let frames = stack.as_mut()?.frames.as_mut();
    let Some(frames) = frames.filter(|frames| !frames.is_empty()) else {
        *stack = None;
        return None;
    };
    let length = frames.len();
    let was_cut = length > FRAMES_OLDEST_KEPT + FRAMES_NEWEST_KEPT;
    if was_cut {
        frames.drain(FRAMES_OLDEST_KEPT..length - FRAMES_NEWEST_KEPT);
    }
    for frame in frames.iter_mut() {
        clean_frame(frame);
    }
    frames.retain(|frame| *frame != Frame::default());
    thin_out(frames);
    if frames.is_empty() {
        *stack = None;
    }
    was_cut.then_some(length)
}

fn clean_frame(frame: &mut Frame<'_>) {
    let texts = [
        &mut frame.function,
        &mut frame.raw_function,
        &mut frame.symbol,
        &mut frame.module,
        &mut frame.package,
        &mut frame.filename,
        &mut frame.abs_path,
        &mut frame.platform,
    ];
    for text in texts {
        drop_empty(text);
    }
    for name in [&mut frame.function, &mut frame.symbol] {
        *name = name.take().filter(|name| name.as_str() != "?");
    }
    fill_paths(frame);
    if frame.context_line.is_none() && (frame.pre_context.is_some() || frame.post_context.is_some()) {
        frame.context_line = Some(Str::default());
    }
    cut_field(&mut frame.function, FUNCTION_CHARS_MAX);
    cut_field(&mut frame.raw_function, FUNCTION_CHARS_MAX);
    cut_field(&mut frame.symbol, FUNCTION_CHARS_MAX);
}

/// A file name alone, as browsers' SDKs send it, is the path; the name of an address is then its path.
fn fill_paths(frame: &mut Frame<'_>) {
    if frame.abs_path.is_none() {
        frame.abs_path = frame.filename.take();
    }
    if frame.filename.is_none() {
        let path = frame.abs_path.as_ref().and_then(|path| url_path(path)).map(|path| Str::from(path.to_owned()));
        frame.filename = path.or_else(|| frame.abs_path.clone());
    }
}

/// In long stacks variables and surrounding lines stay with the outermost frames, the application's before others.
fn thin_out(frames: &mut [Frame<'_>]) {
    if frames.len() <= FRAMES_DETAILED_MAX {
        return;
    }
    let is_app = |frame: &Frame<'_>| frame.in_app == Some(true);
    let app_count = frames.iter().filter(|frame| is_app(frame)).count();
    let app_max = app_count.min(FRAMES_DETAILED_MAX);
    for (wanted, count, kept_max) in
        [(true, app_count, app_max), (false, frames.len() - app_count, FRAMES_DETAILED_MAX - app_max)]
    {
        let oldest = kept_max / 2;
        let newest = kept_max - oldest;
        let middle = oldest..count.saturating_sub(newest);
        let same = frames.iter_mut().filter(|frame| is_app(frame) == wanted).enumerate();
        for (_, frame) in same.filter(|(index, _)| middle.contains(index)) {
            frame.vars = None;
            frame.pre_context = None;
            frame.post_context = None;
        }
    }
}

/// Returns the path of an address of a file, unless it is the root.
fn url_path(address: &str) -> Option<&str> {
    let scheme = URL_SCHEMES.iter().find(|scheme| address.starts_with(**scheme))?;
    let rest = address[scheme.len()..].split(['?', '#']).next().unwrap_or_default();
    let path = match rest.strip_prefix("//") {
        Some(authority) => &authority[authority.find('/')?..],
        None => rest,
    };
    (!path.is_empty() && path != "/").then_some(path)
}

#[cfg(test)]
mod tests {
    use super::url_path;

    #[test]
    fn only_addresses_of_files_give_a_path() {
        fn check(address: &str, expected: Option<&str>) {
            assert_eq!(url_path(address), expected, "{address}");
        }
        check("https://example.com/static/app.js?v=1#x", Some("/static/app.js"));
        check("file:///srv/app.js", Some("/srv/app.js"));
        check("https://example.com/", None);
        check("https://example.com", None);
        check("https://example.com?file=/a.js", None);
        check("app:///main.js", None);
        check("webpack:///./src/a.js", None);
        check("/srv/app.py", None);
    }
}
