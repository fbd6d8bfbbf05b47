//! The built-in rules, as tables of facts by ecosystem, in the two orders the configurations have them. Order counts:
//! later rules overrule earlier ones. Compiled on first use and kept.
//!
//! A change here moves events to new issues: it needs a new configuration name. The facts are those of the stack-trace
//! rules Sentry documents and its open fixture lists.

mod categories;
mod dart;
mod flow;
mod languages;
mod native;
mod unreal;

use super::StackRules;
use crate::group::ConfigName;
use std::sync::OnceLock;

/// Rules that differ in one pattern only, or one rule.
pub struct Facts {
    head: &'static str,
    patterns: Option<&'static [&'static str]>,
    actions: &'static str,
}

/// One rule for each pattern; the head ends in the name of the matcher they belong to.
const fn each(head: &'static str, patterns: &'static [&'static str], actions: &'static str) -> Facts {
    Facts { head, patterns: Some(patterns), actions }
}

/// One rule.
const fn whole(head: &'static str, actions: &'static str) -> Facts {
    Facts { head, patterns: None, actions }
}

const RULES_20230111: &[&[Facts]] = &[
    native::APPLE_APPS,
    native::UNIX_PLACES_2023,
    native::MAC_PLACES,
    native::RUST_LIBRARY,
    native::RUST_BORDERS,
    native::BORDERS_AND_REPORTERS,
    native::SNAPSHOTS,
    dart::COMPILED,
    dart::SENTRY_SDK,
    categories::PLATFORMS,
    categories::LIBRARIES,
    categories::SURFACES,
    categories::THREAD_BASES,
    categories::MEMORY_AND_INDIRECTION,
    categories::ENDINGS,
    categories::DRIVERS,
    categories::SERVICES,
    flow::NESTED,
    flow::THROW_2023,
    flow::THROWN_WITHIN,
    flow::THREAD_BASE,
    flow::HANDLER,
    flow::TELEMETRY_2023,
    flow::INDIRECTION,
    flow::INTERNALS_2023,
    flow::THREAD_BASE_LAST,
    flow::NOISE,
    languages::PACKAGES,
    languages::NODE_AND_GO,
    languages::JVM_2023,
    languages::KOTLIN_AND_TRACKERS,
];

const RULES_20260120: &[&[Facts]] = &[
    categories::PLATFORMS,
    native::LINUX_KERNEL_PAGES,
    categories::LIBRARIES,
    categories::SURFACES,
    categories::THREAD_BASES,
    categories::MEMORY_AND_INDIRECTION,
    categories::ENDINGS,
    categories::DRIVERS,
    categories::SERVICES,
    flow::NESTED,
    flow::SPAWNED_MODULE,
    flow::THROWN_WITHIN,
    flow::NOISE,
    languages::JVM_FRAMEWORKS,
    native::APPLE_APPS,
    native::MAC_PLACES,
    unreal::UNREAL,
    native::UNIX_PLACES,
    native::RUST_LIBRARY,
    native::RUST_UNWIND,
    native::RUST_BORDERS,
    native::RUST_PANIC_BORDERS,
    native::BORDERS_AND_REPORTERS,
    dart::APPLICATION,
    dart::COMPILED,
    dart::FRAMEWORK,
    dart::SENTRY_SDK,
    dart::SENTRY_SDK_LATER,
    flow::THROW,
    flow::THREAD_BASE,
    flow::HANDLER,
    flow::TELEMETRY,
    flow::INDIRECTION,
    flow::INTERNALS,
    flow::THREAD_BASE_LAST,
    languages::PACKAGES,
    languages::JS_HELPERS,
    languages::NODE_AND_GO,
    languages::FRAMEWORKS,
    languages::KOTLIN_AND_TRACKERS,
];

/// Returns the built-in rules of a configuration.
pub fn base(name: ConfigName) -> &'static StackRules {
    static OF_20230111: OnceLock<StackRules> = OnceLock::new();
    static OF_20260120: OnceLock<StackRules> = OnceLock::new();
    let (kept, tables) = match name {
        ConfigName::Newstyle20230111 => (&OF_20230111, RULES_20230111),
        ConfigName::Newstyle20260120 => (&OF_20260120, RULES_20260120),
    };
    kept.get_or_init(|| StackRules::parse(&text(tables)).expect("the built-in rules are checked by a test"))
}

fn text(tables: &[&[Facts]]) -> String {
    let mut text = String::new();
    for Facts { head, patterns, actions } in tables.iter().copied().flatten() {
        match patterns {
            None => text.push_str(&format!("{head} {actions}\n")),
            Some(patterns) => {
                let lines = patterns.iter().map(|pattern| format!("{head}:\"{pattern}\" {actions}\n"));
                lines.for_each(|line| text.push_str(&line));
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::base;
    use crate::group::ConfigName;

    #[test]
    fn the_built_in_rules_are_as_many_as_they_should_be() {
        assert_eq!(base(ConfigName::Newstyle20230111).len(), 296);
        assert_eq!(base(ConfigName::Newstyle20260120).len(), 338);
    }
}
