//! A component: the texts it puts into the hash, and whether it does.

use std::borrow::Cow;

/// Part of an event as grouping sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Component<'e> {
    pub contributes: bool,
    /// Why it does not contribute.
    pub hint: Option<&'static str>,
    /// Whether a contributing stack is in it.
    pub has_stack: bool,
    /// What it puts into the hash, in order.
    pub parts: Vec<Cow<'e, str>>,
}

impl<'e> Component<'e> {
    /// Returns a component that contributes the text, even an empty one.
    pub fn text(text: impl Into<Cow<'e, str>>) -> Self {
        Component { contributes: true, parts: vec![text.into()], ..Component::default() }
    }

    /// Returns a component without anything in it; it does not contribute.
    pub fn empty(hint: &'static str) -> Self {
        Component { hint: Some(hint), ..Component::default() }
    }

    pub fn switch_off(&mut self, hint: &'static str) {
        self.contributes = false;
        self.hint = Some(hint);
    }

    /// Returns the component of the children in order; it contributes if one of them does.
    pub fn of(children: impl IntoIterator<Item = Component<'e>>) -> Self {
        let mut whole = Component::default();
        for child in children {
            if child.contributes {
                whole.contributes = true;
                whole.has_stack |= child.has_stack;
                whole.parts.extend(child.parts);
            } else {
                whole.hint = whole.hint.or(child.hint);
            }
        }
        if whole.contributes {
            whole.hint = None;
        }
        whole
    }

    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().map(|part| &**part)
    }
}
