//! Text as Python sees it, for hashes are of what Python made: its blanks, words and lines. Knows no field.

use regex::Regex;
use std::borrow::Cow;
use std::sync::OnceLock;

/// Returns whether Python's `str.split` and `strip` take the character for a blank.
pub(super) fn is_blank(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}')
}

/// Returns whether Python's regular expressions take the character for a part of a word: letters and numbers of every
/// script and the underscore, but no vowel signs and no letters in circles, which Unicode calls alphabetic too.
pub(super) fn is_word(c: char) -> bool {
    static SIGNS: OnceLock<Regex> = OnceLock::new();
    if c.is_ascii() {
        return c.is_ascii_alphanumeric() || c == '_';
    }
    // No number is a sign; long numbers of other scripts are common in hostile texts and need no expression.
    if c.is_numeric() {
        return true;
    }
    let signs = SIGNS.get_or_init(|| Regex::new(r"[\p{M}\p{So}]").expect("a fixed pattern compiles"));
    c.is_alphabetic() && !signs.is_match(c.encode_utf8(&mut [0; 4]))
}

/// Returns the words of a text with one space between them.
pub(super) fn python_words(text: &str) -> Cow<'_, str> {
    let text = text.trim_matches(is_blank);
    let bytes = text.as_bytes();
    let is_plain = bytes.iter().all(|byte| byte.is_ascii() && !byte.is_ascii_control()) && !text.contains("  ");
    if is_plain {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.split(is_blank).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" "))
}

/// Returns the first two lines of a text that are not blank; what was left out is marked by three dots.
pub(super) fn first_lines(text: &str) -> Cow<'_, str> {
    let is_break = |c: char| matches!(c, '\n'..='\r' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}');
    if !text.contains(is_break) && !text.trim_matches(is_blank).is_empty() {
        return Cow::Borrowed(text);
    }
    let lines = text.split(is_break).filter(|line| !line.trim_matches(is_blank).is_empty());
    let kept = lines.take(2).collect::<Vec<_>>().join("\n");
    Cow::Owned(if kept == text { kept } else { kept + "..." })
}

/// Returns what stands before a mark and four or more digits at the end of a name.
pub(super) fn trailing_number<'t>(name: &'t str, mark: &str) -> Option<&'t str> {
    let base = name.trim_end_matches(|c: char| c.is_ascii_digit());
    base.strip_suffix(mark).filter(|_| name.len() - base.len() >= 4)
}

#[cfg(test)]
mod tests {
    use super::{first_lines, is_word, python_words, trailing_number};

    #[test]
    fn words_are_joined_by_one_space() {
        assert_eq!(python_words("\treturn   items[ 3 ]\u{1f}"), "return items[ 3 ]");
        assert_eq!(python_words("é\u{a0}x"), "é x");
        assert_eq!(python_words(" \t "), "");
    }

    #[test]
    fn signs_are_no_letters() {
        for letter in ['a', '_', '7', 'é', 'ß', '½', 'Ⅷ', '中', '٣', 'ʰ'] {
            assert!(is_word(letter), "{letter}");
        }
        for sign in ['-', ' ', '\u{93e}', '\u{301}', 'Ⓐ', '€', '\u{a0}'] {
            assert!(!is_word(sign), "{sign}");
        }
    }

    #[test]
    fn two_lines_are_kept() {
        assert_eq!(first_lines("a\n\n b\r\nc"), "a\n b...");
        assert_eq!(first_lines("a\nb"), "a\nb");
        assert_eq!(first_lines("a\n"), "a...");
        assert_eq!(first_lines("a"), "a");
        assert_eq!(first_lines(""), "");
        assert_eq!(first_lines(" "), "...");
    }

    #[test]
    fn numbers_at_the_end_are_found() {
        assert_eq!(trailing_number("a_1234", "_"), Some("a"));
        assert_eq!(trailing_number("a_123", "_"), None);
        assert_eq!(trailing_number("a1234", "_"), None);
    }
}
