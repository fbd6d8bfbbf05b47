//! Lengths of the event's own texts and of its fingerprint. Lengths inside interfaces are cut by their steps.

use super::Context;
use crate::limits::{
    CHECKSUM_CHARS_MAX, CULPRIT_CHARS_MAX, FINGERPRINT_ENTRIES_MAX, LOGGER_CHARS_MAX, MESSAGE_CHARS_MAX, TAG_CHARS_MAX,
    TRANSACTION_CHARS_MAX,
};
use crate::text::cut_field;
use protocol::event::{Event, RemarkKind};
use protocol::json::Value;

pub(super) fn trim_fields<'a>(event: &mut Event<'a>, _context: &Context<'_>) {
    let mut fields = vec![
        ("culprit", &mut event.culprit, CULPRIT_CHARS_MAX),
        ("transaction", &mut event.transaction, TRANSACTION_CHARS_MAX),
        ("logger", &mut event.logger, LOGGER_CHARS_MAX),
        ("checksum", &mut event.checksum, CHECKSUM_CHARS_MAX),
        ("server_name", &mut event.server_name, TAG_CHARS_MAX),
        ("site", &mut event.site, TAG_CHARS_MAX),
    ];
    if let Some(entry) = &mut event.logentry {
        fields.push(("logentry.message", &mut entry.message, MESSAGE_CHARS_MAX));
        fields.push(("logentry.formatted", &mut entry.formatted, MESSAGE_CHARS_MAX));
    }
    let mut cut = Vec::new();
    for (path, field, chars_max) in fields {
        cut.extend(cut_field(field, chars_max).map(|length| (path, length)));
    }
    for (path, length) in cut {
        event.remark(path, RemarkKind::ValueTooLong, Some(Value::length(length)));
    }
}

/// Keeps the first entries of a fingerprint: grouping asks each, and a hostile client sends as many as it likes.
pub(super) fn trim_fingerprint<'a>(event: &mut Event<'a>, _context: &Context<'_>) {
    let Some(entries) = &mut event.fingerprint else {
        return;
    };
    let count = entries.len();
    if count > FINGERPRINT_ENTRIES_MAX {
        entries.truncate(FINGERPRINT_ENTRIES_MAX);
        event.remark("fingerprint", RemarkKind::ValueTooLong, Some(Value::length(count)));
    }
}
