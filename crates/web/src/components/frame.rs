//! One frame of a stack: where, its source lines with the failing one marked, its variables.

use super::data_table::DataTable;
use crate::event_json::{boolean, cut_to, field, integer, text};
use askama::Template;
use serde_json::Value;

/// Characters of a source line shown. A minified line is shown around its column.
const LINE_CHARS_MAX: usize = 300;
/// Characters kept before the column of a long line.
const LINE_CHARS_BEFORE: usize = 100;

#[derive(Clone, Debug, Template)]
#[template(path = "components/frame.html")]
pub struct Frame {
    pub function: String,
    /// File, or module, or address: the best that is known.
    pub place: String,
    /// The whole path, where it says more than the place.
    pub full_path: Option<String>,
    pub line: Option<i64>,
    pub column: Option<i64>,
    pub in_app: bool,
    pub is_open: bool,
    pub package: Option<String>,
    pub source: Vec<SourceLine>,
    pub variables: DataTable,
}

impl askama::filters::HtmlSafe for Frame {}

#[derive(Clone, Debug)]
pub struct SourceLine {
    pub number: i64,
    pub text: String,
    pub is_failing: bool,
    /// Blanks up to the column, under the failing line.
    pub caret: Option<String>,
}

impl Frame {
    pub fn of(value: &Value) -> Frame {
        let module = text(value, &["module"]);
        let filename = text(value, &["filename"]);
        let full_path = text(value, &["absPath", "abs_path"]);
        let address = text(value, &["instructionAddr", "instruction_addr"]);
        let place = filename.or_else(|| module.clone()).or_else(|| full_path.clone()).or(address);
        let place = place.unwrap_or_else(|| "(unknown place)".to_owned());
        let column = integer(value, &["colNo", "colno"]).filter(|column| *column > 0);
        Frame {
            function: text(value, &["function", "rawFunction", "raw_function"]).unwrap_or_else(|| "?".to_owned()),
            full_path: full_path.filter(|path| *path != place),
            place,
            line: integer(value, &["lineNo", "lineno"]),
            column,
            in_app: boolean(value, &["inApp", "in_app"]).unwrap_or(false),
            is_open: false,
            package: text(value, &["package"]).map(|path| last_part(&path).to_owned()),
            source: source_lines(value, column),
            variables: field(value, &["vars"]).map(DataTable::of).unwrap_or_default(),
        }
    }

    fn has_body(&self) -> bool {
        !self.source.is_empty() || !self.variables.is_empty()
    }
}

fn last_part(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

fn source_lines(value: &Value, column: Option<i64>) -> Vec<SourceLine> {
    let failing = integer(value, &["lineNo", "lineno"]);
    if let Some(context) = field(value, &["context"]).and_then(Value::as_array) {
        let lines = context.iter().filter_map(|row| {
            let row = row.as_array()?;
            Some((row.first()?.as_i64()?, row.get(1)?.as_str().unwrap_or_default()))
        });
        return lines.map(|(number, text)| source_line(number, text, failing == Some(number), column)).collect();
    }
    let Some(line) = field(value, &["contextLine", "context_line"]).and_then(Value::as_str) else { return Vec::new() };
    let list = |names: &[&str]| -> Vec<&str> {
        let lines = field(value, names).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        lines.iter().map(|line| line.as_str().unwrap_or_default()).collect()
    };
    let (before, after) = (list(&["preContext", "pre_context"]), list(&["postContext", "post_context"]));
    let failing = failing.unwrap_or(0);
    let mut number = failing.saturating_sub(i64::try_from(before.len()).unwrap_or(0));
    let mut lines = Vec::with_capacity(before.len() + after.len() + 1);
    for (text, is_failing) in
        before.iter().map(|text| (*text, false)).chain([(line, true)]).chain(after.iter().map(|text| (*text, false)))
    {
        lines.push(source_line(number, text, is_failing, column));
        number = number.saturating_add(1);
    }
    lines
}

fn source_line(number: i64, text: &str, is_failing: bool, column: Option<i64>) -> SourceLine {
    let column = column.filter(|_| is_failing).and_then(|column| usize::try_from(column.saturating_sub(1)).ok());
    let text = text.trim_end_matches(['\r', '\n']);
    let length = text.chars().count();
    let skipped = match column {
        Some(column) if length > LINE_CHARS_MAX && column < length => column.saturating_sub(LINE_CHARS_BEFORE),
        _ => 0,
    };
    let shown: String =
        if skipped > 0 { "…".chars().chain(text.chars().skip(skipped)).collect() } else { text.to_owned() };
    let column = column.filter(|column| *column < length).map(|column| column - skipped + usize::from(skipped > 0));
    let caret = column.filter(|column| *column <= LINE_CHARS_MAX).map(|column| {
        // Tabs stay tabs, so that the caret stands below its character whatever their width.
        shown.chars().take(column).map(|c| if c == '\t' { '\t' } else { ' ' }).collect()
    });
    SourceLine { number, text: cut_to(&shown, LINE_CHARS_MAX).into_owned(), is_failing, caret }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn source_lines_are_numbered_from_either_shape() {
        let api = Frame::of(&json!({"lineNo": 7, "context": [[6, "a"], [7, "b"], [8, "c"]]}));
        let sdk = Frame::of(&json!({"lineno": 7, "pre_context": ["a"], "context_line": "b", "post_context": ["c"]}));
        for frame in [api, sdk] {
            let lines: Vec<_> = frame.source.iter().map(|line| (line.number, line.is_failing)).collect();
            assert_eq!(lines, [(6, false), (7, true), (8, false)]);
        }
    }

    #[test]
    fn the_caret_stands_below_its_column() {
        let line = |text: &str, column| source_line(1, text, true, Some(column)).caret;
        assert_eq!(line("\tx = y()", 6).as_deref(), Some("\t    "));
        assert_eq!(line("short", 99), None);
        assert_eq!(line("x", i64::MIN), None);
        let minified = "a".repeat(5_000);
        let shown = source_line(1, &minified, true, Some(4_000));
        assert!(shown.text.chars().count() <= LINE_CHARS_MAX + 1);
        assert_eq!(shown.caret.map(|blanks| blanks.len()), Some(LINE_CHARS_BEFORE + 1));
    }

    #[test]
    fn numbers_at_the_edge_do_not_panic() {
        let value = json!({"lineno": i64::MIN, "colno": i64::MIN, "pre_context": ["a"], "context_line": "b"});
        assert_eq!(Frame::of(&value).source.len(), 2);
        let value = json!({"lineno": i64::MAX, "context_line": "b", "post_context": ["a", "c"]});
        assert_eq!(Frame::of(&value).source.len(), 3);
    }
}
