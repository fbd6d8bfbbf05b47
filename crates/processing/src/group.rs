//! Grouping: which events are of one issue, as MD5 hashes over parts of the event.
//!
//! Components, strategies and their order are Sentry's `newstyle` configurations; each strategy is a file that answers
//! for its interface. What is not here yet: stack-trace rules, trimming of native function names, exception-group
//! filters, fingerprint rules. Only text enters a hash, so the tree of components is kept flat: a component is the list
//! of texts it contributes.

mod checksum;
mod component;
mod csp;
mod exception;
mod fingerprint;
mod frame;
mod host_report;
mod message;
mod parameters;
mod stack;
mod template;
mod threads;
mod variables;

use component::Component;
use md5::{Digest, Md5};
use protocol::event::Event;

/// The 16 bytes of an MD5 hash.
pub type Hash16 = [u8; 16];

/// Which of Sentry's configurations to group by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ConfigName {
    /// `newstyle:2026-01-20`, the default: an exception hashes its type and value before its stack.
    #[default]
    Newstyle20260120,
    /// `newstyle:2023-01-11`, the one before: an exception hashes its stack first.
    Newstyle20230111,
}

impl ConfigName {
    pub const fn as_str(self) -> &'static str {
        match self {
            ConfigName::Newstyle20260120 => "newstyle:2026-01-20",
            ConfigName::Newstyle20230111 => "newstyle:2023-01-11",
        }
    }
}

/// How to group. Project rules will travel in here.
#[derive(Clone, Debug, Default)]
pub struct GroupConfig {
    pub name: ConfigName,
}

/// One way of grouping an event, shown to explain the result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variant {
    pub name: &'static str,
    /// Absent when the variant does not contribute.
    pub hash: Option<Hash16>,
    /// Why it does not contribute, or what it was made of.
    pub hint: Option<&'static str>,
    pub contributes: bool,
}

/// The groups an event may belong to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grouping {
    pub variants: Vec<Variant>,
    /// Distinct hashes in the order in which an existing issue is looked for; never empty.
    pub hashes: Vec<Hash16>,
    /// The first of `hashes`.
    pub primary: Hash16,
}

impl Grouping {
    /// Returns the group key event rows carry: the first 8 bytes of the primary hash, big endian.
    pub fn key(&self) -> i64 {
        let [a, b, c, d, e, f, g, h, ..] = self.primary;
        i64::from_be_bytes([a, b, c, d, e, f, g, h])
    }

    /// Returns the primary hash as 32 hexadecimal digits.
    pub fn hash_text(&self) -> String {
        stdx::hex::encode(&self.primary)
    }

    fn of(variants: Vec<Variant>) -> Grouping {
        let last = |variant: &&Variant| variant.name == SYSTEM;
        let in_order = variants.iter().filter(|variant| !last(variant)).chain(variants.iter().filter(last));
        let mut hashes: Vec<Hash16> = Vec::new();
        for hash in in_order.filter_map(|variant| variant.hash) {
            if !hashes.contains(&hash) {
                hashes.push(hash);
            }
        }
        if hashes.is_empty() {
            hashes.push(md5_of([]));
        }
        Grouping { primary: hashes[0], variants, hashes }
    }
}

const APP: &str = "app";
const SYSTEM: &str = "system";
const DEFAULT: &str = "default";
const FALLBACK: &str = "fallback";

/// What a strategy answers: components by variant name, the one with priority first.
type Components<'e> = Vec<(&'static str, Component<'e>)>;
type Strategy = for<'e> fn(&'e Event<'_>, &GroupConfig) -> Components<'e>;

/// In order of precedence: the first with a contributing component wins.
const STRATEGIES: &[Strategy] = &[
    exception::components,
    threads::components,
    stack::components,
    template::components,
    csp::components,
    host_report::components,
    message::components,
];

/// Returns the groups of a normalised event. The order of object keys never matters.
pub fn group(event: &Event<'_>, config: &GroupConfig) -> Grouping {
    if let Some(variant) = checksum::variant(event) {
        return Grouping::of(vec![variant]);
    }
    let roots = roots(event, config);
    let fingerprint = event.fingerprint.as_deref().unwrap_or_default();
    let mut variants = fingerprint::apply(fingerprint, roots, event);
    if !variants.iter().any(|variant| variant.contributes) {
        variants.push(fallback());
    }
    Grouping::of(variants)
}

/// Asks the strategies. Components of later strategies stay, switched off, to be shown.
fn roots<'e>(event: &'e Event<'_>, config: &GroupConfig) -> Components<'e> {
    let mut roots: Components<'e> = Vec::new();
    let mut is_decided = false;
    for strategy in STRATEGIES {
        let mut components = strategy(event, config);
        prefer_first(&mut components);
        let contributes = components.iter().any(|(_, component)| component.contributes);
        for (name, mut component) in components {
            if is_decided && component.contributes {
                component.switch_off("another strategy takes precedence");
            }
            match roots.iter_mut().find(|(known, _)| *known == name) {
                Some((_, root)) if !root.contributes && component.contributes => *root = component,
                Some(_) => {}
                None => roots.push((name, component)),
            }
        }
        is_decided |= contributes;
    }
    roots
}

/// Switches off what repeats the variant with priority, and what has no stack where another variant has one.
fn prefer_first(components: &mut Components<'_>) {
    if let Some(((_, first), others)) = components.split_first_mut() {
        for (_, other) in others {
            if first.contributes && other.contributes && other.parts == first.parts {
                other.switch_off("hash is the same as the one of the app variant");
            }
        }
    }
    let has_stack = components.iter().any(|(_, component)| component.contributes && component.has_stack);
    if components.len() > 1 && has_stack {
        for (_, component) in components.iter_mut().filter(|(_, component)| !component.has_stack) {
            component.switch_off("another variant has a stack trace");
        }
    }
}

fn fallback() -> Variant {
    Variant { name: FALLBACK, hash: Some(md5_of([])), hint: Some("nothing to group by"), contributes: true }
}

/// Returns the MD5 of the texts one after the other, without separators.
fn md5_of<'t>(texts: impl IntoIterator<Item = &'t str>) -> Hash16 {
    let mut hasher = Md5::new();
    for text in texts {
        hasher.update(text.as_bytes());
    }
    hasher.finalize().into()
}
