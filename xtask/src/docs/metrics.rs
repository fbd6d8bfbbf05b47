//! `docs/reference/metrics.md`, from each crate's `metrics.rs` (`Metric { name, kind, unit, help, labels, … }`).

use super::literals::{literals, uses};
use super::{Page, code, table};
use crate::tidy::{RustFile, Tree};
use std::ops::Range;

pub fn page(tree: &Tree) -> Page {
    let files = tree.rust.iter().filter(|file| file.path.starts_with("crates/") && file.path.ends_with("/metrics.rs"));
    let mut rows: Vec<Vec<String>> = files.flat_map(rows_of).collect();
    rows.sort();
    let introduction = "Every metric at `/metrics` (Prometheus text). No project or issue ids stand in labels.";
    let heads = ["metric", "kind", "unit", "labels", "meaning"];
    Page {
        path: "docs/reference/metrics.md",
        text: table("Metrics", introduction, "crates/*/src/metrics.rs", &heads, &rows),
    }
}

fn rows_of(file: &RustFile) -> Vec<Vec<String>> {
    uses(&file.code, "Metric {").into_iter().filter_map(|range| row(file, range)).collect()
}

fn row(file: &RustFile, range: Range<usize>) -> Option<Vec<String>> {
    let first = |field: &str| field_literals(file, &range, field).into_iter().next();
    let kind_at = file.code[range.clone()].find("Kind::")? + range.start + "Kind::".len();
    let kind: String = file.code[kind_at..].chars().take_while(|c| c.is_alphanumeric()).collect();
    let labels = field_literals(file, &range, "labels:");
    let labels: Vec<String> = labels.iter().map(|label| code(label)).collect();
    let labels = if labels.is_empty() { "–".to_owned() } else { labels.join(", ") };
    Some(vec![code(&first("name:")?), kind.to_lowercase(), first("unit:")?, labels, first("help:")?])
}

/// Literals between a field's name and the next field.
fn field_literals(file: &RustFile, range: &Range<usize>, field: &str) -> Vec<String> {
    let Some(at) = file.code[range.clone()].find(field) else { return Vec::new() };
    let start = range.start + at + field.len();
    let next = file.code[start..range.end].find(": ").map_or(range.end, |length| start + length);
    literals(file, start..next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_becomes_a_row() {
        let source = "pub struct Metric {\n    pub name: &'static str,\n}\npub const METRICS: &[Metric] = &[Metric {\n    \
                      name: \"vigie_a_total\",\n    kind: Kind::Counter,\n    unit: \"events\",\n    help: \"Some\",\n    \
                      labels: &[\"reason\"],\n    series_max: 4,\n}];\n";
        let page = page(&Tree::of(&[("crates/a/src/metrics.rs", source)]));
        assert!(page.text.contains("| `vigie_a_total` | counter | events | `reason` | Some |"), "{}", page.text);
    }
}
