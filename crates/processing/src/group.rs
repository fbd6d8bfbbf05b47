//! Grouping: which events are of one issue, as MD5 hashes over parts of the event. Components, strategies, their order
//! and every text that enters a hash are Sentry's `newstyle` configurations, so that its hashes come out.
//!
//! Stacks are prepared first (names trimmed, stack-trace rules asked). Then each strategy, a file that answers for its
//! interface, makes trees of components by variant, and a fingerprint may take their place. Only texts enter a hash; the
//! trees are kept while grouping to explain it.

mod checksum;
mod component;
mod config;
mod csp;
mod exception;
mod exception_group;
mod explain;
mod fingerprint;
mod fingerprint_rules;
mod frame;
mod host_report;
mod message;
mod parameters;
mod rules;
mod settings;
mod stack;
pub(crate) mod stacks;
mod template;
mod text;
mod threads;
mod trim;
mod variables;

pub use config::{ConfigName, GroupConfig, RuleError};
pub use explain::explain;
pub use fingerprint_rules::FingerprintRules;
pub use rules::StackRules;
pub use settings::{Grouper, Settings, SettingsError};
pub use stacks::Stacks;

use component::Component;
use md5::{Digest, Md5};
use parameters::Version;
use protocol::event::Event;
use std::borrow::Cow;

/// The 16 bytes of an MD5 hash.
pub type Hash16 = [u8; 16];

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
    /// The title a fingerprint rule gave.
    pub title: Option<String>,
}

impl Grouping {
    /// Returns the group key event rows carry.
    pub fn key(&self) -> i64 {
        key_of(&self.primary)
    }

    /// Returns the primary hash as 32 hexadecimal digits.
    pub fn hash_text(&self) -> String {
        stdx::hex::encode(&self.primary)
    }

    fn of(variants: Vec<Variant>, title: Option<String>) -> Grouping {
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
        Grouping { primary: hashes[0], variants, hashes, title }
    }
}

const APP: &str = "app";
const SYSTEM: &str = "system";
const DEFAULT: &str = "default";
const FALLBACK: &str = "fallback";

/// Components by variant name.
type Components<'e> = Vec<(&'static str, Component<'e>)>;
type Strategy = for<'e> fn(&Grouped<'e, '_>) -> Components<'e>;

/// An event while it is grouped.
struct Grouped<'e, 'c> {
    event: &'e Event<'e>,
    stacks: &'c Stacks<'e>,
    config: &'c GroupConfig,
}

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
    group_prepared(event, &prepare(event, config), config)
}

/// Returns what names, rules and SDK say of the stacks of a normalised event.
pub fn prepare<'e>(event: &'e Event<'_>, config: &'e GroupConfig) -> Stacks<'e> {
    Stacks::of(event, &lists(config))
}

/// Returns the groups of a normalised event of which the stacks are prepared.
pub fn group_prepared<'e>(event: &'e Event<'e>, stacks: &Stacks<'e>, config: &GroupConfig) -> Grouping {
    let grouped = Grouped { event, stacks, config };
    let decision = fingerprint::decide(&grouped);
    let title = decision.title(&grouped);
    if let Some(variant) = checksum::variant(event) {
        return Grouping::of(vec![variant], title);
    }
    let mut variants = decision.apply(roots(&grouped), &grouped);
    if !variants.iter().any(|variant| variant.contributes) {
        variants.push(fallback());
    }
    Grouping::of(variants, title)
}

/// Returns the place of the exception an event is named after, where a group of exceptions decides it.
pub(crate) fn main_exception<'e>(event: &'e Event<'e>, stacks: &Stacks<'e>, config: &GroupConfig) -> Option<usize> {
    exception::main_exception(&Grouped { event, stacks, config })
}

/// The lists of stack-trace rules, the later having the last word.
fn lists(config: &GroupConfig) -> Vec<&StackRules> {
    std::iter::once(rules::base(config.name)).chain(config.stack_rules.as_deref()).collect()
}

