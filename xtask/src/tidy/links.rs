//! What documents point at is there: relative links, and paths in backticks that begin with a folder of ours.

use super::{Finding, TextFile, Tree};

/// A backticked word that begins with one of these is a path of the checkout.
const FOLDERS: &[&str] = &["crates/", "docs/", "xtask/", "bench/", "e2e/", ".ci/", ".cargo/"];

pub fn check(tree: &Tree) -> Vec<Finding> {
    let documents = tree.others.iter().filter(|file| file.path.ends_with(".md"));
    documents.flat_map(|file| check_document(tree, file)).collect()
}

fn check_document(tree: &Tree, file: &TextFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut is_code = false;
    for (index, line) in file.text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
            continue;
        }
        if is_code {
            continue;
        }
        let finding = |text: String| Finding { path: file.path.clone(), line: index + 1, text };
        for target in links(line) {
            let is_elsewhere = target.contains("://") || target.starts_with('#') || target.starts_with("mailto:");
            let target = target.split('#').next().unwrap_or_default();
            if !is_elsewhere && !resolves(tree, &file.path, target) {
                findings.push(finding(format!("the link leads nowhere: {target}")));
            }
        }
        for path in backticked_paths(line) {
            if !tree.holds(path.trim_end_matches('/')) {
                findings.push(finding(format!("there is no {path}")));
            }
        }
    }
    findings
}

/// Targets of `[text](target)`.
fn links(line: &str) -> Vec<&str> {
    let starts = line.match_indices("](").map(|(at, _)| at + 2);
    starts.filter_map(|start| line[start..].find(')').map(|length| &line[start..start + length])).collect()
}

fn resolves(tree: &Tree, from: &str, target: &str) -> bool {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in target.trim_end_matches('/').split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            name => parts.push(name),
        }
    }
    parts.is_empty() || tree.holds(&parts.join("/"))
}

/// Words in backticks that are paths of ours and exact: no `*`, `…`, `<…>` or `{…}`.
fn backticked_paths(line: &str) -> Vec<&str> {
    let words = line.split('`').skip(1).step_by(2);
    let is_path = |word: &&str| {
        FOLDERS.iter().any(|folder| word.starts_with(folder))
            && !word.contains(|c: char| c.is_whitespace() || "*…<>{},".contains(c))
    };
    words.filter(is_path).map(|word| word.split(':').next().unwrap_or(word)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(text: &str) -> usize {
        let files = [("docs/a.md", text), ("README.md", ""), ("crates/a/src/lib.rs", "//! A.\n")];
        check(&Tree::of(&files)).len()
    }

    #[test]
    fn links_that_lead_nowhere_are_found() {
        assert_eq!(count("[a](../README.md) [b](#head) [c](https://example.org)\n"), 0);
        assert_eq!(count("[a](README.md)\n"), 1);
        assert_eq!(count("[a](../crates/a/)\n"), 0);
    }

    #[test]
    fn paths_in_backticks_must_be_there() {
        assert_eq!(count("`crates/a/src/lib.rs` and `crates/a/` and `crates/*/src`\n"), 0);
        assert_eq!(count("`crates/b/src/lib.rs`\n"), 1);
        assert_eq!(count("```\n`crates/b`\n```\n"), 0);
    }
}
