//! What becomes of what is found, and the record of it.

use super::path::Path;
use protocol::json::{Number, Object, Str, Value};
use std::ops::Range;

pub(super) const FILTERED: &str = "[Filtered]";
/// Changes that are recorded of one event. Beyond, it is scrubbed all the same.
const CHANGES_MAX: usize = 500;

/// How a value was changed, by the letters of `_meta`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Substituted,
    Masked,
    Removed,
    Hashed,
}

impl Method {
    pub const fn letter(self) -> &'static str {
        match self {
            Method::Substituted => "s",
            Method::Masked => "m",
            Method::Removed => "x",
            Method::Hashed => "p",
        }
    }
}

/// One value that was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Keys and indexes from the event's root.
    pub path: Vec<String>,
    pub rule: String,
    pub method: Method,
    /// Where in the new text (bytes) the replacement stands; none if the whole value went.
    pub range: Option<(usize, usize)>,
    /// Characters of the text that was there; none if it was no text.
    pub chars_before: Option<usize>,
}

/// The changes so far.
#[derive(Default)]
pub(super) struct Changes {
    pub list: Vec<Change>,
    pub count: usize,
}

impl Changes {
    pub fn push(&mut self, path: &Path<'_>, rule: &str, method: Method, of: (Option<(usize, usize)>, Option<usize>)) {
        self.count += 1;
        if self.list.len() < CHANGES_MAX {
            let (range, chars_before) = of;
            self.list.push(Change { path: path.steps(), rule: rule.to_owned(), method, range, chars_before });
        }
    }

    /// Replaces a value: text by `[Filtered]`, anything else by nothing.
    pub fn filter(&mut self, path: &Path<'_>, rule: &str, value: &mut Value<'_>) {
        match value {
            Value::Null | Value::Bool(_) => {}
            Value::Str(text) => self.filter_text(path, rule, text),
            Value::Number(_) | Value::Array(_) | Value::Object(_) => self.remove(path, rule, value),
        }
    }

    pub fn filter_text(&mut self, path: &Path<'_>, rule: &str, text: &mut Str<'_>) {
        if text.is_empty() || text.as_str() == FILTERED {
            return;
        }
        let before = text.chars().count();
        *text = Str::from(FILTERED);
        self.push(path, rule, Method::Substituted, (Some((0, FILTERED.len())), Some(before)));
    }

    pub fn remove(&mut self, path: &Path<'_>, rule: &str, value: &mut Value<'_>) {
        if !value.is_null() {
            let before = value.as_str().map(|text| text.chars().count());
            *value = Value::Null;
            self.push(path, rule, Method::Removed, (None, before));
        }
    }

    /// Replaces parts of a text, given from the first to the last.
    pub fn replace_parts(
        &mut self,
        path: &Path<'_>,
        rule: &str,
        text: &mut Str<'_>,
        parts: impl IntoIterator<Item = (Range<usize>, Part)>,
    ) {
        let mut out = String::new();
        let mut copied = 0;
        let mut replaced = Vec::new();
        for (range, Part { with, method }) in parts {
            if text[range.clone()] == with {
                continue;
            }
            out.push_str(&text[copied..range.start]);
            let start = out.len();
            out.push_str(&with);
            replaced.push((start, out.len(), method));
            copied = range.end;
        }
        if replaced.is_empty() {
            return;
        }
        out.push_str(&text[copied..]);
        let before = text.chars().count();
        for (start, end, method) in replaced {
            self.push(path, rule, method, (Some((start, end)), Some(before)));
        }
        *text = Str::from(out);
    }
}

/// What stands in place of a part of a text.
pub(super) struct Part {
    pub with: String,
    pub method: Method,
}

impl Part {
    pub fn substituted(with: &str) -> Part {
        Part { with: with.to_owned(), method: Method::Substituted }
    }
}

/// Writes the changes into the event's `_meta`.
pub(super) fn write_meta(event: &mut Object<'_>, changes: &[Change]) {
    if changes.is_empty() {
        return;
    }
    let at = match event.iter().rposition(|(key, _)| key.as_str() == "_meta") {
        Some(at) => at,
        None => {
            event.push((Str::from("_meta"), Value::Null));
            event.len() - 1
        }
    };
    let (_, value) = &mut event[at];
    if !matches!(value, Value::Object(_)) {
        *value = Value::Object(Object::default());
    }
    let Value::Object(meta) = value else {
        return;
    };
    for change in changes {
        let Some(leaf) = crate::normalise::leaf_at(meta, change.path.iter()) else {
            continue;
        };
        let mut remark = vec![Value::text(change.rule.clone()), Value::text(change.method.letter())];
        if let Some((start, end)) = change.range {
            remark.extend([start, end].map(|at| Value::Number(Number::Unsigned(at as u64))));
        }
        crate::normalise::append(leaf, "rem", Value::Array(remark));
        if let Some(length) = change.chars_before {
            leaf.set("len", Value::length(length));
        }
    }
}
