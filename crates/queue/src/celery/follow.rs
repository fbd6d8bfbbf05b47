//! What follows a call: callbacks, the next step of a chain, error callbacks and the body of a chord. Signatures become
//! jobs; where one names no queue it goes where its parent came from, since routes are known to Python clients only.

use crate::call::{Call, Embed};
use crate::{JobId, JobOptions, NewJob};
use serde_json::{Map, Value, json};
use std::time::Duration;
use stdx::Timestamp;

/// Signatures that one end may send; what is beyond is an error of the task's author.
const SENT_MAX: usize = 10_000;
/// Groups within chains within groups: deeper ones are dropped.
const DEPTH_MAX: usize = 8;

/// A job that follows another.
pub(crate) struct Sent(pub NewJob);

/// What the followers need to know of the call that ended.
pub(crate) struct Parent<'a> {
    pub id: &'a str,
    pub queue: &'a str,
    pub priority: u8,
    pub headers: Option<&'a str>,
    pub now: Timestamp,
}

/// Returns the callbacks and the next step of the chain, with the value before their arguments.
pub(crate) fn after_success(parent: &Parent<'_>, call: &Call, value: &Value) -> Vec<Sent> {
    let mut sent = Vec::new();
    for callback in call.embed.callbacks.iter().flatten() {
        follow(parent, callback, Some(value), &Embed::default(), 0, &mut sent);
    }
    let mut chain = call.embed.chain.clone().unwrap_or_default();
    if let Some(next) = chain.pop() {
        let embed = Embed { chain: (!chain.is_empty()).then_some(chain), ..Embed::default() };
        follow(parent, &next, Some(value), &embed, 0, &mut sent);
    }
    sent
}

/// Returns the error callbacks: they are called with the id of what failed.
pub(crate) fn after_failure(parent: &Parent<'_>, errbacks: Option<&Vec<Value>>) -> Vec<Sent> {
    let mut sent = Vec::new();
    let id = Value::from(parent.id);
    for errback in errbacks.into_iter().flatten() {
        follow(parent, errback, Some(&id), &Embed::default(), 0, &mut sent);
    }
    sent
}

/// A step of a chain that will never run: its result is a failure too.
pub(crate) struct FailedStep {
    pub id: String,
    /// Where whoever called waits for it.
    pub reply_to: Option<String>,
}

/// Returns the steps behind one that failed.
pub(crate) fn errors_of_chain(embed: &Embed) -> Vec<FailedStep> {
    let step = |step: &Value| {
        let text = |name: &str| step["options"][name].as_str().map(str::to_owned);
        Some(FailedStep { id: text("task_id")?, reply_to: text("reply_to") })
    };
    embed.chain.iter().flatten().filter_map(step).collect()
}

/// Returns the body of a chord whose parts have all ended.
pub(crate) fn chord_body(parent: &Parent<'_>, body: &Value, results: Vec<Value>) -> Vec<Sent> {
    let mut sent = Vec::new();
    follow(parent, body, Some(&Value::Array(results)), &Embed::default(), 0, &mut sent);
    sent
}

fn follow(
    parent: &Parent<'_>,
    signature: &Value,
    first: Option<&Value>,
    then: &Embed,
    depth: usize,
    sent: &mut Vec<Sent>,
) {
    if depth > DEPTH_MAX || sent.len() >= SENT_MAX {
        tracing::error!(depth, jobs = sent.len(), "what follows a call is beyond its bounds, the rest is dropped");
        return;
    }
    let inner = &signature["kwargs"]["tasks"];
    match (signature["subtask_type"].as_str(), inner.as_array()) {
        (Some("group"), Some(tasks)) => {
            for task in tasks {
                follow(parent, task, first, then, depth + 1, sent);
            }
        }
        (Some("chain"), Some(tasks)) => {
            let Some((head, rest)) = tasks.split_first() else { return };
            let mut steps: Vec<Value> = then.chain.clone().unwrap_or_default();
            steps.extend(rest.iter().rev().cloned());
            let then = Embed { chain: (!steps.is_empty()).then_some(steps), ..then.clone() };
            follow(parent, head, first, &then, depth + 1, sent);
        }
        _ => sent.extend(job_of(parent, signature, first, then).map(Sent)),
    }
}

fn job_of(parent: &Parent<'_>, signature: &Value, first: Option<&Value>, then: &Embed) -> Option<NewJob> {
    let task = signature["task"].as_str()?;
    let options = &signature["options"];
    let text = |name: &str| options[name].as_str();
    let is_immutable = signature["immutable"].as_bool().unwrap_or(false);
    let mut args: Vec<Value> = first.filter(|_| !is_immutable).cloned().into_iter().collect();
    args.extend(signature["args"].as_array().cloned().unwrap_or_default());
    let kwargs: Map<String, Value> = signature["kwargs"].as_object().cloned().unwrap_or_default();
    let list = |name: &str| match &options[name] {
        Value::Array(signatures) => Some(signatures.clone()),
        one @ Value::Object(_) => Some(vec![one.clone()]),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    };
    let chain = list("chain").or_else(|| then.chain.clone());
    let chord = (!options["chord"].is_null()).then(|| options["chord"].clone());
    let embed = Embed { callbacks: list("link"), errbacks: list("link_error"), chain, chord };
    let id = text("task_id").map_or_else(stdx::random::uuid, str::to_owned);
    let queue = text("queue").or_else(|| options["queue"]["name"].as_str()).or_else(|| text("routing_key"));
    let countdown = options["countdown"].as_f64().filter(|seconds| (0.0..1e9).contains(seconds));
    let eta = text("eta").and_then(Timestamp::parse_rfc3339).map(|eta| eta.since(parent.now));
    let delay = countdown.map(Duration::from_secs_f64).or(eta).unwrap_or_default();
    let priority = options["priority"].as_u64().and_then(|priority| u8::try_from(priority).ok());
    Some(NewJob {
        priority: priority.map_or(parent.priority, super::turned_priority),
        delay,
        options: JobOptions {
            is_call: true,
            keeps_result: !options["ignore_result"].as_bool().unwrap_or(false),
            expires_at: text("expires").and_then(Timestamp::parse_rfc3339),
            headers: Some(headers_of(parent, options).to_string()),
            reply_to: text("reply_to").map(str::to_owned),
            ..JobOptions::default()
        },
        ..NewJob::new(JobId::new(&id), task, queue.unwrap_or(parent.queue), Call { args, kwargs, embed }.to_payload())
    })
}

fn headers_of(parent: &Parent<'_>, options: &Value) -> Value {
    let inherited: Value = parent.headers.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let root = inherited["root_id"].as_str().unwrap_or(parent.id);
    let mut headers = json!({"root_id": root, "parent_id": parent.id});
    for (name, option) in [("group", "group_id"), ("group_index", "group_index")] {
        if !options[option].is_null() {
            headers[name] = options[option].clone();
        }
    }
    headers
}
