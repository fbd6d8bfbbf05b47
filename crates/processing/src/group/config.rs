//! How to group: which of Sentry's configurations, and a project's own rules.

use super::{FingerprintRules, StackRules};
use std::sync::Arc;

/// Which of Sentry's configurations to group by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ConfigName {
    /// `newstyle:2026-01-20`, the default: an exception hashes its type and value before its stack.
    #[default]
    Newstyle20260120,
    /// `newstyle:2023-01-11`, the one before, as Sentry had it in 2024: an exception hashes its stack first, and the
    /// system variant has priority.
    Newstyle20230111,
}

impl ConfigName {
    /// All configurations, the default first.
    pub const ALL: [ConfigName; 2] = [ConfigName::Newstyle20260120, ConfigName::Newstyle20230111];

    pub const fn as_str(self) -> &'static str {
        match self {
            ConfigName::Newstyle20260120 => "newstyle:2026-01-20",
            ConfigName::Newstyle20230111 => "newstyle:2023-01-11",
        }
    }

    /// Returns the version of the built-in rules. A change to them, or to the patterns, is a new version here.
    pub const fn rules_version(self) -> &'static str {
        match self {
            ConfigName::Newstyle20260120 => "2026-01-20.1",
            ConfigName::Newstyle20230111 => "2023-01-11.1",
        }
    }

    /// Returns the version of the patterns that stand in for what varies in a message.
    pub const fn patterns_version(self) -> &'static str {
        match self {
            ConfigName::Newstyle20260120 => "p2026b",
            ConfigName::Newstyle20230111 => "p2024",
        }
    }

    pub fn from_name(name: &str) -> Option<ConfigName> {
        ConfigName::ALL.into_iter().find(|config| config.as_str() == name)
    }
}

/// How to group. Rules are compiled once and shared by all events of a project.
#[derive(Clone, Debug, Default)]
pub struct GroupConfig {
    pub name: ConfigName,
    /// The project's stack-trace rules; they come after the built-in ones.
    pub stack_rules: Option<Arc<StackRules>>,
    /// The project's fingerprint rules; they come before the built-in ones.
    pub fingerprint_rules: Option<Arc<FingerprintRules>>,
}

/// The line of a text of rules that is none, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct RuleError {
    /// From 1.
    pub line: usize,
    pub why: &'static str,
}

impl RuleError {
    pub(super) fn new(line: usize, why: &'static str) -> RuleError {
        RuleError { line, why }
    }
}
