//! Reads envelopes and old store bodies of recorded requests, independent of the product's own reader, so that both
//! cannot be wrong in the same way.

use anyhow::Context;
use base64::Engine;
use serde_json::Value;
use std::io::Read;

/// An envelope's item.
pub struct Item {
    pub kind: String,
    pub payload: Vec<u8>,
}

/// A recorded body, taken apart.
pub struct Envelope {
    pub header: Value,
    pub items: Vec<Item>,
}

/// Takes an envelope apart: header line, then item headers and payloads by `length` or up to the line's end.
///
/// # Errors
/// If a header is no JSON or a payload is shorter than its header says.
pub fn read_envelope(body: &[u8]) -> anyhow::Result<Envelope> {
    let (line, mut rest) = split_line(body);
    let header = serde_json::from_slice(line).context("read an envelope's header")?;
    let mut items = Vec::new();
    while !rest.is_empty() {
        let (line, after) = split_line(rest);
        rest = after;
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let head: Value = serde_json::from_slice(line).context("read an item's header")?;
        let payload = match head["length"].as_u64() {
            Some(length) => {
                let length = usize::try_from(length).context("a length fits")?;
                let payload = rest.get(..length).context("a payload is as long as its header says")?;
                rest = rest[length..].strip_prefix(b"\n").unwrap_or(&rest[length..]);
                payload
            }
            None => {
                let (payload, after) = split_line(rest);
                rest = after;
                payload
            }
        };
        items.push(Item { kind: head["type"].as_str().unwrap_or_default().to_owned(), payload: payload.to_vec() });
    }
    Ok(Envelope { header, items })
}

fn split_line(bytes: &[u8]) -> (&[u8], &[u8]) {
    match bytes.iter().position(|byte| *byte == b'\n') {
        Some(at) => (&bytes[..at], &bytes[at + 1..]),
        None => (bytes, &[]),
    }
}

/// Reads the event of a store body: JSON, or base64 of it, or base64 of zlib of it.
///
/// # Errors
/// If it is none of these.
pub fn read_store(body: &[u8]) -> anyhow::Result<Value> {
    if let Ok(value) = serde_json::from_slice(body) {
        return Ok(value);
    }
    let text: Vec<u8> = body.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let bytes = base64::engine::general_purpose::STANDARD.decode(text).context("read a store body as base64")?;
    if let Ok(value) = serde_json::from_slice(&bytes) {
        return Ok(value);
    }
    let mut plain = Vec::new();
    flate2::read::ZlibDecoder::new(bytes.as_slice()).read_to_end(&mut plain).context("read a store body as zlib")?;
    serde_json::from_slice(&plain).context("read a store body as JSON")
}

/// Returns the paths of leaves in `sent` that `kept` does not hold with the same value.
pub fn missing(sent: &Value, kept: &Value) -> Vec<String> {
    let mut paths = Vec::new();
    compare("", sent, kept, &mut paths);
    paths
}

fn compare(path: &str, sent: &Value, kept: &Value, paths: &mut Vec<String>) {
    match (sent, kept) {
        (Value::Object(sent), Value::Object(kept)) => {
            for (key, value) in sent {
                compare(&format!("{path}/{key}"), value, kept.get(key).unwrap_or(&Value::Null), paths);
            }
        }
        (Value::Array(sent), Value::Array(kept)) if sent.len() == kept.len() => {
            for (index, (sent, kept)) in sent.iter().zip(kept).enumerate() {
                compare(&format!("{path}/{index}"), sent, kept, paths);
            }
        }
        (Value::Number(sent), Value::Number(kept)) if sent.as_f64() == kept.as_f64() => {}
        _ if sent == kept => {}
        _ => paths.push(path.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn envelopes_are_taken_apart_by_length_and_by_line() {
        let body =
            b"{\"event_id\":\"a\"}\n{\"type\":\"attachment\",\"length\":3}\na\nb\n{\"type\":\"event\"}\n{\"x\":1}\n";
        let envelope = read_envelope(body).expect("an envelope");
        let items: Vec<(&str, &[u8])> =
            envelope.items.iter().map(|i| (i.kind.as_str(), i.payload.as_slice())).collect();
        assert_eq!(items, [("attachment", b"a\nb".as_slice()), ("event", b"{\"x\":1}")]);
        assert!(read_envelope(b"{}\n{\"length\":9}\nshort").is_err());
    }

    #[test]
    fn leaves_that_are_missing_or_differ_are_named() {
        let sent = json!({ "a": { "b": 1, "c": [1, 2] }, "d": null });
        assert!(missing(&sent, &json!({ "a": { "b": 1.0, "c": [1, 2], "more": 1 } })).is_empty());
        assert_eq!(missing(&sent, &json!({ "a": { "c": [2, 1] } })), ["/a/b", "/a/c/0", "/a/c/1"]);
    }
}
