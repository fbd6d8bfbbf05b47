//! Why an event is of its issue: each variant with what counted and what did not, and the rules that had a word in it.

use crate::event_json::cut_to;
use askama::Template;
use ops::events::{EventGrouping, GroupingVariant};
use serde_json::Value;

/// Lines of one variant's tree; a stack has up to 250 frames of four parts.
const LINES_MAX: usize = 400;
const RULES_MAX: usize = 100;
const TEXT_CHARS_MAX: usize = 300;
const DEPTH_MAX: usize = 6;

#[derive(Clone, Debug, Template)]
#[template(path = "components/grouping.html")]
pub struct Grouping {
    config: String,
    revision: Option<i64>,
    variants: Vec<Variant>,
    fingerprint: Vec<String>,
    fingerprint_rule: Option<String>,
    rules: Vec<Rule>,
    rules_left_out: usize,
    /// It would be grouped otherwise now.
    has_changed: bool,
    /// The issue's page of hashes.
    issue_url: String,
}

impl askama::filters::HtmlSafe for Grouping {}

#[derive(Clone, Debug)]
struct Variant {
    name: String,
    hash: Option<String>,
    contributes: bool,
    hint: Option<String>,
    lines: Vec<Line>,
    lines_left_out: usize,
}

/// A component: what it is, the texts it holds, and why it does not count.
#[derive(Clone, Debug)]
struct Line {
    depth: usize,
    name: String,
    text: String,
    contributes: bool,
    hint: String,
    rule: String,
}

#[derive(Clone, Debug)]
struct Rule {
    text: String,
    frames: String,
}

impl Grouping {
    pub fn of(grouping: &EventGrouping, issue_id: i64) -> Grouping {
        let explanation = &grouping.explanation;
        let entries = texts(&explanation["fingerprint"]["entries"]);
        let mut rules = rules(&explanation["stacks"]);
        let rules_left_out = rules.len().saturating_sub(RULES_MAX);
        rules.truncate(RULES_MAX);
        Grouping {
            config: grouping.config.clone(),
            revision: grouping.stored["revision"].as_i64().filter(|revision| *revision > 0),
            has_changed: grouping.variants.iter().any(|variant| variant.is_new),
            variants: grouping.variants.iter().map(Variant::of).collect(),
            fingerprint: entries,
            fingerprint_rule: explanation["fingerprint"]["rule"].as_str().map(short),
            rules,
            rules_left_out,
            issue_url: format!("/issues/{issue_id}/merged/"),
        }
    }
}

impl Variant {
    fn of(variant: &GroupingVariant) -> Variant {
        let mut lines = Vec::new();
        for child in children(&variant.component) {
            walk(child, 0, true, &mut lines);
        }
        let lines_left_out = lines.len().saturating_sub(LINES_MAX);
        lines.truncate(LINES_MAX);
        Variant {
            name: variant.name.replace('_', " "),
            hash: variant.hash.clone(),
            contributes: variant.contributes,
            hint: variant.hint.clone(),
            lines,
            lines_left_out,
        }
    }
}

/// Parts without anything in them say nothing, unless they say why. What is within a part that does not count does not
/// count either.
fn walk(component: &Value, depth: usize, is_counted: bool, lines: &mut Vec<Line>) {
    let hint = component["hint"].as_str().unwrap_or_default();
    let values = component["values"].as_array().map(Vec::as_slice).unwrap_or_default();
    if values.is_empty() && hint.is_empty() {
        return;
    }
    let is_counted = is_counted && component["contributes"] == true;
    let own: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
    lines.push(Line {
        depth: depth.min(DEPTH_MAX),
        name: component["id"].as_str().unwrap_or_default().replace('_', " "),
        text: short(&own.join(" ")),
        contributes: is_counted,
        hint: short(hint),
        rule: short(component["rule"].as_str().unwrap_or_default()),
    });
    for child in children(component) {
        walk(child, depth + 1, is_counted, lines);
    }
}

fn children(component: &Value) -> impl Iterator<Item = &Value> {
    component["values"].as_array().into_iter().flatten().filter(|value| value.is_object())
}

/// Rules that changed what a frame is or whether it counts, each once, with how many frames it met.
fn rules(stacks: &Value) -> Vec<Rule> {
    let mut met: Vec<(&str, usize)> = Vec::new();
    for stack in stacks.as_array().into_iter().flatten() {
        let frames = stack["frames"].as_array().into_iter().flatten();
        let decided = frames.flat_map(|frame| [frame["in_app_rule"].as_str(), frame["category_rule"].as_str()]);
        let effects = stack["rules"].as_array().into_iter().flatten();
        let effects = effects.map(|rule| (rule["rule"].as_str(), rule["frames"].as_array().map_or(0, Vec::len)));
        for (rule, frames) in decided.map(|rule| (rule, 1)).chain(effects) {
            let Some(rule) = rule else { continue };
            match met.iter_mut().find(|(known, _)| *known == rule) {
                Some((_, count)) => *count += frames,
                None => met.push((rule, frames)),
            }
        }
    }
    let rule = |(text, frames): (&str, usize)| Rule {
        text: short(text),
        frames: crate::format::counted(i64::try_from(frames).unwrap_or(i64::MAX), "frame", "frames"),
    };
    met.into_iter().map(rule).collect()
}

fn texts(values: &Value) -> Vec<String> {
    values.as_array().into_iter().flatten().filter_map(Value::as_str).map(short).collect()
}

fn short(text: &str) -> String {
    cut_to(text, TEXT_CHARS_MAX).into_owned()
}
