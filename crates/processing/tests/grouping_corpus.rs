//! Agreement with Sentry's own hashes: events of its grouping tests, where they are beside the checkout. A scoreboard by
//! configuration; the floor only rises.

use crate::context;
use processing::group::{ConfigName, FingerprintRules, GroupConfig, StackRules, group};
use processing::normalise;
use protocol::event::Event;
use std::path::Path;
use std::sync::Arc;

const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/corpus/grouping");

/// Variants of which the hash agrees, by configuration. Raise it when more do.
const FLOORS: [(ConfigName, usize); 2] = [(ConfigName::Newstyle20260120, 30), (ConfigName::Newstyle20230111, 190)];

#[test]
fn agreement_with_recorded_hashes_never_falls() {
    let Ok(expected) = std::fs::read_to_string(Path::new(CORPUS).join("expected.json")) else {
        println!("skipped: no grouping corpus beside the checkout");
        return;
    };
    let expected: serde_json::Value = serde_json::from_str(&expected).expect("expected hashes are json");
    for (name, floor) in FLOORS {
        let (mut agreed, mut variants) = (0, 0);
        for (file, configs) in expected.as_object().expect("files by name") {
            let Some(hashes) = configs.get(name.as_str()) else { continue };
            let input = std::fs::read(Path::new(CORPUS).join("inputs").join(file)).expect("an input of that name");
            let differing = disagreements(&input, name, hashes);
            let of_file = hashes.as_object().map_or(0, serde_json::Map::len);
            variants += of_file;
            agreed += of_file - differing.len();
            differing.iter().for_each(|differing| println!("{} {file}: {differing}", name.as_str()));
        }
        println!("{}: {agreed} of {variants} variants agree", name.as_str());
        assert!(agreed >= floor, "{}: {agreed} of {variants} agree, fewer than {floor}", name.as_str());
    }
}

/// The variants that differ.
fn disagreements(input: &[u8], name: ConfigName, expected: &serde_json::Value) -> Vec<String> {
    let event = normalise(Event::parse(input).expect("an event"), &context());
    let text = |key: &str, inner: &str| {
        let value = event.other.get(key).and_then(|value| value.get(inner));
        value.and_then(|value| value.as_str()).map(str::to_owned)
    };
    let stack_rules = text("_grouping", "enhancements").map(|text| StackRules::parse(&text).expect("rules"));
    let fingerprint_rules =
        text("_fingerprinting_rules", "text").map(|text| FingerprintRules::parse(&text).expect("rules"));
    let config = GroupConfig {
        name,
        stack_rules: stack_rules.map(Arc::new),
        fingerprint_rules: fingerprint_rules.map(Arc::new),
    };
    let grouping = group(&event, &config);
    let mut differing = Vec::new();
    for (variant, hash) in expected.as_object().expect("hashes by variant") {
        let ours = grouping.variants.iter().find(|ours| ours.name == variant).and_then(|ours| ours.hash);
        let ours = ours.map(|hash| stdx::hex::encode(&hash));
        if ours.as_deref() != hash.as_str() {
            differing.push(format!("{variant}: {ours:?}, recorded {hash}"));
        }
    }
    differing
}
