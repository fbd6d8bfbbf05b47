//! A component: a part of an event as grouping sees it, with the texts and components it holds, and whether it counts.
//!
//! Only texts of contributing components enter a hash. The rest of the tree is there to explain the result, and to tell
//! whether two exceptions are the same (`exception_group`).

use super::Hash16;
use md5::{Digest, Md5};
use std::borrow::Cow;

/// A part of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Component<'e> {
    pub id: &'static str,
    pub contributes: bool,
    /// Why it does not contribute, or what was changed in it.
    pub hint: Option<Hint>,
    pub parts: Vec<Part<'e>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part<'e> {
    Text(Cow<'e, str>),
    Child(Component<'e>),
}

/// Why a component is as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hint {
    pub why: &'static str,
    /// The stack-trace rule that had the last word.
    pub rule: Option<RuleId>,
}

/// A rule by the list it is in (the built-in ones first) and its place there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleId {
    pub list: u8,
    pub index: u16,
}

impl From<&'static str> for Hint {
    fn from(why: &'static str) -> Self {
        Hint { why, rule: None }
    }
}

impl<'e> Component<'e> {
    /// Returns a component without anything in it; it does not contribute.
    pub fn empty(id: &'static str) -> Self {
        Component { id, contributes: false, hint: None, parts: Vec::new() }
    }

    /// Returns a component that contributes the text, even an empty one.
    pub fn text(id: &'static str, text: impl Into<Cow<'e, str>>) -> Self {
        Component { id, contributes: true, hint: None, parts: vec![Part::Text(text.into())] }
    }

    /// Returns a component that contributes the text, or nothing when there is none.
    pub fn optional(id: &'static str, text: Option<impl Into<Cow<'e, str>>>) -> Self {
        match text {
            Some(text) => Component::text(id, text),
            None => Component::empty(id),
        }
    }

    /// Returns the component of the children in order; it contributes if one of them does.
    pub fn of(id: &'static str, children: impl IntoIterator<Item = Component<'e>>) -> Self {
        let parts: Vec<Part<'e>> = children.into_iter().map(Part::Child).collect();
        let contributes = parts.iter().any(|part| matches!(part, Part::Child(child) if child.contributes));
        Component { id, contributes, hint: None, parts }
    }

    pub fn switch_off(&mut self, hint: impl Into<Hint>) {
        self.contributes = false;
        self.hint = Some(hint.into());
    }

    /// Returns the component switched off.
    pub fn off(mut self, hint: impl Into<Hint>) -> Self {
        self.switch_off(hint);
        self
    }

    /// Puts another text in place of what it held. That switches it on again: text always contributes.
    pub fn replace(&mut self, text: impl Into<Cow<'e, str>>, hint: &'static str) {
        self.parts = vec![Part::Text(text.into())];
        self.contributes = true;
        self.hint = Some(hint.into());
    }

    pub fn children(&self) -> impl Iterator<Item = &Component<'e>> {
        self.parts.iter().filter_map(|part| match part {
            Part::Child(child) => Some(child),
            Part::Text(_) => None,
        })
    }

    /// Returns whether a contributing component of that id is reached through contributing ones.
    pub fn holds(&self, id: &str) -> bool {
        self.contributes && (self.id == id || self.children().any(|child| child.holds(id)))
    }

    /// Calls `found` for every text that enters the hash, in order.
    pub fn each_text(&self, found: &mut impl FnMut(&str)) {
        if !self.contributes {
            return;
        }
        for part in &self.parts {
            match part {
                Part::Text(text) => found(text),
                Part::Child(child) => child.each_text(found),
            }
        }
    }

    /// Returns the hash of its texts; nothing if it does not contribute.
    pub fn hash(&self) -> Option<Hash16> {
        self.contributes.then(|| {
            let mut hasher = Md5::new();
            self.each_text(&mut |text| hasher.update(text.as_bytes()));
            hasher.finalize().into()
        })
    }
}
