//! Lenient reading of an event's JSON. Every name is tried in the spelling of Sentry's API and of its SDKs; what has the
//! wrong type is as good as absent, because a page must show the rest of the event whatever one field holds.

use serde_json::Value;
use std::borrow::Cow;

/// Characters of one value shown; the raw JSON has the rest.
pub const VALUE_CHARS_MAX: usize = 4_000;

/// JSON up to this long stays on one line.
const LINE_BYTES_MAX: usize = 90;

/// Returns the first of `names` that is there and not null.
pub fn field<'v>(value: &'v Value, names: &[&str]) -> Option<&'v Value> {
    names.iter().find_map(|name| value.get(name).filter(|found| !found.is_null()))
}

/// Returns the first of `names` as text; numbers and booleans are written out. Empty text is as good as none.
pub fn text(value: &Value, names: &[&str]) -> Option<String> {
    let text = scalar(field(value, names)?)?;
    (!text.is_empty()).then(|| cut(&text).into_owned())
}

pub fn integer(value: &Value, names: &[&str]) -> Option<i64> {
    let found = field(value, names)?;
    found.as_i64().or_else(|| found.as_str().and_then(|text| text.parse().ok()))
}

pub fn boolean(value: &Value, names: &[&str]) -> Option<bool> {
    field(value, names)?.as_bool()
}

/// Returns the list under `values`, or the value itself where it is a list.
pub fn values(value: &Value) -> &[Value] {
    let list = value.get("values").unwrap_or(value);
    list.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Returns the pairs of an object, or of a list of pairs, in their order; anything else has none.
pub fn pairs(value: &Value) -> Vec<(String, &Value)> {
    match value {
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), value)).collect(),
        Value::Array(list) => list.iter().filter_map(pair).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

fn pair(value: &Value) -> Option<(String, &Value)> {
    match value.as_array()?.as_slice() {
        [key, value] => Some((scalar(key)?, value)),
        _ => None,
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Returns any value as text: strings as they are, the rest as JSON, over several lines where one would be long.
pub fn shown(value: &Value) -> String {
    let text = scalar(value).unwrap_or_else(|| {
        let line = value.to_string();
        if line.len() <= LINE_BYTES_MAX { line } else { serde_json::to_string_pretty(value).unwrap_or(line) }
    });
    cut(&text).into_owned()
}

/// Returns the text, cut with an ellipsis where it is longer than a page should show.
pub fn cut(text: &str) -> Cow<'_, str> {
    cut_to(text, VALUE_CHARS_MAX)
}

pub fn cut_to(text: &str, chars_max: usize) -> Cow<'_, str> {
    match text.char_indices().nth(chars_max) {
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
        None => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn wrong_types_are_as_good_as_absent() {
        let value = json!({"lineNo": null, "lineno": "12", "in_app": "yes", "name": {"a": 1}, "n": 3});
        assert_eq!(integer(&value, &["lineNo", "lineno"]), Some(12));
        assert_eq!(boolean(&value, &["in_app"]), None);
        assert_eq!(text(&value, &["name"]), None);
        assert_eq!(text(&value, &["n"]).as_deref(), Some("3"));
        assert!(values(&json!({"values": 3})).is_empty());
        assert_eq!(pairs(&json!([["a", 1], ["b"], 7])).len(), 1);
    }

    #[test]
    fn a_cut_falls_between_characters() {
        assert_eq!(cut_to("äöü", 2), "äö…");
        assert_eq!(cut_to("äöü", 3), "äöü");
    }
}
