//! The HTTP request of an event. Its URL is text: nothing a stranger sent is ever a link.

use super::data_table::DataTable;
use crate::event_json::{field, text};
use askama::Template;
use serde_json::Value;

#[derive(Clone, Debug, Template)]
#[template(path = "components/request.html")]
pub struct Request {
    method: Option<String>,
    url: String,
    parts: Vec<RequestPart>,
}

impl askama::filters::HtmlSafe for Request {}

#[derive(Clone, Debug)]
struct RequestPart {
    name: &'static str,
    table: DataTable,
    /// What is not a list of pairs: a body, or a query sent as text.
    text: Option<String>,
}

const PARTS: [(&str, &[&str]); 5] = [
    ("Query", &["query", "query_string", "queryString"]),
    ("Headers", &["headers"]),
    ("Body", &["data"]),
    ("Cookies", &["cookies"]),
    ("Environment", &["env"]),
];

impl Request {
    pub fn of(interface: &Value) -> Request {
        let parts = PARTS.iter().filter_map(|(name, keys)| RequestPart::of(name, field(interface, keys)?));
        Request {
            method: text(interface, &["method"]),
            url: text(interface, &["url"]).unwrap_or_else(|| "(no address)".to_owned()),
            parts: parts.collect(),
        }
    }
}

impl RequestPart {
    fn of(name: &'static str, value: &Value) -> Option<RequestPart> {
        let table = DataTable::of(value);
        let text = match value {
            _ if !table.is_empty() => None,
            Value::String(text) if text.is_empty() => None,
            Value::Object(map) if map.is_empty() => None,
            Value::Array(list) if list.is_empty() => None,
            other => Some(crate::event_json::shown(other)),
        };
        (text.is_some() || !table.is_empty()).then_some(RequestPart { name, table, text })
    }
}
