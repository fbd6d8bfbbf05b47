//! Properties: what is written is read again, both readers agree, and no bytes make anything panic.

use crate::bodies::{gzip, zlib};
use crate::envelopes::describe;
use proptest::prelude::*;
use protocol::accepted::{AcceptedBody, AcceptedJob, Endpoint};
use protocol::auth::{self, AuthSources};
use protocol::cors::is_origin_allowed;
use protocol::encoding::{Encoding, decode};
use protocol::item::event::glimpse;
use protocol::{Dsn, Envelope, EventId, legacy, limits, query};
use std::borrow::Cow;
use stdx::Timestamp;

const ENCODINGS: [Encoding; 5] =
    [Encoding::Identity, Encoding::Gzip, Encoding::Deflate, Encoding::Brotli, Encoding::Zstd];

/// An envelope as an SDK would write it, with and without lengths.
fn envelope_bytes() -> impl Strategy<Value = (Vec<u8>, Vec<Vec<u8>>)> {
    let item = (any::<bool>(), prop::collection::vec(any::<u8>(), 0..40));
    prop::collection::vec(item, 0..6).prop_map(|items| {
        let mut body = br#"{"event_id":"fc6d8c0c43fc4630ad850ee518f1b9d0","sent_at":"2026-11-21T00:00:00Z"}"#.to_vec();
        let mut payloads = Vec::new();
        for (has_length, payload) in items {
            let needs_length = has_length || payload.contains(&b'\n');
            let length = if needs_length { format!(",\"length\":{}", payload.len()) } else { String::new() };
            body.extend_from_slice(format!("\n{{\"type\":\"attachment\"{length}}}\n").as_bytes());
            body.extend_from_slice(&payload);
            payloads.push(payload);
        }
        (body, payloads)
    })
}

/// Runs everything that reads bytes from outside.
fn read_all(bytes: &[u8]) {
    describe(bytes);
    if let Ok(envelope) = Envelope::parse(bytes) {
        // Any verdict will do; it must only come.
        limits::check(&envelope).ok();
    }
    for encoding in ENCODINGS {
        decode(encoding, bytes, 10_000).ok();
    }
    legacy::store_body(bytes, 10_000).ok();
    glimpse(bytes).ok();
    auth::from_envelope(bytes).ok();
    AcceptedJob::decode(bytes).ok();
    let text = String::from_utf8_lossy(bytes);
    read_text(&text);
}

fn read_text(text: &str) {
    text.parse::<Dsn>().ok();
    text.parse::<EventId>().ok();
    Encoding::parse(text).ok();
    query::pairs(text).for_each(drop);
    is_origin_allowed(Some(text), Some(text), &[text, "*.a"]);
    let sources =
        AuthSources { x_sentry_auth: Some(text), authorization: Some(text), query: Some(text), path_key: Some(text) };
    auth::find(&sources).ok();
    for sources in [
        AuthSources { x_sentry_auth: sources.x_sentry_auth, ..AuthSources::default() },
        AuthSources { authorization: sources.authorization, ..AuthSources::default() },
        AuthSources { query: sources.query, ..AuthSources::default() },
    ] {
        auth::find(&sources).ok();
    }
}

proptest! {
    #[test]
    fn envelopes_come_back((body, payloads) in envelope_bytes()) {
        let envelope = Envelope::parse(&body).unwrap();
        let found: Vec<&[u8]> = envelope.items.iter().map(|item| item.payload).collect();
        prop_assert_eq!(found, payloads);
    }

    #[test]
    fn any_prefix_is_read_or_refused((body, _) in envelope_bytes(), cut in any::<prop::sample::Index>()) {
        read_all(&body[..cut.index(body.len() + 1)]);
    }

    #[test]
    fn any_flipped_byte_is_read_or_refused(
        (mut body, _) in envelope_bytes(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let at = at.index(body.len());
        body[at] = byte;
        read_all(&body);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        read_all(&bytes);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[ -~é,=:/@.%+]{0,80}", scheme in "(Sentry |Basic |https://|sentry_key=)") {
        read_text(&text);
        read_text(&format!("{scheme}{text}"));
    }

    #[test]
    fn encoded_bodies_come_back(bytes in prop::collection::vec(any::<u8>(), 1..2_000), at in any::<prop::sample::Index>()) {
        for (encoding, encoded) in [
            (Encoding::Gzip, gzip(&bytes)),
            (Encoding::Deflate, zlib(&bytes)),
            (Encoding::Zstd, zstd::encode_all(bytes.as_slice(), 1).unwrap()),
        ] {
            let decoded = decode(encoding, &encoded, 2_000).unwrap();
            prop_assert_eq!(decoded.as_ref(), bytes.as_slice());
            let mut broken = encoded;
            let at = at.index(broken.len());
            broken[at] ^= 0x55;
            decode(encoding, &broken, 2_000).ok();
            decode(encoding, &broken[..at], 2_000).ok();
        }
    }

    #[test]
    fn jobs_come_back(
        body in prop::collection::vec(any::<u8>(), 0..100),
        id in any::<[u8; 16]>(),
        received_at in any::<i64>(),
        text in ".{0,20}",
        is_store in any::<bool>(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let job = AcceptedJob {
            org_id: 1,
            project_id: i64::MAX,
            key_id: i64::MIN,
            event_id: EventId::from_bytes(id),
            received_at: Timestamp::from_micros(received_at),
            sent_at: None,
            client_ip: Some(Cow::Borrowed(&text)),
            auth_client: None,
            user_agent: Some(Cow::Borrowed(&text)),
            endpoint: if is_store { Endpoint::Store } else { Endpoint::Envelope },
            content_encoding: Encoding::Zstd,
            body: AcceptedBody::Inline(&body),
        };
        let mut encoded = job.encode();
        prop_assert_eq!(AcceptedJob::decode(&encoded).unwrap(), job);
        let at = at.index(encoded.len());
        AcceptedJob::decode(&encoded[..at]).ok();
        encoded[at] = byte;
        AcceptedJob::decode(&encoded).ok();
    }
}
