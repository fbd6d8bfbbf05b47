//! Names and values inside a text: query strings, forms, cookies. Only values change; the rest keeps its bytes.

use super::path::Path;
use super::redaction::FILTERED;
use super::walk::Walk;
use protocol::json::Str;
use std::ops::Range;

/// Where names and values begin in a text, and what is between them.
#[derive(Clone, Copy)]
struct Form {
    start: usize,
    separators: &'static [char],
}

const QUERY: Form = Form { start: 0, separators: &['&', '#', '?'] };
const COOKIES: Form = Form { start: 0, separators: &[';', ','] };

/// Scrubs the query and the fragment of an address.
pub(super) fn url(walk: &mut Walk<'_>, path: &Path<'_>, text: &mut Str<'_>) {
    let Some(at) = text.find(['?', '#']) else {
        return;
    };
    named_values(walk, path, text, Form { start: at + 1, ..QUERY }, query_rule);
}

/// Scrubs `a=1&b=2`, with or without a question mark before and a fragment behind.
pub(super) fn query(walk: &mut Walk<'_>, path: &Path<'_>, text: &mut Str<'_>) {
    named_values(walk, path, text, QUERY, query_rule);
}

fn query_rule(walk: &Walk<'_>, path: &Path<'_>, name: &str) -> Option<&'static str> {
    let name = decoded(name);
    let is_safe = walk.defaults.safe.holds(path, &name);
    if is_safe { None } else { walk.name_rule(&name) }
}

/// Scrubs `a=1; b=2`; attributes of `Set-Cookie` are names like others.
pub(super) fn cookies(walk: &mut Walk<'_>, path: &Path<'_>, text: &mut Str<'_>) {
    named_values(walk, path, text, COOKIES, |walk, path, name| walk.cookie_rule(path, name.trim()));
}

/// Whether a text is a form and no prose: names and values without blanks.
pub(super) fn is_form(text: &str) -> bool {
    let fits = |part: &str| part.split_once('=').is_some_and(|(name, _)| !name.is_empty());
    !text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '<') && text.split('&').all(fits)
}

/// Filters values by the rule of their names, and looks at the other values as data.
fn named_values(
    walk: &mut Walk<'_>,
    path: &Path<'_>,
    text: &mut Str<'_>,
    form: Form,
    rule_of: impl Fn(&Walk<'_>, &Path<'_>, &str) -> Option<&'static str>,
) {
    let chars_before = text.chars().count();
    let mut out = String::new();
    let mut copied = 0;
    for part in parts(text, form) {
        let piece = &text[part.clone()];
        let Some((name, value)) = piece.split_once('=') else {
            continue;
        };
        let start = part.start + name.len() + 1;
        let name_path = path.key(name);
        let new = match rule_of(walk, &name_path, name) {
            Some(rule) if !value.is_empty() && value != FILTERED => {
                let at = out.len() + (start - copied);
                walk.note_filtered(path, rule, (at, at + FILTERED.len()), chars_before);
                Str::from(FILTERED)
            }
            Some(_) => continue,
            None => {
                let mut data = Str::from(decoded(value));
                let before = walk.changes.count;
                walk.text(path, &mut data);
                if walk.changes.count == before {
                    continue;
                }
                data
            }
        };
        out.push_str(&text[copied..start]);
        out.push_str(&new);
        copied = part.end;
    }
    if copied > 0 {
        out.push_str(&text[copied..]);
        *text = Str::from(out);
    } else if form.start == 0 && !text.contains('=') {
        walk.text(path, text);
    }
}

/// Returns the parts between separators.
fn parts(text: &str, form: Form) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut start = form.start;
    for (at, separator) in text.match_indices(form.separators).filter(|(at, _)| *at >= form.start) {
        found.push(start..at);
        start = at + separator.len();
    }
    found.push(start..text.len());
    found
}

/// Undoes percent escapes, so that `pass%77ord` hides nothing.
fn decoded(text: &str) -> String {
    if !text.contains(['%', '+']) {
        return text.to_owned();
    }
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).and_then(|byte| (*byte as char).to_digit(16));
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match (byte, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 2;
            }
            (b'+', _, _) => out.push(b' '),
            (byte, _, _) => out.push(*byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}
