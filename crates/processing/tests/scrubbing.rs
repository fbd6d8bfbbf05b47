//! Scrubbing: what is taken from an event, from every place and in every form that SDKs send, and what stays.

use processing::scrub::{AttachmentFate, AttachmentKind, Scrubber, Settings};
use proptest::prelude::*;
use protocol::json::{self, Value};

fn scrubber(settings: &Settings) -> Scrubber {
    Scrubber::new(settings).expect("valid settings")
}

fn scrubbed_by(scrubber: &Scrubber, json: &str) -> Value<'static> {
    let mut event = json::parse(json.as_bytes()).expect("valid json").into_static();
    scrubber.scrub(&mut event);
    event
}

/// Returns the value at a path of keys and indexes after scrubbing, as JSON text.
fn at(event: &Value<'_>, path: &str) -> String {
    let mut value = Some(event);
    for step in path.split('/') {
        value = value.and_then(|value| match (value, step.parse::<usize>()) {
            (Value::Array(values), Ok(index)) => values.get(index),
            (value, _) => value.get(step),
        });
    }
    value.map_or("-".to_owned(), json::to_text)
}

fn check(json: &str, path: &str, expected: &str) {
    assert_eq!(at(&scrubbed_by(&scrubber(&Settings::default()), json), path), expected, "{path} of {json}");
}

const SECRET: &str = "hunter2-correct-horse";
const CARD: &str = "4111-1111-1111-1234";

/// Events with a secret, in each place and form; `§` and `¤` stand for it.
const WITH_SECRETS: &str = include_str!("fixtures/secrets.txt");

#[test]
fn a_secret_is_found_in_every_place_an_sdk_can_put_it() {
    let scrubber = scrubber(&Settings::default());
    let mut leaks = Vec::new();
    for place in WITH_SECRETS.lines().filter(|line| !line.starts_with('#')) {
        let json = place.replace('§', SECRET).replace('¤', CARD);
        assert!(json.contains(SECRET) || json.contains(CARD), "{json}");
        let event = scrubbed_by(&scrubber, &json);
        let text = json::to_text(&event);
        if text.contains(SECRET) || text.contains(CARD) {
            leaks.push(format!("{json}\n{text}"));
            continue;
        }
        assert!(event.get("_meta").is_some(), "{text}");
        assert_eq!(json::to_text(&scrubbed_by(&scrubber, &text)), text, "scrubbing twice");
    }
    assert!(leaks.is_empty(), "{}", leaks.join("\n\n"));
}

#[test]
fn names_of_attachments_lose_their_secrets_and_stay_names() {
    let scrubber = scrubber(&Settings { sensitive_fields: vec!["patient".to_owned()], ..Settings::default() });
    let check = |name: &str, expected: &str| assert_eq!(scrubber.scrub_file_name(name), expected);
    check("auth.log", "auth.log");
    check(r"C:\logs\secret-service.txt", r"C:\logs\secret-service.txt");
    check("dump?password=hunter2", "[Filtered]");
    check("token: hunter2.txt", "[Filtered]");
    check("https://bob:hunter2@x/a.png", "https://bob:[Filtered]@x/a.png");
    check("card 4111-1111-1111-1234.pdf", "card [Filtered].pdf");
    check("ghp_Ab1Cd2Ef3Gh4Ij5Kl6Mn7.txt", "[Filtered].txt");
    check("patient Jane.pdf", "[Filtered]");
}

