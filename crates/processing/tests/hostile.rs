//! Events no SDK would send: nothing panics, nothing but a non-object is refused, and the work stays bounded.

use crate::{context, normalised};
use processing::limits::FINGERPRINT_ENTRIES_MAX;
use processing::{normalise, summarise};
use proptest::prelude::*;
use protocol::event::{Event, EventError, REMARKS_MAX, Remark, RemarkKind};
use protocol::json::{self, JsonError, Value};
use protocol::limits::EVENT_BYTES_MAX;

/// Reads, normalises and summarises; what an event goes through in the digest.
fn digest(json: &str) -> Result<(), EventError> {
    let event = normalise(Event::parse(json.as_bytes())?, &context());
    let summary = summarise(&event);
    assert!(!summary.grouping.hashes.is_empty() && !summary.title.is_empty());
    assert!(event.remarks.len() <= REMARKS_MAX);
    Ok(())
}

#[test]
fn only_what_is_no_object_is_refused() {
    for json in ["null", "[]", "1", "\"x\"", "true"] {
        assert!(matches!(digest(json), Err(EventError::NotAnObject)), "{json}");
    }
    assert!(matches!(digest(&"{\"a\":".repeat(100_000)), Err(EventError::Json(JsonError::TooDeep))));
    let tags = vec!["\"k\":\"v\""; 1_000_000].join(",");
    assert!(matches!(digest(&format!("{{\"tags\":{{{tags}}}}}")), Err(EventError::Json(JsonError::TooManyKeys))));
}

#[test]
fn events_as_large_as_the_bounds_allow_are_digested() {
    let tags: Vec<String> = (0..150_000).map(|number| format!("\"k{number}\":\"v\"")).collect();
    digest(&format!("{{\"tags\":{{{}}}}}", tags.join(","))).expect("an object");
    digest(&format!("{{\"message\":\"{}\"}}", "1 ".repeat(10 << 20))).expect("an object");
    digest(&format!("{{\"exception\":{{\"value\":\"{}\"}}}}", "x".repeat(10 << 20))).expect("an object");
    let frames = vec!["{\"lineno\":\"x\"}"; 100_000].join(",");
    digest(&format!("{{\"stacktrace\":{{\"frames\":[{frames}]}}}}")).expect("an object");
    let exceptions = vec!["{\"type\":\"A\"}"; 100_000].join(",");
    digest(&format!("{{\"exception\":[{exceptions}]}}")).expect("an object");
    let params = format!("[\"{}\"]", "p".repeat(60_000));
    let template = "{0}".repeat(100_000);
    digest(&format!("{{\"logentry\":{{\"message\":\"{template}\",\"params\":{params}}}}}")).expect("an object");
    let fingerprint = vec!["\"{{ message }}\""; 1_000].join(",");
    digest(&format!("{{\"message\":\"{}\",\"fingerprint\":[{fingerprint}]}}", "7 ".repeat(4_000))).expect("an object");
}

/// What one public DSN may send: the costs of the parts must not multiply.
#[test]
fn fingerprints_as_long_as_an_event_may_be_are_digested() {
    fn check(entry: &str) {
        let half = EVENT_BYTES_MAX as usize / 2;
        let exceptions = exceptions_of(half);
        let fingerprint = vec![entry; half / (entry.len() + 1)].join(",");
        let json = format!("{{\"exception\":[{exceptions}],\"fingerprint\":[{fingerprint}]}}");
        let event = normalised(&json);
        assert_eq!(event.fingerprint.as_ref().map(Vec::len), Some(FINGERPRINT_ENTRIES_MAX));
        let is_told = |remark: &Remark<'_>| remark.path == "fingerprint" && remark.kind == RemarkKind::ValueTooLong;
        assert!(event.remarks.iter().any(is_told));
        assert!(!summarise(&event).grouping.hashes.is_empty());
    }
    check("\"{{ default }}\"");
    check("\"{{default}}\",\"{{ message }}\"");
    check("\"A\",\"7\"");
}

/// Exceptions of so many bytes, each another.
fn exceptions_of(bytes: usize) -> String {
    let exceptions = (0..bytes / 25).map(|number| format!("{{\"type\":\"A\",\"value\":\"{number:x}\"}}"));
    exceptions.collect::<Vec<_>>().join(",")
}

