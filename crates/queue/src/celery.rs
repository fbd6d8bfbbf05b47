//! Celery's wire format: message protocol 2 (1 and the mixture of both are read), kombu's parcel and the documents of
//! the Redis result backend. Pure translation; it knows no connection.
//!
//! Source: docs.celeryq.dev "Message Protocol", kombu 5.7 `transport/virtual/base.py`, and captured traffic.

mod body;
pub(crate) mod control;
pub(crate) mod events;
mod follow;
mod message;
mod parcel;
pub(crate) mod repr;
mod result;
mod transient;

pub(crate) use follow::{Parent, Sent, after_failure, after_success, chord_body, errors_of_chain};
pub(crate) use message::{
    Edit, Received, Undecodable, Wrapping, brief_wrapping, decode, decode_parcel, encode, retagged, rewrite, step_of,
    tag_of, wrapping,
};
pub(crate) use parcel::{Fields, Parcel, field};
pub(crate) use result::{Meta, chord_part, read_chord_part, read_result};
pub(crate) use transient::{Transient, decode_transient, encode_transient, opened_notice};

use stdx::Timestamp;

/// Highest of kombu's priorities, where 0 is served first.
const PRIORITY_LAST: u8 = 9;

/// Returns kombu's priority for one of ours, where 9 is served first; and the other way round.
pub(crate) fn turned_priority(priority: u8) -> u8 {
    PRIORITY_LAST - priority.min(PRIORITY_LAST)
}

/// A time as Python's `isoformat` writes it, with the offset that Celery's own clients send.
pub(crate) fn iso(time: Timestamp) -> String {
    let text = time.to_rfc3339();
    match text.strip_suffix('Z') {
        Some(naive) => format!("{naive}+00:00"),
        None => text,
    }
}
