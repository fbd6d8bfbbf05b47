//! DSNs, event ids, query strings and origins.

use protocol::cors::{is_origin_allowed, preflight_headers};
use protocol::dsn::{Dsn, DsnError, read_project_id};
use protocol::{EventId, query};

const KEY: &str = "aaaabbbbccccddddeeeeffff00001111";

#[test]
fn a_dsn_is_read_and_printed() {
    fn check(dsn: &str, printed: &str, ingest_url: &str) {
        let parsed: Dsn = dsn.parse().unwrap();
        assert_eq!(parsed.to_string(), printed, "{dsn}");
        assert_eq!(parsed.ingest_url(), ingest_url, "{dsn}");
        assert_eq!(printed.parse::<Dsn>().as_ref(), Ok(&parsed), "{dsn}");
    }
    let https = format!("https://{KEY}@errors.example/42");
    check(&https, &https, "https://errors.example/api/42");
    check(&format!("sync+https://{KEY}@Errors.Example/42/"), &https, "https://errors.example/api/42");
    check(&format!("https://{KEY}.no-cache@errors.example/42"), &https, "https://errors.example/api/42");
    let secret = format!("http://{KEY}:s3cret@127.0.0.1:9000/a/b/1");
    check(&secret, &secret, "http://127.0.0.1:9000/a/b/api/1");
    let v6 = format!("http://{KEY}@[::1]:9000/1");
    check(&v6, &v6, "http://[::1]:9000/api/1");
    check(&format!("http://{KEY}@[::1]/1"), &format!("http://{KEY}@[::1]/1"), "http://[::1]/api/1");
}

#[test]
fn a_bad_dsn_is_named() {
    fn check(dsn: &str, expected: DsnError) {
        assert_eq!(dsn.parse::<Dsn>(), Err(expected), "{dsn}");
    }
    check("", DsnError::Scheme);
    check("errors.example/42", DsnError::Scheme);
    check(&format!("ftp://{KEY}@errors.example/42"), DsnError::Scheme);
    check("https://errors.example/42", DsnError::MissingKey);
    check("https://@errors.example/42", DsnError::MissingKey);
    check("https://abc@errors.example/42", DsnError::PublicKey);
    check(&format!("https://{}@errors.example/42", "é".repeat(16)), DsnError::PublicKey);
    check(&format!("https://{KEY}@/42"), DsnError::MissingHost);
    check(&format!("https://{KEY}@a b/42"), DsnError::Host);
    check(&format!("https://{KEY}@a:0/42"), DsnError::Port);
    check(&format!("https://{KEY}@a:70000/42"), DsnError::Port);
    check(&format!("https://{KEY}@a:/42"), DsnError::Port);
    check(&format!("https://{KEY}@a"), DsnError::MissingProject);
    check(&format!("https://{KEY}@a/"), DsnError::MissingProject);
    check(&format!("https://{KEY}@a/0"), DsnError::ProjectId);
    check(&format!("https://{KEY}@a/-1"), DsnError::ProjectId);
    check(&format!("https://{KEY}@a/shop"), DsnError::ProjectId);
    check(&format!("https://{KEY}@a/99999999999999999999"), DsnError::ProjectId);
    check(&format!("https://{KEY}@a/42?x=1"), DsnError::Trailing);
    check(&format!("https://{KEY}@a/{}", "x".repeat(3_000)), DsnError::TooLong);
}

#[test]
fn a_secret_does_not_show_in_debug_output() {
    let dsn: Dsn = format!("http://{KEY}:s3cret@a/1").parse().unwrap();
    assert!(!format!("{dsn:?}").contains("s3cret"));
}

#[test]
fn project_ids_are_positive_numbers() {
    assert_eq!(read_project_id("42"), Some(42));
    for text in ["", "0", "+1", "-1", " 1", "1 ", "1e3", "0x1", "9223372036854775808"] {
        assert_eq!(read_project_id(text), None, "{text}");
    }
}

#[test]
fn event_ids_are_read_in_both_forms() {
    let id: EventId = "FC6D8C0C43FC4630AD850EE518F1B9D0".parse().unwrap();
    assert_eq!(id.to_string(), "fc6d8c0c43fc4630ad850ee518f1b9d0");
    assert_eq!(id.hyphenated(), "fc6d8c0c-43fc-4630-ad85-0ee518f1b9d0");
    assert_eq!(id.hyphenated().parse(), Ok(id));
    assert_eq!(serde_json::to_string(&id).unwrap(), "\"fc6d8c0c43fc4630ad850ee518f1b9d0\"");
    assert_eq!(serde_json::from_str::<EventId>("\"fc6d8c0c-43fc-4630-ad85-0ee518f1b9d0\"").unwrap(), id);
    let random = EventId::random([0xff; 16]);
    assert_eq!(random.to_string(), "ffffffffffff4fffbfffffffffffffff");
    assert!(EventId::default().is_nil() && !random.is_nil());
}

