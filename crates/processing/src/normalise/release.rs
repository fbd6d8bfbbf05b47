//! Release, environment and dist: left out, with a remark, where they cannot name one.

use super::Context;
use crate::limits::{DIST_CHARS_MAX, ENVIRONMENT_CHARS_MAX, RELEASE_CHARS_MAX};
use protocol::event::{Event, RemarkKind};
use protocol::json::{Str, Value};

pub(super) fn set_release<'a>(event: &mut Event<'a>, _context: &Context<'_>) {
    let release = event.release.take();
    event.release = checked(event, "release", release, is_release);
}

pub(super) fn set_environment<'a>(event: &mut Event<'a>, _context: &Context<'_>) {
    let environment = event.environment.take();
    event.environment = checked(event, "environment", environment, is_environment);
}

pub(super) fn set_dist<'a>(event: &mut Event<'a>, _context: &Context<'_>) {
    let dist = event.dist.take();
    event.dist = checked(event, "dist", dist, is_dist);
}

/// Returns the text without outer blanks if it is allowed. An empty one is absent without a remark.
fn checked<'a>(
    event: &mut Event<'a>,
    path: &str,
    text: Option<Str<'a>>,
    is_allowed: impl Fn(&str) -> bool,
) -> Option<Str<'a>> {
    let text = text?.trimmed();
    if is_allowed(&text) {
        return Some(text);
    }
    if !text.is_empty() {
        event.remark(path, RemarkKind::InvalidData, Some(Value::Str(text)));
    }
    None
}

fn is_release(text: &str) -> bool {
    let is_special = matches!(text, "" | "." | "..") || text.eq_ignore_ascii_case("latest");
    !is_special
        && is_within(text, RELEASE_CHARS_MAX)
        && !text.contains(|c: char| c.is_control() || c == '/' || c == '\\')
}

fn is_environment(text: &str) -> bool {
    let is_special = text.is_empty() || text.eq_ignore_ascii_case("none");
    !is_special && is_within(text, ENVIRONMENT_CHARS_MAX) && !text.contains(|c: char| c.is_control() || c == '/')
}

fn is_dist(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    !text.is_empty() && text.len() <= DIST_CHARS_MAX && text.bytes().all(is_part)
}

fn is_within(text: &str, chars_max: usize) -> bool {
    text.len() <= chars_max || text.chars().nth(chars_max).is_none()
}
