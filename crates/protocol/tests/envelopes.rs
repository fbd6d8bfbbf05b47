//! Framing of envelopes, trap by trap, each read from memory and from a stream.

use crate::stream::read_streamed;
use protocol::envelope::{Envelope, EnvelopeError};
use stdx::Timestamp;

/// Reads `body` both ways, which must agree, and describes the result in one line.
pub fn describe(body: &[u8]) -> String {
    let parsed = match Envelope::parse(body) {
        Ok(envelope) => envelope
            .items
            .iter()
            .map(|item| format!("{}={}", item.header.kind, item.payload.escape_ascii()))
            .collect::<Vec<_>>()
            .join(" "),
        Err(error) => error.to_string(),
    };
    for capacity in [1, 3, 8 << 10] {
        assert_eq!(read_streamed(body, capacity), parsed, "{} by {capacity}", body.escape_ascii());
    }
    parsed
}

fn check(body: &[u8], expected: &str) {
    assert_eq!(describe(body), expected, "{}", body.escape_ascii());
}

#[test]
fn payloads_end_where_the_header_says_or_at_the_line_end() {
    check(b"{}", "");
    check(b"{}\n", "");
    check(b"{}\n{\"type\":\"a\"}\nxyz", "a=xyz");
    check(b"{}\n{\"type\":\"a\"}\nxyz\n", "a=xyz");
    check(b"{}\n{\"type\":\"a\",\"length\":null}\nxyz\n", "a=xyz");
    check(b"{}\n{\"type\":\"a\",\"length\":3}\nxyz", "a=xyz");
    check(b"{}\n{\"type\":\"a\",\"length\":7}\nx\n{}\n\ny\n", "a=x\\n{}\\n\\ny");
    check(b"{}\n{\"type\":\"a\"}\n1\n{\"type\":\"b\",\"length\":2}\n2\n\n{\"type\":\"c\"}\n3", "a=1 b=2\\n c=3");
    check(b"{}\n{\"type\":\"a\"}\nx\r\n{\"type\":\"b\"}\ny", "a=x\\r b=y");
}

#[test]
fn empty_payloads_are_items() {
    check(b"{}\n{\"type\":\"a\",\"length\":0}\n\n{\"type\":\"b\"}\nx", "a= b=x");
    check(b"{}\n{\"type\":\"a\",\"length\":0}\n", "a=");
    check(b"{}\n{\"type\":\"a\",\"length\":0}", "a=");
    check(b"{}\n{\"type\":\"a\"}\n", "a=");
    check(b"{}\n{\"type\":\"a\"}", "a=");
    check(b"{}\n{\"type\":\"a\"}\n\n{\"type\":\"b\"}\n\n", "a= b=");
}

#[test]
fn blank_lines_between_items_and_at_the_end_are_passed_over() {
    check(b"\n{}\n{\"type\":\"a\"}\nx", "a=x");
    check(b"{}\n\n\n{\"type\":\"a\"}\nx\n \r\n\t{\"type\":\"b\"}\ny\n\n\n", "a=x b=y");
    check(b"{}\n{\"type\":\"a\",\"length\":1}\nx\n\n\r\n", "a=x");
    check(b"{}\n\n", "");
}

#[test]
fn a_header_may_have_white_space_and_lines_inside() {
    check(b"{\n  \"sdk\": {\"name\": \"a\\\"}\"}\n}\n{ \"type\" : \"a\" }\nx", "a=x");
}

#[test]
fn wrong_framing_is_named() {
    let newline = "missing newline after header or payload";
    let end = "unexpected end of file";
    check(b"", "empty request body");
    check(b" \n", "empty request body");
    check(b"{}\r\n{\"type\":\"a\"}\nx", newline);
    check(b"{} \n", newline);
    check(b"{}{}", newline);
    check(b"{}\n{\"type\":\"a\"}\r\nx", newline);
    check(b"{}\n{\"type\":\"a\",\"length\":1}\nxy", newline);
    check(b"{}\n{\"type\":\"a\",\"length\":1}\nx\r\n", newline);
    check(b"{}\n{\"type\":\"a\",\"length\":4}\nxyz", end);
    check(b"{}\n{\"type\":\"a\",\"length\":1}", end);
    check(b"{}\n{\"type\":\"a\",\"length\":18446744073709551615}\nx", end);
    check(b"{}\n{\"type\":\"integration\"}\nx", "items of type 'integration' are not accepted");
}

