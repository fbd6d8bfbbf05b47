//! What is read, refused, repaired and written.

use super::*;
use proptest::prelude::*;

fn round_trip(text: &str) -> String {
    to_text(&parse(text.as_bytes()).expect("valid json"))
}

#[test]
fn valid_json_is_written_as_it_came() {
    fn check(text: &str) {
        assert_eq!(round_trip(text), text);
        assert_eq!(repair(text.as_bytes()), text.as_bytes(), "repair leaves valid json alone");
    }
    check("null");
    check(r#"{"a":[1,-2,18446744073709551615,-9223372036854775808,1.5,true,false,null,"x"],"b":{}}"#);
    check(r#"{"a":1,"a":2}"#);
    check(r#""\u0000\n\"\\""#);
    check(r#"["é","😀",""]"#);
}

#[test]
fn strings_without_escapes_borrow() {
    let text = br#"["plain","esc\n"]"#;
    let value = parse(text).expect("valid json");
    let borrowed: Vec<bool> = value
        .as_array()
        .expect("an array")
        .iter()
        .map(|value| matches!(value, Value::Str(Str(std::borrow::Cow::Borrowed(_)))))
        .collect();
    assert_eq!(borrowed, [true, false]);
}

#[test]
fn the_last_of_several_equal_keys_wins() {
    let value = parse(br#"{"a":1,"a":2}"#).expect("valid json");
    assert_eq!(value.get("a").and_then(Value::as_u64), Some(2));
}

#[test]
fn sorted_text_is_the_same_for_every_order_of_keys() {
    fn check(text: &str, expected: &str) {
        assert_eq!(to_sorted_text(parse(text.as_bytes()).expect("valid json")), expected);
    }
    check(r#"{"b":[{"d":1,"c":2}],"a":3}"#, r#"{"a":3,"b":[{"c":2,"d":1}]}"#);
    check(r#"{"a":3,"b":[{"c":2,"d":1}]}"#, r#"{"a":3,"b":[{"c":2,"d":1}]}"#);
    check(r#"{"a":1,"b":0,"a":2}"#, r#"{"a":2,"b":0}"#);
}

#[test]
fn a_byte_order_mark_is_skipped() {
    assert!(parse(b"\xef\xbb\xbf{}").is_ok());
}

#[test]
fn malformed_json_is_repaired() {
    fn check(input: &[u8], expected: &str) {
        assert!(parse(input).is_err(), "{input:?} needs no repair");
        let mut repaired = Vec::new();
        let value = parse_or_repair(input, &mut repaired).expect("repaired json parses");
        assert_eq!(to_text(&value), expected);
    }
    check(b"\"a\xffb\"", "\"a\u{fffd}b\"");
    check(br#""\ud800""#, "\"?\"");
    check(br#""\udc00\ud83d\ude00\ud800x""#, "\"?😀?x\"");
    check(br#""\ud800\ud83d\ude00""#, "\"?😀\"");
    check(b"{\"a\":NaN,\"b\":[Infinity,-Infinity],\"c\":\"NaN\"}", r#"{"a":0,"b":[0,0],"c":"NaN"}"#);
    check(b"[1e999,-1e999]", "[0,0]");
    check(b"\"a\tb\nc\"", r#""a\tb\nc""#);
    check(br#""C:\path\u12""#, r#""C:\\path\\u12""#);
    check(b"\xef\xbb\xbf\xef\xbb\xbf{}", "{}");
}

#[test]
fn broken_json_is_refused() {
    fn check(input: &[u8]) {
        let mut repaired = Vec::new();
        assert!(parse_or_repair(input, &mut repaired).is_err(), "{input:?}");
    }
    for input in [&b""[..], b"{", b"{\"a\":", b"[1,", b"\"abc", b"\"a\\", b"{} {}", b"nul", b"\"\\u12", b"\"\\ud8"] {
        check(input);
    }
}

#[test]
fn a_hundred_thousand_levels_are_refused() {
    let deep = "[".repeat(100_000);
    assert!(matches!(parse(deep.as_bytes()), Err(JsonError::TooDeep)));
    let deep = "{\"a\":".repeat(100_000);
    assert!(matches!(parse(deep.as_bytes()), Err(JsonError::TooDeep)));
    let allowed = format!("{}{}", "[".repeat(DEPTH_MAX), "]".repeat(DEPTH_MAX));
    assert!(parse(allowed.as_bytes()).is_ok());
}

#[test]
fn a_million_values_or_keys_are_refused() {
    let values = format!("[{}0]", "0,".repeat(1_000_000));
    assert!(matches!(parse(values.as_bytes()), Err(JsonError::TooManyNodes)));
    let keys = format!("{{{}\"a\":0}}", "\"a\":0,".repeat(1_000_000));
    assert!(matches!(parse(keys.as_bytes()), Err(JsonError::TooManyKeys)));
}

#[test]
fn a_huge_string_is_not_copied() {
    let text = format!("\"{}\"", "a".repeat(100 << 20));
    let value = parse(text.as_bytes()).expect("valid json");
    assert!(matches!(value, Value::Str(Str(std::borrow::Cow::Borrowed(_)))));
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(serde_json::Value::from),
        any::<i64>().prop_map(serde_json::Value::from),
        any::<u64>().prop_map(serde_json::Value::from),
        // Doubles of few digits: beyond 17 serde_json reads the nearest but one now and then.
        (any::<i32>(), 0..6).prop_map(|(number, scale)| serde_json::Value::from(f64::from(number) / 10f64.powi(scale))),
        any::<String>().prop_map(serde_json::Value::from),
    ];
    leaf.prop_recursive(5, 60, 8, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..8).prop_map(serde_json::Value::from),
            proptest::collection::btree_map(any::<String>(), inner, 0..8)
                .prop_map(|map| serde_json::Value::from(serde_json::Map::from_iter(map))),
        ]
    })
}

proptest! {
    #[test]
    fn any_json_survives_the_round_trip(value in any_json()) {
        let text = value.to_string();
        let back: serde_json::Value = serde_json::from_str(&round_trip(&text)).expect("we write valid json");
        let direct: serde_json::Value = serde_json::from_str(&text).expect("valid json");
        prop_assert_eq!(back, direct);
        prop_assert_eq!(repair(text.as_bytes()), text.as_bytes());
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut repaired = Vec::new();
        std::hint::black_box(parse_or_repair(&bytes, &mut repaired)).ok();
    }

    #[test]
    fn a_flipped_byte_or_a_cut_never_panics(value in any_json(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = value.to_string().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let mut repaired = Vec::new();
        if let Ok(value) = parse_or_repair(&bytes, &mut repaired) {
            prop_assert!(parse(to_text(&value).as_bytes()).is_ok());
        }
        let once = repair(&bytes).into_owned();
        prop_assert_eq!(repair(&once).into_owned(), once);
        let mut repaired = Vec::new();
        std::hint::black_box(parse_or_repair(&bytes[..at], &mut repaired)).ok();
    }
}
