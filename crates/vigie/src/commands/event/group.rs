//! `vigie event group`: the hashes of an event in a file, and why they are what they are. Needs no store.
//!
//! The file may carry a project's rules the way Sentry's grouping tests do, so that they can be tried before they are
//! saved. Events that arrive over the network are never asked for rules.

use super::{context, output, parse, read};
use anyhow::Context as _;
use processing::group::{ConfigName, FingerprintRules, GroupConfig, StackRules, Variant, explain, group};
use protocol::event::Event;
use protocol::json::Value;
use serde_json::json as object;
use std::path::Path;
use std::sync::Arc;

/// Prints the variants and hashes of the event; with `is_explained` the trees they were made from.
///
/// # Errors
/// If the configuration is unknown, the file holds no event, or rules in it are none.
pub fn run(file: &Path, config: Option<&Path>, is_explained: bool) -> anyhow::Result<()> {
    let name = config_name(config)?;
    let bytes = read(file)?;
    let mut repaired = Vec::new();
    let event = parse(&bytes, &mut repaired)?;
    let context = context(event.id, None);
    let event = processing::normalise(event, &context);
    let config = GroupConfig {
        name,
        stack_rules: stack_rules(&event)?.map(Arc::new),
        fingerprint_rules: fingerprint_rules(&event)?.map(Arc::new),
    };
    let grouping = group(&event, &config);
    let variant = |variant: &Variant| {
        let hash = variant.hash.as_ref().map(|hash| stdx::hex::encode(hash));
        (variant.name.to_owned(), object!({ "hash": hash, "hint": variant.hint }))
    };
    let variants: serde_json::Map<String, serde_json::Value> = grouping.variants.iter().map(variant).collect();
    let hashes: Vec<String> = grouping.hashes.iter().map(|hash| stdx::hex::encode(hash)).collect();
    let mut shown = object!({ "config": name.as_str(), "variants": variants, "hashes": hashes });
    if is_explained {
        shown["explanation"] = explain(&event, &config);
    }
    output::json(&shown)
}

/// Every command takes the path of the configuration file as `--config`; this one needs none, so a path is passed over.
fn config_name(config: Option<&Path>) -> anyhow::Result<ConfigName> {
    let Some(named) = config else {
        return Ok(ConfigName::default());
    };
    let name = named.to_string_lossy();
    match ConfigName::from_name(&name) {
        Some(name) => Ok(name),
        None if named.exists() || name.contains('/') || name.ends_with(".toml") => Ok(ConfigName::default()),
        None => {
            let known: Vec<&str> = ConfigName::ALL.iter().map(|config| config.as_str()).collect();
            anyhow::bail!("no grouping configuration is named '{name}'; there are {}", known.join(" and "))
        }
    }
}

fn stack_rules(event: &Event<'_>) -> anyhow::Result<Option<StackRules>> {
    let text = event.other.get("_grouping").and_then(|grouping| grouping.get("enhancements")).and_then(Value::as_str);
    text.map(StackRules::parse).transpose().context("read the stack-trace rules of the file")
}

fn fingerprint_rules(event: &Event<'_>) -> anyhow::Result<Option<FingerprintRules>> {
    let text = match event.other.get("_fingerprinting_rules") {
        Some(Value::Str(text)) => text.as_str().to_owned(),
        Some(Value::Array(rules)) => listed(rules),
        Some(other) => match other.get("rules") {
            Some(Value::Array(rules)) => listed(rules),
            Some(_) | None => return Ok(None),
        },
        None => return Ok(None),
    };
    FingerprintRules::parse(&text).map(Some).context("read the fingerprint rules of the file")
}

/// Writes rules that are given as objects with `matchers`, `fingerprint` and `attributes` as text, one a line.
fn listed(rules: &[Value<'_>]) -> String {
    let lines = rules.iter().map(|rule| {
        let list = |key| rule.get(key).and_then(Value::as_array).unwrap_or_default();
        let text = |value: Option<&Value<'_>>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
        let matchers = list("matchers").iter().map(|matcher| {
            let matcher = matcher.as_array().unwrap_or_default();
            let name = text(matcher.first());
            let (not, name) = name.strip_prefix('!').map_or(("", name.as_str()), |name| ("!", name));
            format!("{not}{}:{}", quoted(name), quoted(&text(matcher.get(1))))
        });
        let values = list("fingerprint").iter().map(|value| quoted(&text(Some(value))));
        let title = rule.get("attributes").and_then(|attributes| attributes.get("title")).and_then(Value::as_str);
        let title = title.map(|title| format!(" title={}", quoted(title))).unwrap_or_default();
        let (matchers, values) = (matchers.collect::<Vec<_>>().join(" "), values.collect::<Vec<_>>().join(", "));
        format!("{matchers} -> {values}{title}")
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n").replace('\r', "\\r");
    format!("\"{escaped}\"")
}
