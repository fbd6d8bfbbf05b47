//! Operating systems by user agent.

use super::{Named, version_after};

/// Windows' inner numbers and the names it was sold under. Browsers call every later one 10.
const WINDOWS: &[(&str, &str)] = &[
    ("10.0", ">=10"),
    ("6.4", ">=10"),
    ("6.3", "8.1"),
    ("6.2", "8"),
    ("6.1", "7"),
    ("6.0", "Vista"),
    ("5.2", "XP"),
    ("5.1", "XP"),
    ("5.0", "2000"),
];

/// Systems that say no version, or one that is not theirs.
const PLAIN: &[(&str, &str)] = &[
    ("Ubuntu", "Ubuntu"),
    ("Fedora", "Fedora"),
    ("Debian", "Debian"),
    ("FreeBSD", "FreeBSD"),
    ("OpenBSD", "OpenBSD"),
    ("Linux", "Linux"),
    ("Windows", "Windows"),
    ("Macintosh", "Mac OS X"),
    ("Darwin/", "Mac OS X"),
];

pub(super) fn find(user_agent: &str) -> Option<Named> {
    if let Some(number) = version_after(user_agent, "Windows NT ") {
        let known = WINDOWS.iter().find(|(inner, _)| *inner == number).map_or(number, |(_, name)| *name);
        return Some(Named::new("Windows", Some(known.to_owned())));
    }
    if let Some(version) = version_after(user_agent, "Windows Phone ") {
        return Some(Named::new("Windows Phone", Some(version.to_owned())));
    }
    if ["iPhone", "iPad", "iPod"].iter().any(|device| user_agent.contains(device)) {
        return Some(Named::new("iOS", underscored_after(user_agent, " OS ")));
    }
    if user_agent.contains("Android") {
        return Some(Named::new("Android", version_after(user_agent, "Android ").map(str::to_owned)));
    }
    if let Some(after) = user_agent.split("CrOS ").nth(1) {
        let version = after.split(' ').nth(1).unwrap_or_default().trim_end_matches(')');
        return Some(Named::new("Chrome OS", Some(version.to_owned())));
    }
    if user_agent.contains("Mac OS X") {
        return Some(Named::new("Mac OS X", underscored_after(user_agent, "Mac OS X ")));
    }
    let (_, name) = PLAIN.iter().find(|(token, _)| user_agent.contains(token))?;
    Some(Named::new(name, None))
}

/// Apple writes `10_15_7`.
fn underscored_after(text: &str, token: &str) -> Option<String> {
    let rest = &text[text.find(token)? + token.len()..];
    let is_part = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'_' | b'.');
    let end = rest.bytes().position(|byte| !is_part(byte)).unwrap_or(rest.len());
    Some(rest[..end].replace('_', "."))
}
