//! Patterns as people write them: `*` any text, `?` one character, `{a,b}` one of some, `[ab]` one of these. The whole
//! text has to match, whatever its case.

use super::SettingsError;
use regex::{RegexSet, RegexSetBuilder};

/// What all patterns of a list may compile to.
const COMPILED_BYTES_MAX: usize = 4 << 20;

pub(super) struct Globs {
    set: Option<RegexSet>,
}

impl Globs {
    /// Reads patterns; blank ones are left out, as a stray line must not match everything.
    pub fn new(patterns: &[String]) -> Result<Globs, SettingsError> {
        let patterns = patterns.iter().map(|pattern| pattern.trim()).filter(|pattern| !pattern.is_empty());
        let translated: Vec<String> = patterns.map(translated).collect();
        if translated.is_empty() {
            return Ok(Globs { set: None });
        }
        let mut builder = RegexSetBuilder::new(&translated);
        let built = builder.case_insensitive(true).dot_matches_new_line(true).size_limit(COMPILED_BYTES_MAX).build();
        let wrong = |error: regex::Error| SettingsError::Pattern {
            pattern: translated.first().cloned().unwrap_or_default(),
            what: error.to_string(),
        };
        Ok(Globs { set: Some(built.map_err(wrong)?) })
    }

    pub fn is_empty(&self) -> bool {
        self.set.is_none()
    }

    pub fn match_any(&self, text: &str) -> bool {
        self.set.as_ref().is_some_and(|set| set.is_match(text))
    }
}

/// Returns the glob as a regular expression. A brace or bracket that is not closed stands for itself.
fn translated(glob: &str) -> String {
    let mut out = String::from("^");
    let mut rest = glob;
    let mut braces = 0;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        match c {
            '*' => out.push_str(".*"),
            '?' => out.push('.'),
            '{' if braces == 0 && after.contains('}') => {
                braces = 1;
                out.push_str("(?:");
            }
            '}' if braces == 1 => {
                braces = 0;
                out.push(')');
            }
            ',' if braces == 1 => out.push('|'),
            '[' => match after.split_once(']') {
                Some((inside, after)) if !inside.is_empty() => {
                    out.push_str(&one_of(inside));
                    rest = after;
                    continue;
                }
                Some(_) | None => out.push_str("\\["),
            },
            '\\' => {
                let escaped = after.chars().next().unwrap_or('\\');
                out.push_str(&regex::escape(escaped.encode_utf8(&mut [0; 4])));
                rest = after.get(escaped.len_utf8()..).unwrap_or_default();
                continue;
            }
            other => out.push_str(&regex::escape(other.encode_utf8(&mut [0; 4]))),
        }
        rest = after;
    }
    out.push('$');
    out
}

fn one_of(inside: &str) -> String {
    let (negation, inside) = match inside.strip_prefix('!') {
        Some(inside) => ("^", inside),
        None => ("", inside),
    };
    let members: String = inside.chars().map(|c| regex::escape(c.encode_utf8(&mut [0; 4]))).collect();
    format!("[{negation}{members}]")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_texts() {
        fn check(pattern: &str, text: &str, expected: bool) {
            let globs = Globs::new(&[pattern.to_owned()]).expect(pattern);
            assert_eq!(globs.match_any(text), expected, "{pattern} on {text}");
        }
        check("*timeout*", "a Timeout\nof b", true);
        check("timeout", "a timeout", false);
        check("{a,b}: *", "b: x", true);
        check("{a,b}: *", "c: x", false);
        check("v?.[0-2]", "v1.2", true);
        check("v?.[!0]", "v1.0", false);
        check("a.b (c)+", "a.b (c)+", true);
        check("{a", "{a", true);
        check("[", "[", true);
        check("a\\*", "a*", true);
        check("a\\*", "ab", false);
        check("\\", "\\", true);
        check(" ", "x", false);
        check("}{,", "}{,", true);
    }
}
