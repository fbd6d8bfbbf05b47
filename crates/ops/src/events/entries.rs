//! The parts of an event in the shapes of Sentry's event API: frames with `lineNo` and `context`, camel case, oldest
//! frame first. Made from the normalised event; what it does not know is left as the SDK sent it.

use super::EventEntry;
use serde_json::{Map, Value, json};

/// Returns the parts of `event` (a normalised event as JSON), in the order a page shows them, taking them out of it.
pub(super) fn take_all(event: &mut Map<String, Value>) -> Vec<EventEntry> {
    let mut entries = Vec::new();
    if let Some(message) = event.remove("logentry").or_else(|| event.remove("message")).filter(Value::is_object) {
        entries.push(EventEntry { kind: "message", data: message });
    }
    if let Some(list) = take_values(event, "exception") {
        let exceptions: Vec<Value> = list.into_iter().map(exception).collect();
        let has_system_frames = exceptions.iter().any(|exception| exception["stacktrace"]["hasSystemFrames"] == true);
        let data = json!({"values": exceptions, "hasSystemFrames": has_system_frames, "excOmitted": null});
        entries.push(EventEntry { kind: "exception", data });
    }
    if let Some(stack) = event.remove("stacktrace").filter(Value::is_object) {
        entries.push(EventEntry { kind: "stacktrace", data: stacktrace(stack) });
    }
    if let Some(list) = take_values(event, "threads") {
        let threads: Vec<Value> = list.into_iter().map(thread).collect();
        entries.push(EventEntry { kind: "threads", data: json!({ "values": threads }) });
    }
    if let Some(template) = event.remove("template").filter(Value::is_object) {
        entries.push(EventEntry { kind: "template", data: template });
    }
    for kind in ["csp", "hpkp", "expectct", "expectstaple"] {
        if let Some(report) = event.remove(kind).filter(Value::is_object) {
            entries.push(EventEntry { kind, data: report });
        }
    }
    if let Some(list) = take_values(event, "breadcrumbs") {
        entries.push(EventEntry { kind: "breadcrumbs", data: json!({ "values": list }) });
    }
    if let Some(request) = event.remove("request").filter(Value::is_object) {
        entries.push(EventEntry { kind: "request", data: self::request(request) });
    }
    if let Some(meta) = event.remove("debug_meta").filter(Value::is_object) {
        entries.push(EventEntry { kind: "debugmeta", data: meta });
    }
    if let Some(spans) = event.remove("spans").filter(Value::is_array) {
        entries.push(EventEntry { kind: "spans", data: spans });
    }
    entries
}

/// Returns the list of an interface, given as `{"values": […]}` or as a list; an empty one is none.
fn take_values(event: &mut Map<String, Value>, name: &str) -> Option<Vec<Value>> {
    let list = match event.remove(name)? {
        Value::Array(list) => list,
        Value::Object(mut object) => match object.remove("values")? {
            Value::Array(list) => list,
            _ => return None,
        },
        _ => return None,
    };
    let list: Vec<Value> = list.into_iter().filter(Value::is_object).collect();
    (!list.is_empty()).then_some(list)
}

fn exception(value: Value) -> Value {
    let mut value = object(value);
    json!({
        "type": take(&mut value, "type"),
        "value": take(&mut value, "value"),
        "module": take(&mut value, "module"),
        "threadId": take(&mut value, "thread_id"),
        "mechanism": take(&mut value, "mechanism"),
        "stacktrace": optional_stacktrace(value.remove("stacktrace")),
        "rawStacktrace": optional_stacktrace(value.remove("raw_stacktrace")),
    })
}

fn thread(value: Value) -> Value {
    let mut value = object(value);
    json!({
        "id": take(&mut value, "id"),
        "name": take(&mut value, "name"),
        "crashed": take(&mut value, "crashed"),
        "current": take(&mut value, "current"),
        "main": take(&mut value, "main"),
        "state": take(&mut value, "state"),
        "priority": take(&mut value, "priority"),
        "daemon": take(&mut value, "daemon"),
        "heldLocks": take(&mut value, "held_locks"),
        "stacktrace": optional_stacktrace(value.remove("stacktrace")),
        "rawStacktrace": optional_stacktrace(value.remove("raw_stacktrace")),
    })
}

fn optional_stacktrace(value: Option<Value>) -> Value {
    value.filter(Value::is_object).map_or(Value::Null, stacktrace)
}

