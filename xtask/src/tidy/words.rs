//! Words that do not belong: unfinished work, module names that say nothing, and our domain's words in the queue.

use super::{Finding, RustFile, Tree};

/// Marks of unfinished work, in code and prose of every file but the two that must name them.
const UNFINISHED: &[&str] = &["TODO", "FIXME", "XXX:", "TBD", "lorem ipsum", "coming soon"];
const UNFINISHED_CALLS: &[&str] = &["dbg!(", "todo!(", "unimplemented!("];
const UNFINISHED_MAY_SAY: &[&str] = &["xtask/src/tidy/words.rs", "CONTRIBUTING.md", "clippy.toml", "Cargo.toml"];

/// Names of modules that attract everything.
const EMPTY_NAMES: &[&str] = &["util", "utils", "helper", "helpers", "common", "misc", "shared", "manager"];

/// The queue could be published alone: it knows none of these as a word in its code.
const OURS: &[&str] = &["issue", "issues", "project", "projects", "envelope", "envelopes", "dsn", "sentry", "vigie"];

pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in &tree.rust {
        if !UNFINISHED_MAY_SAY.contains(&file.path.as_str()) {
            findings.extend(unfinished(&file.path, &file.text));
            findings.extend(unfinished_calls(file));
        }
        findings.extend(empty_name(file));
        if file.path.starts_with("crates/queue/") {
            findings.extend(our_words(file));
        }
    }
    for file in &tree.others {
        let is_prose = file.path.ends_with(".md") || file.path.ends_with(".toml") || file.path.ends_with(".html");
        if is_prose && !UNFINISHED_MAY_SAY.contains(&file.path.as_str()) {
            findings.extend(unfinished(&file.path, &file.text));
        }
    }
    findings
}

fn unfinished(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for word in UNFINISHED {
            if line
                .split(|c: char| c.is_whitespace() || "()[]/\"'`,;".contains(c))
                .any(|part| part.trim_end_matches([':', '.', '!']) == word.trim_end_matches(':'))
                || (word.contains(' ') && line.to_lowercase().contains(word))
            {
                let text = format!("{word}: finish it, or file an issue and say what holds today");
                findings.push(Finding { path: path.to_owned(), line: index + 1, text });
            }
        }
    }
    findings
}

fn unfinished_calls(file: &RustFile) -> Vec<Finding> {
    let calls = |(index, line): (usize, &str)| {
        let call = UNFINISHED_CALLS.iter().find(|call| line.contains(*call))?;
        Some(file.finding(index, format!("{}: not in what is committed", call.trim_end_matches('('))))
    };
    file.code.lines().enumerate().filter_map(calls).collect()
}

fn empty_name(file: &RustFile) -> Option<Finding> {
    let stem = file.path.trim_end_matches(".rs");
    let name = stem.split('/').find(|part| EMPTY_NAMES.contains(part))?;
    Some(file.finding(0, format!("a module called {name} attracts everything: name it after its noun")))
}

/// Whole words of identifiers, so that `reissue` and `projection` are free.
fn our_words(file: &RustFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in file.code.lines().enumerate() {
        let words = line.split(|c: char| !c.is_ascii_alphanumeric()).flat_map(split_camel_case);
        for word in words {
            let word = word.to_ascii_lowercase();
            if OURS.contains(&word.as_str()) {
                findings.push(file.finding(index, format!("the queue knows no {word}: it could be published alone")));
            }
        }
    }
    findings
}

fn split_camel_case(word: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut start = 0;
    let bytes = word.as_bytes();
    for at in 1..bytes.len() {
        if bytes[at].is_ascii_uppercase() && !bytes[at - 1].is_ascii_uppercase() {
            parts.push(&word[start..at]);
            start = at;
        }
    }
    parts.push(&word[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(path: &str, text: &str) -> usize {
        check(&Tree::of(&[(path, text)])).len()
    }

    #[test]
    fn unfinished_work_is_found() {
        assert_eq!(count("crates/a/src/a.rs", "// TODO: later\n"), 1);
        assert_eq!(count("crates/a/src/a.rs", "fn a() { todo!() }\n"), 1);
        assert_eq!(count("docs/a.md", "This part is coming soon.\n"), 1);
        assert_eq!(count("docs/a.md", "The queue's todo list.\n"), 0);
    }

    #[test]
    fn names_that_say_nothing_are_found() {
        assert_eq!(count("crates/a/src/util.rs", ""), 1);
        assert_eq!(count("crates/a/src/helpers/b.rs", ""), 1);
        assert_eq!(count("crates/a/src/utility_room.rs", ""), 0);
    }

    #[test]
    fn the_queue_knows_no_word_of_ours() {
        assert_eq!(count("crates/queue/src/a.rs", "struct IssueJob;\nfn project_id() {}\n"), 2);
        assert_eq!(count("crates/queue/src/a.rs", "// an issue\nfn reissue() { projection(\"project\") }\n"), 0);
        assert_eq!(count("crates/store/src/a.rs", "struct IssueJob;\n"), 0);
    }
}
