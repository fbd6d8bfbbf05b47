//! Breadcrumbs: defaults and lengths.

use super::Context;
use crate::limits::{BREADCRUMB_CATEGORY_CHARS_MAX, BREADCRUMB_MESSAGE_CHARS_MAX};
use crate::text::{cut_field, drop_empty};
use protocol::event::{Event, Level, RemarkKind};
use protocol::json::{Str, Value};

const KIND_DEFAULT: &str = "default";

pub(super) fn clean_breadcrumbs<'a>(event: &mut Event<'a>, _context: &Context<'_>) {
    // A step before 1970 is a client's clock that was never set: nobody could place it.
    if let Some(breadcrumbs) = &mut event.breadcrumbs {
        breadcrumbs.retain(|breadcrumb| breadcrumb.timestamp.is_none_or(|timestamp| timestamp.micros() >= 0));
    }
    let mut cuts = Vec::new();
    for (index, breadcrumb) in event.breadcrumbs.iter_mut().flatten().enumerate() {
        drop_empty(&mut breadcrumb.kind);
        drop_empty(&mut breadcrumb.category);
        drop_empty(&mut breadcrumb.message);
        breadcrumb.kind.get_or_insert(Str::from(KIND_DEFAULT));
        breadcrumb.level.get_or_insert(Level::Info);
        cut_field(&mut breadcrumb.kind, BREADCRUMB_CATEGORY_CHARS_MAX);
        cut_field(&mut breadcrumb.category, BREADCRUMB_CATEGORY_CHARS_MAX);
        cuts.extend(cut_field(&mut breadcrumb.message, BREADCRUMB_MESSAGE_CHARS_MAX).map(|length| (index, length)));
    }
    for (index, length) in cuts {
        let path = format!("breadcrumbs.values.{index}.message");
        event.remark(path, RemarkKind::ValueTooLong, Some(Value::length(length)));
    }
    event.breadcrumbs = event.breadcrumbs.take().filter(|list| !list.is_empty());
}