/// Asks the strategies. Components of later strategies stay, switched off, to be shown.
fn roots<'e>(grouped: &Grouped<'e, '_>) -> Components<'e> {
    let mut by_name: Vec<(&'static str, Vec<Component<'e>>)> = Vec::new();
    let mut is_decided = false;
    for strategy in STRATEGIES {
        let mut components = strategy(grouped);
        match grouped.config.name {
            ConfigName::Newstyle20260120 => prefer_app(&mut components),
            ConfigName::Newstyle20230111 => prefer_system(&mut components),
        }
        prefer_stacks(&mut components);
        let contributes = components.iter().any(|(_, component)| component.contributes);
        for (name, mut component) in components {
            if is_decided && component.contributes {
                component.switch_off("another strategy takes precedence");
            }
            match by_name.iter_mut().find(|(known, _)| *known == name) {
                Some((_, all)) => all.push(component),
                None => by_name.push((name, vec![component])),
            }
        }
        is_decided |= contributes;
    }
    by_name.into_iter().map(|(name, all)| (name, Component::of(name, all))).collect()
}

/// Switches the system variant off where it has the hash of the app variant.
fn prefer_app(components: &mut Components<'_>) {
    let app = components.iter().find(|(name, _)| *name == APP).and_then(|(_, app)| app.hash());
    let others = components.iter_mut().filter(|(name, other)| *name != APP && other.contributes);
    for (_, other) in others.filter(|(_, other)| app.is_some() && other.hash() == app) {
        other.switch_off("hash is the same as the one of the app variant");
    }
}

/// Switches the app variant off where it has the hash of the system variant, or where that one is off.
fn prefer_system(components: &mut Components<'_>) {
    let Some((_, system)) = components.iter().find(|(name, _)| *name == SYSTEM) else {
        return;
    };
    let system = system.hash();
    for (_, other) in components.iter_mut().filter(|(name, other)| *name != SYSTEM && other.contributes) {
        if system.is_none() {
            other.switch_off("the system variant is off");
        } else if other.hash() == system {
            other.switch_off("hash is the same as the one of the system variant");
        }
    }
}

/// Switches off what has no stack where another variant has one: all frames say more than a type alone.
fn prefer_stacks(components: &mut Components<'_>) {
    const STACK: &str = "stacktrace";
    if components.len() < 2 || !components.iter().any(|(_, component)| component.holds(STACK)) {
        return;
    }
    for (_, component) in components.iter_mut().filter(|(_, component)| !component.holds(STACK)) {
        component.switch_off("another variant has a stack trace");
    }
}

impl<'e> Grouped<'e, '_> {
    fn version(&self) -> Version {
        match self.config.name {
            ConfigName::Newstyle20260120 => Version::P2026b,
            ConfigName::Newstyle20230111 => Version::P2024,
        }
    }

    /// Returns the first lines of a text with what varies replaced. Which comes first has changed with the patterns.
    fn parameterised_lines(&self, text: &'e str) -> Cow<'e, str> {
        match self.version() {
            Version::P2024 | Version::P2026a => match text::first_lines(text) {
                Cow::Borrowed(text) => parameters::replace(text, self.version()),
                Cow::Owned(text) => Cow::Owned(parameters::replace(&text, self.version()).into_owned()),
            },
            Version::P2026b => match parameters::replace(text, Version::P2026b) {
                Cow::Borrowed(text) => text::first_lines(text),
                Cow::Owned(text) => Cow::Owned(text::first_lines(&text).into_owned()),
            },
        }
    }
}

/// Returns the key of a hash: its first 8 bytes, big endian.
pub fn key_of(hash: &Hash16) -> i64 {
    let [a, b, c, d, e, f, g, h, ..] = *hash;
    i64::from_be_bytes([a, b, c, d, e, f, g, h])
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
