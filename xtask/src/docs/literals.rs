//! Reads string literals and bracketed ranges out of a Rust file whose code is blanked: enough for tables of constants,
//! and no more.

use crate::tidy::RustFile;
use std::ops::Range;

/// Returns the literals that begin in `range` (bytes of the file), unescaped.
pub fn literals(file: &RustFile, range: Range<usize>) -> Vec<String> {
    let code = &file.code[range.clone()];
    let quotes: Vec<usize> = code.match_indices('"').map(|(at, _)| range.start + at).collect();
    quotes.chunks_exact(2).map(|pair| unescape(&file.text[pair[0] + 1..pair[1]])).collect()
}

/// Returns the range between the bracket at `open` and its partner, without them.
pub fn inside(code: &str, open: usize) -> Option<Range<usize>> {
    let mut depth = 0_usize;
    for (at, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(open + 1..at);
                }
            }
            _ => {}
        }
    }
    None
}

/// Returns the insides of each `word` followed at once by a bracket, such as `key(` … `)`; definitions (`fn key(`) and
/// longer words are left out.
pub fn uses(code: &str, word: &str) -> Vec<Range<usize>> {
    let is_use = |at: &usize| {
        let before = &code[..*at];
        let is_word = before.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        !is_word && !before.trim_end().ends_with("fn") && !before.trim_end().ends_with("struct")
    };
    let starts = code.match_indices(word).map(|(at, _)| at).filter(is_use);
    starts.filter_map(|at| inside(code, at + word.len() - 1)).collect()
}

/// The escapes that tables use; a backslash at the end of a line joins it with the next.
fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        if character != '\\' {
            out.push(character);
            continue;
        }
        match characters.next() {
            Some('n') => out.push('\n'),
            Some('\n') => while characters.next_if(|c| c.is_whitespace()).is_some() {},
            Some(other) => out.push(other),
            None => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_of_each_use_are_read() {
        let text = "fn key(a: &str) {}\nconst A: &[K] = &[key(\"a.b\", K::C(&[\"x\"]), \"say \\\"a\\\" \\\n    again\"), monkey(\"no\")];\n";
        let file = RustFile::new("a.rs".into(), text.into());
        let found: Vec<Vec<String>> =
            uses(&file.code, "key(").into_iter().map(|range| literals(&file, range)).collect();
        assert_eq!(found, [["a.b", "x", "say \"a\" again"]]);
    }
}
