//! Contexts: each says of which type it is; systems and runtimes that came as one line of text are taken apart, and
//! those with a name and a version get the text that lists show.

use super::Context;
use protocol::event::Event;
use protocol::json::{Object, Str, Value};

/// Windows builds from here on are sold as 11.
const WINDOWS_11_BUILD_MIN: u32 = 22_000;

/// Contexts that are shown as `name version`, under their own name.
const SHOWN: &[&str] = &["browser", "client_os", "os", "runtime"];

/// Reads what `os` and `runtime` say in one line, where they say nothing else.
pub(super) fn read_descriptions<'a>(event: &mut Event<'a>, _context: &Context<'_>) {
    for (name, context) in event.contexts.iter_mut().flat_map(|contexts| &mut contexts.0) {
        let read: fn(&str) -> Option<Described> = match name.as_str() {
            "os" | "client_os" => system,
            "runtime" => runtime,
            _ => continue,
        };
        if context.text("name").is_some() {
            continue;
        }
        let Some(found) = context.text("raw_description").and_then(read) else {
            continue;
        };
        context.set("name", Value::text(found.name));
        for (key, part) in [("version", found.version), ("build", found.build)] {
            if let Some(part) = part
                && context.text(key).is_none()
            {
                context.set(key, Value::text(part));
            }
        }
    }
}

/// Fills a missing `type` with the context's name.
pub(super) fn set_types<'a>(event: &mut Event<'a>, _context: &Context<'_>) {
    for (name, context) in event.contexts.iter_mut().flat_map(|contexts| &mut contexts.0) {
        if context.get("type").is_none_or(Value::is_null) {
            context.retain(|(key, _)| key.as_str() != "type");
            context.push((Str::from("type"), Value::Str(name.clone())));
        }
    }
}

/// Sets `browser.browser`, `os.os` and `runtime.runtime`.
pub(super) fn set_shown_names<'a>(event: &mut Event<'a>, _context: &Context<'_>) {
    for (name, context) in event.contexts.iter_mut().flat_map(|contexts| &mut contexts.0) {
        let Some(key) = SHOWN.iter().find(|key| name.as_str() == **key) else {
            continue;
        };
        let key = if *key == "client_os" { "os" } else { key };
        if context.get(key).is_none()
            && let Some(shown) = named_version(context)
        {
            context.set(key, Value::text(shown));
        }
    }
}

/// Returns `name version`; nothing without a version, which would only repeat the name.
fn named_version(context: &Object<'_>) -> Option<String> {
    Some(format!("{} {}", context.text("name")?, context.text("version")?))
}

#[derive(Debug, PartialEq, Eq)]
struct Described {
    name: &'static str,
    version: Option<String>,
    build: Option<String>,
}

impl Described {
    fn new(name: &'static str, version: &str, build: Option<&str>) -> Described {
        let part = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        Described { name, version: part(version), build: build.and_then(part) }
    }
}

fn system(description: &str) -> Option<Described> {
    if let Some(version) = description.strip_prefix("Microsoft Windows ") {
        return Some(windows(version));
    }
    for (prefix, name) in [("Mac OS X ", "macOS"), ("macOS ", "macOS"), ("iOS ", "iOS"), ("tvOS ", "tvOS")] {
        if let Some(rest) = description.strip_prefix(prefix) {
            let (version, build) = with_build(rest);
            return Some(Described::new(name, version, build));
        }
    }
    if let Some(rest) = description.strip_prefix("Android OS ") {
        let version = rest.split([' ', '/']).next().unwrap_or_default();
        return Some(Described::new("Android", version, None));
    }
    for (prefix, name) in [("Linux ", "Linux"), ("Darwin ", "Darwin"), ("FreeBSD ", "FreeBSD")] {
        if let Some(rest) = description.strip_prefix(prefix) {
            let release = rest.split_whitespace().next().unwrap_or_default();
            let numbers = release.split(['-', '+']).next().unwrap_or_default();
            let build = (numbers != release).then_some(release);
            return Some(Described::new(name, numbers, build));
        }
    }
    None
}

/// `10.0.22621`: the last number tells 11 from 10.
fn windows(version: &str) -> Described {
    let number = version.trim().trim_end_matches('.');
    let build = number.split('.').nth(2);
    let is_11 = build.and_then(|build| build.parse::<u32>().ok()).is_some_and(|build| build >= WINDOWS_11_BUILD_MIN);
    let name = match number {
        number if number.starts_with("10.0") && is_11 => "11",
        number if number.starts_with("10.0") => "10",
        number if number.starts_with("6.3") => "8.1",
        number if number.starts_with("6.2") => "8",
        number if number.starts_with("6.1") => "7",
        other => other,
    };
    Described::new("Windows", name, Some(number))
}

/// `10.14.2 (18C54)`, or `Version 12.4 (Build 21F79)`.
fn with_build(text: &str) -> (&str, Option<&str>) {
    let text = text.strip_prefix("Version ").unwrap_or(text);
    match text.split_once('(') {
        Some((version, build)) => {
            let build = build.trim_end_matches(')');
            (version.trim(), Some(build.strip_prefix("Build ").unwrap_or(build)))
        }
        None => (text.trim(), None),
    }
}

fn runtime(description: &str) -> Option<Described> {
    for name in [".NET Framework", ".NET Core", ".NET Native", ".NET", "Mono"] {
        if let Some(rest) = description.strip_prefix(name) {
            let version = rest.trim().split([' ', '-', '+']).next().unwrap_or_default();
            return Some(Described::new(name, version, None));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_are_taken_apart() {
        fn check(description: &str, expected: Option<(&str, &str, Option<&str>)>) {
            let found = system(description).or_else(|| runtime(description));
            let found = found.as_ref();
            let parts = found.map(|found| (found.name, found.version.as_deref().unwrap_or(""), found.build.as_deref()));
            assert_eq!(parts, expected, "{description}");
        }
        check("Microsoft Windows 10.0.19045", Some(("Windows", "10", Some("10.0.19045"))));
        check("Microsoft Windows 10.0.22631", Some(("Windows", "11", Some("10.0.22631"))));
        check("Mac OS X 10.14.2 (18C54)", Some(("macOS", "10.14.2", Some("18C54"))));
        check("iOS 17.2", Some(("iOS", "17.2", None)));
        check("Linux 5.15.0-91-generic #101", Some(("Linux", "5.15.0", Some("5.15.0-91-generic"))));
        check("Darwin 21.6.0 Darwin Kernel", Some(("Darwin", "21.6.0", None)));
        check("Android OS 13 / API-33 (TQ1A)", Some(("Android", "13", None)));
        check(".NET Framework 4.8.4250.0", Some((".NET Framework", "4.8.4250.0", None)));
        check(".NET 8.0.1", Some((".NET", "8.0.1", None)));
        check("Mono 5.10.1.47 (2017-12/8eb8f7d5e74)", Some(("Mono", "5.10.1.47", None)));
        check("something else", None);
    }
}
