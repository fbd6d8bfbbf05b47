//! The log message: one entry, with the text to show in `formatted`, and a template only where it differs.

use super::{Context, format};
use crate::text::drop_empty;
use protocol::event::Event;

/// A top-level `message` is the log entry where there is none.
pub(super) fn merge_message<'a>(event: &mut Event<'a>, _context: &Context<'_>) {
    let message = event.message.take();
    if event.logentry.is_none() {
        event.logentry = message;
    }
    let Some(entry) = &mut event.logentry else {
        return;
    };
    drop_empty(&mut entry.message);
    drop_empty(&mut entry.formatted);
    if entry.message.is_none() && entry.formatted.is_none() {
        event.logentry = None;
    }
}

/// Fills the template with its parameters. If a placeholder has no parameter the template stands for itself.
pub(super) fn format_message<'a>(event: &mut Event<'a>, _context: &Context<'_>) {
    let Some(entry) = &mut event.logentry else {
        return;
    };
    if entry.formatted.is_none()
        && let (Some(template), Some(params)) = (&entry.message, &entry.params)
    {
        entry.formatted = format::fill(template, params).map(Into::into);
    }
    if entry.formatted.is_none() || entry.formatted == entry.message {
        entry.formatted = entry.message.take();
    }
}
