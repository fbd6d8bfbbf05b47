//! Attachments and minidumps: only rules that name them touch them, byte by byte, so that no offset in them moves.

use super::Scrubber;
use super::path::Path;
use super::redaction::Changes;
use super::rules::{Application, Finds, Redaction};
use super::selector::Node;
use super::walk::Walk;
use protocol::json::Str;
use std::ops::Range;

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
            let found = ranges(pattern, bytes);
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