/// Every key that is read somewhere, so that random objects reach every reader.
const KEYS: &[&str] = &[
    "event_id",
    "timestamp",
    "start_timestamp",
    "platform",
    "level",
    "logger",
    "transaction",
    "server_name",
    "site",
    "release",
    "dist",
    "environment",
    "message",
    "logentry",
    "formatted",
    "params",
    "exception",
    "values",
    "type",
    "value",
    "module",
    "mechanism",
    "handled",
    "synthetic",
    "meta",
    "ns_error",
    "stacktrace",
    "frames",
    "function",
    "raw_function",
    "filename",
    "abs_path",
    "lineno",
    "colno",
    "context_line",
    "pre_context",
    "post_context",
    "in_app",
    "vars",
    "data",
    "instruction_addr",
    "threads",
    "id",
    "name",
    "crashed",
    "current",
    "breadcrumbs",
    "category",
    "user",
    "email",
    "username",
    "ip_address",
    "geo",
    "request",
    "url",
    "method",
    "headers",
    "cookies",
    "env",
    "REMOTE_ADDR",
    "query_string",
    "fragment",
    "contexts",
    "os",
    "browser",
    "device",
    "runtime",
    "version",
    "sdk",
    "packages",
    "integrations",
    "settings",
    "infer_ip",
    "fingerprint",
    "checksum",
    "tags",
    "extra",
    "modules",
    "debug_meta",
    "images",
    "csp",
    "effective_directive",
    "blocked_uri",
    "template",
    "errors",
    "sentry.interfaces.User",
];

const TEXTS: &[&str] = &[
    "",
    "?",
    "A: b",
    "{{auto}}",
    "{{ default }}",
    "{{ message }}",
    "%s %(a)s %",
    "{} {0} {",
    "python",
    "javascript",
    "node",
    "ruby",
    "php",
    "java",
    "native",
    "class@anonymous\0::x",
    "block in x",
    "http://a/b?c=%#d",
    "2026-11-21T00:00:00Z",
    "0x10",
    "ü\u{0}\n\"",
    "warn",
    "10.0.0.1",
    "00000000000000000000000000000000",
    "a.b@c.d 1.5 -7",
];

fn any_event_part() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(serde_json::Value::from),
        any::<i64>().prop_map(serde_json::Value::from),
        (any::<i32>(), 0..4).prop_map(|(number, scale)| serde_json::Value::from(f64::from(number) / 10f64.powi(scale))),
        any::<String>().prop_map(serde_json::Value::from),
        prop::sample::select(TEXTS).prop_map(serde_json::Value::from),
    ];
    leaf.prop_recursive(6, 120, 10, |inner| {
        let key = prop::sample::select(KEYS).prop_map(str::to_owned);
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(serde_json::Value::from),
            proptest::collection::vec((key, inner), 0..10)
                .prop_map(|entries| serde_json::Value::from(serde_json::Map::from_iter(entries))),
        ]
    })
}

fn any_event() -> impl Strategy<Value = String> {
    let key = prop::sample::select(KEYS).prop_map(str::to_owned);
    let entries = proptest::collection::vec((key, any_event_part()), 0..12);
    entries.prop_map(|entries| serde_json::Value::from(serde_json::Map::from_iter(entries)).to_string())
}

/// Turns every object around.
fn reverse_keys(value: &mut Value<'_>) {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Str(_) => {}
        Value::Array(values) => values.iter_mut().for_each(reverse_keys),
        Value::Object(object) => {
            object.reverse();
            object.iter_mut().for_each(|(_, value)| reverse_keys(value));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_object_is_digested(event in any_event()) {
        prop_assert!(digest(&event).is_ok(), "{}", event);
    }

    #[test]
    fn normalising_twice_changes_nothing_more(event in any_event()) {
        let once = normalise(Event::parse(event.as_bytes()).expect("an object"), &context());
        let grouping = summarise(&once).grouping;
        let text = json::to_text(&once.into_value());
        let twice = normalise(Event::parse(text.as_bytes()).expect("an object"), &context());
        prop_assert_eq!(summarise(&twice).grouping, grouping);
        prop_assert_eq!(json::to_text(&twice.into_value()), text);
    }

    #[test]
    fn reading_and_writing_keeps_every_key_that_is_not_known(value in any_event_part()) {
        let json = serde_json::json!({ "surprise": value }).to_string();
        let event = Event::parse(json.as_bytes()).expect("an object");
        prop_assert_eq!(json::to_text(&event.into_value()), json);
    }

    #[test]
    fn the_order_of_keys_changes_no_hash(event in any_event()) {
        let mut reversed = json::parse(event.as_bytes()).expect("valid json");
        reverse_keys(&mut reversed);
        let reversed = json::to_text(&reversed);
        let hashes = |json: &str| {
            summarise(&normalise(Event::parse(json.as_bytes()).expect("an object"), &context())).grouping.hashes
        };
        prop_assert_eq!(hashes(&event), hashes(&reversed));
    }
}
