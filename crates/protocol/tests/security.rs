//! Security reports of browsers, in every form they come in.

use protocol::security::{self, REPORTS_MAX, SecurityError, Submission};
use serde_json::{Value, json};

fn read(body: &Value) -> Vec<Value> {
    let submission = Submission { release: Some("demo@1"), environment: Some("prod") };
    let events = security::events(body.to_string().as_bytes(), submission).unwrap();
    events.into_iter().map(|event| serde_json::from_slice(&event.unwrap()).unwrap()).collect()
}

fn classic(report: Value) -> Value {
    read(&json!({ "csp-report": report })).remove(0)
}

#[test]
fn a_classic_report_becomes_an_event() {
    let event = classic(json!({
        "document-uri": "https://shop.test/cart?x=1", "referrer": "https://shop.test/",
        "violated-directive": "img-src https://shop.test 'unsafe-inline' cdn.test",
        "effective-directive": "img-src", "original-policy": "img-src 'self'", "disposition": "enforce",
        "blocked-uri": "https://evil.test:8080/x.png", "line-number": "7", "status-code": 200,
    }));
    let expected = json!({
        "csp": {
            "document_uri": "https://shop.test/cart?x=1", "referrer": "https://shop.test/",
            "violated_directive": "img-src https://shop.test 'unsafe-inline' cdn.test",
            "effective_directive": "img-src", "original_policy": "img-src 'self'", "disposition": "enforce",
            "blocked_uri": "https://evil.test:8080/x.png", "line_number": 7, "status_code": 200,
        },
        "logentry": { "formatted": "Blocked 'image' from 'evil.test:8080'" },
        "culprit": "img-src 'self' 'unsafe-inline' cdn.test",
        "tags": [["effective-directive", "img-src"], ["blocked-uri", "https://evil.test:8080/x.png"]],
        "request": { "url": "https://shop.test/cart?x=1", "headers": [["Referer", "https://shop.test/"]] },
        "release": "demo@1", "environment": "prod",
    });
    assert_eq!(event, expected);
}

#[test]
fn messages_say_what_was_blocked() {
    fn check(directive: &str, blocked: &str, violated: &str, expected: &str) {
        let event = classic(json!({
            "effective-directive": directive, "blocked-uri": blocked, "violated-directive": violated,
        }));
        assert_eq!(event["logentry"]["formatted"], expected, "{directive} {blocked} {violated}");
    }
    check("img-src", "", "", "Blocked inline 'image'");
    check("img-src", "self", "", "Blocked inline 'image'");
    check("script-src", "", "script-src 'unsafe-inline'", "Blocked unsafe inline 'script'");
    check("script-src", "", "script-src 'unsafe-eval'", "Blocked unsafe eval() 'script'");
    check("script-src", "'self'", "script-src", "Blocked unsafe (eval() or inline) 'script'");
    check("script-src", "data:text/plain,x", "", "Blocked 'script' from 'data:'");
    check("script-src-elem", "inline", "", "Blocked 'script' from 'inline:'");
    check("style-src-elem", "https://evil.test/a.css", "", "Blocked 'style' from 'evil.test'");
    check("form-action", "https://evil.test/", "", "Blocked 'form' action to 'evil.test'");
    check("form-action", "", "", "Blocked inline 'form-action'");
    check("worker-src", "blob", "", "Blocked 'worker-src' from 'blob:'");
    check("", "https://evil.test/", "connect-src 'none'", "Blocked 'connect' from 'evil.test'");
    check("font-src x y", "https://evil.test/", "", "Blocked 'font' from 'evil.test'");
}

#[test]
fn a_tag_holds_no_secrets_of_payments() {
    let event = classic(json!({
        "effective-directive": "connect-src", "blocked-uri": "https://api.stripe.com/v1/tokens?card[number]=4111#x",
    }));
    assert_eq!(event["tags"][1][1], "https://api.stripe.com/v1/tokens");
}

