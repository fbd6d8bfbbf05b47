//! One frame: module, file name, source line and function, each cleaned of what changes from run to run.

use super::component::Component;
use crate::in_app::{frame_platform, is_javascript, is_native};
use protocol::event::Frame;
use std::borrow::Cow;

/// Source lines longer than this are minified code.
const CONTEXT_LINE_CHARS_MAX: usize = 120;
const URL_SCHEMES: &[&str] = &["http:", "https:", "applewebdata:", "blob:"];
/// What engines write for functions without a name.
const NAMELESS: &[&str] = &["", "?", "<anonymous function>", "<anonymous>", "Anonymous function"];
const NATIVE_CODE: &[&str] = &["[native code]", "native code", "eval code", "<anonymous>"];

pub(super) fn component<'e>(frame: &'e Frame<'_>, event_platform: &'e str) -> Component<'e> {
    let platform = frame_platform(frame, event_platform);
    let module = module(frame, platform);
    let mut filename = filename(frame);
    if module.contributes && filename.contributes {
        filename.switch_off("the module takes precedence");
    }
    let line = context_line(frame, platform);
    let mut function = function(frame, platform, &line);
    let named = [&module, &filename, &line, &function].into_iter().any(|part| part.contributes);
    let mut is_off = !named;
    if is_javascript(platform) {
        let name = last_dotted(raw_name(frame).unwrap_or_default());
        if NAMELESS.contains(&name) || name.ends_with("/<") {
            function.switch_off("the function has no name");
        }
        is_off |= name == "eval" || frame.abs_path.as_deref().is_some_and(|path| NATIVE_CODE.contains(&path));
    }
    let mut whole = Component::of([module, filename, line, function]);
    // A frame is on by what it had before the clean-up of names: an empty one still counts as a frame of the stack.
    whole.contributes = !is_off;
    whole
}

/// Returns whether the path is an address rather than a file's; `file:` counts only where `with_files`.
pub(super) fn is_url(path: &str, with_files: bool) -> bool {
    URL_SCHEMES.iter().any(|scheme| path.starts_with(scheme)) || (with_files && path.starts_with("file:"))
}

fn raw_name<'e>(frame: &'e Frame<'_>) -> Option<&'e str> {
    frame.raw_function.as_deref().or(frame.function.as_deref())
}

fn last_dotted(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

fn module<'e>(frame: &'e Frame<'_>, platform: &str) -> Component<'e> {
    let Some(module) = frame.module.as_deref() else {
        return Component::empty("no module");
    };
    let mut component = Component::text(module);
    let is_path = module.contains('/') && frame.abs_path.as_deref().is_some_and(|path| path.ends_with(module));
    if platform == "javascript" && is_path {
        component.switch_off("the module is a path");
    }
    if platform == "java" && module.contains("$$Lambda$") {
        component.switch_off("a generated lambda");
    }
    component
}

fn filename<'e>(frame: &'e Frame<'_>) -> Component<'e> {
    let Some(filename) = frame.filename.as_deref() else {
        return Component::empty("no file name");
    };
    let base = filename.rsplit(['/', '\\']).next().unwrap_or(filename);
    let is_lower = base.chars().all(|c| !c.is_uppercase());
    let base = if is_lower { Cow::Borrowed(base) } else { Cow::Owned(base.to_lowercase()) };
    let is_anonymous = matches!(&*base, "<anonymous>" | "[native code]");
    let mut component = Component::text(base);
    if is_url(frame.abs_path.as_deref().unwrap_or_default(), false) {
        component.switch_off("the path is an address");
    } else if is_anonymous {
        component.switch_off("no real file");
    }
    component
}

fn context_line<'e>(frame: &'e Frame<'_>, platform: &str) -> Component<'e> {
    let has_lines = matches!(platform, "javascript" | "node" | "python" | "php" | "ruby");
    let Some(line) = frame.context_line.as_deref().filter(|line| has_lines && !line.is_empty()) else {
        return Component::empty("no source line");
    };
    let squeezed = squeezed(line);
    if squeezed.is_empty() {
        return Component::empty("the source line is blank");
    }
    let mut component = Component::text(squeezed);
    if line.len() > CONTEXT_LINE_CHARS_MAX && line.chars().nth(CONTEXT_LINE_CHARS_MAX).is_some() {
        component.switch_off("the source line is too long");
    } else if is_javascript(platform)
        && frame.function.is_none()
        && is_url(frame.abs_path.as_deref().unwrap_or_default(), true)
    {
        component.switch_off("source of an address without a function");
    }
    component
}

/// The words of a line with one blank between them.
fn squeezed(line: &str) -> Cow<'_, str> {
    let line = line.trim();
    let has_runs = line.contains("  ") || line.contains(|c: char| c.is_whitespace() && c != ' ');
    if !has_runs {
        return Cow::Borrowed(line);
    }
    Cow::Owned(line.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn function<'e>(frame: &'e Frame<'_>, platform: &str, line: &Component<'_>) -> Component<'e> {
    let name =
        if platform == "csharp" { raw_name(frame) } else { frame.function.as_deref().or_else(|| raw_name(frame)) };
    let Some(name) = name else {
        return Component::empty("no function");
    };
    match platform {
        "ruby" => Component::text(ruby_name(name)),
        "php" => php_name(name),
        "java" if name.starts_with("lambda$") => Component::empty("a generated lambda"),
        _ if is_native(platform) && matches!(name, "<redacted>" | "<unknown>") => Component::empty("no real name"),
        _ if is_javascript(platform) => {
            let mut component = Component::text(last_dotted(name));
            let is_mapped =
                frame.data.as_ref().and_then(|data| data.get("sourcemap")).is_some_and(|map| !map.is_null());
            if is_mapped && line.contributes {
                component.switch_off("the mapped source line takes precedence");
            }
            component
        }
        _ => Component::text(name),
    }
}

/// Blocks are numbered by nesting, ERB templates end in `__123_456`.
fn ruby_name(name: &str) -> &str {
    if name.starts_with("block ") {
        return "block";
    }
    let Some((head, last)) = name.rsplit_once('_') else {
        return name;
    };
    let Some((base, first)) = head.rsplit_once("__") else {
        return name;
    };
    let is_number = |text: &str| text.len() >= 4 && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number(first) && is_number(last) { base } else { name }
}

/// Anonymous classes are named after where they stand; only a method's name is the same everywhere.
fn php_name(name: &str) -> Component<'_> {
    if let Some(("", rest)) = name.split_once("class@anonymous")
        && let Some((_, method)) = rest.rsplit_once("::")
    {
        return Component::text(method);
    }
    if name.starts_with("[Anonymous") || name.starts_with("class@anonymous\0") {
        return Component::empty("an anonymous class");
    }
    Component::text(name)
}
