//! The checkout as rules see it: every text file, and Rust files also with comments and string contents blanked, so that
//! a rule about code does not trip over prose.

use anyhow::Context;
use std::path::Path;

/// Something against a rule.
#[derive(Debug, PartialEq, Eq)]
pub struct Finding {
    pub path: String,
    /// From 1.
    pub line: usize,
    pub text: String,
}

/// A text file that is no Rust source.
pub struct TextFile {
    /// From the root, with `/`.
    pub path: String,
    pub text: String,
}

/// A Rust source file.
pub struct RustFile {
    pub path: String,
    pub text: String,
    /// The text with comments, and the insides of string and character literals, replaced by spaces; same lines.
    pub code: String,
    /// For each line, whether it is test code.
    pub is_test: Vec<bool>,
}

/// The checkout.
pub struct Tree {
    pub rust: Vec<RustFile>,
    pub others: Vec<TextFile>,
}

/// Folders that hold nothing of ours. Names that begin with a dot are skipped too, but for these of ours.
const SKIPPED: &[&str] = &["target", "vigie-data", "node_modules", "__pycache__"];
const DOTTED: &[&str] = &[".ci", ".cargo", ".gitignore"];
/// Larger files are fixtures, not prose.
const TEXT_BYTES_MAX: u64 = 1 << 20;

impl Tree {
    /// Reads the checkout.
    ///
    /// # Errors
    /// If a folder cannot be listed or a file cannot be read.
    pub fn read(root: &Path) -> anyhow::Result<Tree> {
        let mut tree = Tree { rust: Vec::new(), others: Vec::new() };
        tree.read_folder(root, "")?;
        Ok(tree)
    }

    fn read_folder(&mut self, folder: &Path, prefix: &str) -> anyhow::Result<()> {
        let entries = std::fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))?;
        let mut entries = entries.collect::<Result<Vec<_>, _>>()?;
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_hidden = name.starts_with('.') && !DOTTED.contains(&name.as_str());
            if is_hidden || SKIPPED.contains(&name.as_str()) {
                continue;
            }
            let path = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
            let kind = entry.metadata()?;
            if kind.is_dir() {
                self.read_folder(&entry.path(), &path)?;
            } else if kind.len() <= TEXT_BYTES_MAX {
                // A file that is not text (an image, a recorded body) has no rules.
                if let Ok(text) = String::from_utf8(std::fs::read(entry.path())?) {
                    self.add(path, text);
                }
            }
        }
        Ok(())
    }

    /// Adds a file; tests make small trees with it.
    pub fn add(&mut self, path: String, text: String) {
        if path.ends_with(".rs") {
            self.rust.push(RustFile::new(path, text));
        } else {
            self.others.push(TextFile { path, text });
        }
    }

    /// Returns a tree of the given files.
    #[cfg(test)]
    pub fn of(files: &[(&str, &str)]) -> Tree {
        let mut tree = Tree { rust: Vec::new(), others: Vec::new() };
        for (path, text) in files {
            tree.add((*path).to_owned(), (*text).to_owned());
        }
        tree
    }

    /// Whether a file or a folder of this name is there.
    pub fn holds(&self, path: &str) -> bool {
        let inside = format!("{path}/");
        let mut paths = self.rust.iter().map(|file| &file.path).chain(self.others.iter().map(|file| &file.path));
        paths.any(|candidate| candidate == path || candidate.starts_with(&inside))
    }

    /// Returns the Rust file of this path.
    pub fn rust_file(&self, path: &str) -> Option<&RustFile> {
        self.rust.iter().find(|file| file.path == path)
    }
}

impl RustFile {
    pub fn new(path: String, text: String) -> RustFile {
        let code = blank(&text);
        let is_test = mark_tests(&path, &code);
        RustFile { path, text, code, is_test }
    }

    /// Returns a finding at a line from 0.
    pub fn finding(&self, index: usize, text: impl Into<String>) -> Finding {
        Finding { path: self.path.clone(), line: index + 1, text: text.into() }
    }
}

/// Lines of test code: whole files by their place, and `#[cfg(test)]` items by their braces.
fn mark_tests(path: &str, code: &str) -> Vec<bool> {
    let count = code.lines().count();
    let is_test_file = path.contains("/tests/") || path.ends_with("/tests.rs") || path.starts_with("crates/testkit/");
    if is_test_file {
        return vec![true; count];
    }
    let mut marks = vec![false; count];
    let lines: Vec<&str> = code.lines().collect();
    let mut index = 0;
    while index < count {
        if lines[index].contains("#[cfg(test)]") {
            let end = end_of_item(&lines, index);
            marks[index..=end].fill(true);
            index = end;
        }
        index += 1;
    }
    marks
}

