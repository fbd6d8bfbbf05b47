//! Every Rust file opens with `//!`, modules are `foo.rs` + `foo/`, and each crate has one test binary.

use super::{Finding, Tree};

pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in &tree.rust {
        let first = file.text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        if !first.starts_with("//!") {
            findings
                .push(file.finding(0, "the file does not open with `//!`: say what it owns and what it must not do"));
        }
        if file.path.ends_with("/mod.rs") {
            findings.push(file.finding(0, "write foo.rs beside foo/ instead of foo/mod.rs"));
        }
        let parts: Vec<&str> = file.path.split('/').collect();
        let is_second_binary = parts.len() == 4 && parts[2] == "tests" && parts[3] != "main.rs";
        // A module beside tests/main.rs is declared there; anything else would be linked as a binary of its own.
        if is_second_binary && !is_declared(tree, &file.path) {
            findings.push(file.finding(0, "declare it in tests/main.rs with `autotests = false`, or move it to src"));
        }
    }
    findings
}

/// Whether tests/main.rs of the same crate declares the module and the crate turned test discovery off.
fn is_declared(tree: &Tree, path: &str) -> bool {
    let Some((folder, name)) = path.rsplit_once('/') else { return false };
    let module = format!("mod {};", name.trim_end_matches(".rs"));
    tree.rust_file(&format!("{folder}/main.rs")).is_some_and(|main| main.code.contains(&module))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_header_and_a_mod_rs_are_found() {
        let tree = Tree::of(&[
            ("crates/a/src/lib.rs", "//! Owns a.\n"),
            ("crates/a/src/b.rs", "fn b() {}\n"),
            ("crates/a/src/c/mod.rs", "//! Owns c.\n"),
        ]);
        let paths: Vec<String> = check(&tree).into_iter().map(|finding| finding.path).collect();
        assert_eq!(paths, ["crates/a/src/b.rs", "crates/a/src/c/mod.rs"]);
    }

    #[test]
    fn a_test_module_must_be_declared_by_main() {
        let main = ("crates/a/tests/main.rs", "//! Tests.\nmod known;\n");
        let known = ("crates/a/tests/known.rs", "//! Known.\n");
        let stray = ("crates/a/tests/stray.rs", "//! Stray.\n");
        let found = check(&Tree::of(&[main, known, stray]));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].path, "crates/a/tests/stray.rs");
    }
}
