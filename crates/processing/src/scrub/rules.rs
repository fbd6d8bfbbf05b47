//! A project's own rules: named rules, and the selectors they are applied to, in the JSON of Sentry's advanced data
//! scrubbing: `{"rules": {name: {type, pattern, redaction}}, "applications": {selector: [name or "@built-in"]}}`.

use super::patterns::Shape;
use super::selector::{Selector, SelectorError};
use regex::{Regex, RegexBuilder};
use serde_json::{Map, Value as Json};

const RULES_MAX: usize = 200;
const APPLICATIONS_MAX: usize = 200;
/// What a pattern may compile to: a few hundred patterns of this size are some megabytes.
const PATTERN_BYTES_MAX: usize = 256 << 10;
/// Rules made of other rules, within each other.
const NESTING_MAX: usize = 4;

/// Why a configuration of rules cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    #[error("the rules are no JSON object: {0}")]
    NotJson(String),
    #[error("'{0}' has to be an object")]
    NotAnObject(String),
    #[error("more than {RULES_MAX} rules or {APPLICATIONS_MAX} selectors")]
    TooMany,
    #[error("selector '{selector}': {source}")]
    Selector {
        selector: String,
        #[source]
        source: SelectorError,
    },
    #[error("rule '{0}' does not exist")]
    Unknown(String),
    #[error("rule '{rule}': {what}")]
    Rule { rule: String, what: String },
}

/// What a rule finds.
#[derive(Clone, Debug)]
pub(super) enum Finds {
    Anything,
    Shape(Shape),
    Pattern(Regex),
    /// Values whose name matches.
    Name(Regex),
    /// Values whose name is one of the default words.
    Password,
}

/// What is done to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Redaction {
    Default,
    Replace(String),
    Mask,
    Hash,
    Remove,
}

#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub name: String,
    pub finds: Finds,
    pub redaction: Redaction,
}

/// A selector and its rules, in order.
#[derive(Clone, Debug)]
pub(super) struct Application {
    pub selector: Selector,
    pub rules: Vec<Rule>,
}

/// Reads a configuration; an empty text has no rules.
///
/// # Errors
/// The first thing that is wrong with it.
pub(super) fn parse(text: &str) -> Result<Vec<Application>, RuleError> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let config: Json = serde_json::from_str(text).map_err(|error| RuleError::NotJson(error.to_string()))?;
    let Json::Object(config) = config else {
        return Err(RuleError::NotJson("something else".to_owned()));
    };
    let none = Map::new();
    let part = |name: &str| match config.get(name) {
        Some(Json::Object(part)) => Ok(part.clone()),
        Some(Json::Null) | None => Ok(none.clone()),
        Some(_) => Err(RuleError::NotAnObject(name.to_owned())),
    };
    let (rules, applications) = (part("rules")?, part("applications")?);
    if rules.len() > RULES_MAX || applications.len() > APPLICATIONS_MAX {
        return Err(RuleError::TooMany);
    }
    // A rule that no selector names is read all the same, to say what is wrong with it.
    for name in rules.keys() {
        resolve(name, &rules, 0, &mut Vec::new())?;
    }
    applications.iter().map(|(selector, names)| application(selector, names, &rules)).collect()
}

fn application(selector: &str, names: &Json, rules: &Map<String, Json>) -> Result<Application, RuleError> {
    let parsed =
        Selector::parse(selector).map_err(|source| RuleError::Selector { selector: selector.to_owned(), source })?;
    let Json::Array(names) = names else {
        return Err(RuleError::Rule { rule: selector.to_owned(), what: "a list of names is expected".to_owned() });
    };
    let mut resolved = Vec::new();
    for name in names {
        let name = name.as_str().ok_or_else(|| wrong(selector, "a list of names is expected"))?;
        resolve(name, rules, 0, &mut resolved)?;
    }
    Ok(Application { selector: parsed, rules: resolved })
}

fn wrong(rule: &str, what: &str) -> RuleError {
    RuleError::Rule { rule: rule.to_owned(), what: what.to_owned() }
}

