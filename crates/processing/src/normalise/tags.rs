//! The event's own tags: allowed keys and values, one value a key, sorted.

use super::Context;
use crate::limits::{TAG_CHARS_MAX, TAGS_MAX};
use crate::text::cut;
use protocol::event::{Event, RemarkKind, Tags};
use protocol::json::{Str, Value};
use std::borrow::Cow;

/// Keys that name fields of the event; as tags they would contradict them.
const RESERVED: &[&str] = &["release", "dist", "user", "filename", "function"];

/// Drops tags that are not allowed, keeps the first of each key, and moves `environment` to its field.
pub(super) fn clean_tags<'a>(event: &mut Event<'a>, _context: &Context<'_>) {
    let Some(Tags(tags)) = event.tags.take() else {
        return;
    };
    let mut kept: Vec<(Str<'a>, Str<'a>)> = Vec::with_capacity(tags.len().min(TAGS_MAX));
    for (key, value) in tags {
        match clean(key, value) {
            Ok((key, value)) if key == "environment" => {
                event.environment.get_or_insert(value);
            }
            Ok((key, _)) if RESERVED.contains(&key.as_str()) => {}
            Ok(tag) => kept.push(tag),
            Err(key) => event.remark("tags", RemarkKind::InvalidData, Some(Value::Str(key))),
        }
    }
    // The sort is stable: of equal keys the first that came stays the first.
    kept.sort_by(|left, right| left.0.cmp(&right.0));
    kept.dedup_by(|later, earlier| later.0 == earlier.0);
    if kept.len() > TAGS_MAX {
        kept.truncate(TAGS_MAX);
        event.remark("tags", RemarkKind::ValueTooLong, None);
    }
    if !kept.is_empty() {
        event.tags = Some(Tags(kept));
    }
}

/// Returns the tag as it is kept, or the key of one that is not.
fn clean<'a>(key: Str<'a>, value: Str<'a>) -> Result<(Str<'a>, Str<'a>), Str<'a>> {
    let key = spaces_to_hyphens(key.trimmed());
    let value = value.trimmed();
    let is_valid_key = !key.is_empty() && key.bytes().all(is_key_byte);
    let is_valid_value = !value.is_empty() && !value.contains(['\n', '\r']);
    if is_valid_key && is_valid_value { Ok((shortened(key), shortened(value))) } else { Err(key) }
}

fn is_key_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b':' | b'-')
}

fn spaces_to_hyphens(key: Str<'_>) -> Str<'_> {
    if key.contains(' ') { Str::from(key.replace(' ', "-")) } else { key }
}

fn shortened(text: Str<'_>) -> Str<'_> {
    match cut(&text, TAG_CHARS_MAX) {
        Cow::Owned(short) => Str::from(short),
        Cow::Borrowed(_) => text,
    }
}
