//! Time and environment are passed in: only their homes read the machine's clock or its variables, and no test sleeps.

use super::{Finding, Tree};

/// A call and the places that may make it.
const HOMES: &[(&str, &[&str])] = &[
    ("SystemTime::now", &["crates/stdx/src/clock.rs", "xtask/src/tidy/time.rs"]),
    ("env::var", &["crates/vigie/", "xtask/"]),
];

pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in &tree.rust {
        for (index, line) in file.code.lines().enumerate() {
            for (call, homes) in HOMES {
                if line.contains(call) && !homes.iter().any(|home| file.path.starts_with(home)) {
                    findings.push(file.finding(index, format!("{call}: take it as a parameter (home: {})", homes[0])));
                }
            }
            if file.is_test[index] && (line.contains("sleep(") || line.contains("sleep_until(")) {
                findings.push(file.finding(index, "a test must not sleep: wait for a signal or move the manual clock"));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_and_variables_outside_their_homes_are_found() {
        let tree = Tree::of(&[
            ("crates/web/src/a.rs", "fn a() { std::time::SystemTime::now(); std::env::var(\"A\"); }\n"),
            ("crates/stdx/src/clock.rs", "fn a() { std::time::SystemTime::now(); }\n"),
            ("crates/web/src/b.rs", "// SystemTime::now is not called\nfn a(text: &str) { call(\"env::var\"); }\n"),
        ]);
        assert_eq!(check(&tree).len(), 2);
    }

    #[test]
    fn a_test_that_sleeps_is_found() {
        let text = "fn a() { thread::sleep(X); }\n#[cfg(test)]\nmod tests {\n    fn b() { thread::sleep(X); }\n}\n";
        let found = check(&Tree::of(&[("crates/a/src/a.rs", text)]));
        assert_eq!(found.iter().map(|finding| finding.line).collect::<Vec<_>>(), [4]);
    }
}
