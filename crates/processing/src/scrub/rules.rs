//! A project's own rules: named rules, and the selectors they are applied to, in the JSON of Sentry's advanced data
//! scrubbing: `{"rules": {name: {type, pattern, redaction}}, "applications": {selector: [name or "@built-in"]}}`.

use super::patterns::Shape;
use super::selector::{Selector, SelectorError};
use regex::{Regex, RegexBuilder};
use serde_json::{Map, Value as Json};
use std::collections::HashMap;
use std::sync::Arc;

const RULES_MAX: usize = 200;
const APPLICATIONS_MAX: usize = 200;
/// Rules of all selectors together: each is asked about every value its selector is of.
const REFERENCES_MAX: usize = 2_000;
/// What a pattern may compile to, and all patterns together; and the bound that is tried first.
const PATTERN_BYTES_MAX: usize = 256 << 10;
const PATTERNS_BYTES_MAX: usize = 8 << 20;
const PATTERN_BYTES_TRIED: usize = 4 << 10;
/// Rules made of other rules, within each other.
const NESTING_MAX: usize = 4;
const MADE_OF_TOO_MANY: &str = "it is made of itself, or of too many others";

/// Why a configuration of rules cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    #[error("the rules are no JSON object: {0}")]
    NotJson(String),
    #[error("'{0}' has to be an object")]
    NotAnObject(String),
    #[error("more than {RULES_MAX} rules or {APPLICATIONS_MAX} selectors")]
    TooMany,
    #[error("selectors name more than {REFERENCES_MAX} rules together")]
    TooManyReferences,
    #[error("the patterns are larger than {} MiB together, compiled", PATTERNS_BYTES_MAX >> 20)]
    PatternsTooLarge,
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
    pub rules: Vec<Arc<Rule>>,
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
    let mut known = Known { rules: &rules, read: HashMap::new(), patterns_bytes: 0 };
    // A rule that no selector names is read all the same, to say what is wrong with it.
    for name in rules.keys() {
        known.find(name, 0)?;
    }
    let mut references = 0;
    let mut read = Vec::with_capacity(applications.len());
    for (selector, names) in &applications {
        let application = application(selector, names, &mut known)?;
        references += application.rules.len();
        if references > REFERENCES_MAX {
            return Err(RuleError::TooManyReferences);
        }
        read.push(application);
    }
    Ok(read)
}

fn application(selector: &str, names: &Json, known: &mut Known<'_>) -> Result<Application, RuleError> {
    let parsed =
        Selector::parse(selector).map_err(|source| RuleError::Selector { selector: selector.to_owned(), source })?;
    let Json::Array(names) = names else {
        return Err(wrong(selector, "a list of names is expected"));
    };
    let mut rules = Vec::new();
    for name in names {
        let name = name.as_str().ok_or_else(|| wrong(selector, "a list of names is expected"))?;
        rules.extend(known.find(name, 0)?.rules);
        if rules.len() > RULES_MAX {
            return Err(wrong(selector, "it names too many rules"));
        }
    }
    Ok(Application { selector: parsed, rules })
}

fn wrong(rule: &str, what: &str) -> RuleError {
    RuleError::Rule { rule: rule.to_owned(), what: what.to_owned() }
}

/// The named rules of a configuration. Each is read and compiled once, however often it is named.
struct Known<'j> {
    rules: &'j Map<String, Json>,
    read: HashMap<String, Read>,
    patterns_bytes: usize,
}

/// What a name stands for.
#[derive(Clone)]
struct Read {
    /// The rule of that name, or those it is made of.
    rules: Vec<Arc<Rule>>,
    /// Rules within each other.
    height: usize,
}

impl Known<'_> {
    fn find(&mut self, name: &str, depth: usize) -> Result<Read, RuleError> {
        if let Some(read) = self.read.get(name) {
            return Ok(read.clone());
        }
        let read = match name.strip_prefix('@') {
            Some(builtin) => {
                let rule = built_in(name, builtin).ok_or_else(|| RuleError::Unknown(name.to_owned()))?;
                Read { rules: vec![Arc::new(rule)], height: 0 }
            }
            None => self.read(name, depth)?,
        };
        if depth + read.height > NESTING_MAX || read.rules.len() > RULES_MAX {
            return Err(wrong(name, MADE_OF_TOO_MANY));
        }
        self.read.insert(name.to_owned(), read.clone());
        Ok(read)
    }

    fn read(&mut self, name: &str, depth: usize) -> Result<Read, RuleError> {
        let rule = self.rules.get(name).ok_or_else(|| RuleError::Unknown(name.to_owned()))?;
        let kind = rule.get("type").and_then(Json::as_str).ok_or_else(|| wrong(name, "a type is missing"))?;
        let redaction = redaction(name, rule.get("redaction"))?;
        let finds = match kind {
            "multiple" | "alias" => return self.read_parts(name, rule, depth),
            "anything" => Finds::Anything,
            "password" => Finds::Password,
            "pattern" => Finds::Pattern(self.pattern(name, rule.get("pattern"))?),
            "redact_pair" | "redactPair" => {
                Finds::Name(self.pattern(name, rule.get("keyPattern").or(rule.get("key_pattern")))?)
            }
            shape => Finds::Shape(Shape::from_name(shape).ok_or_else(|| wrong(name, "its type is unknown"))?),
        };
        Ok(Read { rules: vec![Arc::new(Rule { name: name.to_owned(), finds, redaction })], height: 0 })
    }

    fn read_parts(&mut self, name: &str, rule: &Json, depth: usize) -> Result<Read, RuleError> {
        if depth == NESTING_MAX {
            return Err(wrong(name, MADE_OF_TOO_MANY));
        }
        let listed = rule.get("rules").and_then(Json::as_array).into_iter().flatten();
        let mut whole = Read { rules: Vec::new(), height: 1 };
        for part in listed.chain(rule.get("rule")).filter_map(Json::as_str) {
            let part = self.find(part, depth + 1)?;
            whole.rules.extend(part.rules);
            whole.height = whole.height.max(part.height + 1);
            if whole.rules.len() > RULES_MAX {
                return Err(wrong(name, MADE_OF_TOO_MANY));
            }
        }
        Ok(whole)
    }

    /// Compiles a pattern. Its size is not told, so it is taken for the first of growing bounds that it fits.
    fn pattern(&mut self, name: &str, pattern: Option<&Json>) -> Result<Regex, RuleError> {
        let text = pattern.and_then(Json::as_str).ok_or_else(|| wrong(name, "a pattern is missing"))?;
        let mut bytes_max = PATTERN_BYTES_TRIED;
        let built = loop {
            let built = RegexBuilder::new(text).size_limit(bytes_max).dfa_size_limit(PATTERN_BYTES_MAX).build();
            match built {
                Err(regex::Error::CompiledTooBig(_)) if bytes_max < PATTERN_BYTES_MAX => bytes_max *= 2,
                built => break built,
            }
        };
        self.patterns_bytes += bytes_max;
        if self.patterns_bytes > PATTERNS_BYTES_MAX {
            return Err(RuleError::PatternsTooLarge);
        }
        built.map_err(|error| wrong(name, &error.to_string()))
    }
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
