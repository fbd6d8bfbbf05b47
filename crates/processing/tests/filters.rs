//! Inbound filters: which events they take, with which reason, and that all others stay.

use crate::context;
use processing::filter::{Filters, LegacyBrowser, Settings};
use processing::{Context, normalise};
use protocol::event::Event;
use protocol::json;

/// Every filter on, with lists.
fn all() -> Settings {
    Settings {
        browser_extensions: true,
        localhost: true,
        web_crawlers: true,
        legacy_browsers: vec![LegacyBrowser::Default, LegacyBrowser::Ie11],
        ip_addresses: vec!["203.0.113.0/24".to_owned(), "2001:db8::/32".to_owned()],
        releases: vec!["app@1.*".to_owned()],
        error_messages: vec!["*ignore me*".to_owned(), "Timeout{Error,Exception}: *".to_owned()],
        ..Settings::default()
    }
}

fn reason(settings: &Settings, json: &str, context: &Context<'_>) -> Option<&'static str> {
    let event = normalise(Event::parse(json.as_bytes()).expect("an object"), context);
    let filters = Filters::new(settings).expect("valid settings");
    let reason = filters.reason(&event, context).map(|reason| reason.as_str());
    let may_take = filters.may_take(&json::parse(json.as_bytes()).expect("valid json"));
    assert!(may_take || reason.is_none(), "{reason:?} would not be asked for: {json}");
    reason
}

fn check(json: &str, expected: Option<&str>) {
    assert_eq!(reason(&all(), json, &context()), expected, "{json}");
    // Those that are on by default are to be asked for without the others too.
    reason(&Settings::default(), json, &context());
}

fn check_agent(user_agent: &str, expected: Option<&str>) {
    check(&serde_json::json!({"request": {"headers": {"User-Agent": user_agent}}}).to_string(), expected);
}

#[test]
fn addresses_releases_and_messages_are_listed() {
    check(r#"{"user":{"ip_address":"203.0.113.7"}}"#, Some("ip-address"));
    check(r#"{"user":{"ip_address":"203.0.114.7"}}"#, None);
    let from = |ip: &str| Context { client_ip: Some(ip.parse().expect("an address")), ..context() };
    assert_eq!(reason(&all(), "{}", &from("2001:db8::7")), Some("ip-address"));
    assert_eq!(reason(&all(), "{}", &from("10.0.0.1")), None);
    check(r#"{"release":"APP@1.2.3"}"#, Some("release-version"));
    check(r#"{"release":"app@2.0"}"#, None);
    check(r#"{"message":"please IGNORE me now"}"#, Some("error-message"));
    check(r#"{"logentry":{"message":"%s me","params":["ignore"]}}"#, Some("error-message"));
    check(r#"{"exception":[{"type":"A"},{"type":"TimeoutError","value":"late"}]}"#, Some("error-message"));
    check(r#"{"exception":{"type":"TimeoutError"}}"#, None);
}

#[test]
fn local_machines_are_known() {
    check(r#"{"user":{"ip_address":"127.0.0.1"}}"#, Some("localhost"));
    check(r#"{"user":{"ip_address":"::1"}}"#, Some("localhost"));
    for url in
        ["http://localhost/x", "https://LOCALHOST:8000/", "http://127.0.0.1:3000", "http://app.localhost/", "file:///a"]
    {
        check(&serde_json::json!({"request": {"url": url}}).to_string(), Some("localhost"));
    }
    for url in ["http://localhost.example.com/", "http://example.com/localhost", "https://127.0.0.2.example/"] {
        check(&serde_json::json!({"request": {"url": url}}).to_string(), None);
    }
    check(r#"{"request":{"headers":{"Host":"localhost:80"}}}"#, Some("localhost"));
    check(r#"{"request":{"url":"http://x.y/","headers":{"Host":"localhost"}}}"#, None);
    check(
        r#"{"request":{"url":"http://x.y/","headers":{"X-Forwarded-For":"127.0.0.1, 10.0.0.1"}}}"#,
        Some("localhost"),
    );
}

#[test]
fn extensions_of_browsers_are_known() {
    let value = |value: &str| serde_json::json!({"exception": [{"type": "E", "value": value}]}).to_string();
    check(&value("Error: Extension context invalidated."), Some("browser-extensions"));
    check(&value("my own error"), None);
    let frames = |path: &str| {
        let frames = serde_json::json!([{"abs_path": path}, {"abs_path": "<anonymous>"}]);
        serde_json::json!({"exception": [{"type": "E", "stacktrace": {"frames": frames}}]}).to_string()
    };
    check(&frames("chrome-extension://abc/x.js"), Some("browser-extensions"));
    check(&frames("https://gc.kaspersky-labs.com/x.js"), Some("browser-extensions"));
    check(&frames("https://example.com/x.js"), None);
}

#[test]
fn old_browsers_and_crawlers_are_known_by_their_user_agents() {
    let legacy = Some("legacy-browsers");
    check_agent("Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 5.1)", legacy);
    check_agent("Mozilla/5.0 (Windows NT 6.1; Trident/7.0; rv:11.0) like Gecko", legacy);
    check_agent("Mozilla/5.0 (compatible; MSIE 10.0; Windows NT 6.2; Trident/6.0)", None);
    check_agent("Mozilla/5.0 (Linux; U; Android 2.3; x) AppleWebKit/533.1 Version/3.1 Mobile Safari/533.1", legacy);
    check_agent("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/118.0 Safari/537.36", None);
    let crawler = Some("web-crawlers");
    check_agent("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", crawler);
    check_agent("Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)", crawler);
    check_agent("Slack-ImgProxy (+https://api.slack.com/robots)", crawler);
    check_agent("Slackbot 1.0 (+https://api.slack.com/robots)", None);
    check_agent("robotics lab 1.0", None);
    let browser = r#"{"platform":"javascript"}"#;
    let submitted = Context { user_agent: Some("Mozilla/5.0 (compatible; Googlebot/2.1)"), ..context() };
    assert_eq!(reason(&all(), browser, &submitted), crawler);
}

#[test]
fn health_checks_are_transactions_not_errors() {
    check(r#"{"type":"transaction","transaction":"GET /health"}"#, Some("filtered-transaction"));
    check(r#"{"type":"transaction","transaction":"/api/healthcheck"}"#, Some("filtered-transaction"));
    check(r#"{"type":"transaction","transaction":"/wealth"}"#, None);
    check(r#"{"transaction":"/health","message":"disk full"}"#, None);
}

#[test]
fn known_errors_of_frameworks_are_taken_by_default() {
    let default = |kind: &str, value: &str| {
        let json = serde_json::json!({"exception": [{"type": kind, "value": value}]}).to_string();
        reason(&Settings::default(), &json, &context())
    };
    let react = Some("react-hydration-errors");
    assert_eq!(default("Error", "Minified React error #418; visit https://react.dev/errors/418 for"), react);
    assert_eq!(default("Error", "Minified React error #41; visit https://reactjs.org/?invariant=41"), None);
    assert_eq!(default("Error", "Text content does not match server-rendered HTML."), react);
    assert_eq!(default("ChunkLoadError", "Loading chunk 3 failed."), Some("chunk-load-error"));
    assert_eq!(default("Error", "Uncaught (in promise): ChunkLoadError: Loading chunk 3"), Some("chunk-load-error"));
    assert_eq!(default("Error", "Loading chunk"), None);
    let chunk = Some("chunk-load-error");
    let other_forms = [
        r#"{"exception":{"values":[null,{"value":"ChunkLoadError: Loading chunk 3"}]}}"#,
        r#"{"sentry.interfaces.Exception":{"value":{"a":["x ChunkLoadError: Loading chunk 3"]}}}"#,
        r#"{"exception":[{"value":{"mechanism":"ChunkLoadError: Loading chunk 3"}}]}"#,
    ];
    for json in other_forms {
        assert_eq!(reason(&Settings::default(), json, &context()), chunk, "{json}");
    }
}

#[test]
fn an_event_without_any_of_these_is_not_looked_at_by_default() {
    let filters = |settings: &Settings| Filters::new(settings).expect("valid settings");
    let stack = r#"{"stacktrace":{"frames":[{"filename":"react-dom.js"}]},"type":"E","value":"late"}"#;
    let json = format!(r#"{{"type":"error","message":"reactor","exception":[{stack}]}}"#);
    let event = json::parse(json.as_bytes()).expect("valid json");
    assert!(!filters(&Settings::default()).may_take(&event));
    assert!(filters(&Settings { localhost: true, ..Settings::default() }).may_take(&event));
}

#[test]
fn reports_about_what_is_not_the_sites_are_taken() {
    let report = |uri: &str| serde_json::json!({"csp": {"blocked_uri": uri}}).to_string();
    for foreign in ["about", "about:blank", "chrome-extension://x", "http://localhost:3000/", "ms-browser-extension"] {
        check(&report(foreign), Some("invalid-csp"));
    }
    check(&report("https://aboutus.example/"), None);
    check(&report("self"), None);
}

#[test]
fn without_settings_nothing_else_is_filtered() {
    for json in [
        "{}",
        r#"{"user":{"ip_address":"127.0.0.1"},"request":{"url":"http://localhost/"}}"#,
        r#"{"request":{"headers":{"User-Agent":"Googlebot/2.1"}}}"#,
        r#"{"exception":[{"type":"E","value":"Extension context invalidated"}]}"#,
    ] {
        assert_eq!(reason(&Settings::default(), json, &context()), None, "{json}");
    }
}

#[test]
fn settings_that_cannot_be_used_are_refused() {
    let check = |change: fn(&mut Settings), expected: &str| {
        let mut settings = Settings::default();
        change(&mut settings);
        let error = Filters::new(&settings).err().expect(expected).to_string();
        assert!(error.contains(expected), "{error}");
    };
    check(|settings| settings.ip_addresses = vec!["10.0.0".to_owned()], "'10.0.0' is no address and no network");
    check(|settings| settings.releases = vec!["x".to_owned(); 501], "at most 500 entries");
    assert_eq!(LegacyBrowser::from_name("ie_pre_9"), Some(LegacyBrowser::IePre9));
    assert_eq!(LegacyBrowser::from_name("opera_mini"), Some(LegacyBrowser::OperaMini));
    assert_eq!(LegacyBrowser::from_name("netscape"), None);
}
