//! How far the first grouping agrees with Sentry's own: events of its grouping tests, where they are beside the
//! checkout. The floor only rises; complete agreement needs the stack-trace rules, which are not here yet.

use crate::context;
use processing::group::{ConfigName, GroupConfig, group};
use processing::normalise;
use protocol::event::Event;
use std::path::Path;

const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/corpus/grouping");

/// Inputs of which every variant's hash agrees, by configuration. Raise it when more do.
const FLOORS: [(ConfigName, usize); 2] = [(ConfigName::Newstyle20260120, 4), (ConfigName::Newstyle20230111, 43)];

#[test]
fn agreement_with_recorded_hashes_never_falls() {
    let Ok(expected) = std::fs::read_to_string(Path::new(CORPUS).join("expected.json")) else {
        println!("skipped: no grouping corpus beside the checkout");
        return;
    };
    let expected: serde_json::Value = serde_json::from_str(&expected).expect("expected hashes are json");
    for (name, floor) in FLOORS {
        let mut agreed = 0;
        let mut inputs = 0;
        for (file, configs) in expected.as_object().expect("files by name") {
            let Some(hashes) = configs.get(name.as_str()) else { continue };
            inputs += 1;
            let input = std::fs::read(Path::new(CORPUS).join("inputs").join(file)).expect("an input of that name");
            let differing = disagreement(&input, name, hashes);
            println!("{} {file}: {}", name.as_str(), differing.as_deref().unwrap_or("agrees"));
            agreed += usize::from(differing.is_none());
        }
        println!("{}: {agreed} of {inputs} inputs agree", name.as_str());
        assert!(agreed >= floor, "{}: {agreed} of {inputs} agree, fewer than {floor}", name.as_str());
    }
}

/// The first variant that differs.
fn disagreement(input: &[u8], name: ConfigName, expected: &serde_json::Value) -> Option<String> {
    let event = normalise(Event::parse(input).expect("an event"), &context());
    let grouping = group(&event, &GroupConfig { name });
    for (variant, hash) in expected.as_object().expect("hashes by variant") {
        let ours = grouping.variants.iter().find(|ours| ours.name == variant).and_then(|ours| ours.hash);
        let ours = ours.map(|hash| stdx::hex::encode(&hash));
        if ours.as_deref() != hash.as_str() {
            return Some(format!("{variant}: {ours:?}, recorded {hash}"));
        }
    }
    None
}
