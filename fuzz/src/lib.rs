//! Fuzz targets: what any bytes must not do to the parsers that read what strangers send and what people type. A target
//! panics where a promise is broken; that it returns is the test.
//!
//! Three things run them: `tests/corpus.rs` replays the corpus in CI, the program of this package mutates it on stable
//! Rust, and `libfuzzer/` hands them to cargo-fuzz, which sees coverage but needs a nightly compiler
//! (docs/decisions/0072-fuzzing.md).

pub mod corpus;
pub mod mutate;
mod targets;

/// A target.
pub struct Target {
    pub name: &'static str,
    pub run: fn(&[u8]),
    /// Words that mean something to its parser, for mutations.
    pub words: &'static [&'static str],
}

pub const TARGETS: &[Target] = &[
    Target { name: "envelope", run: targets::envelope::run, words: targets::envelope::WORDS },
    Target { name: "crash_report", run: targets::crash_report::run, words: targets::crash_report::WORDS },
    Target { name: "event", run: targets::event::run, words: targets::event::WORDS },
    Target { name: "rules", run: targets::rules::run, words: targets::rules::WORDS },
    Target { name: "fingerprints", run: targets::fingerprints::run, words: targets::fingerprints::WORDS },
];

/// Returns the target of this name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// Runs the target of this name, as cargo-fuzz does.
///
/// # Panics
/// If there is none, or it finds something.
pub fn run(name: &str, bytes: &[u8]) {
    (target(name).expect("the target is in the list").run)(bytes);
}
