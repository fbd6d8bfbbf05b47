//! Events recorded from real SDKs, where the recordings are beside the checkout: each is read, survives the round trip
//! through the tree, and has the title one would expect.

use crate::context;
use processing::{normalise, summarise};
use protocol::event::Event;
use protocol::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const REQUESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/corpus/requests");

/// Event payloads by recording, `folder/…/001`; nothing, with a line printed, where there are no recordings.
fn payloads() -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![PathBuf::from(REQUESTS)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else {
            println!("skipped: no recordings in {}", folder.display());
            continue;
        };
        for path in entries.map(|entry| entry.expect("a readable folder").path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "body") {
                let name = path.strip_prefix(REQUESTS).expect("below the root").with_extension("");
                found.extend(payload(&path).map(|payload| (name.display().to_string(), payload)));
            }
        }
    }
    found
}

/// The event of a recorded `store/` request, or the event item of an `envelope/` request.
fn payload(body: &Path) -> Option<Vec<u8>> {
    let request = std::fs::read_to_string(body.with_extension("request.json")).ok()?;
    let request: serde_json::Value = serde_json::from_str(&request).expect("a request is json");
    let target = request["target"].as_str().unwrap_or_default();
    let bytes = std::fs::read(body).expect("a readable body");
    if target.contains("/store/") {
        // Some old clients wrap the event in base64 of zlib, which is the accept path's to undo.
        return bytes.starts_with(b"{").then_some(bytes);
    }
    if !target.contains("/envelope/") {
        return None;
    }
    let mut rest = bytes.split_once_line()?.1;
    while let Some((header, tail)) = rest.split_once_line() {
        let header: serde_json::Value = serde_json::from_slice(header).ok()?;
        let line = tail.split_once_line().map_or(tail.len(), |(line, _)| line.len());
        let length = header["length"].as_u64().map_or(line, |length| length as usize);
        if header["type"] == "event" {
            return Some(tail[..length].to_vec());
        }
        rest = tail.get(length + 1..)?;
    }
    None
}

trait Lines {
    fn split_once_line(&self) -> Option<(&[u8], &[u8])>;
}

impl Lines for [u8] {
    fn split_once_line(&self) -> Option<(&[u8], &[u8])> {
        let at = self.iter().position(|byte| *byte == b'\n')?;
        Some((&self[..at], &self[at + 1..]))
    }
}

#[test]
fn recorded_events_survive_the_round_trip() {
    for (name, payload) in payloads() {
        let value = json::parse(&payload).unwrap_or_else(|error| panic!("{name}: {error}"));
        let sent: serde_json::Value = serde_json::from_slice(&payload).expect("valid json");
        let written: serde_json::Value = serde_json::from_str(&json::to_text(&value)).expect("valid json");
        assert_eq!(written, sent, "{name}");
    }
}

#[test]
fn recorded_events_are_understood_in_every_field() {
    for (name, payload) in payloads() {
        let event = Event::parse(&payload).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(event.remarks, [], "{name}");
        let unknown: Vec<&str> = event.other.iter().map(|(key, _)| key.as_str()).collect();
        let expected: &[&str] = &["project", "time_spent", "repos", "version", "_metrics", "_metrics_summary"];
        assert!(unknown.iter().all(|key| expected.contains(key)), "{name}: {unknown:?}");
    }
}

#[test]
fn normalising_recorded_events_twice_changes_nothing_more() {
    for (name, payload) in payloads() {
        let once = normalise(Event::parse(&payload).expect("an event"), &context());
        let text = json::to_text(&once.clone().into_value());
        let twice = normalise(Event::parse(text.as_bytes()).expect("an event"), &context());
        assert_eq!(summarise(&twice), summarise(&once), "{name}");
        assert_eq!(json::to_text(&twice.into_value()), text, "{name}");
    }
}

#[test]
fn recorded_events_have_the_expected_titles() {
    let payloads = payloads();
    let check = |name: &str, title: &str, culprit: &str, user: Option<&str>, is_unhandled: bool| {
        let Some(payload) = payloads.get(name) else {
            assert!(payloads.is_empty(), "{name} is not recorded");
            return;
        };
        let summary = summarise(&normalise(Event::parse(payload).expect("an event"), &context()));
        let found = (&*summary.title, &*summary.culprit, summary.user.as_deref(), summary.is_unhandled);
        assert_eq!(found, (title, culprit, user, is_unhandled), "{name}");
    };
    check(
        "python-2.75.0/rich/001",
        "ValueError: could not compute ünï¢ode ☃",
        "__main__ in outer",
        Some("id:42"),
        false,
    );
    check("python-2.75.0/rich/002", "failed for user jane with 3 items", "", Some("id:42"), false);
    check("python-2.75.0/rich/003", "ExceptionGroup: several", "__main__ in <module>", Some("id:42"), false);
    check("python-2.75.0/rich/011", "in session", "/checkout/{id}", Some("id:42"), false);
    check("python-2.75.0/flask/001", "KeyError: 'stock'", "buy", Some("ip:203.0.113.5"), true);
    check("python-2.75.0/thread-excepthook/001", "RuntimeError: in thread", "__main__ in w", None, true);
    check("node-11.11.0/errors/002", "PaymentError: payment failed", "?(node_app)", Some("id:u1"), false);
    check("node-11.11.0/unhandled/004", "TypeError: cannot read total of o-2", "inner(node_app)", None, true);
    check("browser-7.120.4-chromium/same-origin/006", "Error: global v7", "?(/page/v7.js)", None, true);
    check("ruby-5.3.0-debian/001", "ArgumentError: wrapped", "ruby/app.rb in rescue in <main>", Some("id:1"), false);
    check("rust-0.49.5/001", "Outer: outer failed", "", Some("id:r1"), false);
    check("native-0.4.9/event/001", "Hello World!", "test-transaction", Some("id:42"), false);
    check("sentry-cli-3.8.0/event/001", "cli message 1", "", Some("id:5"), false);
    check(
        "raven-python-6.10.0/001",
        "ZeroDivisionError: division by zero",
        "__main__ in <module>",
        Some("id:7"),
        false,
    );
    check("raven-python-6.10.0/002", "hello 'x'", "raven.base in build_msg", Some("id:7"), false);
    // A message with a stack from the JavaScript SDK is a synthetic exception: Sentry names it after its function.
    check("node-11.11.0/errors/006", "Object.?", "", Some("id:u1"), false);
}
