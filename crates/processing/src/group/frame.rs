//! One frame: module, file name, source line and function, each cleaned of what changes from run to run.

mod java;

use super::ConfigName;
use super::component::Component;
use super::stacks::StackFrame;
use super::text::{python_words, trailing_number};
use crate::in_app::Family;
use std::borrow::Cow;

/// Source lines longer than this are minified code.
const CONTEXT_LINE_CHARS_MAX: usize = 120;
const URL_SCHEMES: &[&str] = &["http:", "https:", "applewebdata:", "blob:"];
/// What engines write for functions without a name.
const NAMELESS: &[&str] = &["", "?", "<anonymous function>", "<anonymous>", "Anonymous function"];
const NATIVE_CODE: &[&str] = &["[native code]", "native code", "eval code", "<anonymous>"];

pub(super) fn component<'e>(frame: &StackFrame<'e>, config: ConfigName) -> Component<'e> {
    let module = module(frame);
    let mut filename = filename(frame);
    if module.contributes && filename.contributes {
        filename.switch_off("the module takes precedence");
    }
    let line = context_line(frame, config);
    let mut function = function(frame, &line);
    // Whether the frame counts is settled before names of scripts are cleaned: an emptied one is still a frame.
    let contributes = [&module, &filename, &function, &line].into_iter().any(|part| part.contributes);
    let mut is_generated = false;
    if frame.family == Family::Javascript {
        let name = last_dotted(frame.sent_function().unwrap_or_default());
        is_generated = name == "eval" || NATIVE_CODE.contains(&frame.abs_path());
        if NAMELESS.contains(&name) || name.ends_with("/<") {
            function.switch_off("the function has no name");
        }
    }
    let mut whole = Component::of("frame", [module, filename, function, line]);
    whole.contributes = contributes;
    if is_generated { whole.off("code that is evaluated or the engine's own") } else { whole }
}

/// Returns whether the path is an address rather than a file's; `file:` counts only where `with_files`.
pub(super) fn is_url(path: &str, with_files: bool) -> bool {
    URL_SCHEMES.iter().any(|scheme| path.starts_with(scheme)) || (with_files && path.starts_with("file:"))
}

fn last_dotted(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

fn module<'e>(frame: &StackFrame<'e>) -> Component<'e> {
    let Some(module) = frame.frame.module.as_deref() else {
        return Component::empty("module");
    };
    let mut component = Component::text("module", module);
    if frame.platform == "javascript" && module.contains('/') && frame.abs_path().ends_with(module) {
        component.switch_off("the module is a path");
    }
    if frame.platform == "java" {
        if module.contains("$$Lambda$") {
            component.switch_off("a generated lambda");
        }
        if let Some(cleaned) = java::cleaned_module(module) {
            component.replace(cleaned, "generated parts of the name are left out");
        }
    }
    component
}

fn filename<'e>(frame: &StackFrame<'e>) -> Component<'e> {
    let Some(filename) = frame.filename.clone() else {
        return Component::empty("filename");
    };
    let base = base_name(filename);
    let is_anonymous = matches!(&*base, "<anonymous>" | "[native code]");
    let cleaned = (frame.platform == "java").then(|| java::without_javassist(&base)).flatten();
    let mut component = Component::text("filename", base);
    if is_url(frame.abs_path(), false) {
        component.switch_off("the path is an address");
    } else if is_anonymous {
        component.switch_off("no real file");
    } else if let Some(cleaned) = cleaned {
        component.replace(cleaned, "generated parts of the name are left out");
    }
    component
}

/// What stands after the last slash or backslash, in lower case.
fn base_name(filename: Cow<'_, str>) -> Cow<'_, str> {
    let start = filename.rfind(['/', '\\']).map_or(0, |at| at + 1);
    let base = match filename {
        Cow::Borrowed(filename) => Cow::Borrowed(&filename[start..]),
        Cow::Owned(filename) => Cow::Owned(filename[start..].to_owned()),
    };
    let is_lower = base.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase());
    if is_lower { base } else { Cow::Owned(base.to_lowercase()) }
}

