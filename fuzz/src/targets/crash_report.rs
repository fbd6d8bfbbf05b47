//! Crash reports: forms of any bytes are refused or become an envelope that the digest can read.

use protocol::minidump::{dump_to_envelope, form_to_envelope};
use protocol::{Envelope, EventId, multipart};
use std::io::Cursor;

pub const WORDS: &[&str] = &[
    "--x\r\n",
    "\r\n--x--\r\n",
    "\r\n\r\n",
    "Content-Disposition: form-data; name=\"",
    "upload_file_minidump",
    "__sentry-event",
    "__sentry-breadcrumb1",
    "sentry[tags][a]",
    "sentry__1",
    "; filename=\"",
    "\"\r\n",
    "MDMP",
    "sentry",
    "{\"event_id\":\"",
];

pub fn run(bytes: &[u8]) {
    let id = EventId::random([1; 16]);
    let mut out = Cursor::new(Vec::new());
    if form_to_envelope(bytes, "x", id, &mut out).is_ok() {
        assert_is_report(&out.into_inner());
    }
    let mut out = Cursor::new(Vec::new());
    if dump_to_envelope(bytes, id, &mut out).is_ok() {
        assert_is_report(&out.into_inner());
    }
    let _ = multipart::boundary(&String::from_utf8_lossy(bytes));
}

fn assert_is_report(envelope: &[u8]) {
    let envelope = Envelope::parse(envelope).expect("what we write we can read");
    assert!(envelope.header.event_id.is_some() && envelope.items.len() > 1, "an event and a dump");
}
