//! Names and values inside a text: query strings, forms, cookies. Only values change; the rest keeps its bytes.

use super::path::Path;
use super::redaction::FILTERED;
use super::walk::Walk;
use protocol::json::Str;
use std::ops::Range;

/// Scrubs the query and the fragment of an address.
pub(super) fn url(walk: &mut Walk<'_>, path: &Path<'_>, text: &mut Str<'_>) {
    let Some(at) = text.find(['?', '#']) else {
        return;
    };
    let base = at + 1;
    let mut rest = Str::from(text[base..].to_owned());
    query(walk, path, &mut rest);
    if rest.as_str() != &text[base..] {
        *text = Str::from(format!("{}{rest}", &text[..base]));
    }
}

/// Scrubs `a=1&b=2`, with or without a question mark before and a fragment behind.
pub(super) fn query(walk: &mut Walk<'_>, path: &Path<'_>, text: &mut Str<'_>) {
    named_values(walk, path, text, &['&', '#', '?'], |walk, path, name| {
        let name = decoded(name);
        let is_safe = walk.defaults.safe.holds(path, &name);
        if is_safe { None } else { walk.name_rule(&name) }
    });
}

/// Scrubs `a=1; b=2`; attributes of `Set-Cookie` are names like others.
pub(super) fn cookies(walk: &mut Walk<'_>, path: &Path<'_>, text: &mut Str<'_>) {
    named_values(walk, path, text, &[';', ','], |walk, path, name| walk.cookie_rule(path, name.trim()));
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
    separators: &[char],
    rule_of: impl Fn(&Walk<'_>, &Path<'_>, &str) -> Option<&'static str>,
) {
    let chars_before = text.chars().count();
    let mut out = String::new();
    let mut copied = 0;
    for part in parts(text, separators) {
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
    } else if !text.contains('=') {
        walk.text(path, text);
    }
}

fn parts(text: &str, separators: &[char]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut start = 0;
    for (at, separator) in text.match_indices(separators) {
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
