//! Fingerprint rules: which events get a fingerprint, and a title, of the project's choice. Syntax and meaning are
//! Sentry's ("fingerprint rules" of its documentation). The first rule that matches counts.

mod built_in;
mod items;
mod parse;
mod sdk;

pub(super) use built_in::built_in;

use super::RuleError;
use super::rules::{Glob, Mode};
use protocol::event::Event;

/// A project's compiled list of rules.
#[derive(Debug)]
pub struct FingerprintRules {
    rules: Vec<FingerprintRule>,
}

impl FingerprintRules {
    /// Reads rules, one a line; blank lines and lines that start with `#` hold none.
    ///
    /// # Errors
    /// The first line that is no rule, and why.
    pub fn parse(text: &str) -> Result<FingerprintRules, RuleError> {
        parse::parse(text).map(|rules| FingerprintRules { rules })
    }

    pub fn len(&self) -> usize {
        self.rules.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Returns the first rule that matches the event, as the client sent it: stack-trace rules have not spoken yet.
    pub(super) fn first_match<'r>(&'r self, event: &Event<'_>) -> Option<&'r FingerprintRule> {
        self.rules.iter().find(|rule| items::satisfy(rule, event))
    }
}

/// One rule.
#[derive(Debug)]
pub(super) struct FingerprintRule {
    matchers: Vec<Matcher>,
    pub fingerprint: Vec<String>,
    pub title: Option<String>,
    /// As it was written.
    pub text: String,
}

#[derive(Debug)]
struct Matcher {
    is_negated: bool,
    key: Key,
    pattern: String,
    /// Absent where the pattern is malformed: it matches nothing.
    glob: Option<Glob>,
}

/// What a matcher looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Key {
    Type,
    Value,
    Module,
    Path,
    Package,
    Function,
    Message,
    Logger,
    Level,
    Family,
    App,
    Sdk,
    Release,
    Tag(String),
}

/// Where a matcher's items come from. All matchers of one source must hold of the same item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Toplevel,
    Log,
    Exceptions,
    Tags,
    Sdk,
    Family,
    Release,
    Frames,
}

impl Key {
    fn from_name(name: &str) -> Option<Key> {
        Some(match name {
            "error.type" | "type" => Key::Type,
            "error.value" | "value" => Key::Value,
            "stack.module" | "module" => Key::Module,
            "stack.abs_path" | "path" => Key::Path,
            "stack.package" | "package" => Key::Package,
            "stack.function" | "function" => Key::Function,
            "message" => Key::Message,
            "logger" => Key::Logger,
            "level" => Key::Level,
            "family" => Key::Family,
            "app" => Key::App,
            "sdk" => Key::Sdk,
            "release" => Key::Release,
            _ => Key::Tag(name.strip_prefix("tags.").filter(|tag| !tag.is_empty())?.to_owned()),
        })
    }

    const fn source(&self) -> Source {
        match self {
            Key::Message => Source::Toplevel,
            Key::Logger | Key::Level => Source::Log,
            Key::Type | Key::Value => Source::Exceptions,
            Key::Tag(_) => Source::Tags,
            Key::Sdk => Source::Sdk,
            Key::Family => Source::Family,
            Key::Release => Source::Release,
            Key::Module | Key::Path | Key::Package | Key::Function | Key::App => Source::Frames,
        }
    }

    const fn is_path(&self) -> bool {
        matches!(self, Key::Path | Key::Package | Key::Release)
    }

    const fn ignores_case(&self) -> bool {
        matches!(self, Key::Message | Key::Value | Key::Level)
    }
}

impl Matcher {
    fn new(is_negated: bool, key: Key, pattern: String) -> Matcher {
        let mode = if key.is_path() { Mode::Path } else { Mode::Name };
        let cased = if key.ignores_case() { pattern.to_lowercase() } else { pattern.clone() };
        let glob = Glob::new(&without_braces(&cased), mode);
        Matcher { is_negated, key, pattern, glob }
    }

    /// Matches a text in the way of this matcher's key; an absent one never matches.
    fn takes(&self, text: Option<&str>) -> bool {
        let (Some(text), Some(glob)) = (text, &self.glob) else {
            return false;
        };
        if self.key.is_path() {
            let path = text.to_ascii_lowercase().replace('\\', "/");
            return glob.matches(path.as_bytes())
                || (!path.starts_with('/') && glob.matches(format!("/{path}").as_bytes()));
        }
        if self.key.ignores_case() {
            glob.matches(text.to_lowercase().as_bytes())
        } else {
            glob.matches(text.as_bytes())
        }
    }
}

/// Braces are plain characters in these rules; in the language of `Glob` a class of one says so.
fn without_braces(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut is_class = false;
    let mut is_escaped = false;
    for c in pattern.chars() {
        let is_plain_brace = matches!(c, '{' | '}') && !is_class && !is_escaped;
        is_class = !is_escaped && ((is_class && c != ']') || c == '[');
        is_escaped = !is_escaped && c == '\\';
        match is_plain_brace {
            true => out.extend(['[', c, ']']),
            false => out.push(c),
        }
    }
    out
}
