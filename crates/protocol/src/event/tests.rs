//! Lenient reading: what each wire form becomes, and that a wrong type costs its field alone.

use super::*;
use crate::json::to_text;
use proptest::prelude::*;

fn read(json: &str) -> Event<'_> {
    Event::parse(json.as_bytes()).expect("an object")
}

/// The event as it is written back, and the paths of its remarks.
fn check(json: &str, written: &str, remarks: &[&str]) {
    let event = read(json);
    let paths: Vec<&str> = event.remarks.iter().map(|remark| remark.path.as_str()).collect();
    assert_eq!(paths, remarks, "{json}");
    assert_eq!(to_text(&event.clone().into_value()), written, "{json}");
}

#[test]
fn only_an_object_is_an_event() {
    for json in ["[]", "1", "null", "\"text\""] {
        assert!(matches!(Event::parse(json.as_bytes()), Err(EventError::NotAnObject)), "{json}");
    }
    assert!(matches!(Event::parse(b"{"), Err(EventError::Json(_))));
}

#[test]
fn lists_of_interfaces_come_in_three_forms() {
    let expected = r#"{"exception":{"values":[{"type":"A"}]}}"#;
    check(r#"{"exception":{"values":[{"type":"A"}]}}"#, expected, &[]);
    check(r#"{"exception":[{"type":"A"}]}"#, expected, &[]);
    check(r#"{"exception":{"type":"A"}}"#, expected, &[]);
    check(r#"{"exception":[null,{"type":"A"},5]}"#, expected, &["exception.2"]);
    check(r#"{"exception":{}}"#, "{}", &[]);
    check(r#"{"exception":"A"}"#, "{}", &["exception"]);
}

#[test]
fn legacy_names_fill_what_the_new_name_did_not() {
    check(r#"{"sentry.interfaces.User":{"id":1}}"#, r#"{"user":{"id":"1"}}"#, &[]);
    check(r#"{"user":{"id":2},"sentry.interfaces.User":{"id":1}}"#, r#"{"user":{"id":"2"}}"#, &[]);
    check(r#"{"sentry.interfaces.User":{"id":1},"user":{"id":2}}"#, r#"{"user":{"id":"2"}}"#, &[]);
    check(r#"{"user":null,"sentry.interfaces.User":{"id":1}}"#, r#"{"user":{"id":"1"}}"#, &[]);
    check(r#"{"sentry.interfaces.User":{"id":1},"user":5}"#, r#"{"user":{"id":"1"}}"#, &["user"]);
}

#[test]
fn ids_are_read_in_every_form() {
    let expected = r#"{"event_id":"0123456789abcdef0123456789abcdef"}"#;
    check(r#"{"event_id":"0123456789ABCDEF0123456789abcdef"}"#, expected, &[]);
    check(r#"{"event_id":"01234567-89ab-cdef-0123-456789abcdef"}"#, expected, &[]);
    check(r#"{"event_id":"0123"}"#, "{}", &["event_id"]);
    check(r#"{"event_id":"0123456789abcdef0123456789abcdef0"}"#, "{}", &["event_id"]);
    check(r#"{"event_id":7}"#, "{}", &["event_id"]);
}

#[test]
fn times_are_read_in_every_form() {
    fn check(value: &str, expected: Option<&str>) {
        let json = format!(r#"{{"timestamp":{value}}}"#);
        assert_eq!(read(&json).timestamp.map(|time| time.to_rfc3339()).as_deref(), expected, "{value}");
    }
    check("1795234000.5", Some("2026-11-21T04:06:40.500000Z"));
    check("\"1795234000.5\"", Some("2026-11-21T04:06:40.500000Z"));
    check("1795234000500", Some("2026-11-21T04:06:40.500000Z"));
    check("\"2026-11-21T04:06:40.123456789Z\"", Some("2026-11-21T04:06:40.123456Z"));
    check("\"2026-11-21T04:06:40\"", Some("2026-11-21T04:06:40.000000Z"));
    check("\"2026-11-21 04:06:40\"", None);
    check("\"NaN\"", None);
    check("-1e300", None);
}

#[test]
fn tags_are_pairs_of_texts_in_every_form() {
    let expected = r#"{"tags":[["a","1"],["b","True"]]}"#;
    check(r#"{"tags":{"a":1,"b":true}}"#, expected, &[]);
    check(r#"{"tags":[["a",1],["b",true]]}"#, expected, &[]);
    check(r#"{"tags":[{"key":"a","value":1},{"key":"b","value":true}]}"#, expected, &[]);
    check(r#"{"tags":[["a",1],["b",true],["c"],["d",null],["e",{}],7]}"#, expected, &["tags.2", "tags.4", "tags.5"]);
    check(r#"{"tags":5}"#, "{}", &["tags"]);
}

#[test]
fn unknown_keys_are_kept_everywhere() {
    let json = r#"{"user":{"id":"1","plan":{"a":[1]}},"later":{"x":null}}"#;
    check(json, json, &[]);
}

#[test]
fn addresses_are_lower_case_hexadecimal() {
    fn check(value: &str, expected: Option<&str>) {
        let json = format!(r#"{{"stacktrace":{{"frames":[{{"instruction_addr":{value}}}]}}}}"#);
        let event = read(&json);
        let frames = event.stacktrace.and_then(|stack| stack.frames).expect("one frame");
        assert_eq!(frames[0].instruction_addr.as_deref(), expected, "{value}");
    }
    check("255", Some("0xff"));
    check("\"255\"", Some("0xff"));
    check("\"0xFF\"", Some("0xff"));
    check("\"0x00ff\"", Some("0xff"));
    check("\"0xff\"", Some("0xff"));
    check("\"0x0\"", Some("0x0"));
    check("\"0x\"", None);
    check("\"ff\"", None);
    check("-1", None);
}

#[test]
fn remarks_are_bounded() {
    let values = vec!["1"; 10_000].join(",");
    assert_eq!(read(&format!(r#"{{"exception":[{values}]}}"#)).remarks.len(), REMARKS_MAX);
}

/// The keys of the event and the interfaces below it.
const KEYS: &[&str] = &[
    "event_id",
    "timestamp",
    "start_timestamp",
    "received",
    "type",
    "platform",
    "level",
    "logger",
    "transaction",
    "transaction_info",
    "culprit",
    "server_name",
    "site",
    "release",
    "dist",
    "environment",
    "message",
    "logentry",
    "exception",
    "threads",
    "stacktrace",
    "template",
    "breadcrumbs",
    "tags",
    "fingerprint",
    "checksum",
    "user",
    "request",
    "contexts",
    "extra",
    "modules",
    "sdk",
    "debug_meta",
    "errors",
    "csp",
    "spans",
    "measurements",
    "_meta",
];

fn any_wrong_value() -> impl Strategy<Value = String> {
    let values = [
        "null",
        "true",
        "-1",
        "1.5",
        "1e300",
        "\"\"",
        "\"x\"",
        "[]",
        "{}",
        "[[]]",
        "[null]",
        "{\"values\":3}",
        "{\"values\":[1,{}]}",
        "{\"frames\":[[]]}",
        "{\"a\":{\"b\":[1]}}",
        "[{\"key\":[],\"value\":1}]",
        "[[1,2],[3]]",
    ];
    prop::sample::select(values.to_vec()).prop_map(str::to_owned)
}

proptest! {
    #[test]
    fn any_type_in_any_field_is_read(entries in proptest::collection::vec((prop::sample::select(KEYS), any_wrong_value()), 0..20)) {
        let fields: Vec<String> = entries.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
        let json = format!("{{{},\"kept\":1}}", fields.join(",")).replace("{,", "{");
        let event = read(&json);
        prop_assert_eq!(event.other.get("kept").and_then(|value| value.as_u64()), Some(1));
        let written = to_text(&event.into_value());
        let again = read(&written);
        prop_assert_eq!(to_text(&again.into_value()), written);
    }
}
