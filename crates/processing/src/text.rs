//! Cutting text to a number of characters. Knows no field.

use protocol::json::Str;
use std::borrow::Cow;

const ELLIPSIS: &str = "...";

/// Returns `text` cut to at most `chars_max` characters, the last three of which are dots if anything was cut.
pub fn cut(text: &str, chars_max: usize) -> Cow<'_, str> {
    // Bytes are never fewer than characters: most texts need no counting.
    if text.len() <= chars_max || text.chars().nth(chars_max).is_none() {
        return Cow::Borrowed(text);
    }
    let kept = chars_max.saturating_sub(ELLIPSIS.len());
    let end = text.char_indices().nth(kept).map_or(text.len(), |(at, _)| at);
    Cow::Owned(format!("{}{ELLIPSIS}", &text[..end]))
}

/// Cuts a field in place. Returns how many characters it had if it was cut.
pub fn cut_field(field: &mut Option<Str<'_>>, chars_max: usize) -> Option<usize> {
    let text = field.as_mut()?;
    let Cow::Owned(short) = cut(text, chars_max) else {
        return None;
    };
    let length = text.chars().count();
    *text = Str::from(short);
    Some(length)
}

/// Makes an empty text an absent one.
pub fn drop_empty(field: &mut Option<Str<'_>>) {
    if field.as_ref().is_some_and(|text| text.is_empty()) {
        *field = None;
    }
}

/// Returns the first line of `text` without outer blanks.
pub fn first_line(text: &str) -> &str {
    text.trim().lines().next().unwrap_or_default().trim_end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_by_characters() {
        fn check(text: &str, chars_max: usize, expected: &str) {
            assert_eq!(cut(text, chars_max), expected);
        }
        check("abcdef", 6, "abcdef");
        check("abcdefg", 6, "abc...");
        check("ééééééé", 6, "ééé...");
        check("éééééé", 6, "éééééé");
        check("abc", 2, "...");
        check("", 0, "");
    }
}
