//! Fingerprints: instead of the computed grouping, or around it. They come from the first fingerprint rule that matches,
//! else from the client.

use super::component::Component;
use super::fingerprint_rules::{self, FingerprintRule};
use super::{Components, ConfigName, Grouped, Hash16, Variant, md5_of, variables};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

/// Bytes of a title beyond which no more variables are filled in; what shows it keeps far less.
const TITLE_BYTES_MAX: usize = 16 << 10;

/// What is put into the hash, and who said so.
pub(super) struct Decision<'g> {
    pub entries: Vec<&'g str>,
    source: Source,
    pub rule: Option<&'g FingerprintRule>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    Client,
    ProjectRule,
    BuiltInRule,
}

/// One entry of a fingerprint.
#[derive(Clone)]
enum Entry<'g> {
    /// `{{ default }}`: what would have been grouped by.
    Default,
    Text(Cow<'g, str>),
}

/// Asks the project's rules, then the built-in ones, then the client.
pub(super) fn decide<'g>(grouped: &Grouped<'g, 'g>) -> Decision<'g> {
    let event = grouped.event;
    let own = grouped.config.fingerprint_rules.as_deref().and_then(|rules| rules.first_match(event));
    let rule = own.or_else(|| fingerprint_rules::built_in().first_match(event));
    match rule {
        Some(rule) => Decision {
            entries: rule.fingerprint.iter().map(String::as_str).collect(),
            source: if own.is_some() { Source::ProjectRule } else { Source::BuiltInRule },
            rule: Some(rule),
        },
        None => Decision {
            entries: event.fingerprint.iter().flatten().map(|entry| entry.as_str()).collect(),
            source: Source::Client,
            rule: None,
        },
    }
}

impl<'g> Decision<'g> {
    /// Returns the title the rule gives, its variables filled in.
    pub fn title(&self, grouped: &Grouped<'g, 'g>) -> Option<String> {
        self.rule.and_then(|rule| rule.title.as_deref()).map(|title| filled(title, grouped))
    }

    /// Returns the variants of the roots under the fingerprint; an empty one is the computed grouping alone.
    pub fn apply(&self, roots: Components<'g>, grouped: &Grouped<'g, 'g>) -> Vec<Variant> {
        let is_default = |entry: &&str| variables::name_of(entry) == Some("default");
        let has_default = self.entries.iter().any(is_default);
        if self.entries.is_empty() || (has_default && self.entries.len() == 1) {
            return roots.into_iter().map(|(name, root)| of_root(name, &root, &[Entry::Default])).collect();
        }
        let entries = self.read(grouped);
        if has_default {
            return roots.into_iter().map(|(name, root)| of_root(name, &root, &entries)).collect();
        }
        let mut variants = Vec::with_capacity(roots.len() + 1);
        for (name, root) in roots {
            variants.push(of_root(name, &root.off("a fingerprint takes precedence"), &[]));
        }
        let hash = Some(hash_of(&entries, None));
        variants.push(Variant { name: self.name(grouped.config.name), hash, hint: None, contributes: true });
        variants
    }

    /// Reads the entries; each text once, for a hostile fingerprint repeats a variable of a long message.
    fn read(&self, grouped: &Grouped<'g, 'g>) -> Vec<Entry<'g>> {
        let messages = variables::messages(grouped);
        let mut known: HashMap<&str, Entry<'g>> = HashMap::new();
        let mut read =
            |entry: &'g str| known.entry(entry).or_insert_with(|| Entry::read(entry, grouped, &messages)).clone();
        self.entries.iter().map(|entry| read(entry)).collect()
    }

    fn name(&self, config: ConfigName) -> &'static str {
        match (self.source, config) {
            (Source::BuiltInRule, _) => "built_in_fingerprint",
            (_, ConfigName::Newstyle20230111) => "custom_fingerprint",
            (Source::ProjectRule, ConfigName::Newstyle20260120) => "custom_server_fingerprint",
            (Source::Client, ConfigName::Newstyle20260120) => "custom_client_fingerprint",
        }
    }
}

impl<'g> Entry<'g> {
    fn read(entry: &'g str, grouped: &Grouped<'g, 'g>, messages: &HashSet<&str>) -> Entry<'g> {
        match variables::name_of(entry) {
            Some("default") => Entry::Default,
            Some(_) | None => Entry::Text(variables::resolve(entry, grouped, messages)),
        }
    }
}

fn of_root(name: &'static str, root: &Component<'_>, entries: &[Entry<'_>]) -> Variant {
    let hash = match entries {
        [Entry::Default] => root.hash(),
        entries => root.contributes.then(|| hash_of(entries, Some(root))),
    };
    let hint = root.hint.or_else(|| root.children().find_map(|child| child.hint));
    let hint = hint.filter(|_| !root.contributes).map(|hint| hint.why);
    Variant { name, hash, hint, contributes: root.contributes }
}

/// The tree is walked once, however often the fingerprint names the default.
fn hash_of(entries: &[Entry<'_>], root: Option<&Component<'_>>) -> Hash16 {
    let mut default = String::new();
    if let Some(root) = root {
        root.each_text(&mut |text| default.push_str(text));
    }
    let texts = entries.iter().map(|entry| match entry {
        Entry::Text(text) => text,
        Entry::Default => default.as_str(),
    });
    md5_of(texts)
}

/// Fills variables anywhere in a text, with placeholders where they have no value.
fn filled(title: &str, grouped: &Grouped<'_, '_>) -> String {
    let mut out = String::with_capacity(title.len());
    let mut rest = title;
    while let Some((before, after)) = rest.split_once("{{") {
        out.push_str(before);
        let Some((_, after)) = after.split_once("}}") else {
            out.push_str("{{");
            rest = after;
            continue;
        };
        let whole = &rest[before.len()..rest.len() - after.len()];
        match variables::name_of(whole) {
            Some(_) if out.len() > TITLE_BYTES_MAX => break,
            Some(name) => out.push_str(&variables::shown(whole, name, grouped)),
            None => out.push_str(whole),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}
