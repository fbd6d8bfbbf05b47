//! Envelopes, read from memory and as a stream: both must see the same, and what they borrow must lie in the body.

use protocol::envelope::stream::EnvelopeReader;
use protocol::item::event::glimpse;
use protocol::{AcceptedJob, Envelope, legacy, limits};

pub const WORDS: &[&str] = &[
    "{}",
    "\n",
    "\"type\":\"",
    "\"length\":",
    "event",
    "attachment",
    "session",
    "\"event_id\":\"",
    "\"dsn\":\"http://",
    "\"sent_at\":",
    "0",
    "18446744073709551616",
    "-1",
    "null",
    "\"item_count\":",
    "\"filename\":\"",
    "\r\n",
    "\u{0}",
];

pub fn run(bytes: &[u8]) {
    let parsed = Envelope::parse(bytes);
    let streamed = streamed(bytes);
    match &parsed {
        Ok(envelope) => {
            // Whether all of it is within the limits matters not: only that the question has an answer.
            let _ = limits::check(envelope);
            let payloads: Vec<Vec<u8>> = envelope.items.iter().map(|item| item.payload.to_vec()).collect();
            assert_eq!(Some(payloads), streamed, "a stream reads other items than memory");
            for item in &envelope.items {
                let _ = (glimpse(item.payload), item.quantities(), item.header.attachment_name());
            }
        }
        Err(_) => assert_eq!(streamed, None, "a stream reads what memory refuses"),
    }
    // The other two shapes of bytes that a body or a job may have.
    let _ = (legacy::store_body(bytes, limits::EVENT_BYTES_MAX), AcceptedJob::decode(bytes));
}

fn streamed(bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut reader = EnvelopeReader::new(bytes).ok()?;
    let mut payloads = Vec::new();
    while reader.next_item().ok()?.is_some() {
        payloads.push(reader.read_payload(u64::MAX).ok()?);
    }
    Some(payloads)
}
