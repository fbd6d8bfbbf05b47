//! Cutting text between brackets, into words, and off its end. Knows nothing of functions but how compilers end them.

use crate::group::text::is_word;

/// Replaces every outermost group of brackets by what `replace` makes of its inner text and its place. An unclosed group
/// vanishes; after an unmatched closing bracket nothing stays until an opening one makes up for it.
pub fn cut_enclosed(text: &str, open: char, close: char, replace: &mut dyn FnMut(&str, usize) -> String) -> String {
    if !text.contains(open) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut depth = 0i32;
    let mut start = 0;
    for (at, c) in text.char_indices() {
        if c == open {
            if depth == 0 {
                start = at;
            }
            depth += 1;
        } else if c == close {
            depth -= 1;
            if depth == 0 {
                out.push_str(&replace(text.get(start + open.len_utf8()..at).unwrap_or_default(), start));
            }
        } else if depth == 0 {
            out.push(c);
        }
    }
    out
}

/// Splits at blanks outside of brackets. The text of a group that is never closed is lost.
pub fn split_tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut token = String::new();
    let mut closers: Vec<char> = Vec::new();
    let mut end = 0;
    for (at, c) in text.char_indices() {
        let after = at + c.len_utf8();
        if let Some(closer) = closer_of(c) {
            closers.push(closer);
        } else if closers.last() == Some(&c) {
            closers.pop();
            if closers.is_empty() {
                token.push_str(&text[end..after]);
                end = after;
            }
        } else if closers.is_empty() {
            if !c.is_whitespace() {
                token.push_str(&text[end..after]);
            } else if !token.is_empty() {
                tokens.push(std::mem::take(&mut token));
            }
            end = after;
        }
    }
    if !token.is_empty() {
        tokens.push(token);
    }
    tokens
}

const fn closer_of(c: char) -> Option<char> {
    match c {
        '(' => Some(')'),
        '{' => Some('}'),
        '[' => Some(']'),
        '<' => Some('>'),
        _ => None,
    }
}

/// Returns whether a word that follows this text is a word of its own.
pub fn has_word_start_before(before: &str) -> bool {
    !before.chars().next_back().is_some_and(is_word)
}

/// The ways in which compilers write a lambda.
pub struct LambdaForm;

impl LambdaForm {
    /// Returns the length of the lambda at the start of the text, if one is there.
    pub fn length(text: &str, before: Option<char>) -> Option<usize> {
        LambdaForm::gcc(text)
            .or_else(|| LambdaForm::msvc(text).filter(|_| !before.is_some_and(is_word)))
            .or_else(|| LambdaForm::clang(text))
    }

    /// `{lambda(int)#1}`
    fn gcc(text: &str) -> Option<usize> {
        let inner = text.strip_prefix("{lambda(")?;
        let line = inner.split('\n').next().unwrap_or_default();
        line.match_indices(")#").find_map(|(at, mark)| {
            let digits = digits_at_start(&line[at + mark.len()..]);
            let end = at + mark.len() + digits;
            (digits > 0 && line[end..].starts_with('}')).then_some(text.len() - inner.len() + end + 1)
        })
    }

    /// `lambda_` and 32 hexadecimal digits
    fn msvc(text: &str) -> Option<usize> {
        let digits = text.strip_prefix("lambda_")?;
        let is_hex = digits.get(..32)?.bytes().all(is_lower_hex);
        (is_hex && !digits[32..].starts_with(is_word)).then_some("lambda_".len() + 32)
    }

    /// `$_12`
    fn clang(text: &str) -> Option<usize> {
        let rest = text.strip_prefix("$_")?;
        let digits = digits_at_start(rest);
        (digits > 0 && !rest[digits..].starts_with(is_word)).then_some("$_".len() + digits)
    }
}

fn digits_at_start(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

fn is_lower_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

/// MSVC numbers anonymous namespaces: `?A0x` and 8 hexadecimal digits before `::`.
pub fn strip_anonymous_hash(text: &str, stand_in: char) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("?A0x") {
        out.push_str(before);
        let hash = after.get(..10).filter(|hash| hash.ends_with("::") && hash[..8].bytes().all(is_lower_hex));
        match hash {
            Some(_) => {
                out.push(stand_in);
                rest = &after[8..];
            }
            None => {
                out.push_str("?A0x");
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

/// `::h` and 16 letters or digits at the end.
pub fn strip_rust_hash(text: &str) -> &str {
    let Some(at) = text.len().checked_sub("::h".len() + 16) else {
        return text;
    };
    let is_hash = |tail: &str| {
        tail.strip_prefix("::h")
            .is_some_and(|hash| hash.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()))
    };
    if text.get(at..).is_some_and(is_hash) { &text[..at] } else { text }
}

/// `@GLIBC_2.34` or `@@GLIBC_2.34` at the end.
pub fn strip_glibc(text: &str) -> &str {
    let base = text.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    match base.strip_suffix("@GLIBC_") {
        Some(name) if base.len() < text.len() => name.strip_suffix('@').unwrap_or(name),
        Some(_) | None => text,
    }
}

/// `@name@8` and `name@8`.
pub fn strip_windows_decoration(text: &str) -> &str {
    let base = text.trim_end_matches(|c: char| c.is_ascii_digit());
    match base.strip_suffix('@') {
        Some(name) if base.len() < text.len() => name.strip_prefix('@').unwrap_or(name),
        Some(_) | None => text,
    }
}
