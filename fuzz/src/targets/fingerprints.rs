//! Fingerprint rules that people type, and their variables.

use super::rules::group;
use processing::group::{ConfigName, FingerprintRules, GroupConfig};
use std::sync::Arc;

pub const WORDS: &[&str] = &[
    "error.type:",
    "error.value:\"",
    "message:",
    "logger:",
    "level:",
    "tags.k:",
    "stack.function:",
    "stack.abs_path:",
    "family:",
    "app:",
    "sdk:",
    "release:",
    "!",
    " -> ",
    "{{ default }}",
    "{{ transaction }}",
    "{{ tags.k }}",
    "{{",
    "}}",
    " title=\"",
    "\"",
    "\\\"",
    "*",
    "?",
    "#",
    "\n",
    " ",
    ",",
    "{{ error.type }}",
    "{{ function }}",
    "{{ module }}",
    "{{ level }}",
];

pub fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(rules) = FingerprintRules::parse(text) {
        let rules = Some(Arc::new(rules));
        for name in ConfigName::ALL {
            group(&GroupConfig { name, stack_rules: None, fingerprint_rules: rules.clone() });
        }
    }
}
