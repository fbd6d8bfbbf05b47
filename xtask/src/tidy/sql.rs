//! SQL text stands only where the schema is known: `store`, the queue's brokers, and the migration runner. Tests may
//! look into tables.

use super::{Finding, RustFile, Tree};

/// Folders and files whose literals may be SQL. xtask's own rule needs the words to look for.
const HOMES: &[&str] = &["crates/store/", "crates/queue/src/brokers", "crates/db/src/", "xtask/src/tidy/sql.rs"];

/// Beginnings that only SQL has. Keywords are upper case in our SQL (house rule), so prose does not match.
const BEGINNINGS: &[&str] = &[
    "SELECT ",
    "INSERT INTO ",
    "INSERT OR ",
    "UPDATE ",
    "DELETE FROM ",
    "CREATE TABLE ",
    "CREATE INDEX ",
    "CREATE UNIQUE ",
    "ALTER TABLE ",
    "DROP TABLE ",
    "PRAGMA ",
    "BEGIN IMMEDIATE",
    "WITH RECURSIVE ",
];

pub fn check(tree: &Tree) -> Vec<Finding> {
    let files = tree.rust.iter().filter(|file| !HOMES.iter().any(|home| file.path.starts_with(home)));
    files.flat_map(check_file).collect()
}

fn check_file(file: &RustFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, (line, code)) in file.text.lines().zip(file.code.lines()).enumerate() {
        if file.is_test[index] {
            continue;
        }
        for beginning in BEGINNINGS {
            // In a literal the text differs from the blanked code at that place; in a comment there is no quote before.
            let is_literal = line.match_indices(beginning).any(|(at, _)| {
                line[..at].trim_end().ends_with(['"', '#', '(']) && code.get(at..at + 1) == Some(" ")
                    || (line[..at].trim().is_empty() && code.get(at..at + 1) == Some(" ") && is_in_literal(file, index))
            });
            if is_literal {
                findings.push(file.finding(index, format!("SQL text ({}) outside crates/store", beginning.trim())));
            }
        }
    }
    findings
}

/// Whether the line begins inside a string that was opened on an earlier line.
fn is_in_literal(file: &RustFile, index: usize) -> bool {
    let before: String = file.code.lines().take(index).collect();
    before.matches('"').count() % 2 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(path: &str, text: &str) -> usize {
        check(&Tree::of(&[(path, text)])).len()
    }

    #[test]
    fn sql_outside_its_homes_is_found() {
        let text = "fn a() { query(\"SELECT id FROM issue\"); }\n";
        assert_eq!(count("crates/web/src/a.rs", text), 1);
        assert_eq!(count("crates/store/src/a.rs", text), 0);
        assert_eq!(count("crates/web/src/a.rs", "const Q: &str = \"\n    UPDATE issue SET a = 1\";\n"), 1);
    }

    #[test]
    fn prose_and_tests_may_say_the_words() {
        assert_eq!(count("crates/web/src/a.rs", "// SELECT is a word\nfn a() {}\n"), 0);
        assert_eq!(count("crates/web/src/a.rs", "const A: &str = \"please UPDATE it\";\n"), 0);
        assert_eq!(count("crates/web/src/a/tests.rs", "const Q: &str = \"SELECT 1\";\n"), 0);
    }
}
