//! A table of keys and values of an event: variables, headers, contexts, extra.

use crate::event_json::{cut_to, pairs, shown};
use askama::Template;
use serde_json::Value;

/// Rows of one table; the raw JSON has the rest.
const ROWS_MAX: usize = 200;
/// A value longer than this is folded.
const FOLDED_CHARS_MIN: usize = 480;
const FOLDED_LINES_MIN: usize = 12;
const SUMMARY_CHARS_MAX: usize = 96;

#[derive(Clone, Debug, Default, Template)]
#[template(path = "components/data_table.html")]
pub struct DataTable {
    pub rows: Vec<DataRow>,
    pub rows_left_out: usize,
}

impl askama::filters::HtmlSafe for DataTable {}

#[derive(Clone, Debug)]
pub struct DataRow {
    pub key: String,
    pub value: String,
    /// How the value is written: text, number, word or json.
    pub kind: &'static str,
    /// What stands for a long value until it is opened.
    pub folded: Option<String>,
}

impl DataTable {
    /// Makes a table of an object or of a list of pairs; of anything else an empty one.
    pub fn of(value: &Value) -> DataTable {
        DataTable::of_pairs(pairs(value))
    }

    /// The same without the keys in `hidden`.
    pub fn without(value: &Value, hidden: &[&str]) -> DataTable {
        DataTable::of_pairs(pairs(value).into_iter().filter(|(key, _)| !hidden.contains(&key.as_str())).collect())
    }

    fn of_pairs(pairs: Vec<(String, &Value)>) -> DataTable {
        let rows_left_out = pairs.len().saturating_sub(ROWS_MAX);
        let rows = pairs.into_iter().take(ROWS_MAX).map(|(key, value)| DataRow::of(key, value)).collect();
        DataTable { rows, rows_left_out }
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

impl DataRow {
    fn of(key: String, value: &Value) -> DataRow {
        let kind = match value {
            Value::String(_) => "text",
            Value::Number(_) => "number",
            Value::Bool(_) | Value::Null => "word",
            Value::Array(_) | Value::Object(_) => "json",
        };
        let text = shown(value);
        let is_long = text.len() > FOLDED_CHARS_MIN || text.lines().count() > FOLDED_LINES_MIN;
        let folded = is_long.then(|| {
            let line =
                if kind == "json" { value.to_string() } else { text.lines().next().unwrap_or_default().to_owned() };
            cut_to(&line, SUMMARY_CHARS_MAX).into_owned()
        });
        DataRow { key, value: text, kind, folded }
    }
}
