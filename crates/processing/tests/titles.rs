//! Titles, culprits and metadata: what an issue is called.

use crate::normalised;
use processing::summarise;

fn check(json: &str, title: &str, culprit: &str) {
    let summary = summarise(&normalised(json));
    assert_eq!((&*summary.title, &*summary.culprit), (title, culprit), "{json}");
}

#[test]
fn messages_are_titled_by_their_first_line() {
    check("{}", "<unlabeled event>", "");
    check(r#"{"message":"  one\ntwo"}"#, "one", "");
    check(r#"{"message":" \n "}"#, "<unlabeled event>", "");
    check(&format!(r#"{{"message":"{}"}}"#, "é".repeat(101)), &format!("{}...", "é".repeat(97)), "");
}

#[test]
fn exceptions_are_titled_by_type_and_first_line() {
    check(r#"{"exception":{"type":"A","value":"one\ntwo"}}"#, "A: one", "");
    check(r#"{"exception":{"type":"A"}}"#, "A", "");
    check(r#"{"exception":{"value":"x"}}"#, "Error: x", "");
    check(r#"{"exception":[{"type":"Cause"},{"type":"Thrown"}]}"#, "Thrown", "");
    check(
        r#"{"exception":{"type":"A","value":"x","mechanism":{"synthetic":true},
            "stacktrace":{"frames":[{"function":"main","filename":"a.c"},{"function":"<redacted>"}]}}}"#,
        "main",
        "",
    );
    check(r#"{"exception":{"type":"A","mechanism":{"synthetic":true}}}"#, "<unknown>", "");
}

#[test]
fn the_culprit_is_the_transaction_or_the_newest_frame_of_the_application() {
    let stack = |platform: &str, frames: &str| {
        format!(r#"{{"platform":"{platform}","exception":{{"type":"A","stacktrace":{{"frames":[{frames}]}}}}}}"#)
    };
    check(r#"{"transaction":"/a","exception":{"type":"A"}}"#, "A", "/a");
    check(r#"{"culprit":"cart.add","transaction":"/a","message":"m"}"#, "m", "cart.add");
    let frames = r#"{"module":"m","function":"f","in_app":true},{"filename":"l.py","function":"g","in_app":false}"#;
    check(&stack("python", frames), "A", "m in f");
    check(&stack("javascript", frames), "A", "f(m)");
    check(&stack("native", frames), "A", "f");
    check(&stack("python", r#"{"filename":"l.py"}"#), "A", "l.py in ?");
    check(&stack("python", r#"{"function":"f"}"#), "A", "");
    check(&stack("python", r#"{"filename":"l.py"},{"function":"f"}"#), "A", "");
    let chained = format!(
        r#"{{"platform":"python","exception":[{{"type":"A","stacktrace":{{"frames":[{frames}]}}}},{{"type":"B"}}],
            "request":{{"url":"http://x/y"}}}}"#
    );
    check(&chained, "B", "m in f");
    check(
        &stack("python", r#"{"function":"f"}"#).replacen('{', r#"{"request":{"url":"http://x/y"},"#, 1),
        "A",
        "http://x/y",
    );
    check(r#"{"message":"m","request":{"url":"http://x/y?z"}}"#, "m", "http://x/y");
}

#[test]
fn metadata_is_written_without_what_is_absent() {
    let json = r#"{"exception":{"type":"A","value":"v","stacktrace":{"frames":[{"function":"f","filename":"a.py"}]}}}"#;
    let metadata = summarise(&normalised(json)).metadata.to_json();
    assert_eq!(metadata, r#"{"type":"A","value":"v","filename":"a.py","function":"f"}"#);
    assert_eq!(summarise(&normalised(r#"{"message":"m"}"#)).metadata.to_json(), r#"{"title":"m"}"#);
}

#[test]
fn an_exception_that_nobody_handled_marks_the_event() {
    let unhandled = |json: &str| summarise(&normalised(json)).is_unhandled;
    assert!(unhandled(r#"{"exception":[{"type":"A","mechanism":{"handled":false}},{"type":"B"}]}"#));
    assert!(!unhandled(r#"{"exception":{"type":"A","mechanism":{"handled":true}}}"#));
    assert!(!unhandled(r#"{"exception":{"type":"A"}}"#));
}

#[test]
fn security_reports_are_titled_by_what_was_blocked() {
    let report = r#"{"csp":{"effective_directive":"img-src","blocked_uri":"https://evil.test/x.png"},
        "logentry":{"formatted":"Blocked 'image' from 'evil.test'"},"culprit":"img-src 'self'"}"#;
    check(report, "Blocked 'image' from 'evil.test'", "img-src 'self'");
    check(r#"{"hpkp":{"hostname":"a.test"},"message":"Public key"}"#, "Public key", "");
}