#[test]
fn other_text_is_no_event_id() {
    for text in [
        "",
        "fc6d8c0c43fc4630ad850ee518f1b9d",
        "fc6d8c0c43fc4630ad850ee518f1b9d00",
        "gc6d8c0c43fc4630ad850ee518f1b9d0",
        "fc6d8c0c43-fc-4630-ad85-0ee518f1b9d0",
        "{fc6d8c0c-43fc-4630-ad85-0ee518f1b9d0}",
        "éééééééééééééééé",
        "fc6d8c0c-43fc-4630-ad85-0ee518f1b9dé",
    ] {
        assert!(text.parse::<EventId>().is_err(), "{text}");
        assert!(serde_json::from_value::<EventId>(text.into()).is_err(), "{text}");
    }
}

#[test]
fn query_strings_are_decoded() {
    fn check(query: &str, key: &str, expected: Option<&str>) {
        assert_eq!(query::get(query, key).as_deref(), expected, "{query}");
    }
    check("sentry_key=abc&sentry_version=7", "sentry_version", Some("7"));
    check("a=1+2%203&b", "a", Some("1 2 3"));
    check("a=1&b", "b", Some(""));
    check("a=1&a=2", "a", Some("1"));
    check("%61=%zz%4", "a", Some("%zz%4"));
    check("a=%ff%C3%A9", "a", Some("\u{fffd}é"));
    check("&&a==b=&", "a", Some("=b="));
    check("", "a", None);
    let many = "x=1&".repeat(200) + "a=1";
    check(&many, "a", None);
    assert_eq!(query::pairs(&many).count(), query::PAIRS_MAX);
}

#[test]
fn origins_are_matched_as_documented() {
    fn check(origin: &str, pattern: &str, expected: bool) {
        assert_eq!(is_origin_allowed(Some(origin), None, &[pattern]), expected, "{origin} against {pattern}");
    }
    check("https://shop.example", "*", true);
    check("https://shop.example", "https://shop.example", true);
    check("http://shop.example", "https://shop.example", false);
    check("https://shop.example", "shop.example", true);
    check("https://Shop.Example", "SHOP.example", true);
    check("https://shop.example:8443", "shop.example", true);
    check("https://shop.example:8443", "shop.example:8443", true);
    check("https://shop.example", "shop.example:443", true);
    check("http://shop.example", "shop.example:443", false);
    check("https://a.shop.example", "shop.example", false);
    check("https://a.shop.example", "*.shop.example", true);
    check("https://shop.example", "*.shop.example", true);
    check("https://workshop.example", "*.shop.example", false);
    check("https://shop.example.evil.example", "*.shop.example", false);
    check("https://shop.example@evil.example", "shop.example", false);
    check("https://a.example:8080", "*:8080", true);
    check("https://a.example", "*:8080", false);
    check("https://a.example", "*://a.example", true);
    check("https://a.example", "https://*", true);
    check("https://a.example", "https://a.example/some/path", true);
    check("https://a.example", "", false);
    check("https://a.example", "*.", false);
    check("http://[::1]:3000", "[::1]:3000", true);
    check("http://[::1]", "[::1]", true);
}

#[test]
fn requests_without_a_usable_origin_are_taken() {
    let allowed = ["shop.example"];
    for origin in [None, Some("null"), Some(""), Some("file:///x"), Some("not a url")] {
        assert!(is_origin_allowed(origin, None, &allowed), "{origin:?}");
        assert!(is_origin_allowed(origin, Some("https://shop.example/cart?x=1"), &allowed), "{origin:?}");
        assert!(!is_origin_allowed(origin, Some("https://evil.example/shop.example"), &allowed), "{origin:?}");
    }
    assert!(!is_origin_allowed(Some("https://evil.example"), Some("https://shop.example/"), &allowed));
    assert!(is_origin_allowed::<&str>(Some("https://any.example"), None, &[]));
}

#[test]
fn a_preflight_echoes_harmless_headers_only() {
    let [_, (name, allowed), _] = preflight_headers(Some("X-Custom, content-type, bad name, x\u{e9}, sentry-trace,,"));
    assert_eq!(name, "access-control-allow-headers");
    assert!(allowed.ends_with("traceparent, x-custom"), "{allowed}");
    let many = (0..1_000).map(|n| format!("x-{n}")).collect::<Vec<_>>().join(",");
    let [_, (_, allowed), _] = preflight_headers(Some(&many));
    assert!(allowed.len() < 1_000, "{}", allowed.len());
}
