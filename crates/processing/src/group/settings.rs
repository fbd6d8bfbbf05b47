//! What a project sets about grouping, and the same compiled for use.

use super::{ConfigName, FingerprintRules, GroupConfig, RuleError, StackRules};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use stdx::Timestamp;

/// What a project sets. Stored as JSON: a field that is added needs a default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Name of the configuration.
    pub config: String,
    /// The project's stack-trace rules.
    pub stack_rules: String,
    /// The project's fingerprint rules.
    pub fingerprint_rules: String,
    /// The configuration before this one: until `former_until` a hash that is new finds its issue by it too.
    pub former_config: Option<String>,
    /// Seconds since the epoch.
    pub former_until: i64,
    /// Counts the changes, so that an event can say which rules it was grouped by. 0 is a project that never set any.
    pub revision: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            config: ConfigName::default().as_str().to_owned(),
            stack_rules: String::new(),
            fingerprint_rules: String::new(),
            former_config: None,
            former_until: 0,
            revision: 0,
        }
    }
}

/// Why settings cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    #[error("no configuration is called '{0}': newstyle:2026-01-20 or newstyle:2023-01-11 is expected")]
    Config(String),
    #[error("stack-trace rules, {0}")]
    StackRules(RuleError),
    #[error("fingerprint rules, {0}")]
    FingerprintRules(RuleError),
}

/// A project's grouping, compiled. Building one takes milliseconds for thousands of rules; one is used for many events.
#[derive(Clone, Debug, Default)]
pub struct Grouper {
    pub config: GroupConfig,
    /// The configuration before, with the same rules, and until when it is asked.
    former: Option<(GroupConfig, Timestamp)>,
    pub revision: u64,
}

impl Grouper {
    /// Compiles settings.
    ///
    /// # Errors
    /// When a configuration is not known or a rule cannot be read.
    pub fn new(settings: &Settings) -> Result<Grouper, SettingsError> {
        let named = |name: &str| ConfigName::from_name(name).ok_or_else(|| SettingsError::Config(name.to_owned()));
        let stack_rules = StackRules::parse(&settings.stack_rules).map_err(SettingsError::StackRules)?;
        let fingerprint_rules =
            FingerprintRules::parse(&settings.fingerprint_rules).map_err(SettingsError::FingerprintRules)?;
        let config = GroupConfig {
            name: named(&settings.config)?,
            stack_rules: Some(Arc::new(stack_rules)).filter(|rules| !rules.is_empty()),
            fingerprint_rules: Some(Arc::new(fingerprint_rules)).filter(|rules| !rules.is_empty()),
        };
        let former = settings.former_config.as_deref().map(named).transpose()?;
        let former = former.filter(|name| *name != config.name).map(|name| {
            let until = Timestamp::from_seconds(settings.former_until);
            (GroupConfig { name, ..config.clone() }, until)
        });
        Ok(Grouper { config, former, revision: settings.revision })
    }

    /// Returns the configuration before, if its hashes still count at that time.
    pub fn former_at(&self, at: Timestamp) -> Option<&GroupConfig> {
        self.former.as_ref().filter(|(_, until)| at < *until).map(|(config, _)| config)
    }
}
