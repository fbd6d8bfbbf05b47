//! Files and functions stay readable: 500 lines and 70 lines, everywhere, tests included.

use super::{Finding, RustFile, Tree};

/// A file beyond this is a layer in disguise; cut it by noun.
const FILE_LINES_MAX: usize = 500;
/// A function beyond this does not fit on a screen; cut it by meaning.
const FUNCTION_LINES_MAX: usize = 70;

pub fn check(tree: &Tree) -> Vec<Finding> {
    tree.rust.iter().flat_map(check_file).collect()
}

fn check_file(file: &RustFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    let count = file.text.lines().count();
    if count > FILE_LINES_MAX {
        findings.push(file.finding(FILE_LINES_MAX, format!("{count} lines; the limit is {FILE_LINES_MAX}")));
    }
    for function in functions(&file.code) {
        if function.lines > FUNCTION_LINES_MAX {
            let text = format!("{} has {} lines; the limit is {FUNCTION_LINES_MAX}", function.name, function.lines);
            findings.push(file.finding(function.start, text));
        }
    }
    findings
}

struct Function {
    name: String,
    start: usize,
    lines: usize,
}

/// Finds functions with a body in code whose literals are blanked.
fn functions(code: &str) -> Vec<Function> {
    let lines: Vec<&str> = code.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        if let Some(name) = name_of_function(line)
            && let Some(end) = end_of_body(&lines, start)
        {
            found.push(Function { name: name.to_owned(), start, lines: end - start + 1 });
        }
    }
    found
}

fn name_of_function(line: &str) -> Option<&str> {
    let at = line.find("fn ")?;
    let is_word_start = at == 0 || line[..at].ends_with([' ', '(']);
    let rest = &line[at + 3..];
    let length = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    (is_word_start && length > 0).then(|| &rest[..length])
}

/// Returns the line on which the body closes; `None` for a declaration without one.
fn end_of_body(lines: &[&str], start: usize) -> Option<usize> {
    let mut depth = 0_usize;
    let mut brackets = 0_usize;
    for (index, line) in lines.iter().enumerate().skip(start) {
        let from = if index == start { line.find("fn ")? } else { 0 };
        for character in line[from..].chars() {
            match character {
                '{' => depth += 1,
                '}' if depth <= 1 => return (depth == 1).then_some(index),
                '}' => depth -= 1,
                '(' | '[' => brackets += 1,
                ')' | ']' => brackets = brackets.saturating_sub(1),
                ';' if depth == 0 && brackets == 0 => return None,
                _ => {}
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_measured_from_their_first_line_to_their_last() {
        let code = "trait T {\n    fn declared(&self) -> [u8; 4];\n}\nfn short() {}\npub fn long(\n    a: u8,\n) {\n    if a {\n    }\n}\n";
        let found: Vec<(String, usize)> = functions(code).into_iter().map(|f| (f.name, f.lines)).collect();
        assert_eq!(found, [("short".to_owned(), 1), ("long".to_owned(), 6)]);
    }

    #[test]
    fn a_long_function_and_a_long_file_are_found() {
        let body = "    let a = 1;\n".repeat(FUNCTION_LINES_MAX);
        let tree = Tree::of(&[("crates/a/src/lib.rs", &format!("//! A.\nfn long() {{\n{body}}}\n"))]);
        assert_eq!(check(&tree).len(), 1);
        let tree = Tree::of(&[("crates/a/src/lib.rs", &"//! A.\n".repeat(FILE_LINES_MAX + 1))]);
        assert_eq!(check(&tree).len(), 1);
    }
}