fn context_line<'e>(frame: &StackFrame<'e>, config: ConfigName) -> Component<'e> {
    let has_lines = matches!(frame.platform, "javascript" | "node" | "python" | "php" | "ruby");
    let Some(line) = frame.frame.context_line.as_deref().filter(|line| has_lines && !line.is_empty()) else {
        return Component::empty("context_line");
    };
    let squeezed = python_words(line);
    if squeezed.is_empty() {
        return Component::empty("context_line");
    }
    let is_spawned = config == ConfigName::Newstyle20260120 && is_spawn_frame(frame);
    let spawned = if is_spawned { without_spawn_numbers(&squeezed) } else { None };
    let mut component = Component::text("context_line", squeezed);
    if let Some(spawned) = spawned {
        component.replace(spawned, "numbers of the spawned process are replaced");
    }
    if line.len() > CONTEXT_LINE_CHARS_MAX && line.chars().nth(CONTEXT_LINE_CHARS_MAX).is_some() {
        component.switch_off("the source line is too long");
    } else if frame.family == Family::Javascript && frame.function().is_none() && is_url(frame.abs_path(), true) {
        component.switch_off("source of an address without a function");
    }
    component
}

/// The line with which Python's `multiprocessing` starts a process.
fn is_spawn_frame(frame: &StackFrame<'_>) -> bool {
    frame.platform == "python"
        && frame.frame.module.as_deref() == Some("__main__")
        && frame.filename.as_deref() == Some("<string>")
        && frame.function() == Some("<module>")
}

/// `from multiprocessing.spawn import spawn_main; spawn_main(tracker_fd=7, pipe_handle=9)`, its numbers replaced.
fn without_spawn_numbers(line: &str) -> Option<String> {
    let arguments = line.strip_prefix("from multiprocessing.spawn import spawn_main; spawn_main(")?;
    let (first, second) = arguments.strip_suffix(')')?.split_once(", ")?;
    let of = |argument: &str, names: &[&str]| {
        let (name, number) = argument.split_once('=')?;
        let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        (is_number && names.contains(&name)).then(|| format!("{name}=<int>"))
    };
    let (first, second) = (of(first, &["tracker_fd", "parent_pid"])?, of(second, &["pipe_handle"])?);
    Some(format!("{}{first}, {second})", &line[..line.len() - arguments.len()]))
}

fn function<'e>(frame: &StackFrame<'e>, line: &Component<'_>) -> Component<'e> {
    let shown = frame.function.clone().filter(|function| !function.is_empty());
    let raw = frame.raw_function.filter(|function| !function.is_empty()).map(Cow::Borrowed);
    let name = if frame.platform == "csharp" { raw.or(shown) } else { shown.or(raw) };
    let Some(name) = name else {
        return Component::empty("function");
    };
    match frame.platform {
        "ruby" => ruby_name(name),
        "php" => php_name(name),
        "java" if name.starts_with("lambda$") => Component::text("function", name).off("a generated lambda"),
        _ => match frame.family {
            Family::Native if matches!(&*name, "<redacted>" | "<unknown>") => {
                Component::text("function", name).off("no real name")
            }
            Family::Javascript => script_name(frame, name, line),
            Family::Native | Family::Other => Component::text("function", name),
        },
    }
}

fn script_name<'e>(frame: &StackFrame<'e>, name: Cow<'e, str>, line: &Component<'_>) -> Component<'e> {
    let last = last_dotted(&name);
    let mut component = Component::text("function", last.to_owned());
    if last.len() != name.len() {
        component.hint = Some("only the last part of the name counts".into());
    }
    let data = frame.frame.data.as_ref();
    let is_mapped = data.and_then(|data| data.get("sourcemap")).is_some_and(|map| !map.is_null());
    if is_mapped && line.contributes {
        component.switch_off("the mapped source line takes precedence");
    }
    component
}

/// Blocks are numbered by nesting, ERB templates end in `__1234_5678`.
fn ruby_name(name: Cow<'_, str>) -> Component<'_> {
    if name.starts_with("block ") {
        return Component::text("function", "block");
    }
    let base = trailing_number(&name, "_").and_then(|head| trailing_number(head, "__")).map(str::to_owned);
    match base {
        Some(base) => Component::text("function", base),
        None => Component::text("function", name),
    }
}

/// Anonymous classes are named after where they stand; only a method's name is the same everywhere.
fn php_name(name: Cow<'_, str>) -> Component<'_> {
    let is_anonymous = name.starts_with("[Anonymous") || name.starts_with("class@anonymous\0");
    let method = name.starts_with("class@anonymous").then(|| name.rsplit_once("::")).flatten();
    let method = method.map(|(_, method)| method.to_owned());
    let mut component = Component::text("function", name);
    if is_anonymous {
        component.switch_off("an anonymous class");
    }
    if let Some(method) = method {
        component.replace(method, "a method of an anonymous class");
    }
    component
}
