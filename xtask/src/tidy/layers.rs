//! The one-way list of ARCHITECTURE.md, read from the crates' manifests: who may depend on whom.

use super::{Finding, TextFile, Tree};

/// A crate and every crate of ours that it may name. `testkit` may be named by all, for tests only.
const ALLOWED: &[(&str, &[&str])] = &[
    ("stdx", &[]),
    ("telemetry", &["stdx"]),
    ("protocol", &["stdx"]),
    ("db", &["stdx"]),
    ("queue", &["stdx", "db"]),
    ("processing", &["stdx", "protocol"]),
    ("store", &["stdx", "db", "protocol"]),
    ("ops", &["stdx", "protocol", "db", "store", "queue", "processing"]),
    ("ingest", &["stdx", "telemetry", "protocol", "db", "store", "queue", "processing", "ops"]),
    ("pipeline", &["stdx", "telemetry", "protocol", "db", "store", "queue", "processing", "ops"]),
    ("web", &["stdx", "telemetry", "protocol", "db", "store", "queue", "processing", "ops"]),
    (
        "vigie",
        &["stdx", "telemetry", "protocol", "db", "store", "queue", "processing", "ops", "ingest", "pipeline", "web"],
    ),
    ("testkit", &["stdx", "telemetry", "protocol", "db", "store", "queue", "processing", "ops"]),
    ("bench", &["stdx", "queue", "store", "telemetry"]),
    ("xtask", &["stdx", "bench"]),
    ("fuzz", &["stdx", "protocol", "processing"]),
    // For cargo-fuzz, and no member of the workspace.
    ("libfuzzer", &["fuzz"]),
    // A client of the end-to-end tests, and no member of the workspace.
    ("rust_app", &[]),
];

pub fn check(tree: &Tree) -> Vec<Finding> {
    let manifests = tree.others.iter().filter(|file| file.path.ends_with("/Cargo.toml"));
    manifests.flat_map(check_manifest).collect()
}

fn check_manifest(file: &TextFile) -> Vec<Finding> {
    let name = file.path.trim_end_matches("/Cargo.toml").rsplit('/').next().unwrap_or_default();
    let finding = |line: usize, text: String| Finding { path: file.path.clone(), line: line + 1, text };
    let Some((_, allowed)) = ALLOWED.iter().find(|(crate_name, _)| *crate_name == name) else {
        return vec![finding(0, format!("crate {name} has no place in the layers: see xtask/src/tidy/layers.rs"))];
    };
    let mut findings = Vec::new();
    let mut section = "";
    for (index, line) in file.text.lines().enumerate() {
        if let Some(head) = line.trim().strip_prefix('[') {
            section = head.trim_end_matches(']');
            continue;
        }
        let dependency = line.split(['.', '=', ' ']).next().unwrap_or_default();
        let is_ours = ALLOWED.iter().any(|(crate_name, _)| *crate_name == dependency);
        if !section.ends_with("dependencies") || !is_ours {
            continue;
        }
        if dependency == "testkit" {
            if section != "dev-dependencies" {
                findings.push(finding(index, "testkit is for tests: name it under [dev-dependencies]".to_owned()));
            }
        } else if !allowed.contains(&dependency) {
            findings.push(finding(index, format!("{name} must not know {dependency} (ARCHITECTURE.md, layers)")));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(path: &str, manifest: &str) -> Vec<String> {
        check(&Tree::of(&[(path, manifest)])).into_iter().map(|finding| finding.text).collect()
    }

    #[test]
    fn a_dependency_against_the_stream_is_found() {
        let found = texts("crates/queue/Cargo.toml", "[dependencies]\nstdx.workspace = true\nstore.workspace = true\n");
        assert_eq!(found, ["queue must not know store (ARCHITECTURE.md, layers)"]);
        assert!(texts("crates/store/Cargo.toml", "[dependencies]\ndb.workspace = true\nserde = \"1\"\n").is_empty());
    }

    #[test]
    fn testkit_is_for_tests_only() {
        assert_eq!(texts("crates/web/Cargo.toml", "[dependencies]\ntestkit.workspace = true\n").len(), 1);
        assert!(texts("crates/web/Cargo.toml", "[dev-dependencies]\ntestkit.workspace = true\n").is_empty());
    }

    #[test]
    fn an_unknown_crate_must_find_its_layer() {
        assert_eq!(texts("crates/newcomer/Cargo.toml", "[package]\n").len(), 1);
    }
}