/// Adds the rule of that name, or those it is made of.
fn resolve(name: &str, rules: &Map<String, Json>, depth: usize, into: &mut Vec<Rule>) -> Result<(), RuleError> {
    if depth > NESTING_MAX || into.len() > RULES_MAX {
        return Err(wrong(name, "it is made of itself, or of too many others"));
    }
    if let Some(builtin) = name.strip_prefix('@') {
        into.push(built_in(name, builtin).ok_or_else(|| RuleError::Unknown(name.to_owned()))?);
        return Ok(());
    }
    let rule = rules.get(name).ok_or_else(|| RuleError::Unknown(name.to_owned()))?;
    let kind = rule.get("type").and_then(Json::as_str).ok_or_else(|| wrong(name, "a type is missing"))?;
    let redaction = redaction(name, rule.get("redaction"))?;
    let finds = match kind {
        "multiple" | "alias" => {
            let listed = rule.get("rules").and_then(Json::as_array).cloned().unwrap_or_default();
            let parts = listed.iter().chain(rule.get("rule")).filter_map(Json::as_str);
            for part in parts {
                resolve(part, rules, depth + 1, into)?;
            }
            return Ok(());
        }
        "anything" => Finds::Anything,
        "password" => Finds::Password,
        "pattern" => Finds::Pattern(pattern(name, rule.get("pattern"))?),
        "redact_pair" | "redactPair" => Finds::Name(pattern(name, rule.get("keyPattern").or(rule.get("key_pattern")))?),
        shape => Finds::Shape(Shape::from_name(shape).ok_or_else(|| wrong(name, "its type is unknown"))?),
    };
    into.push(Rule { name: name.to_owned(), finds, redaction });
    Ok(())
}

/// `@ip`, `@ip:mask`.
fn built_in(name: &str, text: &str) -> Option<Rule> {
    let (kind, method) = text.split_once(':').unwrap_or((text, ""));
    let finds = match kind {
        "anything" => Finds::Anything,
        "password" => Finds::Password,
        shape => Finds::Shape(Shape::from_name(shape)?),
    };
    let redaction = match method {
        "" => Redaction::Default,
        "replace" => Redaction::Replace(match &finds {
            Finds::Shape(shape) => shape.placeholder().to_owned(),
            Finds::Anything | Finds::Pattern(_) | Finds::Name(_) | Finds::Password => String::new(),
        }),
        "filter" | "legacy" => Redaction::Replace(super::redaction::FILTERED.to_owned()),
        "mask" => Redaction::Mask,
        "hash" => Redaction::Hash,
        "remove" => Redaction::Remove,
        _ => return None,
    };
    Some(Rule { name: name.to_owned(), finds, redaction })
}

fn pattern(name: &str, pattern: Option<&Json>) -> Result<Regex, RuleError> {
    let text = pattern.and_then(Json::as_str).ok_or_else(|| wrong(name, "a pattern is missing"))?;
    let built = RegexBuilder::new(text).size_limit(PATTERN_BYTES_MAX).dfa_size_limit(PATTERN_BYTES_MAX).build();
    built.map_err(|error| wrong(name, &error.to_string()))
}

fn redaction(name: &str, value: Option<&Json>) -> Result<Redaction, RuleError> {
    let method = match value {
        None | Some(Json::Null) => return Ok(Redaction::Default),
        Some(Json::String(method)) => method.as_str(),
        Some(value) => value.get("method").and_then(Json::as_str).unwrap_or_default(),
    };
    match method {
        "default" => Ok(Redaction::Default),
        "mask" => Ok(Redaction::Mask),
        "hash" => Ok(Redaction::Hash),
        "remove" => Ok(Redaction::Remove),
        "replace" => {
            let text = value.and_then(|value| value.get("text")).and_then(Json::as_str);
            Ok(Redaction::Replace(text.unwrap_or(super::redaction::FILTERED).to_owned()))
        }
        _ => Err(wrong(name, "its method is none of default, mask, hash, remove, replace")),
    }
}
