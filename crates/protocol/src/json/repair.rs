//! Makes JSON of what some SDKs send instead: a rewrite of the text, made only when it did not parse.
//!
//! It changes nothing in a valid text, and leaves what it does not know (truncation, missing commas) for the parser to
//! refuse: it fails closed.

use std::borrow::Cow;

/// What stands for half a character: what Python writes for it, so that hashes are those of Sentry.
const LONE_SURROGATE: &[u8] = b"?";
const BYTE_ORDER_MARK: char = '\u{feff}';

/// Returns `bytes` with these replaced: invalid UTF-8 by U+FFFD; lone surrogate escapes by a question mark; `NaN`,
/// `Infinity`, `-Infinity` and numbers beyond a double by 0; bare control characters in strings by their escapes;
/// backslashes that begin no escape by two. A byte order mark goes. Borrows when nothing had to change.
pub fn repair(bytes: &[u8]) -> Cow<'_, [u8]> {
    let text = String::from_utf8_lossy(bytes);
    let marked = text.starts_with(BYTE_ORDER_MARK);
    let body = if marked { text.trim_start_matches(BYTE_ORDER_MARK) } else { &*text };
    let mut pass = Pass { input: body.as_bytes(), at: 0, copied: 0, out: Vec::new() };
    pass.run();
    let changed_here = pass.copied > 0;
    if changed_here {
        pass.out.extend_from_slice(&pass.input[pass.copied..]);
        return Cow::Owned(pass.out);
    }
    match text {
        Cow::Borrowed(text) if !marked => Cow::Borrowed(text.as_bytes()),
        text => Cow::Owned(text.trim_start_matches(BYTE_ORDER_MARK).as_bytes().to_vec()),
    }
}

/// One walk over the text. `out` holds the repaired form of `input[..copied]`.
struct Pass<'a> {
    input: &'a [u8],
    at: usize,
    copied: usize,
    out: Vec<u8>,
}

impl Pass<'_> {
    fn run(&mut self) {
        while let Some(byte) = self.input.get(self.at) {
            match byte {
                b'"' => self.string(),
                b'-' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => self.word(),
                _ => self.at += 1,
            }
        }
    }

    /// Writes `with` in place of the next `length` bytes.
    fn replace(&mut self, length: usize, with: &[u8]) {
        let end = (self.at + length).min(self.input.len());
        self.out.extend_from_slice(&self.input[self.copied..self.at]);
        self.out.extend_from_slice(with);
        self.at = end;
        self.copied = end;
    }

    /// A number, a literal, or something that is neither.
    fn word(&mut self) {
        let rest = &self.input[self.at..];
        let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.' | b'_');
        let length = rest.iter().position(|byte| !is_part(byte)).unwrap_or(rest.len());
        let word = &rest[..length];
        let is_number = word.first().is_some_and(|byte| byte.is_ascii_digit() || *byte == b'-');
        let is_infinite =
            || std::str::from_utf8(word).ok().and_then(|word| word.parse::<f64>().ok()).is_some_and(f64::is_infinite);
        if matches!(word, b"NaN" | b"-NaN" | b"Infinity" | b"-Infinity") || (is_number && is_infinite()) {
            self.replace(length, b"0");
        } else {
            self.at += length;
        }
    }

    /// A string, from its opening quote to just after its closing one.
    fn string(&mut self) {
        self.at += 1;
        while let Some(byte) = self.input.get(self.at).copied() {
            match byte {
                b'"' => {
                    self.at += 1;
                    return;
                }
                b'\\' => self.escape(),
                0..=0x1f => self.replace(1, format!("\\u{byte:04x}").as_bytes()),
                _ => self.at += 1,
            }
        }
    }

    fn escape(&mut self) {
        match self.input.get(self.at + 1) {
            Some(b'u') => self.unicode_escape(),
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(_) | None => self.replace(1, b"\\\\"),
        }
    }

    fn unicode_escape(&mut self) {
        match self.code_unit(self.at) {
            Some(0xd800..=0xdbff) if matches!(self.code_unit(self.at + 6), Some(0xdc00..=0xdfff)) => self.at += 12,
            Some(0xd800..=0xdfff) => self.replace(6, LONE_SURROGATE),
            Some(_) => self.at += 6,
            None => self.replace(1, b"\\\\"),
        }
    }

    /// Returns the number of the `\uXXXX` at `at`, if there is one.
    fn code_unit(&self, at: usize) -> Option<u16> {
        let digits = self.input.get(at..at + 6)?.strip_prefix(b"\\u")?;
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    }
}
