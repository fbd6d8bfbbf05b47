//! Events with known hashes, for both directions of every rule that the corpus may not reach: the vectors of the
//! grouping specification (§22), made by another implementation.

use crate::normalised;
use processing::group::{GroupConfig, group};

/// The hash of one variant; `None` where it must not contribute.
fn check(json: &str, variant: &str, hash: Option<&str>) {
    let grouping = group(&normalised(json), &GroupConfig::default());
    let found = grouping.variants.iter().find(|found| found.name == variant).and_then(|found| found.hash);
    assert_eq!(found.map(|hash| stdx::hex::encode(&hash)).as_deref(), hash, "{variant} of {json}");
}

/// An event of one exception; frames are written without `in_app`, which is true unless they say otherwise.
fn exception(platform: &str, kind: &str, value: &str, frames: &[&str]) -> String {
    let frame = |frame: &&str| match frame.contains("in_app") {
        true => format!("{{{frame}}}"),
        false => format!("{{{frame},\"in_app\":true}}"),
    };
    let frames: Vec<String> = frames.iter().map(frame).collect();
    let stack = format!("\"stacktrace\":{{\"frames\":[{}]}}", frames.join(","));
    format!(r#"{{"platform":"{platform}","exception":{{"values":[{{"type":"{kind}","value":"{value}",{stack}}}]}}}}"#)
}

#[test]
fn values_and_messages_are_parameterised() {
    let json = exception("python", "KeyError", "user 4711 not in 10.0.0.7", &[]);
    check(&json, "app", Some("ebbe7f95df00af32b1b89a173ae93d7c"));
    let json = r#"{"logentry":{"formatted":"job 17 failed after 1.5s\n\nsecond line\nthird line"}}"#;
    check(json, "default", Some("576fb4d902a04bed8b82a5b208c782d6"));
}

#[test]
fn python_frames_count_by_module_function_and_line() {
    let library = r#""module":"django.core.handlers","function":"inner","filename":"a/b.py",
        "abs_path":"/usr/lib/python3/site-packages/a/b.py","context_line":"    response = get_response(request)""#;
    let own = r#""module":"shop.cart","function":"add","filename":"shop/cart.py","abs_path":"/srv/shop/cart.py",
        "context_line":"\treturn   items[ 3 ]""#;
    let json = exception("python", "ValueError", "x", &[library, own]);
    check(&json, "app", Some("03c2fe6770b86fba6974e7754e05e5ce"));
    check(&json, "system", Some("374081176346afbdfbbd2034f840bbdc"));
    let json = exception(
        "python",
        "ValueError",
        "x",
        &[r#""module":"shop.cart","function":"add","filename":"shop/cart.py","in_app":false"#],
    );
    check(&json, "app", None);
    check(&json, "system", Some("ae17c4e45331267c01b20219fdca0b59"));
}

#[test]
fn recursion_counts_once() {
    let frames = [
        r#""filename":"m.go","function":"main","lineno":3"#,
        r#""filename":"m.go","function":"f","lineno":9"#,
        r#""filename":"m.go","function":"f","lineno":9"#,
    ];
    let json = exception("go", "E", "", &frames);
    check(&json, "app", Some("849176bf9e590a5eda06c8384b9c13ad"));
    check(&json, "system", None);
}

#[test]
fn names_are_cleaned_by_platform() {
    let script = r#""abs_path":"https://x.test/app.js","filename":"/app.js","function":"Foo.bar",
        "context_line":"throw new TypeError()","data":{"sourcemap":"https://x.test/app.js.map"}"#;
    check(&exception("javascript", "TypeError", "u", &[script]), "app", Some("eaeb36b7629d628f796fce2156ac942d"));
    let java = r#""module":"com.acme.Svc$$EnhancerBySpringCGLIB$$1a2b3c4d","filename":"Svc.java","function":"run""#;
    let json = exception("java", "IllegalStateException", "v", &[java]);
    check(&json, "app", Some("711f0ff1129c5fb5d25c2673dc504f2d"));
    let native = r#""function":"void ns::Foo<int>::bar(std::string const&) const","package":"/opt/app/bin""#;
    check(&exception("native", "SIGSEGV", "", &[native]), "app", Some("4fa3cee1bc79955ab36acc989a1982c3"));
    let csharp = r#""module":"A.B","function":"Run (System.String s)""#;
    check(&exception("csharp", "X", "", &[csharp]), "app", Some("37decd3112c72345e50f6b0b03220fa7"));
}

#[test]
fn fingerprints_wrap_and_replace_the_hash() {
    let json = r#"{"platform":"python","fingerprint":["{{ default }}","tenant-7"],
        "exception":{"type":"KeyError","value":"user 4711 not in 10.0.0.7"}}"#;
    check(json, "app", Some("668d7239d9f8baa1eaf97de30c2639c6"));
    let json = r#"{"platform":"python","fingerprint":["{{ error.type }}","{{ nope }}",5],
        "exception":{"type":"KeyError","value":"k"}}"#;
    check(json, "custom_client_fingerprint", Some("2bc73833c104897f52bd94bbd0a9a30e"));
    check(json, "app", None);
    let json = exception("javascript", "ChunkLoadError", "Loading chunk 5 failed", &[]);
    check(&json, "built_in_fingerprint", Some("5d731dcf8ecc4f042eeacf528d8d8da9"));
}

#[test]
fn chains_threads_and_reports_count() {
    let json = r#"{"platform":"python","exception":[{"type":"A","value":"a1"},{"type":"B","value":"b2"}]}"#;
    check(json, "app", Some("ca7da9e891d13c479590259884eb883a"));
    let json = r#"{"platform":"native","threads":[
        {"id":1,"crashed":true,"stacktrace":{"frames":[{"function":"main","in_app":true},
            {"function":"crash","in_app":true}]}},
        {"id":2,"stacktrace":{"frames":[{"function":"x","in_app":false}]}}]}"#;
    check(json, "app", Some("53de7aa9339a266ddaa02ff834f80fc4"));
    let json = r#"{"csp":{"effective_directive":"script-src","violated_directive":"script-src 'unsafe-inline'",
        "blocked_uri":"self"}}"#;
    check(json, "default", Some("d346ee37d19a2be6587e609075ca2d57"));
    let json = r#"{"csp":{"effective_directive":"img-src","violated_directive":"img-src 'self'",
        "blocked_uri":"https://evil.test/x.png"}}"#;
    check(json, "default", Some("8d6c952605983e3cf1fba39d6b753668"));
}

#[test]
fn what_is_left_is_the_checksum_or_nothing() {
    check("{}", "fallback", Some("d41d8cd98f00b204e9800998ecf8427e"));
    check(r#"{"checksum":"not-a-hash"}"#, "hashed_checksum", Some("97fc32ff430ceb138b1666802ba00328"));
}
