//! Browser, system and device from the user agent of the request, of the submission, or from client hints.

use crate::context;
use processing::{Context, normalise};
use protocol::event::Event;

/// Returns the contexts made of a user agent as `name version`, and the device as `family/model/brand`.
fn found(user_agent: &str) -> String {
    let json = serde_json::json!({ "request": { "headers": { "user-agent": user_agent } } }).to_string();
    let event = normalise(Event::parse(json.as_bytes()).expect("an object"), &context());
    shown(&event)
}

fn shown(event: &Event<'_>) -> String {
    let context = |name| event.contexts.as_ref().and_then(|contexts| contexts.get(name));
    let named = |name| {
        let parts = context(name).map(|found| [found.text("name"), found.text("version")]);
        parts.map(|parts| parts.into_iter().flatten().collect::<Vec<_>>().join(" ")).unwrap_or_else(|| "-".to_owned())
    };
    let device = context("device").map(|found| [found.text("family"), found.text("model"), found.text("brand")]);
    let device = device.map(|parts| parts.map(|part| part.unwrap_or("?")).join("/"));
    format!("{} | {} | {}", named("browser"), named("client_os"), device.unwrap_or_else(|| "-".to_owned()))
}

#[test]
fn user_agents_are_known() {
    fn check(user_agent: &str, expected: &str) {
        assert_eq!(found(user_agent), expected, "{user_agent}");
    }
    let webkit = "AppleWebKit/537.36 (KHTML, like Gecko)";
    check(
        &format!("Mozilla/5.0 (Windows NT 10.0; Win64; x64) {webkit} Chrome/118.0.5993.88 Safari/537.36"),
        "Chrome 118.0.5993 | Windows >=10 | -",
    );
    check(
        &format!("Mozilla/5.0 (Windows NT 10.0; Win64; x64) {webkit} Chrome/118.0.0.0 Safari/537.36 Edg/118.0.2088.46"),
        "Edge 118.0.2088 | Windows >=10 | -",
    );
    check(
        &format!("Mozilla/5.0 (Linux; Android 13; Pixel 7) {webkit} Chrome/118.0.0.0 Mobile Safari/537.36"),
        "Chrome Mobile 118.0.0 | Android 13 | Pixel 7/Pixel 7/Google",
    );
    check(
        &format!(
            "Mozilla/5.0 (Linux; Android 12; SM-G991B Build/SP1A; wv) {webkit} Version/4.0 Chrome/99.0.1 Mobile Safari/5"
        ),
        "Chrome Mobile WebView 99.0.1 | Android 12 | Samsung SM-G991B/SM-G991B/Samsung",
    );
    check(
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) \
         Version/17.0 Mobile/15E148 Safari/604.1",
        "Mobile Safari 17.0 | iOS 17.0.1 | iPhone/iPhone/Apple",
    );
    check(
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.0 \
         Safari/605.1.15",
        "Safari 17.0 | Mac OS X 10.15.7 | Mac/Mac/Apple",
    );
    check("Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/118.0", "Firefox 118.0 | Linux | -");
    check(
        "Mozilla/5.0 (Android 13; Mobile; rv:109.0) Gecko/118.0 Firefox/118.0",
        "Firefox Mobile 118.0 | Android 13 | -",
    );
    check("Mozilla/5.0 (Windows NT 6.1; Trident/7.0; rv:11.0) like Gecko", "IE 11.0 | Windows 7 | -");
    check("Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 5.1)", "IE 8.0 | Windows XP | -");
    check(
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "Googlebot 2.1 | - | Spider/Desktop/Spider",
    );
    check("curl/8.1.2", "curl 8.1.2 | - | -");
    check("something else", "- | - | -");
    check("Android ü(", "- | Android | -");
}

#[test]
fn client_hints_win_and_the_events_own_contexts_stay() {
    let json = r#"{"contexts":{"browser":{"name":"Mine"}},"request":{"headers":{
        "User-Agent":"Mozilla/5.0 (Windows NT 10.0) Chrome/118.0.0.0 Safari/537.36",
        "Sec-CH-UA":"\"Chromium\";v=\"118\", \"Brave\";v=\"118\", \"Not=A?Brand\";v=\"99\"",
        "Sec-CH-UA-Platform":"\"Windows\"","Sec-CH-UA-Platform-Version":"\"15.0.0\"","Sec-CH-UA-Model":"\"\""}}}"#;
    let event = normalise(Event::parse(json.as_bytes()).expect("an object"), &context());
    assert_eq!(shown(&event), "Mine | Windows 15.0.0 | -");
    let json = json.replace("\"browser\"", "\"x\"");
    let event = normalise(Event::parse(json.as_bytes()).expect("an object"), &context());
    assert_eq!(shown(&event), "Brave 118 | Windows 15.0.0 | -");
}

#[test]
fn only_browsers_are_told_by_their_submission() {
    let submitted = |json: &str, user_agent| {
        let context = Context { user_agent: Some(user_agent), ..context() };
        let event = normalise(Event::parse(json.as_bytes()).expect("an object"), &context);
        let contexts = event.contexts.unwrap_or_default();
        let names: Vec<String> = contexts.0.iter().map(|(name, _)| name.to_string()).collect();
        names.join(" ")
    };
    let browser = "Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/118.0";
    assert_eq!(submitted(r#"{"platform":"javascript"}"#, browser), "browser os");
    assert_eq!(submitted(r#"{"platform":"python"}"#, browser), "");
    assert_eq!(submitted(r#"{"platform":"javascript"}"#, "sentry.python/2.1"), "");
}
