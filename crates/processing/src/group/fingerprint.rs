//! Custom fingerprints: instead of the computed grouping, or around it.

use super::component::Component;
use super::{Components, Variant, md5_of, variables};
use protocol::event::Event;
use protocol::json::Str;
use std::borrow::Cow;

const CUSTOM: &str = "custom_client_fingerprint";

/// One entry of a fingerprint.
enum Entry<'f> {
    /// `{{ default }}`: what would have been grouped by.
    Default,
    Text(Cow<'f, str>),
}

/// Returns the variants of the roots under the fingerprint; an empty one is the computed grouping alone.
pub(super) fn apply<'e>(fingerprint: &'e [Str<'_>], roots: Components<'e>, event: &'e Event<'_>) -> Vec<Variant> {
    let entries: Vec<Entry<'e>> = fingerprint.iter().map(|entry| read(entry, event)).collect();
    let has_default = entries.iter().any(|entry| matches!(entry, Entry::Default));
    if entries.is_empty() || (has_default && entries.len() == 1) {
        return roots.into_iter().map(|(name, root)| of_root(name, &root, &[Entry::Default])).collect();
    }
    if has_default {
        return roots.into_iter().map(|(name, root)| of_root(name, &root, &entries)).collect();
    }
    let mut variants = Vec::with_capacity(roots.len() + 1);
    for (name, mut root) in roots {
        root.switch_off("a custom fingerprint takes precedence");
        variants.push(of_root(name, &root, &[]));
    }
    let hash = md5_of(entries.iter().flat_map(|entry| texts(entry, None)));
    variants.push(Variant { name: CUSTOM, hash: Some(hash), hint: None, contributes: true });
    variants
}

fn read<'f>(entry: &'f str, event: &'f Event<'_>) -> Entry<'f> {
    match variables::name_of(entry) {
        Some("default") => Entry::Default,
        Some(name) => Entry::Text(variables::resolve(name, event)),
        None => Entry::Text(Cow::Borrowed(entry)),
    }
}

fn of_root(name: &'static str, root: &Component<'_>, entries: &[Entry<'_>]) -> Variant {
    let hash = root.contributes.then(|| md5_of(entries.iter().flat_map(|entry| texts(entry, Some(root)))));
    Variant { name, hash, hint: root.hint, contributes: root.contributes }
}

fn texts<'t>(entry: &'t Entry<'_>, root: Option<&'t Component<'_>>) -> impl Iterator<Item = &'t str> {
    let (own, default) = match entry {
        Entry::Text(text) => (Some(&**text), None),
        Entry::Default => (None, root),
    };
    own.into_iter().chain(default.into_iter().flat_map(Component::texts))
}
