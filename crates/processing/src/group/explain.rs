//! Why an event is grouped as it is: the trees of components, what contributed and what did not and why, and the rules
//! that had a word in it. For people and `vigie event group --explain`; nothing reads it back.

use super::component::{Component, Hint, Part, RuleId};
use super::stacks::{Stack, StackFrame};
use super::{GroupConfig, Grouped, StackRules, fingerprint, lists, prepare, roots};
use protocol::event::Event;
use serde_json::{Value, json};

/// Returns the explanation: `components` by variant, `fingerprint` with the rule it is from, and `stacks` with what was
/// decided of each frame.
pub fn explain(event: &Event<'_>, config: &GroupConfig) -> Value {
    let stacks = prepare(event, config);
    let grouped = Grouped { event, stacks: &stacks, config };
    let lists = lists(config);
    let components = roots(&grouped).into_iter().map(|(name, root)| (name.to_owned(), tree(&root, &lists)));
    let components: serde_json::Map<String, Value> = components.collect();
    let decision = fingerprint::decide(&grouped);
    let all = [stacks.exceptions.as_slice(), std::slice::from_ref(&stacks.event)];
    let all = all.into_iter().flatten().chain(&stacks.thread).filter(|stack| !stack.frames.is_empty());
    json!({
        "components": components,
        "fingerprint": { "entries": decision.entries, "rule": decision.rule.map(|rule| &rule.text) },
        "stacks": all.map(|stack| of_stack(stack, &lists)).collect::<Vec<_>>(),
    })
}

fn tree(component: &Component<'_>, lists: &[&StackRules]) -> Value {
    let part = |part: &Part<'_>| match part {
        Part::Text(text) => json!(text),
        Part::Child(child) => tree(child, lists),
    };
    let hint = component.hint.map(|hint: Hint| hint.why);
    let rule = component.hint.and_then(|hint| hint.rule).map(|rule| rule_text(rule, lists));
    json!({
        "id": component.id,
        "contributes": component.contributes,
        "hint": hint,
        "rule": rule,
        "values": component.parts.iter().map(part).collect::<Vec<_>>(),
    })
}

fn of_stack(stack: &Stack<'_>, lists: &[&StackRules]) -> Value {
    let rules = stack.effects.iter().map(|effect| {
        let frames: Vec<usize> = effect.frames.iter().collect();
        json!({ "rule": rule_text(effect.rule, lists), "frames": frames })
    });
    let frame = |frame: &StackFrame<'_>| {
        json!({
            "function": frame.function(),
            "module": frame.frame.module.as_deref(),
            "filename": frame.filename,
            "in_app": frame.in_app,
            "in_app_sent": frame.client_in_app,
            "in_app_rule": frame.in_app_by.map(|rule| rule_text(rule, lists)),
            "category": frame.category,
            "category_rule": frame.category_by.map(|rule| rule_text(rule, lists)),
        })
    };
    json!({
        "frames": stack.frames.iter().map(frame).collect::<Vec<_>>(),
        "rules": rules.collect::<Vec<_>>(),
    })
}

fn rule_text(rule: RuleId, lists: &[&StackRules]) -> String {
    lists.get(usize::from(rule.list)).map(|list| list.text(rule.index)).unwrap_or_default()
}
