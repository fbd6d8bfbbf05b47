//! Scrubbing: secrets and what identifies people leave an event before anything is written.
//!
//! It works on the event as it was sent, whatever form a field has, so that what is stored is what came less what was
//! taken; `_meta` says what was taken, where and by which rule. Default rules are Sentry's (`@common`), with tokens of
//! well-known services beside them; a project adds fields, exceptions and rules of its own.

mod apply;
mod attachments;
mod forms;
mod growth;
mod path;
mod patterns;
mod places;
mod redaction;
mod rules;
mod safe;
mod selector;
mod walk;
mod words;

pub use attachments::{AttachmentFate, AttachmentKind};
pub use redaction::{Change, Method};
pub use rules::RuleError;
pub use selector::{Segment, Selector, SelectorError};

use protocol::json::Value;
use redaction::Changes;
use rules::Application;
use serde::{Deserialize, Serialize};
use walk::{Defaults, Walk};
use words::Words;

/// Rule named in remarks about a project's own sensitive fields, as Sentry names it.
const SENSITIVE_RULE: &str = "strip-fields";

const FIELDS_MAX: usize = 200;
const FIELD_CHARS_MAX: usize = 200;
const RULES_BYTES_MAX: usize = 64 << 10;

/// What a project has scrubbed. Stored as JSON: a field that is added needs a default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Off: nothing but `scrubs_ip` and `rules` applies.
    pub scrubs_data: bool,
    /// Whether the default rules apply beside the project's own.
    pub with_defaults: bool,
    pub scrubs_ip: bool,
    pub sensitive_fields: Vec<String>,
    pub safe_fields: Vec<String>,
    /// Rules by selector, as JSON text; empty for none.
    pub rules: String,
    /// Random text of the project: hashes of one project are useless for guessing those of another. Never shown.
    pub hash_key: String,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            scrubs_data: true,
            with_defaults: true,
            scrubs_ip: false,
            sensitive_fields: Vec::new(),
            safe_fields: Vec::new(),
            rules: String::new(),
            hash_key: String::new(),
        }
    }
}

/// Why settings cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    #[error("at most {FIELDS_MAX} fields of at most {FIELD_CHARS_MAX} characters")]
    TooManyFields,
    #[error("rules of more than {RULES_BYTES_MAX} bytes")]
    RulesTooLong,
    #[error("{0}")]
    Rules(#[from] RuleError),
}

/// A project's settings, ready for use. Building one costs some hundred microseconds; one is used for many events.
pub struct Scrubber {
    defaults: Defaults,
    applications: Vec<Application>,
    /// What `@password` in rules stands for, whatever the settings say.
    password_words: Words,
    has_defaults: bool,
    hash_key: Vec<u8>,
}

impl Scrubber {
    /// Returns the scrubber of these settings.
    ///
    /// # Errors
    /// When a rule cannot be read or there is too much of something.
    pub fn new(settings: &Settings) -> Result<Scrubber, SettingsError> {
        for fields in [&settings.sensitive_fields, &settings.safe_fields] {
            if fields.len() > FIELDS_MAX || fields.iter().any(|field| field.chars().count() > FIELD_CHARS_MAX) {
                return Err(SettingsError::TooManyFields);
            }
        }
        if settings.rules.len() > RULES_BYTES_MAX {
            return Err(SettingsError::RulesTooLong);
        }
        let with_defaults = settings.scrubs_data && settings.with_defaults;
        let sensitive: &[String] = if settings.scrubs_data { &settings.sensitive_fields } else { &[] };
        let defaults = Defaults {
            words: Words::new(with_defaults, sensitive),
            safe: safe::SafeFields::new(&settings.safe_fields),
            has_defaults: with_defaults,
            has_words: with_defaults || !sensitive.is_empty(),
            removes_ip: settings.scrubs_ip,
        };
        Ok(Scrubber {
            has_defaults: defaults.has_words || defaults.removes_ip,
            defaults,
            applications: rules::parse(&settings.rules)?,
            password_words: Words::new(true, &[]),
            hash_key: settings.hash_key.clone().into_bytes(),
        })
    }

    /// Whether client addresses are not to be kept, nor used to tell users apart.
    pub fn removes_ip(&self) -> bool {
        self.defaults.removes_ip
    }

    /// Scrubs an event as it was sent. Returns what was changed; `_meta` of the event has it too.
    pub fn scrub(&self, event: &mut Value<'_>) -> Vec<Change> {
        let Value::Object(event) = event else {
            return Vec::new();
        };
        let mut changes = Vec::new();
        if self.has_defaults {
            let mut walk = Walk { defaults: &self.defaults, changes: Changes::default() };
            walk.event(event);
            changes = walk.changes.list;
        }
        if !self.applications.is_empty() {
            let mut rules = self.rules();
            rules.event(event);
            changes.extend(rules.changes.list);
        }
        redaction::write_meta(event, &changes);
        changes
    }

    fn rules(&self) -> apply::Rules<'_> {
        apply::Rules {
            applications: &self.applications,
            words: &self.password_words,
            hash_key: &self.hash_key,
            changes: Changes::default(),
            growth: growth::Growth::default(),
            node: selector::Node::of(Vec::new(), None),
        }
    }
}
