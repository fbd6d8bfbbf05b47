//! A project's own rules, carried to every value that their selectors name.

use super::growth::Growth;
use super::path::Path;
use super::places::{self, Place};
use super::redaction::{Changes, FILTERED, Method, Part};
use super::rules::{Application, Finds, Redaction, Rule};
use super::selector::Node;
use super::words::Words;
use protocol::json::{Object, Str, Value, to_text};
use sha2::{Digest, Sha256};

/// Characters of a hash that stands for a text: as many as Sentry's.
const HASH_CHARS: usize = 40;
const HASH_BLOCK_BYTES: usize = 64;

/// One walk of the rules through one event.
pub(super) struct Rules<'s> {
    pub applications: &'s [Application],
    /// The default words, for rules that name them.
    pub words: &'s Words,
    /// Makes hashes of one project useless for guessing those of another.
    pub hash_key: &'s [u8],
    pub changes: Changes,
    pub growth: Growth,
    pub node: Node,
}

impl Rules<'_> {
    pub fn event(&mut self, event: &mut Object<'_>) {
        for (key, value) in &mut event.0 {
            let name = places::canonical(key);
            if name == "_meta" {
                continue;
            }
            self.node.push(name);
            match (places::of_event(key), &mut *value) {
                (Place::Values(_), value) => self.values(value),
                (Place::Entry, Value::Str(_)) => self.step("formatted", value),
                (_, value) => self.value(value),
            }
            self.node.pop();
        }
    }

    fn values(&mut self, value: &mut Value<'_>) {
        match value {
            Value::Object(object) if object.get("values").is_some() => self.value(value),
            Value::Array(_) => self.step("values", value),
            value => {
                self.node.push("values");
                self.step("0", value);
                self.node.pop();
            }
        }
    }

    fn step(&mut self, step: &str, value: &mut Value<'_>) {
        self.node.push(step);
        self.value(value);
        self.node.pop();
    }

    fn value(&mut self, value: &mut Value<'_>) {
        self.node.set_kind(kind_of(value));
        self.growth.begin_value(value.as_str().map_or(0, str::len));
        for application in self.applications {
            if application.selector.matches(&self.node) {
                for rule in &application.rules {
                    self.apply(rule, value);
                }
            }
        }
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Str(_) => {}
            Value::Object(object) => {
                for (key, value) in &mut object.0 {
                    self.step(key, value);
                }
            }
            Value::Array(values) => {
                for (index, value) in values.iter_mut().enumerate() {
                    match value {
                        // A pair is a value under a name.
                        Value::Array(pair) if matches!(pair.as_slice(), [Value::Str(_), _]) => {
                            if let [Value::Str(name), value] = pair.as_mut_slice() {
                                let name = name.to_string();
                                self.step(&name, value);
                            }
                        }
                        value => self.step(&index.to_string(), value),
                    }
                }
            }
        }
    }

    fn apply(&mut self, rule: &Rule, value: &mut Value<'_>) {
        let name = self.node.steps().last().cloned().unwrap_or_default();
        match &rule.finds {
            Finds::Anything => self.whole(rule, value),
            Finds::Name(pattern) if pattern.is_match(&name) => self.whole(rule, value),
            Finds::Password if self.words.of_name(&name).is_some() => self.whole(rule, value),
            Finds::Name(_) | Finds::Password => {}
            Finds::Pattern(pattern) => self.parts(rule, value, pattern),
            Finds::Shape(shape) => self.parts(rule, value, shape.pattern()),
        }
    }

    fn whole(&mut self, rule: &Rule, value: &mut Value<'_>) {
        let steps = self.node.steps().to_vec();
        with_path(&steps, &Path::Root, |path| match &rule.redaction {
            Redaction::Remove => self.changes.remove(path, &rule.name, value),
            Redaction::Default => self.changes.filter(path, &rule.name, value),
            Redaction::Replace(_) | Redaction::Mask | Redaction::Hash => {
                let mut text = match std::mem::take(value) {
                    Value::Null => return,
                    Value::Str(text) => text,
                    other => {
                        let text = to_text(&other);
                        self.growth.begin_value(text.len());
                        Str::from(text)
                    }
                };
                let part = self.redacted(rule, &text, FILTERED);
                let range = 0..text.len();
                match self.growth.allows(text.len(), part.with.len()) {
                    true => self.changes.replace_parts(path, &rule.name, &mut text, [(range, part)]),
                    false => self.changes.filter_text(path, &rule.name, &mut text),
                }
                *value = Value::Str(text);
            }
        });
    }

    fn parts(&mut self, rule: &Rule, value: &mut Value<'_>, pattern: &regex::Regex) {
        let Value::Str(text) = value else {
            return;
        };
        let placeholder = match &rule.finds {
            Finds::Shape(shape) => shape.placeholder(),
            Finds::Anything | Finds::Pattern(_) | Finds::Name(_) | Finds::Password => FILTERED,
        };
        let mut parts = Vec::new();
        let (mut taken, mut put) = (0, 0);
        for found in pattern.captures_iter(text) {
            if let Some(found) = found.name("x").or(found.get(0)).filter(|found| !found.is_empty()) {
                let part = self.redacted(rule, found.as_str(), placeholder);
                (taken, put) = (taken + found.len(), put + part.with.len());
                parts.push((found.range(), part));
            }
            // Too much already: the rest is not made.
            if put > self.growth.value_bytes_max() {
                break;
            }
        }
        if parts.is_empty() {
            return;
        }
        let may_grow = self.growth.allows(text.len(), text.len() - taken + put);
        with_path(self.node.steps(), &Path::Root, |path| match may_grow {
            true => self.changes.replace_parts(path, &rule.name, text, parts),
            // Fails closed: a text that rules would blow up goes as a whole.
            false => self.changes.filter_text(path, &rule.name, text),
        });
    }

    /// Returns what stands in place of a text.
    fn redacted(&self, rule: &Rule, text: &str, placeholder: &str) -> Part {
        let (with, method) = match &rule.redaction {
            Redaction::Default => (placeholder.to_owned(), Method::Substituted),
            Redaction::Replace(with) => (with.clone(), Method::Substituted),
            Redaction::Mask => ("*".repeat(text.chars().count()), Method::Masked),
            Redaction::Hash => (hashed(self.hash_key, text), Method::Hashed),
            Redaction::Remove => (String::new(), Method::Removed),
        };
        Part { with, method }
    }
}

