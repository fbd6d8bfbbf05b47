//! The event of a crash report: what the program said of itself before it crashed, and one placeholder for the crash.

use crate::msgpack;
use serde_json::{Map, Value, json};

/// So much of a dump's beginning is kept: its head and, as every writer places it, the list of its streams.
pub(super) const DUMP_HEAD_BYTES: usize = 4 << 10;
/// The stream that only crashpad writes.
const CRASHPAD_STREAM: u32 = 0x4350_0001;
const BREADCRUMBS_MAX: usize = 100;
/// Deepest `sentry[a][b]…`.
const STEPS_MAX: usize = 10;

/// What a form held beside its files.
#[derive(Default)]
pub(super) struct Report {
    pub dump_head: Vec<u8>,
    /// MessagePack of sentry-native; empty if there is none.
    pub event: Vec<u8>,
    pub breadcrumbs: Vec<Vec<u8>>,
    pub fields: Vec<(String, String)>,
}

impl Report {
    /// Returns the event. What the program wrote itself wins over JSON in `sentry`, that over `sentry[…]` fields; other
    /// fields are extra data. Parts that cannot be read are left out: a crash report is not refused for them.
    pub fn into_event(self) -> Map<String, Value> {
        let mut event = match msgpack::read(&self.event) {
            Ok((Value::Object(event), _)) => event,
            Ok(_) | Err(_) => Map::new(),
        };
        let fields = Fields::sort(self.fields);
        if let Ok(Value::Object(json)) = serde_json::from_str(&fields.json) {
            add_absent(&mut event, json);
        }
        add_absent(&mut event, fields.nested);
        add_absent(&mut event, Map::from_iter([("extra".to_owned(), Value::Object(fields.extra))]));
        if event.get("extra").is_some_and(|extra| extra.as_object().is_some_and(Map::is_empty)) {
            event.remove("extra");
        }
        add_breadcrumbs(&mut event, &self.breadcrumbs);
        let head = DumpHead(&self.dump_head);
        event.insert("platform".to_owned(), json!("native"));
        event.entry("level").or_insert_with(|| json!("fatal"));
        event.entry("sdk").or_insert_with(|| json!({ "name": head.sdk_name(), "version": "0.0.0" }));
        event.insert("exception".to_owned(), placeholder());
        if let Some(seconds) = head.timestamp() {
            event.insert("timestamp".to_owned(), json!(seconds));
        }
        event
    }
}

/// Stands for the crash until somebody walks its stack. Sentry's placeholder says `Invalid Minidump` and is synthetic, so
/// that nobody sees it once the stack is known; ours is what people read, and the dump is not invalid.
fn placeholder() -> Value {
    let mechanism = json!({ "type": "minidump", "handled": false });
    json!({ "values": [{ "type": "Minidump", "value": "crash report, not symbolicated", "mechanism": mechanism }] })
}

/// Text fields by what they are for.
#[derive(Default)]
struct Fields {
    json: String,
    nested: Map<String, Value>,
    extra: Map<String, Value>,
}

impl Fields {
    fn sort(fields: Vec<(String, String)>) -> Fields {
        let mut sorted = Fields::default();
        // Crashpad's annotations are short: long JSON comes in numbered pieces.
        let mut pieces = Vec::new();
        for (name, value) in fields {
            if name == "sentry" {
                sorted.json = value;
            } else if let Some(number) = name.strip_prefix("sentry__").and_then(|number| number.parse::<u32>().ok()) {
                pieces.push((number, value));
            } else if let Some(steps) = steps(&name) {
                insert(&mut sorted.nested, &steps, value);
            } else {
                sorted.extra.insert(name, Value::String(value));
            }
        }
        pieces.sort_by_key(|(number, _)| *number);
        if sorted.json.is_empty() {
            sorted.json = pieces.into_iter().map(|(_, piece)| piece).collect();
        }
        sorted
    }
}

/// `sentry[tags][k]` → `tags`, `k`.
fn steps(name: &str) -> Option<Vec<&str>> {
    let inner = name.strip_prefix("sentry[")?.strip_suffix(']')?;
    let steps: Vec<&str> = inner.split("][").collect();
    (steps.len() <= STEPS_MAX).then_some(steps)
}

fn insert(map: &mut Map<String, Value>, steps: &[&str], value: String) {
    match steps {
        [] => {}
        [last] => {
            map.insert((*last).to_owned(), Value::String(value));
        }
        [first, rest @ ..] => {
            let inner = map.entry(*first).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(inner) = inner {
                insert(inner, rest, value);
            }
        }
    }
}

/// Adds what is not there yet, objects member by member.
fn add_absent(to: &mut Map<String, Value>, from: Map<String, Value>) {
    for (key, value) in from {
        match (to.get_mut(&key), value) {
            (Some(Value::Object(inner)), Value::Object(value)) => add_absent(inner, value),
            (None | Some(Value::Null), value) => {
                to.insert(key, value);
            }
            (Some(_), _) => {}
        }
    }
}

/// The two files rotate: together and in order of time they are the latest.
fn add_breadcrumbs(event: &mut Map<String, Value>, files: &[Vec<u8>]) {
    let mut breadcrumbs = Vec::new();
    for file in files {
        let mut rest = file.as_slice();
        // The last one may be cut off where the program crashed.
        while let Ok((breadcrumb, after)) = msgpack::read(rest) {
            breadcrumbs.push(breadcrumb);
            rest = after;
        }
    }
    if breadcrumbs.is_empty() {
        return;
    }
    let time = |breadcrumb: &Value| breadcrumb["timestamp"].as_str().unwrap_or_default().to_owned();
    breadcrumbs.sort_by_cached_key(time);
    let latest = breadcrumbs.split_off(breadcrumbs.len().saturating_sub(BREADCRUMBS_MAX));
    event.insert("breadcrumbs".to_owned(), json!({ "values": latest }));
}

/// The head of a dump that is not compressed and written in our order of bytes; others say nothing.
struct DumpHead<'a>(&'a [u8]);

impl DumpHead<'_> {
    fn number(&self, at: usize) -> Option<u32> {
        let bytes = self.0.get(at..at.checked_add(4)?)?;
        self.0.starts_with(b"MDMP").then(|| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    /// When it was written, in seconds since 1970.
    fn timestamp(&self) -> Option<u32> {
        self.number(20).filter(|seconds| *seconds > 0)
    }

    fn sdk_name(&self) -> &'static str {
        let streams = self.number(8).unwrap_or_default().min(DUMP_HEAD_BYTES as u32 / 12);
        let directory = self.number(12).unwrap_or_default() as usize;
        let mut kinds = (0..streams as usize).filter_map(|index| self.number(directory.checked_add(index * 12)?));
        match (self.0.starts_with(b"MDMP"), kinds.any(|kind| kind == CRASHPAD_STREAM)) {
            (true, true) => "minidump.crashpad",
            (true, false) => "minidump.breakpad",
            (false, _) => "minidump.unknown",
        }
    }
}
