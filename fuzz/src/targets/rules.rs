//! Rules that people type: of stacks, and of scrubbing. Every text is refused or can be used on any event.

use processing::group::{ConfigName, GroupConfig, StackRules};
use processing::scrub::{Scrubber, Selector, Settings};
use processing::{Context, normalise};
use protocol::event::Event;
use protocol::json;
use std::sync::Arc;

pub const WORDS: &[&str] = &[
    "stack.function:",
    "function:",
    "path:**/",
    "stack.module:",
    "family:native",
    "app:yes",
    "error.type:",
    "error.value:",
    "category:",
    "!",
    " -app",
    " +app",
    " -group",
    "^-group",
    "v+app",
    " category=",
    " max-frames=1",
    " min-frames=9",
    "| ",
    " |",
    "[",
    "] |",
    "^",
    "*",
    "?",
    "**",
    "{a,b}",
    "\"",
    "\\",
    "#",
    "\n",
    "{\"applications\":{\"",
    "\":[\"@email",
    ":mask\"]}}",
    "{\"rules\":{\"a\":{\"type\":\"pattern\",\"pattern\":\"",
    "$string",
    "&&",
    "||",
    "(",
    ")",
    "extra.'a b'.*",
];

pub(super) const EVENT: &str = r#"{"platform":"python","level":"error","transaction":"/a","tags":{"k":"v"},
    "logentry":{"formatted":"m 1"},"extra":{"a b":{"c":"mail a@b.co"},"d":[1,"10.0.0.1"]},"user":{"id":"5"},
    "exception":{"values":[{"type":"ValueError","value":"bad 5","module":"m","mechanism":{"type":"x","handled":false},
    "stacktrace":{"frames":[{"function":"main","filename":"a/b.py","abs_path":"/srv/a/b.py","in_app":true},
    {"function":"lib::run<T>","module":"lib","package":"/usr/lib/libc.so.6","in_app":false},
    {"function":"fail","module":"shop.cart","filename":"shop/cart.py","abs_path":"/srv/shop/cart.py"}]}}]}}"#;

pub fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(rules) = StackRules::parse(text) {
        let rules = Some(Arc::new(rules));
        for name in ConfigName::ALL {
            group(&GroupConfig { name, stack_rules: rules.clone(), fingerprint_rules: None });
        }
    }
    // That it is read or refused is enough.
    let _ = Selector::parse(text);
    if let Ok(scrubber) = Scrubber::new(&Settings { rules: text.to_owned(), ..Settings::default() }) {
        let mut event = json::parse(EVENT.as_bytes()).expect("the event is valid");
        scrubber.scrub(&mut event);
    }
}

pub(super) fn group(config: &GroupConfig) {
    let event = Event::parse(EVENT.as_bytes()).expect("the event is valid");
    let event = normalise(event, &Context::default());
    assert!(!processing::group(&event, config).hashes.is_empty(), "every event has a group");
}