#[test]
fn a_list_of_the_reporting_api_becomes_an_event_for_each_violation() {
    let events = read(&json!([
        { "type": "deprecation", "body": { "id": "x" } },
        {
            "type": "csp-violation", "age": 3, "url": "https://shop.test/a", "user_agent": "Mozilla/5.0",
            "body": {
                "blockedURL": "https://evil.test/x.js", "effectiveDirective": "script-src-elem", "lineNumber": 4,
                "originalPolicy": "script-src 'self'", "sample": "alert(1)", "disposition": "report",
            },
        },
        { "type": "csp-violation", "url": "https://shop.test/b", "body": { "effectiveDirective": "img-src" } },
    ]));
    assert_eq!(events.len(), 2);
    assert_eq!(events[0]["logentry"]["formatted"], "Blocked 'script' from 'evil.test'");
    assert_eq!(events[0]["request"]["url"], "https://shop.test/a");
    assert_eq!(events[0]["request"]["headers"], json!([["User-Agent", "Mozilla/5.0"]]));
    assert_eq!(events[0]["csp"]["script_sample"], "alert(1)");
    assert_eq!(events[0]["culprit"], "script-src-elem");
    assert_eq!(events[1]["csp"]["blocked_uri"], "self");
}

#[test]
fn reports_about_hosts_are_taken_still() {
    fn check(body: &Value, interface: &str, message: &str, url: &str) {
        let event = read(body).remove(0);
        assert!(event[interface]["hostname"].is_string(), "{event}");
        assert_eq!(event["logentry"]["formatted"], message);
        assert_eq!(event["request"]["url"], url);
    }
    let pins = json!({
        "date-time": "2014-04-06T13:00:50Z", "hostname": "www.example.com", "port": 443,
        "effective-expiration-date": "2014-05-01T12:40:50Z", "include-subdomains": false, "known-pins": [],
    });
    check(&pins, "hpkp", "Public key pinning validation failed for 'www.example.com'", "https://www.example.com/");
    assert_eq!(read(&pins)[0]["tags"][2], json!(["include-subdomains", "false"]));
    assert_eq!(read(&pins)[0]["hpkp"]["effective_expiration_date"], "2014-05-01T12:40:50Z");
    let transparency = json!({ "expect-ct-report": { "hostname": "a.test", "port": 8443, "scts": [] } });
    check(&transparency, "expectct", "Expect-CT failed for 'a.test'", "https://a.test:8443/");
    let staple = json!({ "expect-staple-report": { "hostname": "a.test", "response-status": "MISSING" } });
    check(&staple, "expectstaple", "Expect-Staple failed for 'a.test'", "https://a.test/");
}

#[test]
fn what_is_no_report_is_refused() {
    fn check(body: &str, expected: &str) {
        let read = security::events(body.as_bytes(), Submission::default());
        let error: SecurityError = match read {
            Err(error) => error,
            Ok(mut reports) => reports.remove(0).unwrap_err(),
        };
        assert_eq!(error.to_string(), expected, "{body}");
    }
    check("", "read the reports as JSON");
    check("{", "read the reports as JSON");
    check(&"[".repeat(100_000), "read the reports as JSON");
    for body in ["{}", "[]", "1", "null", r#""x""#, "[[]]", r#"{"csp-report":1}"#, r#"[{"type":"csp-violation2"}]"#] {
        check(body, "the body holds no security report");
    }
    check(r#"[{"type":"csp-violation","body":[]}]"#, "the body holds no security report");
    check(r#"{"csp-report":{}}"#, "the report names no directive that is known");
    check(r#"{"csp-report":{"effective-directive":"nope-src"}}"#, "the report names no directive that is known");
    check(r#"{"expect-ct-report":{"hostname":7}}"#, "the report names no host");
    let many = json!(vec![json!({"type": "csp-violation", "body": {}}); REPORTS_MAX + 1]);
    check(&many.to_string(), "the body holds more reports than 100");
}

#[test]
fn reports_come_under_their_own_types() {
    for kind in ["application/csp-report", "application/reports+json; charset=utf-8", "Application/JSON"] {
        assert!(security::is_content_type(kind), "{kind}");
    }
    for kind in ["", "text/plain", "application/json2", "text/html; application/json"] {
        assert!(!security::is_content_type(kind), "{kind}");
    }
}