/// Builds the path of the steps and hands it on.
fn with_path(steps: &[String], path: &Path<'_>, then: impl FnOnce(&Path<'_>)) {
    // The path lives on the stack, so the way is walked once more; events are at most some hundred steps deep.
    fn walk(steps: &[String], path: &Path<'_>, then: &mut dyn FnMut(&Path<'_>)) {
        match steps.split_first() {
            Some((step, rest)) => walk(rest, &path.key(step), then),
            None => then(path),
        }
    }
    let mut then = Some(then);
    walk(steps, path, &mut |path| {
        if let Some(then) = then.take() {
            then(path);
        }
    });
}

fn kind_of(value: &Value<'_>) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::Str(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// HMAC with SHA-256, cut: equal texts stay equal, and nobody without the key can try all of them.
fn hashed(key: &[u8], text: &str) -> String {
    let mut block = [0_u8; HASH_BLOCK_BYTES];
    let short = if key.len() > HASH_BLOCK_BYTES { Sha256::digest(key).to_vec() } else { key.to_vec() };
    block[..short.len()].copy_from_slice(&short);
    let pad = |with: u8| block.map(|byte| byte ^ with);
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(text.as_bytes()).finalize();
    let outer = Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize();
    let mut text = stdx::hex::encode(&outer);
    text.truncate(HASH_CHARS);
    text
}
