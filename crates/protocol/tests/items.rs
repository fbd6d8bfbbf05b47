//! Kinds of items, what they count, and the limits of an envelope.

use protocol::category::Category;
use protocol::envelope::{Envelope, ItemHeader};
use protocol::item::attachment::AttachmentKind;
use protocol::item::event::{Glimpse, glimpse};
use protocol::limits::{self, LimitError, LimitTally};
use protocol::{EventId, ItemKind};

fn header(text: &str) -> ItemHeader<'_> {
    ItemHeader::parse(text.as_bytes()).unwrap()
}

#[test]
fn every_kind_has_its_name_both_ways() {
    for kind in ItemKind::KNOWN {
        assert_eq!(ItemKind::from_name(kind.label().into()), *kind);
        assert_eq!(kind.clone().into_owned(), *kind);
    }
    assert_eq!(ItemKind::from_name("profile_chunk_ui".into()), ItemKind::ProfileChunk);
    let unknown = ItemKind::from_name("hologram".into());
    assert_eq!((unknown.name(), unknown.label(), unknown.to_string().as_str()), ("hologram", "unknown", "hologram"));
    assert_eq!(ItemKind::KNOWN.iter().filter(|kind| kind.is_kept()).count(), 2);
}

#[test]
fn items_count_by_category() {
    fn check(text: &str, expected: &[(Category, u64)]) {
        let found: Vec<_> = header(text).quantities(1_000).into_iter().flatten().collect();
        assert_eq!(found, expected, "{text}");
    }
    check(r#"{"type":"event"}"#, &[(Category::Error, 1)]);
    check(r#"{"type":"attachment"}"#, &[(Category::Attachment, 1_000), (Category::AttachmentItem, 1)]);
    check(r#"{"type":"log","item_count":5}"#, &[(Category::LogItem, 5), (Category::LogByte, 1_000)]);
    check(r#"{"type":"log"}"#, &[(Category::LogItem, 1), (Category::LogByte, 1_000)]);
    check(
        r#"{"type":"trace_metric","item_count":0}"#,
        &[(Category::TraceMetric, 1), (Category::TraceMetricByte, 1_000)],
    );
    check(r#"{"type":"span","item_count":3}"#, &[(Category::Span, 3)]);
    check(r#"{"type":"sessions","item_count":3}"#, &[(Category::Session, 1)]);
    check(r#"{"type":"profile_chunk","platform":"javascript"}"#, &[(Category::ProfileChunkUi, 1)]);
    check(r#"{"type":"profile_chunk","platform":"python"}"#, &[(Category::ProfileChunk, 1)]);
    check(r#"{"type":"user_report"}"#, &[(Category::Feedback, 1)]);
    check(r#"{"type":"client_report"}"#, &[]);
    check(r#"{"type":"hologram"}"#, &[(Category::Unknown, 1)]);
}

#[test]
fn some_items_belong_to_an_event_and_some_make_one() {
    fn check(text: &str, is_event_bound: bool, creates_event: bool) {
        let header = header(text);
        assert_eq!((header.is_event_bound(), header.creates_event()), (is_event_bound, creates_event), "{text}");
    }
    check(r#"{"type":"event"}"#, true, true);
    check(r#"{"type":"transaction"}"#, true, false);
    check(r#"{"type":"attachment"}"#, true, false);
    check(r#"{"type":"attachment","attachment_type":"event.minidump"}"#, true, true);
    check(r#"{"type":"attachment","attachment_type":"event.view_hierarchy"}"#, true, false);
    check(r#"{"type":"attachment","attachment_type":"event.hologram"}"#, true, false);
    check(r#"{"type":"raw_security"}"#, true, true);
    check(r#"{"type":"session"}"#, false, false);
    check(r#"{"type":"hologram"}"#, false, false);
}

#[test]
fn attachments_say_what_they_are() {
    for kind in AttachmentKind::KNOWN {
        assert_eq!(AttachmentKind::from_name(kind.label()), *kind);
    }
    let plain = header(r#"{"type":"attachment","filename":" "}"#);
    assert_eq!((plain.attachment_name(), plain.attachment_content_type()), ("attachment", "application/octet-stream"));
    assert!(!plain.is_screenshot() && !plain.is_attachment_placeholder());
    assert!(
        header(r#"{"type":"attachment","filename":"Screenshot 1.png","content_type":"image/png"}"#).is_screenshot()
    );
    let placeholder = r#"{"type":"attachment","content_type":"application/vnd.sentry.attachment-ref+json"}"#;
    assert!(header(placeholder).is_attachment_placeholder());
}

#[test]
fn header_fields_of_the_wrong_type_count_as_absent() {
    let odd = header(r#"{"type":"attachment","filename":5,"content_type":null,"item_count":"x","meta_length":-1}"#);
    assert_eq!(odd, ItemHeader::new(ItemKind::Attachment));
}

#[test]
fn a_glimpse_sees_id_and_type() {
    fn check(payload: &[u8], event_id: Option<[u8; 16]>, kind: Option<&str>) {
        let expected = Glimpse { event_id: event_id.map(EventId::from_bytes), kind: kind.map(str::to_owned) };
        assert_eq!(glimpse(payload).unwrap(), expected, "{}", payload.escape_ascii());
    }
    let id = Some([0xab; 16]);
    check(br#"{}"#, None, None);
    check(
        br#"{"event_id":"abababababababababababababababab","x":[{"event_id":1}],"type":"transaction"}"#,
        id,
        Some("transaction"),
    );
    check(br#"{"event_id":"1","event_id":"ABABABAB-ABAB-ABAB-ABAB-ABABABABABAB"}"#, id, None);
    check(br#"{"event_id":7,"type":["x"]}"#, None, None);
    check(br#"{"event_id":"abababababababababababababababab","extra":{"x":NaN,"y":-Infinity}}"#, id, None);
    check(b"{\"message\":\"\xff\",\"event_id\":\"abababababababababababababababab\"}", id, None);
    for payload in ["", "[]", "5", "null", "{", "{\"a\":1}}", "nonsense"] {
        assert!(glimpse(payload.as_bytes()).is_err(), "{payload}");
    }
}

/// Adds items of `(header, payload bytes)` to one envelope.
fn tally(items: &[(&str, u64)]) -> Result<(), LimitError> {
    let mut tally = LimitTally::default();
    items.iter().try_for_each(|(text, bytes)| tally.add(&header(text), *bytes))
}

const MIB: u64 = 1 << 20;

#[test]
fn limits_are_inclusive_and_name_what_exceeds_them() {
    fn check(items: &[(&str, u64)], expected: &str) {
        let found = tally(items).map_or_else(|error| error.to_string(), |()| String::new());
        let detail = match expected {
            "" => String::new(),
            rest => format!("envelope exceeded size limits for type {rest}"),
        };
        assert_eq!(found, detail);
    }
    let event = r#"{"type":"event"}"#;
    let attachment = r#"{"type":"attachment"}"#;
    check(&[(event, MIB)], "");
    check(&[(event, MIB + 1)], "'event' (1048577 bytes, at most 1048576)");
    check(&[(event, 1), (event, 1)], "'event' (more than 1 in one envelope)");
    check(&[(event, 1), (r#"{"type":"transaction"}"#, 1)], "'transaction' (more than 1 in one envelope)");
    check(&[(event, MIB), (attachment, 199 * MIB)], "");
    check(&[(attachment, 200 * MIB)], "");
    check(&[(attachment, 200 * MIB), (event, 1)], "'envelope' (209715201 bytes together, at most 209715200)");
    check(&[(attachment, 200 * MIB + 1)], "'envelope' (209715201 bytes together, at most 209715200)");
    check(&[(attachment, 1); 30], "");
    check(&[(attachment, 1); 31], "'attachment' (more than 30 in one envelope)");
    check(&[(r#"{"type":"session"}"#, 1); 101], "'session' (more than 100 in one envelope)");
    let report = r#"{"type":"client_report"}"#;
    check(&[(report, 60 << 10), (report, 60 << 10)], "'client_report' (122880 bytes together, at most 102400)");
    check(&[(r#"{"type":"check_in"}"#, 100 << 10); 2], "");
    check(&[(r#"{"type":"check_in"}"#, 101 << 10)], "'check_in' (103424 bytes, at most 102400)");
    check(
        &[(r#"{"type":"profile"}"#, MIB), (r#"{"type":"profile_chunk"}"#, MIB)],
        "'profile_chunk' (more than 1 in one envelope)",
    );
    let replay = [(r#"{"type":"replay_event"}"#, MIB), (r#"{"type":"replay_recording"}"#, 10 * MIB)];
    check(&replay, "");
    check(&[(r#"{"type":"replay_recording"}"#, 11 * MIB)], "'replay_recording' (11534336 bytes, at most 10485760)");
    check(&[(r#"{"type":"log","item_count":2}"#, 4 * MIB); 3], "");
    check(&[(r#"{"type":"log","item_count":9}"#, 7 * MIB); 2], "'log' (14680064 bytes together, at most 12582912)");
    check(
        &[(r#"{"type":"log","item_count":2}"#, 5 * MIB)],
        "'log' (2621440 bytes an item on average, at most 2097152)",
    );
    check(&[(r#"{"type":"span"}"#, 1); 26], "'span' (more than 25 in one envelope)");
    let spans = r#"{"type":"span","content_type":"application/vnd.sentry.items.span.v2+json","item_count":2}"#;
    check(&[(spans, MIB); 12], "");
    check(&[(r#"{"type":"statsd"}"#, 1); 2], "'statsd' (more than 1 in one envelope)");
    check(&[(r#"{"type":"hologram"}"#, 12 * MIB + 1)], "'unknown' (12582913 bytes, at most 12582912)");
    check(&[(r#"{"type":"hologram"}"#, 0); 1_001], "'envelope' (more than 1000 items)");
    check(
        &[(event, u64::MAX), (event, u64::MAX)],
        "'envelope' (18446744073709551615 bytes together, at most 209715200)",
    );
}

#[test]
fn a_reader_can_know_the_largest_payload_before_it_reads() {
    assert_eq!(limits::payload_bytes_max(&header(r#"{"type":"event"}"#)), MIB);
    assert_eq!(limits::payload_bytes_max(&header(r#"{"type":"attachment"}"#)), 200 * MIB);
}

#[test]
fn a_parsed_envelope_is_checked_whole() {
    let mut body = b"{}\n{\"type\":\"event\"}\n{}\n{\"type\":\"session\"}\n{}\n".to_vec();
    assert_eq!(limits::check(&Envelope::parse(&body).unwrap()), Ok(()));
    assert!(Envelope::parse(&body).unwrap().is_event_bound());
    body.extend_from_slice(b"{\"type\":\"feedback\"}\n{}\n");
    let expected = LimitError::TooMany { kind: "feedback", limit: 1 };
    assert_eq!(limits::check(&Envelope::parse(&body).unwrap()), Err(expected));
}
