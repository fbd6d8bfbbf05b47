//! The tags an event can be found by.

use crate::normalised;
use processing::limits::DERIVED_TAGS_MAX;
use processing::tags::derived;
use std::collections::HashSet;

fn check(json: &str, expected: &str) {
    let tags: Vec<String> =
        derived(&normalised(json)).into_iter().map(|(key, value)| format!("{key}={value}")).collect();
    assert_eq!(tags.join("; "), expected, "{json}");
}

#[test]
fn fields_contexts_and_the_mechanism_are_tags() {
    check("{}", "level=error");
    check(
        r#"{"level":"info","environment":"e","release":"r","dist":"d","user":{"id":1},"transaction":"t","logger":"l",
            "server_name":"s","request":{"url":"http://x/"},"tags":{"k":"v"}}"#,
        "level=info; environment=e; release=r; dist=d; user=id:1; transaction=t; url=http://x/; logger=l; \
         server_name=s; k=v",
    );
    check(
        r#"{"contexts":{"browser":{"name":"Firefox","version":"128"},"os":{"name":"Linux"},
            "device":{"model":"Pixel","family":"P"},"replay":{"replay_id":"ab"},"runtime":{"version":"1"}}}"#,
        "level=error; browser=Firefox 128; browser.name=Firefox; os=Linux; os.name=Linux; device=Pixel; \
         device.family=P; replayId=ab",
    );
    check(
        r#"{"exception":{"type":"A","mechanism":{"type":"flask","handled":false}}}"#,
        "level=error; mechanism=flask; handled=no",
    );
}

#[test]
fn a_field_wins_over_a_tag_and_a_tag_over_a_context() {
    check(
        r#"{"tags":{"level":"mine","os":"mine"},"contexts":{"os":{"name":"Linux"}}}"#,
        "level=error; os=mine; os.name=Linux",
    );
}

#[test]
fn tags_are_bounded_and_distinct() {
    let many: Vec<String> = (0..5_000).map(|number| format!(r#""k{number}":"v""#)).collect();
    let json = format!(r#"{{"tags":{{{}}}}}"#, many.join(","));
    let tags = derived(&normalised(&json));
    let keys: HashSet<&String> = tags.iter().map(|(key, _)| key).collect();
    assert!(tags.len() <= DERIVED_TAGS_MAX);
    assert_eq!(keys.len(), tags.len());
}
