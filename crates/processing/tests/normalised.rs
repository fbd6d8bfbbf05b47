//! What normalisation makes of each field: one event in, one field out.

use crate::{RECEIVED_AT, context, normalised};
use processing::{Context, normalise};
use protocol::event::{Event, RemarkKind};
use protocol::json::{self, Value};
use std::time::Duration;
use stdx::Timestamp;

/// Returns the value at a path of keys and indexes of the normalised event, as JSON text; `-` where there is nothing.
fn at(event: Event<'_>, path: &str) -> String {
    let root = event.into_value();
    let mut value = Some(&root);
    for step in path.split('.') {
        value = value.and_then(|value| match step.parse::<usize>() {
            Ok(index) => value.as_array().and_then(|values| values.get(index)),
            Err(_) => value.get(step),
        });
    }
    value.map_or("-".to_owned(), json::to_text)
}

fn check(json: &str, path: &str, expected: &str) {
    assert_eq!(at(normalised(json), path), expected, "{path} of {json}");
}

fn check_in(context: &Context<'_>, json: &str, path: &str, expected: &str) {
    let event = normalise(Event::parse(json.as_bytes()).expect("an object"), context);
    assert_eq!(at(event, path), expected, "{path} of {json}");
}

#[test]
fn the_accepted_id_is_the_events() {
    check(r#"{"event_id":"00000000000000000000000000000001"}"#, "event_id", r#""07070707070707070707070707070707""#);
}

#[test]
fn platforms_and_levels_are_known_ones() {
    check("{}", "platform", r#""other""#);
    check(r#"{"platform":"python"}"#, "platform", r#""python""#);
    check(r#"{"platform":"Python"}"#, "platform", r#""other""#);
    check("{}", "level", r#""error""#);
    check(r#"{"type":"transaction"}"#, "level", r#""info""#);
    for (level, expected) in [
        (r#""warn""#, "warning"),
        (r#""WARNING""#, "warning"),
        (r#""critical""#, "fatal"),
        (r#""log""#, "info"),
        ("10", "debug"),
        (r#""50""#, "fatal"),
        (r#""loud""#, "error"),
        ("[]", "error"),
    ] {
        check(&format!(r#"{{"level":{level}}}"#), "level", &format!("{expected:?}"));
    }
}

#[test]
fn times_outside_the_window_become_the_time_of_receipt() {
    fn check(timestamp: &str, offset_seconds: i64, remark: Option<RemarkKind>) {
        let json = format!(r#"{{"timestamp":{timestamp}}}"#);
        let event = normalised(&json);
        let found = event.timestamp.expect("always set").micros() - RECEIVED_AT.micros();
        assert_eq!(found, offset_seconds * 1_000_000, "{timestamp}");
        assert_eq!(event.remarks.first().map(|remark| remark.kind), remark, "{timestamp}");
        assert_eq!(event.received, Some(RECEIVED_AT));
    }
    let received = RECEIVED_AT.seconds_f64();
    check(&format!("{}", received - 10.0), -10, None);
    check(&format!("\"{}\"", received - 10.0), -10, None);
    check(&format!("{}", (received - 10.0) * 1000.0), -10, None);
    check(&format!("{:?}", RECEIVED_AT.minus(Duration::from_secs(29 * 86_400)).to_rfc3339()), -29 * 86_400, None);
    check(&format!("{}", received + 60.0), 60, None);
    check(&format!("{}", received + 61.0), 0, Some(RemarkKind::FutureTimestamp));
    check(&format!("{}", received - 31.0 * 86_400.0), 0, Some(RemarkKind::PastTimestamp));
    check("-1", 0, Some(RemarkKind::PastTimestamp));
    check("null", 0, None);
    check(r#""yesterday""#, 0, Some(RemarkKind::InvalidData));
    check("1e300", 0, Some(RemarkKind::InvalidData));
}

#[test]
fn a_wrong_client_clock_is_corrected() {
    let hour = Duration::from_secs(3_600);
    let sent_at = Some(RECEIVED_AT.minus(hour));
    let json = format!(
        r#"{{"timestamp":{0},"breadcrumbs":[{{"timestamp":{0}}}]}}"#,
        RECEIVED_AT.minus(hour + Duration::from_secs(5)).seconds_f64()
    );
    let expected = RECEIVED_AT.minus(Duration::from_secs(5));
    let event = normalise(Event::parse(json.as_bytes()).expect("an object"), &Context { sent_at, ..context() });
    assert_eq!(event.timestamp, Some(expected));
    assert_eq!(event.breadcrumbs.expect("one")[0].timestamp, Some(expected));
    assert_eq!(event.remarks[0].kind, RemarkKind::ClockDrift);
}

#[test]
fn times_before_1970_are_told_by_the_clock_set_right() {
    fn check(json: &str, sent_at: Option<i64>, expected: bool) {
        let context = Context { sent_at: sent_at.map(Timestamp::from_seconds), ..context() };
        let event = Event::parse(json.as_bytes()).expect("an object");
        assert_eq!(processing::normalise::is_before_epoch(&event, &context), expected, "{json} {sent_at:?}");
    }
    check(r#"{"timestamp":-1}"#, None, true);
    check(r#"{"timestamp":"1969-12-31T23:59:59Z"}"#, None, true);
    check(r#"{"timestamp":5,"start_timestamp":-0.5}"#, None, true);
    check(r#"{"timestamp":0}"#, None, false);
    check("{}", None, false);
    // A device that woke up without a clock.
    check(r#"{"timestamp":-7200}"#, Some(-7_100), false);
    check(r#"{"timestamp":5}"#, Some(RECEIVED_AT.plus(Duration::from_secs(7_200)).micros() / 1_000_000), true);
}

#[test]
fn messages_are_filled_in() {
    fn check(entry: &str, formatted: &str, template: &str) {
        super::normalised::check(&format!(r#"{{"logentry":{entry}}}"#), "logentry.formatted", formatted);
        super::normalised::check(&format!(r#"{{"logentry":{entry}}}"#), "logentry.message", template);
    }
    check(r#"{"message":"plain 100%"}"#, r#""plain 100%""#, "-");
    check(r#"{"message":"a %s b %d","params":["x",3]}"#, r#""a x b 3""#, r#""a %s b %d""#);
    check(r#"{"message":"%(k)s!","params":{"k":"v"}}"#, r#""v!""#, r#""%(k)s!""#);
    check(r#"{"message":"%.2f %5d%%","params":[1.5,7]}"#, r#""1.50 7%""#, r#""%.2f %5d%%""#);
    check(r#"{"message":"{} {1} {0}","params":["x","y"]}"#, r#""x y x""#, r#""{} {1} {0}""#);
    check(r#"{"message":"{k:>3} {{}}","params":{"k":[1]}}"#, r#""[1] {}""#, r#""{k:>3} {{}}""#);
    check(r#"{"message":"a %s b %s","params":["x"]}"#, r#""a %s b %s""#, "-");
    check(r#"{"message":"no placeholder","params":["x"]}"#, r#""no placeholder""#, "-");
    check(r#"{"message":"same","formatted":"same"}"#, r#""same""#, "-");
    check(r#"{"message":"%s","formatted":"given","params":["x"]}"#, r#""given""#, r#""%s""#);
    check(r#""text""#, r#""text""#, "-");
    check(r#"{"message":""}"#, "-", "-");
}

#[test]
fn the_log_entry_wins_over_the_top_level_message() {
    check(r#"{"message":"top","logentry":{"formatted":"entry"}}"#, "logentry.formatted", r#""entry""#);
    check(r#"{"message":"top"}"#, "logentry.formatted", r#""top""#);
    check(r#"{"message":{"message":"%s","params":["x"]}}"#, "logentry.formatted", r#""x""#);
    check(r#"{"sentry.interfaces.Message":{"message":"old"}}"#, "logentry.formatted", r#""old""#);
    check(r#"{"message":"top"}"#, "message", "-");
}

#[test]
fn tags_are_allowed_distinct_and_sorted() {
    check(r#"{"tags":{"b":2,"a":true,"c":null}}"#, "tags", r#"[["a","True"],["b","2"]]"#);
    check(r#"{"tags":[["a","1"],["a","2"],["a b","3"]]}"#, "tags", r#"[["a","1"],["a-b","3"]]"#);
    check(r#"{"tags":{"ü":"x","ok":"y","n":"a\nb","e":"","l":[1]}}"#, "tags", r#"[["ok","y"]]"#);
    check(r#"{"tags":{"release":"x","environment":"qa"}}"#, "tags", "-");
    check(r#"{"tags":{"environment":"qa"}}"#, "environment", r#""qa""#);
    check(r#"{"tags":{"environment":"qa"},"environment":"prod"}"#, "environment", r#""prod""#);
    let long = "v".repeat(201);
    check(&format!(r#"{{"tags":{{"k":"{long}"}}}}"#), "tags.0.1", &format!("\"{}...\"", &long[..197]));
}

#[test]
fn releases_environments_and_dists_that_cannot_be_named_are_left_out() {
    fn check(key: &str, value: &str, expected: &str) {
        super::normalised::check(&format!(r#"{{"{key}":{value}}}"#), key, expected);
    }
    check("release", r#"" app@1.2.3+45 ""#, r#""app@1.2.3+45""#);
    check("release", r#""1.0 (45)""#, r#""1.0 (45)""#);
    for bad in [r#""""#, "\".\"", "\"..\"", r#""Latest""#, r#""a/b""#, r#""a\\b""#, r#""a\nb""#] {
        check("release", bad, "-");
    }
    check("release", &format!("{:?}", "r".repeat(201)), "-");
    check("release", "7", r#""7""#);
    check("environment", r#""Größe 1""#, r#""Größe 1""#);
    check("environment", r#""NONE""#, "-");
    check("environment", r#""a/b""#, "-");
    check("dist", r#""45_a.b-c""#, r#""45_a.b-c""#);
    check("dist", r#""4 5""#, "-");
}

#[test]
fn users_are_named_by_the_first_thing_that_tells() {
    fn check(user: &str, expected: &str) {
        super::normalised::check(&format!(r#"{{"user":{user}}}"#), "user.sentry_user", expected);
    }
    check(r#"{"id":42,"username":"u"}"#, r#""id:42""#);
    check(r#"{"id":"","username":"u","email":"e"}"#, r#""username:u""#);
    check(r#"{"email":"e@x","ip_address":"10.0.0.1"}"#, r#""email:e@x""#);
    check(r#"{"ip_address":"::1"}"#, r#""ip:::1""#);
    check(r#"{"ip_address":"nowhere"}"#, "-");
    check(r#"{"name":"Jane"}"#, "-");
    check("{}", "-");
    super::normalised::check(r#"{"user":{"id":1,"plan":"pro"}}"#, "user.data", r#"{"plan":"pro"}"#);
    super::normalised::check(r#"{"user":{}}"#, "user", "-");
}

#[test]
fn the_clients_address_is_filled_in_where_it_may_be() {
    let context = Context { client_ip: Some("203.0.113.9".parse().expect("an address")), ..context() };
    let check = |json: &str, expected: &str| check_in(&context, json, "user.ip_address", expected);
    let filled = r#""203.0.113.9""#;
    check("{}", "-");
    check(r#"{"user":{"ip_address":"{{auto}}"}}"#, filled);
    check(r#"{"user":{"ip_address":"10.0.0.1"}}"#, r#""10.0.0.1""#);
    check(r#"{"platform":"javascript"}"#, filled);
    check(r#"{"platform":"javascript","sdk":{"settings":{"infer_ip":"never"}}}"#, "-");
    check(r#"{"sdk":{"settings":{"infer_ip":"auto"}}}"#, filled);
    check(r#"{"user":{"ip_address":"{{auto}}"},"sdk":{"settings":{"infer_ip":"never"}}}"#, "-");
    check(r#"{"request":{"env":{"REMOTE_ADDR":"10.0.0.2"}}}"#, r#""10.0.0.2""#);
    check(r#"{"request":{"env":{"REMOTE_ADDR":"{{auto}}"}}}"#, filled);
}

#[test]
fn exceptions_are_cleaned() {
    let exception = |json: &str| format!(r#"{{"exception":{json}}}"#);
    check(&exception(r#"{"values":[null,{"type":"A"},{}]}"#), "exception.values", r#"[{"type":"A"}]"#);
    check(&exception(r#"[{"value":"KeyError: x"}]"#), "exception.values.0", r#"{"type":"KeyError","value":"x"}"#);
    check(&exception(r#"{"value":"two words: x"}"#), "exception.values.0", r#"{"value":"two words: x"}"#);
    check(&exception(r#"{"type":"A","value":{"code":1}}"#), "exception.values.0.value", r#""{\"code\":1}""#);
    check(&exception(r#"{"type":"A","mechanism":{}}"#), "exception.values.0.mechanism", r#"{"type":"generic"}"#);
    check(&exception("{}"), "exception", "-");
    check(
        r#"{"exception":{"type":"A"},"stacktrace":{"frames":[{"function":"f"}]}}"#,
        "exception.values.0.stacktrace.frames",
        r#"[{"function":"f"}]"#,
    );
}

#[test]
fn frames_are_cleaned() {
    let stack = |frame: &str| format!(r#"{{"stacktrace":{{"frames":[{frame}]}}}}"#);
    let frame = "stacktrace.frames.0";
    check(&stack(r#"{"filename":"a.py"}"#), frame, r#"{"filename":"a.py","abs_path":"a.py"}"#);
    check(&stack(r#"{"abs_path":"https://x.y/a/b.js?q"}"#), "stacktrace.frames.0.filename", r#""/a/b.js""#);
    check(&stack(r#"{"function":"?","filename":"","lineno":"12","colno":-1}"#), "stacktrace", "-");
    check(&stack(r#"{"function":"f","vars":[1,2]}"#), "stacktrace.frames.0.vars", r#"{"0":1,"1":2}"#);
    check(
        &stack(r#"{"instruction_addr":255,"image_addr":"0XAB"}"#),
        frame,
        r#"{"image_addr":"0xab","instruction_addr":"0xff"}"#,
    );
    check(&stack(r#"{"function":"f","pre_context":["a",null]}"#), "stacktrace.frames.0.pre_context", r#"["a",""]"#);
    check(&stack("null"), "stacktrace", "-");
    let many: Vec<String> = (0..300).map(|number| format!(r#"{{"lineno":{number}}}"#)).collect();
    let event = stack(&many.join(","));
    check(&event, "stacktrace.frames.49.lineno", "49");
    check(&event, "stacktrace.frames.50.lineno", "100");
    check(&event, "stacktrace.frames.249.lineno", "299");
    check(&event, "stacktrace.frames.250", "-");
}

#[test]
fn requests_are_taken_apart() {
    let json = r#"{"request":{"url":"http://x.y/p?a=1&b=%C3%A9+c#f","method":"post","data":"{\"k\":[1]}",
        "headers":{"x-forwarded-for":"1","COOKIE":"a=1; b=2"}}}"#;
    check(json, "request.url", r#""http://x.y/p""#);
    check(json, "request.query_string", r#"[["a","1"],["b","é c"]]"#);
    check(json, "request.fragment", r#""f""#);
    check(json, "request.method", r#""POST""#);
    check(json, "request.data", r#"{"k":[1]}"#);
    check(json, "request.headers", r#"[["X-Forwarded-For","1"]]"#);
    check(json, "request.cookies", r#"[["a","1"],["b","2"]]"#);
    check(r#"{"request":{"method":"!!"}}"#, "request.method", "-");
    check(r#"{"request":{"query_string":{"a":1},"cookies":[["k",null]]}}"#, "request.query_string", r#"[["a","1"]]"#);
}

#[test]
fn the_rest_has_its_defaults() {
    let context = Context { auth_client: Some("raven-python/6.10.0"), ..context() };
    check_in(&context, "{}", "sdk", r#"{"name":"raven-python","version":"6.10.0"}"#);
    check_in(&context, r#"{"sdk":{"name":"x"}}"#, "sdk", r#"{"name":"x"}"#);
    check(r#"{"contexts":{"os":{"name":"Linux"},"bad":3}}"#, "contexts", r#"{"os":{"name":"Linux","type":"os"}}"#);
    check(
        r#"{"breadcrumbs":[{"message":"m"}]}"#,
        "breadcrumbs.values.0",
        r#"{"type":"default","level":"info","message":"m"}"#,
    );
    check(r#"{"breadcrumbs":[{"timestamp":-5},{"timestamp":5}]}"#, "breadcrumbs.values.1", "-");
    check(r#"{"fingerprint":[1,true,1.7,null,{},""]}"#, "fingerprint", r#"["1","True","1",""]"#);
    check(r#"{"type":"csp","exception":{"type":"A"}}"#, "type", r#""error""#);
    check(r#"{"unknown":{"kept":[1]}}"#, "unknown", r#"{"kept":[1]}"#);
    check(&format!(r#"{{"logger":"{}"}}"#, "l".repeat(65)), "logger", &format!("\"{}...\"", "l".repeat(61)));
}

#[test]
fn what_was_wrong_is_remarked_with_its_path_and_value() {
    let event = normalised(r#"{"exception":{"values":[{"type":"A","stacktrace":{"frames":[{"lineno":"x"}]}}]}}"#);
    let remark = &event.remarks[0];
    assert_eq!(remark.path, "exception.values.0.stacktrace.frames.0.lineno");
    assert_eq!((remark.kind, &remark.value), (RemarkKind::InvalidData, &Some(Value::text("x"))));
}

#[test]
fn what_was_changed_is_in_meta() {
    check(r#"{"release":"a/b"}"#, "_meta.release", r#"{"":{"err":["invalid_data"],"val":"a/b"}}"#);
    check(r#"{"release":"a/b","_meta":{"user":{"":{}}}}"#, "_meta.user", r#"{"":{}}"#);
    check(
        &format!(r#"{{"logger":"{}"}}"#, "l".repeat(65)),
        "_meta.logger",
        r#"{"":{"rem":[["!limit","s"]],"len":65}}"#,
    );
    check(r#"{"release":"a/b","_meta":{"release":3}}"#, "_meta", r#"{"release":3}"#);
    check("{}", "_meta", "-");
}

#[test]
fn free_form_data_has_a_size_and_a_depth() {
    let long = "v".repeat(20_000);
    check(&format!(r#"{{"extra":{{"a":"{long}","b":1}}}}"#), "extra.b", "1");
    let cut = format!("\"{}...\"", &long[..16_384 - 4]);
    check(&format!(r#"{{"extra":{{"a":"{long}"}}}}"#), "extra.a", &cut);
    check(&format!(r#"{{"extra":{{"a":"{long}"}}}}"#), "_meta.extra.a..len", "20001");
    let many = vec!["[]"; 20_000].join(",");
    check(&format!(r#"{{"request":{{"data":[{many}]}}}}"#), "request.data.8190", "[]");
    check(&format!(r#"{{"request":{{"data":[{many}]}}}}"#), "request.data.8191", "-");
    check(&format!(r#"{{"request":{{"cookies":{{"a":"{long}","b":"x"}}}}}}"#), "request.cookies.1", "-");
    let nested = |inner: &str| format!(r#"{{"extra":{{"a":{{"b":{{"c":{{"d":{{"e":{{"f":{inner}}}}}}}}}}}}}}}"#);
    check(&nested(r#"{"g":1}"#), "extra.a.b.c.d.e.f", r#"{"g":1}"#);
    check(&nested(r#"{"g":[[1],[]]}"#), "extra.a.b.c.d.e.f", r#"{"g":["[1]",[]]}"#);
}

#[test]
fn long_stacks_keep_details_at_their_ends() {
    let frame = |number: usize| {
        let in_app = number == 30;
        format!(r#"{{"lineno":{number},"in_app":{in_app},"vars":{{"a":1}},"context_line":"c","pre_context":["p"]}}"#)
    };
    let frames: Vec<String> = (0..100).map(frame).collect();
    let json = format!(r#"{{"stacktrace":{{"frames":[{}]}}}}"#, frames.join(","));
    for (index, has_vars) in [(0, true), (23, true), (24, false), (30, true), (74, false), (75, true), (99, true)] {
        let expected = if has_vars { r#"{"a":1}"# } else { "-" };
        check(&json, &format!("stacktrace.frames.{index}.vars"), expected);
        check(&json, &format!("stacktrace.frames.{index}.context_line"), r#""c""#);
    }
}

#[test]
fn signals_get_their_names() {
    let json = |os: &str, meta: &str| {
        format!(r#"{{"contexts":{{"os":{{"name":"{os}"}}}},"exception":{{"type":"A","mechanism":{{"meta":{meta}}}}}}}"#)
    };
    let path = "exception.values.0.mechanism.meta";
    check(&json("Linux", r#"{"signal":{"number":7}}"#), path, r#"{"signal":{"number":7,"name":"SIGBUS"}}"#);
    check(&json("iOS", r#"{"signal":{"number":10}}"#), path, r#"{"signal":{"number":10,"name":"SIGBUS"}}"#);
    check(&json("Windows", r#"{"signal":{"number":11}}"#), path, r#"{"signal":{"number":11}}"#);
    check(
        &json("macOS", r#"{"mach_exception":{"exception":1}}"#),
        path,
        r#"{"mach_exception":{"exception":1,"name":"EXC_BAD_ACCESS"}}"#,
    );
}

#[test]
fn forms_are_taken_apart_and_prose_is_not() {
    let data = |data: &str| format!(r#"{{"request":{{"data":"{data}"}}}}"#);
    check(&data("a=1&b=x+y"), "request.data", r#"{"a":"1","b":"x y"}"#);
    check(&data("x = 1 & y = 2"), "request.data", r#""x = 1 & y = 2""#);
    check(&data("aGVsbG8="), "request.data", r#""aGVsbG8=""#);
    check(
        r#"{"request":{"data":"a=b c","headers":{"content-type":"application/x-www-form-urlencoded; charset=utf-8"}}}"#,
        "request.data",
        r#"{"a":"b c"}"#,
    );
}

#[test]
fn a_security_report_is_completed_by_the_request_that_brought_it() {
    let of_request = Context {
        client_ip: Some("203.0.113.9".parse().expect("an address")),
        user_agent: Some("Mozilla/5.0 (X11; Linux x86_64) Chrome/120.0.0.0 Safari/537.36"),
        ..context()
    };
    let check = |json: &str, path: &str, expected: &str| check_in(&of_request, json, path, expected);
    let bare = r#"{"csp":{"effective_directive":"img-src"}}"#;
    check(bare, "logger", r#""csp""#);
    check(bare, "user.ip_address", r#""203.0.113.9""#);
    check(bare, "contexts.browser.name", r#""Chrome""#);
    let own = r#"{"hpkp":{},"logger":"a","user":{"ip_address":"1.2.3.4"},"request":{"headers":[["user-agent","b"]]}}"#;
    check(own, "logger", r#""a""#);
    check(own, "user.ip_address", r#""1.2.3.4""#);
    check(own, "request.headers", r#"[["User-Agent","b"]]"#);
    check(r#"{"message":"m"}"#, "user", "-");
}
