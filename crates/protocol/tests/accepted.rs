//! The job between ingest and digest: golden bytes and broken ones.

use protocol::accepted::{AcceptedBody, AcceptedError, AcceptedJob, Endpoint};
use protocol::{Encoding, EventId};
use std::borrow::Cow;
use stdx::Timestamp;

/// Written by version 1. Never changed: queues on disk hold such bytes.
const GOLDEN_V1: &[u8] = include_bytes!("golden/accepted_v1.bin");

fn job() -> AcceptedJob<'static> {
    AcceptedJob {
        org_id: 1,
        project_id: 42,
        key_id: 7,
        event_id: EventId::from_bytes(*b"0123456789abcdef"),
        received_at: Timestamp::from_micros(1_795_233_600_123_456),
        sent_at: Some(Timestamp::from_seconds(1_795_233_600)),
        client_ip: Some(Cow::Borrowed("203.0.113.7")),
        auth_client: Some(Cow::Borrowed("sentry.python/2.75.0")),
        user_agent: Some(Cow::Borrowed("Mozilla/5.0 \"quoted\"")),
        endpoint: Endpoint::Envelope,
        content_encoding: Encoding::Brotli,
        body: AcceptedBody::Inline(b"{}\n\x00\xff"),
    }
}

#[test]
fn version_1_is_written_and_read_as_ever() {
    assert_eq!(job().encode(), GOLDEN_V1);
    assert_eq!(AcceptedJob::decode(GOLDEN_V1).unwrap(), job());
}

#[test]
fn a_blob_and_absent_fields_come_back() {
    let job = AcceptedJob {
        sent_at: None,
        client_ip: None,
        auth_client: None,
        user_agent: None,
        endpoint: Endpoint::Store,
        content_encoding: Encoding::Identity,
        body: AcceptedBody::Blob { key: Cow::Borrowed("incoming/ab"), raw_bytes: 5_000_000_000 },
        ..job()
    };
    assert_eq!(AcceptedJob::decode(&job.encode()).unwrap(), job);
}

#[test]
fn an_empty_body_and_an_unknown_field_are_read() {
    let mut text = br#"{"org_id":1,"project_id":2,"key_id":3,"event_id":"30313233343536373839616263646566","#.to_vec();
    text.extend_from_slice(br#""received_at":5,"endpoint":"store","content_encoding":"gzip","later":{"x":[1]}}"#);
    let mut encoded = vec![1];
    encoded.extend_from_slice(&(text.len() as u32).to_le_bytes());
    encoded.extend_from_slice(&text);
    let job = AcceptedJob::decode(&encoded).unwrap();
    assert_eq!((job.project_id, job.content_encoding), (2, Encoding::Gzip));
    assert_eq!(job.body, AcceptedBody::Inline(b""));
}

#[test]
fn every_broken_form_is_named() {
    let good = job().encode();
    assert!(matches!(AcceptedJob::decode(b""), Err(AcceptedError::Truncated)));
    assert!(matches!(AcceptedJob::decode(&good[..4]), Err(AcceptedError::Truncated)));
    assert!(matches!(AcceptedJob::decode(&good[..30]), Err(AcceptedError::Truncated)));
    assert!(matches!(AcceptedJob::decode(b"\x02rest"), Err(AcceptedError::Version(2))));
    assert!(matches!(AcceptedJob::decode(b"\x01\xff\xff\xff\xff"), Err(AcceptedError::HeaderTooLong)));
    assert!(matches!(AcceptedJob::decode(b"\x01\x02\0\0\0{}"), Err(AcceptedError::Header(_))));
    let blob = AcceptedJob { body: AcceptedBody::Blob { key: Cow::Borrowed("k"), raw_bytes: 1 }, ..job() };
    let mut encoded = blob.encode();
    encoded.push(b'x');
    assert!(matches!(AcceptedJob::decode(&encoded), Err(AcceptedError::Trailing)));
}
