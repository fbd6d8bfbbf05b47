//! Level and the plain names of an event.

use super::Context;
use crate::text::drop_empty;
use protocol::event::{Event, Level};

/// A missing or unknown level is `error`; a transaction's is `info`.
pub(super) fn set_level<'a>(event: &mut Event<'a>, _context: &Context<'_>) {
    let is_transaction = event.kind.as_deref() == Some("transaction");
    event.level.get_or_insert(if is_transaction { Level::Info } else { Level::Error });
}

/// Takes outer blanks off names; a name without text is absent.
pub(super) fn set_names<'a>(event: &mut Event<'a>, _context: &Context<'_>) {
    let fields =
        [&mut event.logger, &mut event.transaction, &mut event.server_name, &mut event.site, &mut event.culprit];
    for field in fields {
        *field = field.take().map(|text| text.trimmed());
        drop_empty(field);
    }
    // The group is made of it as it was sent, blanks and all.
    drop_empty(&mut event.checksum);
}
