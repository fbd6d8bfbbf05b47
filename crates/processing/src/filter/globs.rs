//! Patterns as people write them: `*` any text, `?` one character, `{a,b}` one of some, `[ab]` one of these. The whole
//! text has to match, whatever its case.

use super::SettingsError;
use regex::{RegexBuilder, RegexSet, RegexSetBuilder};

/// What all patterns of a list may compile to.
const COMPILED_BYTES_MAX: usize = 4 << 20;

pub(super) struct Globs {
    set: Option<RegexSet>,
}

impl Globs {
    /// Reads patterns; blank ones are left out, as a stray line must not match everything.
    pub fn new(patterns: &[String]) -> Result<Globs, SettingsError> {
        let patterns = patterns.iter().map(|pattern| pattern.trim()).filter(|pattern| !pattern.is_empty());
        let patterns: Vec<(&str, String)> = patterns.map(|pattern| (pattern, translated(pattern))).collect();
        if patterns.is_empty() {
            return Ok(Globs { set: None });
        }
        let mut builder = RegexSetBuilder::new(patterns.iter().map(|(_, translated)| translated));
        let built = builder.case_insensitive(true).dot_matches_new_line(true).size_limit(COMPILED_BYTES_MAX).build();
        Ok(Globs { set: Some(built.map_err(|error| blamed(&patterns, error))?) })
    }

    pub fn is_empty(&self) -> bool {
        self.set.is_none()
    }

    pub fn match_any(&self, text: &str) -> bool {
        self.set.as_ref().is_some_and(|set| set.is_match(text))
    }
}

/// Names the pattern that cannot be compiled, where one cannot by itself.
fn blamed(patterns: &[(&str, String)], error: regex::Error) -> SettingsError {
    let alone = |translated: &str| RegexBuilder::new(translated).size_limit(COMPILED_BYTES_MAX).build().err();
    let guilty = patterns.iter().find_map(|(pattern, translated)| Some((*pattern, alone(translated)?)));
    match guilty {
        Some((pattern, error)) => SettingsError::Pattern { pattern: pattern.to_owned(), what: error.to_string() },
        None => SettingsError::PatternsTogether(error.to_string()),
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
    let mut members = String::new();
    let mut rest = inside.chars();
    while let Some(first) = rest.next() {
        let mut ahead = rest.clone();
        match (ahead.next(), ahead.next()) {
            // A range; one that ends before it begins is three characters like others.
            (Some('-'), Some(last)) if first <= last => {
                members.push_str(&format!("{}-{}", member(first), member(last)));
                rest = ahead;
            }
            _ => members.push_str(&member(first)),
        }
    }
    format!("[{negation}{members}]")
}

fn member(c: char) -> String {
    regex::escape(c.encode_utf8(&mut [0; 4]))
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
        check("v?.[0-2]", "v1.0", true);
        check("v?.[0-2]", "v1.1", true);
        check("v?.[0-2]", "v1.2", true);
        check("v?.[0-2]", "v1.3", false);
        check("v?.[0-2]", "v1.-", false);
        check("v?.[!0]", "v1.0", false);
        check("[!a-c-]", "b", false);
        check("[!a-c-]", "-", false);
        check("[z/-]", "-", true);
        check("[-/]", "-", true);
        check("[c-a]", "b", false);
        check("[c-a]", "-", true);
        check("[^&-~]", "k", true);
        check("[^&-~]", "$", false);
        check("a.b (c)+", "a.b (c)+", true);
        check("{a", "{a", true);
        check("[", "[", true);
        check("a\\*", "a*", true);
        check("a\\*", "ab", false);
        check("\\", "\\", true);
        check(" ", "x", false);
        check("}{,", "}{,", true);
    }
    #[test]
    fn what_cannot_be_compiled_is_named() {
        let fits = "a*b".to_owned();
        let long = "ü?".repeat(250);
        let together = vec![long; 400];
        let error = Globs::new(&[vec![fits.clone()], together].concat()).err().map(|error| error.to_string());
        assert!(error.as_ref().is_some_and(|error| error.contains("together")), "{error:?}");
        let alone = [fits, "?".repeat(200_000)];
        let error = Globs::new(&alone).err().map(|error| error.to_string());
        assert!(error.as_ref().is_some_and(|error| error.starts_with("'????")), "{error:?}");
    }
}
