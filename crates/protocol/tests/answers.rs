//! Refusals, successes, rate limits, categories and outcomes as clients see them.

use protocol::encoding::{self, Encoding};
use protocol::limits::LimitError;
use protocol::outcome::Outcome;
use protocol::rate_limits::{RateLimit, Scope, header_value, retry_after_seconds};
use protocol::response::success_json;
use protocol::{Category, Envelope, EventId, Refusal, legacy};

#[test]
fn refusals_have_the_documented_status_and_body() {
    fn check(refusal: Refusal, status: u16, json: &str) {
        assert_eq!((refusal.status(), refusal.json().as_str()), (status, json));
    }
    check(Refusal::EmptyBody, 400, r#"{"detail":"empty request body"}"#);
    check(Refusal::MissingAuth, 401, r#"{"detail":"missing authorization information"}"#);
    check(Refusal::BadProjectPath, 400, r#"{"detail":"bad project path parameter"}"#);
    check(Refusal::UnknownProject, 403, r#"{"detail":"event submission rejected with_reason: ProjectId"}"#);
    check(Refusal::OriginNotAllowed, 403, r#"{"detail":"event submission rejected with_reason: Cors"}"#);
    check(
        Envelope::parse(b"{}{}").unwrap_err().into(),
        400,
        r#"{"detail":"invalid event envelope","causes":["missing newline after header or payload"]}"#,
    );
    check(Envelope::parse(b"").unwrap_err().into(), 400, r#"{"detail":"empty request body"}"#);
    check(
        LimitError::TooLarge { kind: "event", bytes: 2_000_000, limit: 1_048_576 }.into(),
        413,
        r#"{"detail":"envelope exceeded size limits for type 'event' (2000000 bytes, at most 1048576)"}"#,
    );
    check(
        Encoding::parse("compress").unwrap_err().into(),
        400,
        r#"{"detail":"invalid request body","causes":["unsupported content encoding 'compress'"]}"#,
    );
    check(Refusal::QueueFull, 429, r#"{"detail":"queue is full, retry later"}"#);
    check(
        Refusal::SpoolFull,
        503,
        r#"{"detail":"the broker is away and the spool is full (queue.spool-max-bytes), retry later"}"#,
    );
    check(
        Refusal::SpoolUnwritable,
        503,
        r#"{"detail":"the broker is away and its spool cannot be written (disk full or failing), retry later"}"#,
    );
    check(
        Refusal::Unwritable,
        503,
        r#"{"detail":"what is received cannot be written (disk full or failing), retry later"}"#,
    );
    check(Refusal::NotQueued, 503, r#"{"detail":"failed to queue envelope: the queue does not answer, retry later"}"#);
    let large = encoding::decode(Encoding::Identity, b"12345", 4).unwrap_err();
    check(large.into(), 413, r#"{"detail":"request body exceeded the limit of 4 bytes"}"#);
    assert_eq!(Refusal::from(legacy::store_body(b" \n", 10).unwrap_err()).status(), 400);
    assert_eq!(Refusal::from(legacy::store_body(b"????", 10).unwrap_err()).to_string(), "invalid request body");
    assert_eq!(Refusal::from(legacy::store_body(b"{\"aaaaaaaaaa\":1}", 10).unwrap_err()).status(), 413);
}

#[test]
fn an_invalid_header_names_its_cause_first() {
    let refusal = Refusal::from(Envelope::parse(b"{\"event_id\":5}\n").unwrap_err());
    assert_eq!(refusal.causes()[0], "invalid envelope header");
    assert!(refusal.causes()[1].contains("event id"), "{:?}", refusal.causes());
}

#[test]
fn the_error_header_is_short_printable_ascii() {
    let refusal = Refusal::InvalidJson { cause: format!("naïve\r\nX-Evil: 1\u{7f} {}", "x".repeat(500)) };
    let text = refusal.header_text();
    assert!(text.starts_with("invalid JSON data: na?ve??X-Evil: 1? xxx"), "{text}");
    assert_eq!(text.len(), 200);
    assert!(text.bytes().all(|byte| matches!(byte, b' '..=b'~')));
}

#[test]
fn successes_name_the_event_or_nothing() {
    assert_eq!(success_json(None), "{}");
    let id = EventId::from_bytes([0xab; 16]);
    assert_eq!(success_json(Some(id)), format!("{{\"id\":\"{}\"}}", "ab".repeat(16)));
}

#[test]
fn rate_limits_are_written_as_clients_read_them() {
    let limit = |seconds, categories: &[Category], scope, reason: Option<&str>| RateLimit {
        retry_after_seconds: seconds,
        categories: categories.to_vec(),
        scope,
        reason: reason.map(str::to_owned),
    };
    let limits = [
        limit(60, &[Category::Transaction], Scope::Key, None),
        limit(2_700, &[Category::Error, Category::Security, Category::Default], Scope::Organization, Some("a: b,c_d")),
        limit(30, &[], Scope::Project, Some("queue_full")),
    ];
    let expected = "60:transaction:key, 300:default;error;security:organization:abc_d, 30::project:queue_full";
    assert_eq!(header_value(&limits).as_deref(), Some(expected));
    assert_eq!(retry_after_seconds(&limits), Some(300));
    assert_eq!((header_value(&[]), retry_after_seconds(&[])), (None, None));
}

#[test]
fn categories_and_outcomes_have_their_numbers() {
    for (number, category) in Category::ALL.iter().take(39).enumerate() {
        assert_eq!(usize::try_from(category.number()), Ok(number), "{category}");
    }
    for category in Category::ALL {
        assert_eq!(category.name().parse(), Ok(*category));
    }
    assert_eq!(Category::Unknown.number(), -1);
    assert_eq!("brand_new".parse(), Ok(Category::Unknown));
    assert_eq!((Category::LogByte.number(), Category::TraceMetricByte.name()), (24, "trace_metric_byte"));
    assert_eq!(Outcome::ALL.map(Outcome::number), [0, 1, 2, 3, 4, 5, 6]);
}
