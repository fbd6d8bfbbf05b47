//! JSON as Vigie reads it: a borrowing tree (`Value`), a bounded parser, a repair pass for what SDKs get wrong, and a
//! writer. It knows nothing of events; every event payload goes through it.
//!
//! Duplicate keys of an object are all kept, in order; `get` and every reader of interfaces let the **last** one win, as
//! `JSON.parse` and Python do.

mod parse;
mod repair;
mod value;

pub use parse::{DEPTH_MAX, JsonError, KEYS_MAX, NODES_MAX, parse, parse_or_repair};
pub use repair::repair;
pub use value::{Number, Object, Str, Value};

/// Appends `value` to `out` as compact JSON.
pub fn write(value: &Value<'_>, out: &mut Vec<u8>) {
    serde_json::to_writer(out, value).expect("a tree of our own values writes to memory without failing");
}

/// Returns `value` as compact JSON text.
pub fn to_text(value: &Value<'_>) -> String {
    let mut out = Vec::new();
    write(value, &mut out);
    String::from_utf8(out).expect("the writer only emits valid utf-8")
}

/// Returns `value` as compact JSON text with the keys of every object sorted, each once: the same for every order in
/// which a client may have written them.
pub fn to_sorted_text(mut value: Value<'_>) -> String {
    value.sort_keys();
    to_text(&value)
}

#[cfg(test)]
mod tests;
