//! `docs/reference/retention.md`, from the table of policies (`POLICIES`).

use super::literals::{inside, literals, uses};
use super::{Page, code, table};
use crate::tidy::{RustFile, Tree};

const SOURCE: &str = "crates/pipeline/src/retention/policies.rs";

pub fn page(tree: &Tree) -> Page {
    let introduction = "What is kept how long. *Event days* are `system.event-retention-days`, less where a project has \
                        set less, or what `vigie cleanup --days` says. How it works: [retention](../operating/retention.md).";
    let rows: Vec<Vec<String>> = tree.rust_file(SOURCE).map(rows).unwrap_or_default();
    let heads = ["model", "of", "kept", "what it is", "tables"];
    let mut text = table("Retention", introduction, SOURCE, &heads, &rows);
    text.push_str("\n## Not by age\n\nTables of the metadata that no model is about, and why they stay.\n\n");
    text.push_str("| tables | because |\n| --- | --- |\n");
    for [tables, because] in tree.rust_file(SOURCE).map(unaged).unwrap_or_default() {
        text.push_str(&format!("| {tables} | {because} |\n"));
    }
    text.push_str("\n## Elsewhere\n\nWhat no sweep is about.\n\n| what | kept |\n| --- | --- |\n");
    for [what, kept] in tree.rust_file(SOURCE).map(elsewhere).unwrap_or_default() {
        text.push_str(&format!("| {what} | {kept} |\n"));
    }
    Page { path: "docs/reference/retention.md", text }
}

fn rows(file: &RustFile) -> Vec<Vec<String>> {
    let Some(at) = file.code.find("POLICIES: ") else { return Vec::new() };
    let Some(open) = file.code[at..].find("= &[").map(|offset| at + offset + 3) else { return Vec::new() };
    let Some(table) = inside(&file.code, open) else { return Vec::new() };
    let lines = uses(&file.code, "Policy {").into_iter().filter(|range| table.contains(&range.start));
    let row = |range: std::ops::Range<usize>| {
        let reach = if file.code[range.clone()].contains("Reach::Project") { "project" } else { "installation" };
        let texts = literals(file, range);
        let [name, kept, help, tables @ ..] = texts.as_slice() else { return None };
        Some(vec![code(name), reach.to_owned(), kept.clone(), help.clone(), list(tables)])
    };
    lines.filter_map(row).collect()
}

fn unaged(file: &RustFile) -> Vec<[String; 2]> {
    let row = |range| match literals(file, range).as_slice() {
        [because, tables @ ..] => Some([list(tables), because.clone()]),
        [] => None,
    };
    uses(&file.code, "Unaged {").into_iter().filter_map(row).collect()
}

fn elsewhere(file: &RustFile) -> Vec<[String; 2]> {
    let row = |range| match literals(file, range).as_slice() {
        [what, kept] => Some([what.clone(), kept.clone()]),
        _ => None,
    };
    uses(&file.code, "Elsewhere {").into_iter().filter_map(row).collect()
}

fn list(tables: &[String]) -> String {
    tables.iter().map(|table| code(table)).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_policy_becomes_a_row() {
        let text = "pub const POLICIES: &[Policy] = &[Policy { model: Model::A, name: \"A\", reach: Reach::Project, \
                    kept_text: \"for ever\", help: \"letters\", tables: &[\"a\", \"b\"] }];\n\
                    pub const UNAGED: &[Unaged] = &[Unaged { because: \"it must\", tables: &[\"c\"] }];\n\
                    pub const ELSEWHERE: &[Elsewhere] = &[Elsewhere { what: \"d\", kept_text: \"a day\" }];\n";
        let tree = Tree::of(&[(SOURCE, text)]);
        let page = page(&tree).text;
        assert!(page.contains("| `A` | project | for ever | letters | `a`, `b` |"), "{page}");
        assert!(page.contains("| `c` | it must |"), "{page}");
        assert!(page.contains("| d | a day |"), "{page}");
    }
}
