//! Attachments and minidumps: only rules that name them touch them, byte by byte, so that no offset in them moves.

use super::Scrubber;
use super::path::Path;
use super::redaction::Changes;
use super::rules::{Application, Finds, Redaction};
use super::selector::Node;
use super::walk::Walk;
use protocol::json::Str;
use std::ops::Range;

const UNIT_BYTES: usize = 2;
/// Text of 16-bit units is copied to be looked at, so much of it at a time.
const WIDE_RUN_BYTES_MAX: usize = 1 << 20;

/// What became of an attachment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttachmentFate {
    Kept,
    /// Some of its bytes were overwritten by this rule, others maybe by later ones.
    Changed {
        rule: String,
    },
    /// A rule takes all of it: it is not to be stored.
    Removed {
        rule: String,
    },
}

/// Which of the two selectors names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttachmentKind {
    Attachment,
    Minidump,
}

impl AttachmentKind {
    fn type_name(self) -> &'static str {
        match self {
            AttachmentKind::Attachment => "attachments",
            AttachmentKind::Minidump => "minidump",
        }
    }
}

impl Scrubber {
    /// Whether any rule names attachments of this kind, so that their bytes have to be looked at.
    pub fn names_attachments(&self, kind: AttachmentKind) -> bool {
        self.applications.iter().any(|application| application.selector.names_type(kind.type_name()))
    }

    /// Returns the name of an attachment less what is secret in it. Its directory may name a customer, its query a token.
    pub fn scrub_file_name(&self, name: &str) -> String {
        let mut walk = Walk { defaults: &self.defaults, changes: Changes::default() };
        let mut text = Str::from(name.to_owned());
        walk.file_name(&Path::Root, &mut text);
        text.to_string()
    }

    /// Applies the rules that name this attachment to its bytes.
    pub fn scrub_attachment(&self, kind: AttachmentKind, name: &str, bytes: &mut [u8]) -> AttachmentFate {
        let of_all = Node::of(vec![format!("${}", kind.type_name())], Some("binary"));
        let of_one = Node::of(vec![format!("${}", kind.type_name()), name.to_owned()], Some("binary"));
        let is_named = |application: &&Application| {
            application.selector.names_type(kind.type_name())
                && (application.selector.matches(&of_all) || application.selector.matches(&of_one))
        };
        let mut fate = AttachmentFate::Kept;
        for rule in self.applications.iter().filter(is_named).flat_map(|application| &application.rules) {
            let pattern = match &rule.finds {
                Finds::Anything if rule.redaction == Redaction::Mask => {
                    bytes.fill(b'*');
                    fate = AttachmentFate::Changed { rule: rule.name.clone() };
                    continue;
                }
                Finds::Anything => return AttachmentFate::Removed { rule: rule.name.clone() },
                Finds::Pattern(pattern) => pattern,
                Finds::Shape(shape) => shape.pattern(),
                // Bytes have no names.
                Finds::Name(_) | Finds::Password => continue,
            };
            let found = [ranges(pattern, bytes), wide_ranges(pattern, bytes)].concat();
            if !found.is_empty() && fate == AttachmentFate::Kept {
                fate = AttachmentFate::Changed { rule: rule.name.clone() };
            }
            for range in found {
                bytes[range].fill(b'*');
            }
        }
        fate
    }
}

/// Returns where a pattern is found in those parts of the bytes that are text.
fn ranges(pattern: &regex::Regex, bytes: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut start = 0;
    for chunk in bytes.utf8_chunks() {
        let text = chunk.valid();
        for captures in pattern.captures_iter(text) {
            if let Some(part) = captures.name("x").or(captures.get(0)).filter(|part| !part.is_empty()) {
                found.push(start + part.start()..start + part.end());
            }
        }
        start += text.len() + chunk.invalid().len();
    }
    found
}

/// The same for text of 16-bit units, as Windows and its crash reports write it: at even places and at odd ones.
fn wide_ranges(pattern: &regex::Regex, bytes: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for first in 0..2 {
        let units = bytes.get(first..).unwrap_or_default().chunks_exact(UNIT_BYTES);
        let units = units.map(|unit| unit.iter().rev().fold(0, |all, byte| all << 8 | u16::from(*byte)));
        let mut run = WideRun { start: first, text: String::new(), ascii_chars: 0, chars: 0 };
        let mut at = first;
        for decoded in char::decode_utf16(units) {
            let length = decoded.as_ref().map_or(UNIT_BYTES, |c| c.len_utf16() * UNIT_BYTES);
            at += length;
            match decoded {
                Ok(c) if (!c.is_control() || c.is_whitespace()) && run.text.len() < WIDE_RUN_BYTES_MAX => run.push(c),
                Ok(_) | Err(_) => run = run.end(pattern, at, &mut found),
            }
        }
        run.end(pattern, at, &mut found);
    }
    found
}

/// Characters that follow one another without a sign of being none.
struct WideRun {
    start: usize,
    text: String,
    ascii_chars: usize,
    chars: usize,
}

impl WideRun {
    fn push(&mut self, c: char) {
        self.text.push(c);
        self.chars += 1;
        self.ascii_chars += usize::from(c.is_ascii());
    }

    /// Looks at the run and returns an empty one that starts at `next`. Bytes that are no text make characters of every
    /// script, hardly any of which are ASCII: patterns are for words, and must not find them there.
    fn end(self, pattern: &regex::Regex, next: usize, found: &mut Vec<Range<usize>>) -> WideRun {
        if self.ascii_chars * 2 >= self.chars.max(1) {
            let wide = |text: &str| text.chars().map(char::len_utf16).sum::<usize>() * UNIT_BYTES;
            let (mut place, mut at) = (0, self.start);
            for captures in pattern.captures_iter(&self.text) {
                if let Some(part) = captures.name("x").or(captures.get(0)).filter(|part| !part.is_empty()) {
                    let start = at + wide(&self.text[place..part.start()]);
                    (place, at) = (part.end(), start + wide(part.as_str()));
                    found.push(start..at);
                }
            }
        }
        WideRun { start: next, text: String::new(), ascii_chars: 0, chars: 0 }
    }
}