fn stacktrace(value: Value) -> Value {
    let mut value = object(value);
    let frames = match value.remove("frames") {
        Some(Value::Array(frames)) => frames.into_iter().filter(Value::is_object).map(frame).collect(),
        _ => Vec::new(),
    };
    let is_system = |frame: &Value| frame["inApp"] == false;
    let has_system_frames = frames.iter().any(is_system) && !frames.iter().all(is_system);
    json!({
        "frames": frames,
        "framesOmitted": null,
        "registers": take(&mut value, "registers"),
        "hasSystemFrames": has_system_frames,
    })
}

fn frame(value: Value) -> Value {
    let mut value = object(value);
    json!({
        "function": take(&mut value, "function"),
        "rawFunction": take(&mut value, "raw_function"),
        "symbol": take(&mut value, "symbol"),
        "module": take(&mut value, "module"),
        "package": take(&mut value, "package"),
        "filename": take(&mut value, "filename"),
        "absPath": take(&mut value, "abs_path"),
        "platform": take(&mut value, "platform"),
        "context": context(&mut value),
        "lineNo": take(&mut value, "lineno"),
        "colNo": take(&mut value, "colno"),
        "inApp": value.remove("in_app").filter(Value::is_boolean).unwrap_or(Value::Bool(false)),
        "vars": take(&mut value, "vars"),
        "instructionAddr": take(&mut value, "instruction_addr"),
        "symbolAddr": take(&mut value, "symbol_addr"),
        "imageAddr": take(&mut value, "image_addr"),
        "addrMode": take(&mut value, "addr_mode"),
        "trust": take(&mut value, "trust"),
        "lock": take(&mut value, "lock"),
        "sourceLink": take(&mut value, "source_link"),
        "data": take(&mut value, "data"),
        "errors": null,
    })
}

/// Returns the source lines as `[[number, text], …]`; without a line number or a line there are none.
fn context(frame: &mut Map<String, Value>) -> Value {
    let lines = |value: Option<Value>| match value {
        Some(Value::Array(lines)) => lines,
        _ => Vec::new(),
    };
    let (before, after) = (lines(frame.remove("pre_context")), lines(frame.remove("post_context")));
    let line = frame.remove("context_line").filter(|line| !line.is_null());
    let (Some(number), Some(line)) = (frame.get("lineno").and_then(Value::as_i64), line) else {
        return Value::Array(Vec::new());
    };
    let first = number.saturating_sub(before.len() as i64);
    let all = before.into_iter().chain([line]).chain(after);
    all.enumerate().map(|(offset, text)| json!([first.saturating_add(offset as i64), text])).collect()
}

/// Sentry's API calls two of the fields otherwise than its SDKs.
fn request(value: Value) -> Value {
    let mut value = object(value);
    let query = take(&mut value, "query_string");
    let content_type = take(&mut value, "inferred_content_type");
    value.insert("query".to_owned(), query);
    value.insert("inferredContentType".to_owned(), content_type);
    Value::Object(value)
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    }
}

fn take(map: &mut Map<String, Value>, name: &str) -> Value {
    map.remove(name).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_get_numbered_source_lines() {
        let mut event = object(json!({
            "exception": {"values": [{"type": "E", "value": "v", "stacktrace": {"frames": [
                {"function": "f", "lineno": 3, "pre_context": ["a", "b"], "context_line": "c", "post_context": ["d"],
                 "in_app": true, "vars": {"x": "1"}},
                {"function": "g", "in_app": false},
            ]}}]},
            "request": {"url": "http://x/", "query_string": [["a", "b"]]},
        }));
        let entries = take_all(&mut event);
        assert_eq!(entries.iter().map(|entry| entry.kind).collect::<Vec<_>>(), ["exception", "request"]);
        let stack = &entries[0].data["values"][0]["stacktrace"];
        assert_eq!(stack["frames"][0]["context"], json!([[1, "a"], [2, "b"], [3, "c"], [4, "d"]]));
        assert_eq!((&stack["hasSystemFrames"], &stack["frames"][1]["context"]), (&json!(true), &json!([])));
        assert_eq!(entries[1].data["query"], json!([["a", "b"]]));
    }

    #[test]
    fn wrong_types_give_no_entry_and_no_panic() {
        for wrong in [json!(null), json!(1), json!("x"), json!([]), json!([1]), json!({"values": 3})] {
            for name in ["exception", "threads", "breadcrumbs", "request", "logentry", "stacktrace"] {
                let mut event = Map::from_iter([(name.to_owned(), wrong.clone())]);
                let _ = take_all(&mut event).len();
            }
        }
    }
}
