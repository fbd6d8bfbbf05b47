//! A checksum sent by the client is the group, and nothing else counts.

use super::{Variant, md5_of};
use protocol::event::Event;

/// Returns the only variant of an event with a checksum.
pub(super) fn variant(event: &Event<'_>) -> Option<Variant> {
    let checksum = event.checksum.as_deref().filter(|checksum| !checksum.is_empty())?;
    // Python's `$` stands before a last line feed too.
    let digits = checksum.strip_suffix('\n').unwrap_or(checksum);
    let is_hash = digits.len() == 32 && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let (name, hash) = match stdx::hex::decode(digits).filter(|_| is_hash) {
        Some(hash) => ("checksum", hash),
        None => ("hashed_checksum", md5_of([checksum])),
    };
    Some(Variant { name, hash: Some(hash), hint: None, contributes: true })
}