/// The last line of the item that begins at `start`: where its braces close, or the first line with `;` before any.
fn end_of_item(lines: &[&str], start: usize) -> usize {
    let mut depth = 0_usize;
    for (index, line) in lines.iter().enumerate().skip(start) {
        for character in line.chars() {
            match character {
                '{' => depth += 1,
                '}' if depth == 1 => return index,
                '}' => depth = depth.saturating_sub(1),
                ';' if depth == 0 => return index,
                _ => {}
            }
        }
    }
    lines.len() - 1
}

/// Replaces comments and the insides of literals by spaces; newlines stay.
fn blank(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = match bytes[at] {
            b'/' if bytes[at..].starts_with(b"//") => end_of_line(bytes, at),
            b'/' if bytes[at..].starts_with(b"/*") => end_of_block(bytes, at),
            b'"' => end_of_string(bytes, at),
            b'r' if is_raw_string(bytes, at) => end_of_raw_string(bytes, at),
            b'\'' => end_of_character(bytes, at),
            _ => {
                at += 1;
                continue;
            }
        };
        let is_comment = bytes[at] == b'/';
        let (first, last) = if is_comment { (at, end) } else { (at + 1, end.saturating_sub(1)) };
        for byte in out.iter_mut().take(last).skip(first) {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = end.max(at + 1);
    }
    String::from_utf8(out).expect("whole characters were replaced by spaces")
}

fn end_of_line(bytes: &[u8], at: usize) -> usize {
    bytes[at..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |length| at + length)
}

fn end_of_block(bytes: &[u8], at: usize) -> usize {
    bytes[at + 2..].windows(2).position(|pair| pair == b"*/").map_or(bytes.len(), |length| at + length + 4)
}

fn end_of_string(bytes: &[u8], at: usize) -> usize {
    let mut index = at + 1;
    while index < bytes.len() {
        match bytes[index] {
            b'\\' => index += 2,
            b'"' => return index + 1,
            _ => index += 1,
        }
    }
    bytes.len()
}

fn is_raw_string(bytes: &[u8], at: usize) -> bool {
    let is_word = at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_') && bytes[at - 1] != b'b';
    let rest = &bytes[at + 1..];
    let hashes = rest.iter().take_while(|byte| **byte == b'#').count();
    !is_word && rest.get(hashes) == Some(&b'"')
}

fn end_of_raw_string(bytes: &[u8], at: usize) -> usize {
    let hashes = bytes[at + 1..].iter().take_while(|byte| **byte == b'#').count();
    let close = [b"\"".as_slice(), &b"#".repeat(hashes)].concat();
    let start = at + hashes + 2;
    let found = bytes[start..].windows(close.len()).position(|window| window == close);
    found.map_or(bytes.len(), |length| start + length + close.len())
}

/// A character literal; a lifetime is left alone.
fn end_of_character(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at + 1..];
    if rest.first() == Some(&b'\\') {
        let close = rest.iter().skip(2).position(|byte| *byte == b'\'');
        return close.map_or(at + 1, |length| at + length + 4);
    }
    let width = rest.first().map_or(0, |byte| match byte {
        0xf0.. => 4,
        0xe0.. => 3,
        0xc0.. => 2,
        _ => 1,
    });
    if rest.get(width) == Some(&b'\'') { at + width + 2 } else { at + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: &str, expected: &str) {
        assert_eq!(blank(input), expected, "{input}");
    }

    #[test]
    fn comments_and_literals_are_blanked_and_code_stays() {
        check("a // b\nc", "a     \nc");
        check("a /* b\n */ c", "a     \n    c");
        check(r#"f("x\"y") + 'z'"#, r#"f("    ") + ' '"#);
        check("fn f<'a>(x: &'a str)", "fn f<'a>(x: &'a str)");
        check("r#\"a\"b\"# + 1", "r      # + 1");
        check(r"'\'' x", r"'  ' x");
        check("'é' x", "'  ' x");
    }

    #[test]
    fn test_code_is_known_by_its_place_and_its_attribute() {
        let file =
            RustFile::new("crates/a/src/b.rs".into(), "fn a() {}\n#[cfg(test)]\nmod tests {\n}\nfn b() {}\n".into());
        assert_eq!(file.is_test, [false, true, true, true, false]);
        let file = RustFile::new("crates/a/src/b.rs".into(), "#[cfg(test)]\nmod tests;\nfn b() {}\n".into());
        assert_eq!(file.is_test, [true, true, false]);
        assert_eq!(RustFile::new("crates/a/tests/main.rs".into(), "fn a() {}\n".into()).is_test, [true]);
    }
}
