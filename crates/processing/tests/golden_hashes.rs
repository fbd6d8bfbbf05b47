//! Hashes that must stay: stored groups are found by them. A change here moves events of every installation to new
//! issues and needs a new configuration name.

use crate::{context, normalised};
use md5::{Digest, Md5};
use processing::group::{ConfigName, GroupConfig, group};
use processing::normalise;
use protocol::event::Event;
use protocol::json;

fn check(json: &str, variant: &str, hash: &str) {
    let event = normalised(json);
    let grouping = group(&event, &GroupConfig::default());
    let first = grouping.variants.iter().find(|variant| variant.hash == Some(grouping.primary));
    let first = first.expect("the primary hash is a variant's");
    assert_eq!((first.name, &*grouping.hash_text()), (variant, hash), "{json}");
    assert_eq!(format!("{:016x}", grouping.key()), hash[..16], "{json}");
}

/// The hash of the texts one after the other, made by `md5sum`.
#[test]
fn hashes_are_md5_of_the_contributing_texts() {
    let fallback = "d41d8cd98f00b204e9800998ecf8427e";
    check("{}", "fallback", fallback);
    check(r#"{"exception":{"type":"ValueError","value":"hello world"}}"#, "app", "b23ee1963904c2ca87b145febf94b66c");
    check(r#"{"message":"hello"}"#, "default", "5d41402abc4b2a76b9719d911017c592");
    check(r#"{"checksum":"5d41402abc4b2a76b9719d911017c592"}"#, "checksum", "5d41402abc4b2a76b9719d911017c592");
    check(r#"{"checksum":"hello"}"#, "hashed_checksum", "5d41402abc4b2a76b9719d911017c592");
    check(
        r#"{"message":"x","fingerprint":["hel","lo"]}"#,
        "custom_client_fingerprint",
        "5d41402abc4b2a76b9719d911017c592",
    );
    check(
        r#"{"message":"ell","fingerprint":["h","{{ default }}","o"]}"#,
        "default",
        "5d41402abc4b2a76b9719d911017c592",
    );
    check(r#"{"message":"hello","fingerprint":["{{default}}"]}"#, "default", "5d41402abc4b2a76b9719d911017c592");
    check(r#"{"message":"hello","fingerprint":[]}"#, "default", "5d41402abc4b2a76b9719d911017c592");
}

/// What Sentry's normaliser makes of texts, paths and stacks before they are hashed.
#[test]
fn what_is_hashed_is_what_sentry_would_have_read() {
    fn check(json: &str, texts: &str) {
        let mut repaired = Vec::new();
        let tree = json::parse_or_repair(json.as_bytes(), &mut repaired).expect("json");
        let event = normalise(Event::from_value(tree).expect("an object"), &context());
        let hash: [u8; 16] = Md5::digest(texts.as_bytes()).into();
        assert_eq!(group(&event, &GroupConfig::default()).primary, hash, "{json}");
    }
    check(r#"{"platform":"javascript","exception":[{"type":"E","value":"caf\ud83d"}]}"#, "Ecaf?");
    let of_file = r#"{"platform":"javascript","fingerprint":["{{ stack.filename }}"],"exception":[{"type":"E",
        "stacktrace":{"frames":[{"function":"f","filename":"https://x.test/static/app.js?v=1","in_app":true}]}}]}"#;
    check(of_file, "/static/app.js");
    let own_stack = r#""stacktrace":{"frames":[{"function":"f","module":"m","in_app":true}]}"#;
    for void in
        ["null", "{}", r#"{"frames":[]}"#, r#"{"frames":[null,{"function":"?"}]}"#, r#"{"registers":{"a":"0x1"}}"#]
    {
        check(&format!(r#"{{"exception":[{{"type":"A","stacktrace":{void}}}],{own_stack}}}"#), "Amf");
    }
    let theirs = r#"{"frames":[{"function":"g","in_app":true}]}"#;
    check(&format!(r#"{{"exception":[{{"type":"A","stacktrace":{theirs}}}],{own_stack}}}"#), "Ag");
}

const STACK: &str = r#"{"platform":"python","exception":{"type":"KeyError","value":"'a'","stacktrace":{"frames":[
    {"module":"web","function":"run","in_app":false},
    {"filename":"srv/App.py","function":"buy","context_line":"  x  = 1","in_app":true}]}}}"#;

#[test]
fn an_exception_groups_by_the_frames_of_the_application() {
    let event = normalised(STACK);
    let text = |name| {
        let grouping = group(&event, &GroupConfig { name, ..GroupConfig::default() });
        let hashes: Vec<String> = grouping.hashes.iter().map(|hash| stdx::hex::encode(hash.as_slice())).collect();
        hashes.join(" ")
    };
    // md5 of "KeyError" + "app.pybuyx = 1", and of "KeyError" + "webrun" + "app.pybuyx = 1".
    assert_eq!(text(ConfigName::Newstyle20260120), "447e4fa98b3ee45ca44fcfafe98d23eb 261ab4a4377abcba6888a141df582db6");
    // md5 of the stack first, then "KeyError".
    assert_eq!(text(ConfigName::Newstyle20230111), "bab0b8a0a17013f77981ea3012f38863 7b15e00253c3c7c8fabd80ff1d60a58e");
}

#[test]
fn what_varies_between_events_of_one_cause_does_not_split_them() {
    fn check(left: &str, right: &str, same: bool) {
        let key = |json| group(&normalised(json), &GroupConfig::default()).key();
        assert_eq!(key(left) == key(right), same, "{left}\n{right}");
    }
    check(r#"{"message":"user 1 is gone"}"#, r#"{"message":"user 22 is gone"}"#, true);
    check(r#"{"message":"a"}"#, r#"{"message":"b"}"#, false);
    check(
        r#"{"logentry":{"message":"hi %s","params":["a"]}}"#,
        r#"{"logentry":{"message":"hi %s","params":["b"]}}"#,
        true,
    );
    check(STACK, &STACK.replace("'a'", "'b'"), true);
    check(STACK, &STACK.replace("\"buy\"", "\"sell\""), false);
    check(STACK, &STACK.replace("\"run\"", "\"walk\""), true);
    check(r#"{"exception":{"type":"A","value":"x"}}"#, r#"{"exception":{"type":"A","value":"y"}}"#, false);
    check(
        r#"{"fingerprint":["{{ tags.shop }}","{{ error.type }}"],"tags":{"shop":"a"},"exception":{"type":"A"}}"#,
        r#"{"fingerprint":["{{ tags.shop }}","{{ error.type }}"],"tags":{"shop":"b"},"exception":{"type":"A"}}"#,
        false,
    );
    check(r#"{"tags":{"a":"1","b":"2"},"message":"m"}"#, r#"{"message":"m","tags":{"b":"2","a":"1"}}"#, true);
}

#[test]
fn a_crashed_thread_groups_by_its_stack() {
    let json = r#"{"threads":{"values":[
        {"id":1,"crashed":true,"stacktrace":{"frames":[{"function":"hello","in_app":true}]}},
        {"id":2,"stacktrace":{"frames":[{"function":"other","in_app":true}]}}]}}"#;
    check(json, "app", "5d41402abc4b2a76b9719d911017c592");
}

#[test]
fn a_content_security_report_groups_by_directive_and_host() {
    let json = r#"{"csp":{"effective_directive":"img-src","blocked_uri":"https://cdn.example/a.png"}}"#;
    // md5 of "img-srccdn.example".
    check(json, "default", "6b479d2a8e615f5753af8ae57c7d8081");
}