#[test]
fn wrong_headers_are_named() {
    let header = "invalid envelope header";
    for body in [
        "[]",
        "null",
        "x",
        "\"x\"",
        "{",
        "{\"a\"",
        "{\"a\":\"\n\"}",
        "{\"a\":}",
        "{]\n",
        "{\"event_id\":\"x\"}",
        "{\"event_id\":1}",
        "{\"dsn\":\"x\"}",
        "{\"dsn\":1}",
        "{\"sent_at\":\"2026-11-21T00:00:00Z\",\"sent_at\":\"2026-11-21T00:00:00Z\"}",
    ] {
        check(body.as_bytes(), header);
    }
    let item = "invalid item header";
    for line in [
        "[]",
        "x",
        "{",
        "{}",
        "{\"type\":1}",
        "{\"type\":null}",
        "{\"type\":]a\",\"length\":1}\nx",
        "{\"type\":\"a\",\"type\":\"a\"}",
        "{\"type\":\"a\",\"length\":-1}",
        "{\"type\":\"a\",\"length\":1.5}",
        "{\"type\":\"a\",\"length\":\"1\"}",
        "{\"type\":\"a\",\"length\":18446744073709551616}",
    ] {
        check(format!("{{}}\n{line}").as_bytes(), item);
    }
    check(b"{\"sdk\":{\"name\":\"\xff\"}}\n", header);
    check(b"{}\n{\"type\":\"\xff\"}\n", item);
    check(b"{}\n{\"type\":\"a\",\"filename\":\"\xff\"}\n", item);
}

#[test]
fn the_header_is_typed_and_forgives_what_is_not_needed() {
    let body = br#"{"event_id":"fc6d8c0c-43fc-4630-ad85-0ee518f1b9d0","dsn":"https://aaaabbbbccccddddeeeeffff00001111@a.example/42",
        "sdk":{"name":"sentry.py\u0074hon","version":"2.75.0","packages":[]},"sent_at":"2026-11-21T04:06:00.5Z",
        "trace":{"trace_id":"x"},"retention":5,"unknown":{"deep":[1]}}"#;
    let header = Envelope::parse(body).unwrap().header;
    assert_eq!(header.event_id.unwrap().to_string(), "fc6d8c0c43fc4630ad850ee518f1b9d0");
    assert_eq!(header.dsn.as_ref().unwrap().project_id, 42);
    let sdk = header.sdk.as_ref().unwrap();
    assert_eq!((sdk.name.as_deref(), sdk.version.as_deref()), (Some("sentry.python"), Some("2.75.0")));
    assert_eq!(header.sent_at, Timestamp::parse_rfc3339("2026-11-21T04:06:00.5Z"));
    assert_eq!(header.trace.as_deref(), Some("{\"trace_id\":\"x\"}"));
    let odd = br#"{"event_id":null,"dsn":null,"sdk":"x","sent_at":17,"trace":[1]}"#;
    let header = Envelope::parse(odd).unwrap().header;
    assert_eq!(header, protocol::envelope::EnvelopeHeader::default());
    let odd = br#"{"sdk":{"name":5,"version":"\ud800"},"sent_at":"yesterday","unknown":1,"unknown":2}"#;
    let header = Envelope::parse(odd).unwrap().header;
    assert_eq!((header.sdk, header.sent_at), (Some(protocol::envelope::SdkInfo::default()), None));
}

#[test]
fn a_thousand_items_are_read_and_no_more() {
    let mut body = b"{}\n".to_vec();
    body.extend(b"{\"type\":\"a\"}\n\n".repeat(1_000));
    assert_eq!(Envelope::parse(&body).unwrap().items.len(), 1_000);
    body.extend_from_slice(b"{\"type\":\"a\"}\n\n");
    assert!(matches!(Envelope::parse(&body), Err(EnvelopeError::TooManyItems)));
    assert_eq!(describe(&body), "more than 1000 items in one envelope");
}

#[test]
fn headers_up_to_64_kib_are_read() {
    let header = |length: usize| format!("{{\"x\":\"{}\"}}", "y".repeat(length - 8)).into_bytes();
    check(&header(64 << 10), "");
    check(&header((64 << 10) + 1), "header longer than 65536 bytes");
    let item = |length: usize| [b"{}\n{\"type\":\"a\"}\nx\n".to_vec(), header(length)].concat();
    check(&item(64 << 10), "invalid item header");
    check(&item((64 << 10) + 1), "header longer than 65536 bytes");
    check(&header(1 << 20), "header longer than 65536 bytes");
}
