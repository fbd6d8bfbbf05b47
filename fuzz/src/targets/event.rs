//! Events, through everything that the digest does to them: twice is once, and the order of keys changes no hash.

use processing::filter::{self, Filters, LegacyBrowser};
use processing::group::{ConfigName, GroupConfig};
use processing::scrub::{self, Scrubber};
use processing::{Context, normalise, summarise};
use protocol::event::Event;
use protocol::json::{self, Value};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::LazyLock;
use stdx::Timestamp;

pub const WORDS: &[&str] = &[
    "\"exception\":",
    "\"values\":[",
    "\"stacktrace\":{\"frames\":[",
    "\"type\":\"",
    "\"value\":\"",
    "\"mechanism\":{",
    "\"threads\":",
    "\"breadcrumbs\":",
    "\"request\":{",
    "\"headers\":",
    "\"cookies\":",
    "\"user\":",
    "\"tags\":",
    "\"contexts\":{",
    "\"extra\":{",
    "\"logentry\":",
    "\"message\":\"",
    "\"params\":[",
    "\"fingerprint\":[",
    "\"{{ default }}\"",
    "\"platform\":\"native\"",
    "\"function\":\"",
    "\"filename\":\"",
    "\"timestamp\":",
    "\"release\":",
    "\"parent_id\":0",
    "\"exception_id\":0",
    "\"is_exception_group\":true",
    "\"_meta\":{",
    "\"sentry.interfaces.Http\":",
    "\"csp\":{",
    "password=",
    "Bearer x",
    "4111111111111111",
    "http://a:b@c/",
    "%s {0}",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "null",
    "true",
    "-1",
    "1e400",
    "NaN",
    "\\u0000",
    "\\ud800",
    "é",
];

static SCRUBBER: LazyLock<Scrubber> = LazyLock::new(|| {
    let rules = r#"{"applications":{"**":["@email","@uuid:mask","@userpath:hash"],"extra.**":["@anything:remove"]}}"#;
    let settings = scrub::Settings {
        scrubs_ip: true,
        sensitive_fields: vec!["tag".to_owned()],
        rules: rules.to_owned(),
        ..scrub::Settings::default()
    };
    Scrubber::new(&settings).expect("the settings are valid")
});

static FILTERS: LazyLock<Filters> = LazyLock::new(|| {
    let settings = filter::Settings {
        browser_extensions: true,
        localhost: true,
        web_crawlers: true,
        legacy_browsers: vec![LegacyBrowser::Default, LegacyBrowser::Ie11],
        ip_addresses: vec!["10.0.0.0/8".to_owned()],
        releases: vec!["*beta*".to_owned()],
        error_messages: vec!["{a,b}*c*".to_owned()],
        ..filter::Settings::default()
    };
    Filters::new(&settings).expect("the settings are valid")
});

/// One for each configuration.
static CONFIGS: LazyLock<Vec<GroupConfig>> =
    LazyLock::new(|| ConfigName::ALL.map(|name| GroupConfig { name, ..GroupConfig::default() }).into());

pub fn run(bytes: &[u8]) {
    let mut repaired = Vec::new();
    let Ok(tree) = json::parse_or_repair(bytes, &mut repaired) else {
        return;
    };
    let Ok(event) = Event::from_value(tree.clone()) else {
        return;
    };
    let context = context();
    let once = normalise(event, &context);
    // What it is filtered for does not matter here.
    let _ = FILTERS.reason(&once, &context);
    assert!(!summarise(&once).title.is_empty(), "every event has a title");
    let hashes = hashes(&once);
    let text = json::to_text(&once.into_value());
    let again = normalise(Event::parse(text.as_bytes()).expect("what was written can be read"), &context);
    assert_eq!(hashes, self::hashes(&again), "grouping after normalising twice");
    assert_eq!(text, json::to_text(&again.into_value()), "normalising twice");

    let mut reversed = tree.clone();
    reverse_keys(&mut reversed);
    let reversed = normalise(Event::from_value(reversed).expect("it is an object still"), &context);
    assert_eq!(hashes, self::hashes(&reversed), "the order of keys");
    check_scrubbing(tree);
}

fn check_scrubbing(mut tree: Value<'_>) {
    SCRUBBER.scrub(&mut tree);
    let once = json::to_text(&tree);
    SCRUBBER.scrub(&mut tree);
    assert_eq!(once, json::to_text(&tree), "scrubbing twice");
}

fn context() -> Context<'static> {
    Context {
        event_id: [7; 16],
        received_at: Timestamp::from_seconds(1_795_234_000),
        client_ip: Some(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9))),
        user_agent: Some("Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0"),
        ..Context::default()
    }
}

fn hashes(event: &Event<'_>) -> Vec<Vec<[u8; 16]>> {
    CONFIGS.iter().map(|config| processing::group(event, config).hashes).collect()
}

/// Turns every object around that has no key twice: of those the first counts.
fn reverse_keys(value: &mut Value<'_>) {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Str(_) => {}
        Value::Array(values) => values.iter_mut().for_each(reverse_keys),
        Value::Object(object) => {
            let mut keys: Vec<String> = object.0.iter().map(|(key, _)| key.to_string()).collect();
            keys.sort_unstable();
            let length = keys.len();
            keys.dedup();
            if keys.len() == length {
                object.0.reverse();
            }
            object.0.iter_mut().for_each(|(_, value)| reverse_keys(value));
        }
    }
}