#[test]
fn tokens_of_known_services_are_found_by_their_look() {
    let key = "Ab1Cd2Ef3Gh4Ij5Kl6Mn7";
    for start in ["ghp_", "glpat-", "sk_live_", "xoxb-", "AKIA", "sntrys_"] {
        let json = format!(r#"{{"extra":{{"environ":{{"SOME_NAME":"x {start}{key} y"}}}}}}"#);
        check(&json, "extra/environ/SOME_NAME", r#""x [Filtered] y""#);
    }
    check(r#"{"extra":{"a":"npm_config"}}"#, "extra/a", r#""npm_config""#);
}

#[test]
fn numbers_that_identify_are_taken_and_the_rest_of_the_text_stays() {
    let text = |text: &str| format!(r#"{{"extra":{{"a":"{text}"}}}}"#);
    check(&text("card 4111-1111-1111-1111 used"), "extra/a", r#""card [Filtered] used""#);
    check(&text("DE89 3704 0044 0532 0130 00"), "extra/a", r#""[Filtered]""#);
    check(&text("ssn 078-05-1120"), "extra/a", r#""ssn [Filtered]""#);
    check(&text("order 12345678901234567"), "extra/a", r#""order 12345678901234567""#);
    check(
        r#"{"extra":{"a":4111111111111111,"b":123456789012345678}}"#,
        "extra",
        r#"{"a":null,"b":123456789012345678}"#,
    );
    check(
        &text("-----BEGIN PRIVATE KEY-----\\nMIIB\\n-----END PRIVATE KEY-----"),
        "extra/a",
        r#""-----BEGIN PRIVATE KEY-----[Filtered]-----END PRIVATE KEY-----""#,
    );
}

#[test]
fn messages_keep_their_words() {
    let json = r#"{"logentry":{"formatted":"mail jane@example.com with password x, card 4111111111111111"}}"#;
    check(json, "logentry/formatted", r#""mail [email] with password x, card [creditcard]""#);
    check(r#"{"message":"from a@b.co: Bearer abcdef"}"#, "message", r#""from [email]: Bearer [token]""#);
    check(r#"{"message":"a@b.co"}"#, "_meta/logentry/formatted//rem", r#"[["@email:replace","s",0,7]]"#);
}

#[test]
fn what_default_rules_leave_alone_stays() {
    let kept = r#"{"event_id":"a","platform":"python","transaction":"/auth/token","release":"auth@1","environment":"secret",
        "tags":{"author":"x","token":"y"},"modules":{"oauthlib":"3"},"fingerprint":["password"],"logger":"auth",
        "sdk":{"name":"auth"},"debug_meta":{"images":[{"code_file":"secret"}]},
        "exception":{"values":[{"type":"AuthError","value":"wrong password=x","module":"auth",
            "mechanism":{"type":"auth","meta":{"errno":{"number":1}}},
            "stacktrace":{"frames":[{"function":"auth","filename":"auth.py","abs_path":"/secret","context_line":"password = 1",
                "pre_context":["secret"],"lineno":1}]}}]},
        "breadcrumbs":[{"category":"auth","type":"auth","level":"info","data":{"is_auth":true,"secret":""}}],
        "request":{"url":"https://x/auth?a=1","method":"GET","headers":{"User-Agent":"auth"},"data":"{ \"a\" : 1 }"},
        "user":{"id":"1","email":"jane@example.com","ip_address":"10.0.0.1"},
        "extra":{"session":"s","pwd":"p","email":"e","ip":"10.0.0.1","null":null}}"#;
    let before = json::to_text(&json::parse(kept.as_bytes()).expect("valid json"));
    assert_eq!(json::to_text(&scrubbed_by(&scrubber(&Settings::default()), kept)), before);
}

#[test]
fn remarks_say_what_was_there() {
    let json =
        r#"{"exception":[{"stacktrace":{"frames":[{"vars":{"password":"abc","token":{"a":1}}}]}}],"extra":{"a":"x"}}"#;
    let vars = "_meta/exception/values/0/stacktrace/frames/0/vars";
    check(json, &format!("{vars}/password/"), r#"{"rem":[["@password:filter","s",0,10]],"len":3}"#);
    check(json, &format!("{vars}/token/"), r#"{"rem":[["@password:filter","x"]]}"#);
    check(json, "_meta/extra", "-");
    let url = r#"{"request":{"url":"https://x/?a=1&token=abc&b=2"}}"#;
    check(url, "request/url", r#""https://x/?a=1&token=[Filtered]&b=2""#);
    check(url, "_meta/request/url//rem", r#"[["@password:filter","s",21,31]]"#);
}

#[test]
fn settings_decide() {
    let with = |change: fn(&mut Settings)| {
        let mut settings = Settings::default();
        change(&mut settings);
        scrubber(&settings)
    };
    let json = r#"{"extra":{"password":"p","foo_bar":"f","x":"has foo in it"},"tags":{"foo":"t"},
        "user":{"ip_address":"10.0.0.1","id":"i"},"message":"from 10.0.0.1"}"#;
    let extra = |scrubber: &Scrubber| at(&scrubbed_by(scrubber, json), "extra");
    let off = with(|settings| settings.scrubs_data = false);
    assert_eq!(extra(&off), r#"{"password":"p","foo_bar":"f","x":"has foo in it"}"#);
    let no_defaults = with(|settings| {
        settings.with_defaults = false;
        settings.sensitive_fields = vec!["FOO".to_owned()];
    });
    assert_eq!(extra(&no_defaults), r#"{"password":"p","foo_bar":"[Filtered]","x":"[Filtered]"}"#);
    assert_eq!(at(&scrubbed_by(&no_defaults, json), "tags"), r#"{"foo":"[Filtered]"}"#);
    let safe = with(|settings| settings.safe_fields = vec!["Password".to_owned()]);
    assert_eq!(extra(&safe), r#"{"password":"p","foo_bar":"f","x":"has foo in it"}"#);
    let elsewhere = with(|settings| settings.safe_fields = vec!["contexts.**".to_owned(), "$user.id".to_owned()]);
    assert_eq!(extra(&elsewhere), r#"{"password":"[Filtered]","foo_bar":"f","x":"has foo in it"}"#);
    let no_ip = with(|settings| settings.scrubs_ip = true);
    let event = scrubbed_by(&no_ip, json);
    assert_eq!(
        (at(&event, "user"), at(&event, "message")),
        (r#"{"ip_address":null,"id":"i"}"#.into(), r#""from [ip]""#.into())
    );
}

fn with_rules(rules: &str) -> Settings {
    Settings { scrubs_data: false, rules: rules.to_owned(), hash_key: "key".to_owned(), ..Settings::default() }
}

#[test]
fn a_projects_own_rules_are_applied_where_they_say() {
    let rules = r#"{"rules":{"order":{"type":"pattern","pattern":"o-[0-9]+","redaction":{"method":"replace","text":"<order>"}},
        "keys":{"type":"redact_pair","keyPattern":"(?i)shoe"},"both":{"type":"multiple","rules":["order","@email:mask"]}},
        "applications":{"extra.** && !extra.keep":["both"],"$user.id":["@anything:hash"],"**":["keys"],
            "$http.headers.X-Trace":["@anything:remove"],"$error.value":["@ip"]}}"#;
    let json = r#"{"extra":{"a":"o-12 of a@b.co","keep":"o-12","shoe_size":42},"user":{"id":"jane"},
        "request":{"headers":[["X-Trace","t"],["Accept","a"]]},"exception":{"value":"at 10.0.0.1"}}"#;
    let event = scrubbed_by(&scrubber(&with_rules(rules)), json);
    let check = |path: &str, expected: &str| assert_eq!(at(&event, path), expected, "{path}");
    check("extra", r#"{"a":"<order> of ******","keep":"o-12","shoe_size":null}"#);
    check("user/id", r#""7e024875be2f82307efd9e99d8a6bbd558d334f5""#);
    check("request/headers", r#"[["X-Trace",null],["Accept","a"]]"#);
    check("exception/value", r#""at [ip]""#);
    check("_meta/extra/a//rem/0/0", r#""order""#);
}

#[test]
fn what_rules_make_of_an_event_is_bounded() {
    let rules = |pattern: &str, with: &str, times: usize, selector: &str| {
        let names = vec!["\"r\""; times].join(",");
        with_rules(&format!(
            r#"{{"rules":{{"r":{{{pattern},"redaction":{{"method":"replace","text":"{with}"}}}}}},
            "applications":{{"{selector}":[{names}]}}}}"#
        ))
    };
    let letter = r#""type":"pattern","pattern":"a""#;
    let event = scrubbed_by(&scrubber(&rules(letter, &"a".repeat(10), 8, "$string")), r#"{"extra":{"k":"a","b":"b"}}"#);
    assert_eq!((&*at(&event, "extra/k"), &*at(&event, "extra/b")), (r#""[Filtered]""#, r#""b""#));
    assert!(at(&event, "_meta/extra/k//rem").ends_with(r#"["r","s",0,10]]"#), "{event:?}");
    let event = scrubbed_by(&scrubber(&rules(letter, &"a".repeat(10), 3, "$string")), r#"{"extra":{"k":"a"}}"#);
    assert_eq!(at(&event, "extra/k").len(), 1_002);
    let event = scrubbed_by(&scrubber(&rules(letter, &"b".repeat(9_000), 1, "$string")), r#"{"extra":{"k":"a"}}"#);
    assert_eq!(at(&event, "extra/k"), r#""[Filtered]""#);
    // Many short values together, replaced in part and as a whole.
    let many = format!(r#"{{"extra":{{"k":[{}]}}}}"#, vec![r#""a""#; 5_000].join(","));
    for finds in [letter, r#""type":"anything""#] {
        let event = scrubbed_by(&scrubber(&rules(finds, &"b".repeat(8_000), 1, "extra.k.*")), &many);
        assert!((1 << 20..2 << 20).contains(&json::to_text(&event).len()), "{finds}");
    }
}

#[test]
fn rules_that_cannot_be_used_are_refused_with_a_reason() {
    fn check(rules: &str, expected: &str) {
        let error = Scrubber::new(&with_rules(rules)).err().expect(rules);
        assert!(error.to_string().contains(expected), "{rules}: {error}");
    }
    check("[", "no JSON object");
    check(r#"{"rules":[]}"#, "'rules' has to be an object");
    check(r#"{"applications":{"a..b":["@ip"]}}"#, "a key, '*'");
    check(r#"{"applications":{"a":["@nothing"]}}"#, "rule '@nothing' does not exist");
    check(r#"{"applications":{"a":["mine"]}}"#, "rule 'mine' does not exist");
    check(r#"{"applications":{"a":"@ip"}}"#, "a list of names");
    check(r#"{"rules":{"r":{"type":"pattern","pattern":"("}}}"#, "rule 'r'");
    check(r#"{"rules":{"r":{"type":"pattern","pattern":"a","redaction":"burn"}}}"#, "its method is none of");
    check(r#"{"rules":{"r":{"type":"multiple","rules":["r"]}}}"#, "made of itself");
    check(&format!(r#"{{"rules":{{"r":{{"type":"pattern","pattern":"{}"}}}}}}"#, "(\\\\w{100}){100}"), "rule 'r'");
}

#[test]
fn rules_that_would_take_too_much_memory_are_refused() {
    let refused = |rules: &str, expected: &str| {
        let error = Scrubber::new(&with_rules(rules)).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains(expected), "{error}");
    };
    let names = |name: &str, count: usize| vec![format!("\"{name}\""); count].join(",");
    let large = r#"{"type":"pattern","pattern":"\\w{5}"}"#;
    // One pattern, named often: the least that took gigabytes when each mention had its own.
    let parts = (0..80).map(|rule| format!(r#""m{rule}":{{"type":"multiple","rules":[{}]}}"#, names("a", 190)));
    let parts = parts.collect::<Vec<_>>().join(",");
    let rules = |applied: &str| format!(r#"{{"rules":{{"a":{large},{parts}}},"applications":{{{applied}}}}}"#);
    Scrubber::new(&with_rules(&rules(r#""**":["m1"]"#))).expect("each is read once");
    let applied = (0..12).map(|at| format!(r#""extra.a{at}":["m{at}"]"#)).collect::<Vec<_>>().join(",");
    refused(&rules(&applied), "more than 2000 rules together");
    refused(&rules(r#""**":["m1","m2"]"#), "names too many rules");
    let many = (0..100).map(|at| format!(r#""r{at}":{large}"#)).collect::<Vec<_>>().join(",");
    refused(&format!(r#"{{"rules":{{{many}}}}}"#), "8 MiB together");
}

#[test]
fn attachments_are_scrubbed_only_by_rules_that_name_them() {
    let scrub = |rules: &str, kind, name: &str, content: &[u8]| {
        let mut bytes = content.to_vec();
        let scrubber = scrubber(&with_rules(rules));
        let named = scrubber.names_attachments(kind);
        let fate = scrubber.scrub_attachment(kind, name, &mut bytes);
        (named, fate, bytes)
    };
    let (attachment, minidump) = (AttachmentKind::Attachment, AttachmentKind::Minidump);
    let log = b"mail a@b.co \xff end";
    let everywhere = r#"{"applications":{"**":["@email"]}}"#;
    assert_eq!(scrub(everywhere, attachment, "a.log", log), (false, AttachmentFate::Kept, log.to_vec()));
    let changed = AttachmentFate::Changed { rule: "@email".to_owned() };
    let one = r#"{"applications":{"$attachments.'a.log'":["@email"]}}"#;
    assert_eq!(scrub(one, attachment, "a.log", log), (true, changed.clone(), b"mail ****** \xff end".to_vec()));
    assert_eq!(scrub(one, attachment, "b.log", log), (true, AttachmentFate::Kept, log.to_vec()));
    assert_eq!(scrub(one, minidump, "a.log", log), (false, AttachmentFate::Kept, log.to_vec()));
    let all = r#"{"applications":{"$minidump":["@email"],"$attachments.*":["@anything:remove"]}}"#;
    assert_eq!(scrub(all, minidump, "x.dmp", log).1, changed);
    assert_eq!(scrub(all, attachment, "x", log).1, AttachmentFate::Removed { rule: "@anything:remove".to_owned() });
}

#[test]
fn attachments_hold_text_of_two_widths() {
    let scrubber = scrubber(&with_rules(r#"{"applications":{"$minidump":["@email"]}}"#));
    let wide = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    for before in [&b"MDMP"[..], b"MDMP\x07", "ü€".as_bytes(), &[0xd8; 9]] {
        let mut bytes = [before, &wide("\0user=ab@é.co;\u{1f600} c@d.ef"), &[0; 3], b"c@d.ef", &[0xff; 4]].concat();
        let length = bytes.len();
        let fate = scrubber.scrub_attachment(AttachmentKind::Minidump, "a.dmp", &mut bytes);
        assert_eq!(fate, AttachmentFate::Changed { rule: "@email".to_owned() });
        assert_eq!(bytes.len(), length, "no place in it moves");
        let holds = |text: &[u8]| bytes.windows(text.len()).any(|part| part == text);
        assert!(!holds(b"c@d.ef") && !holds(&wide("c@d.ef")), "{bytes:?}");
        assert!(holds(&wide("\0user=")) && bytes.starts_with(before), "{bytes:?}");
    }
    let mut noise: Vec<u8> = (0..=u8::MAX).cycle().take(10_000).collect();
    let before = noise.clone();
    assert_eq!(scrubber.scrub_attachment(AttachmentKind::Minidump, "a.dmp", &mut noise), AttachmentFate::Kept);
    assert_eq!(noise, before);
}

fn any_value() -> impl Strategy<Value = serde_json::Value> {
    let words = ["password", "extra", "request", "headers", "cookies", "data", "values", "exception", "a", "=", "tags"];
    let texts =
        ["Bearer x y", "a=1&token=b%4", "4111-1111-1111-1111", "{\"a\":1}", "http://a:b@c/?d#e", "ü;=,", "sk_live_"];
    let leaf = prop_oneof![
        any::<i64>().prop_map(serde_json::Value::from),
        any::<String>().prop_map(serde_json::Value::from),
        prop::sample::select(texts.to_vec()).prop_map(serde_json::Value::from),
    ];
    leaf.prop_recursive(6, 80, 6, move |inner| {
        let key = prop::sample::select(words.to_vec()).prop_map(str::to_owned);
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
            proptest::collection::vec((key, inner), 0..6)
                .prop_map(|entries| serde_json::Value::from(serde_json::Map::from_iter(entries))),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn anything_is_scrubbed_and_twice_is_once(value in any_value()) {
        let settings = Settings {
            scrubs_ip: true,
            sensitive_fields: vec!["tag".to_owned()],
            rules: r#"{"applications":{"**":["@email","@uuid:mask"],"extra.a":["@anything:remove"]}}"#.to_owned(),
            ..Settings::default()
        };
        let scrubber = scrubber(&settings);
        let json = serde_json::json!({ "event": value, "extra": value, "request": value, "exception": value }).to_string();
        let once = json::to_text(&scrubbed_by(&scrubber, &json));
        prop_assert_eq!(json::to_text(&scrubbed_by(&scrubber, &once)), once);
    }
}
