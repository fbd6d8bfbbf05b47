//! Lists match what is there: the generated documents say what the sources say, every task file is in the table, and
//! every outside dependency has its line in `docs/decisions/dependencies.md`.

use super::{Finding, Tree};
use crate::docs;

const DEPENDENCIES: &str = "docs/decisions/dependencies.md";

pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for page in docs::pages(tree) {
        let written = tree.others.iter().find(|file| file.path == page.path);
        if written.is_none_or(|file| file.text != page.text) {
            findings.push(finding(page.path, 1, "differs from the sources: run `cargo xtask docs`".to_owned()));
        }
    }
    for path in docs::tasks::unlisted(tree) {
        findings.push(finding(&path, 1, "no entry of TASKS names this task: nobody would run it".to_owned()));
    }
    findings.extend(dependencies(tree));
    findings
}

fn finding(path: &str, line: usize, text: String) -> Finding {
    Finding { path: path.to_owned(), line, text }
}

/// Each dependency of the workspace that is not ours has a line, and each line a dependency.
fn dependencies(tree: &Tree) -> Vec<Finding> {
    let text = |path: &str| tree.others.iter().find(|file| file.path == path).map_or("", |file| file.text.as_str());
    let manifest = text("Cargo.toml");
    let section = manifest.split("[workspace.dependencies]").nth(1).unwrap_or_default();
    let section = section.split("\n[").next().unwrap_or_default();
    let lines = section.lines().filter(|line| line.contains('=') && !line.starts_with('#') && !line.contains("path ="));
    let names: Vec<&str> = lines.filter_map(|line| line.split_whitespace().next()).collect();
    let document = text(DEPENDENCIES);
    let listed: Vec<(usize, &str)> = document
        .lines()
        .enumerate()
        .filter_map(|(index, line)| Some((index + 1, line.strip_prefix("| `")?.split('`').next()?)))
        .collect();
    let mut findings = Vec::new();
    for name in &names {
        if !listed.iter().any(|(_, candidate)| candidate == name) {
            findings.push(finding(DEPENDENCIES, 1, format!("{name} has no line: what does it save, who keeps it?")));
        }
    }
    for (line, name) in listed {
        if !names.contains(&name) {
            findings.push(finding(DEPENDENCIES, line, format!("{name} is no dependency of the workspace")));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_that_differ_from_the_sources_are_found() {
        let keys = "const K: &[Key] = &[key(\"a.b\", \"1\", Kind::Text, \"help\")];\n";
        let mut files = vec![("crates/vigie/src/config/keys.rs".to_owned(), keys.to_owned())];
        let count = |files: &[(String, String)]| {
            let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
            let tree = Tree::of(&files);
            (check(&tree).len(), docs::pages(&tree))
        };
        let (found, pages) = count(&files);
        assert_eq!(found, pages.len());
        files.extend(pages.into_iter().map(|page| (page.path.to_owned(), page.text)));
        assert_eq!(count(&files).0, 0);
    }

    #[test]
    fn each_dependency_has_a_line_and_each_line_a_dependency() {
        let manifest = "[workspace.dependencies]\nstdx = { path = \"crates/stdx\" }\nanyhow = \"1\"\n\n[profile.dev]\n";
        let document = "| `serde` | x |\n";
        let found = dependencies(&Tree::of(&[("Cargo.toml", manifest), (DEPENDENCIES, document)]));
        let texts: Vec<&str> = found.iter().map(|finding| finding.text.as_str()).collect();
        assert_eq!(
            texts,
            ["anyhow has no line: what does it save, who keeps it?", "serde is no dependency of the workspace"]
        );
    }
}
