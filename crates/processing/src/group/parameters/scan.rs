//! The walk through a text: at each place the kinds that can begin with the character there, in order.

use super::addresses::{self, is_local_byte};
use super::words::{Text, is_digit};
use super::{KINDS, Kind, Version, dates, numbers};
use std::borrow::Cow;

/// Letters in a row that may be a hash without a digit.
const HEX_LETTERS_MIN: usize = 8;

/// Returns whether any pattern of any version can match somewhere in the text.
pub fn may_hold_any(text: &str) -> bool {
    let mut letters = 0;
    for byte in text.bytes() {
        letters = if matches!(byte, b'a'..=b'f' | b'A'..=b'F') { letters + 1 } else { 0 };
        let is_telling = byte.is_ascii_digit() || matches!(byte, b'@' | b'.' | b'=' | b':') || !byte.is_ascii();
        if is_telling || letters == HEX_LETTERS_MIN {
            return true;
        }
    }
    text.contains("datetime(")
}

/// For every ASCII character the kinds that can begin with it, as bits by their place in `KINDS`.
const STARTS: [u32; 128] = {
    let mut starts = [0; 128];
    let mut byte = 0;
    while byte < 128 {
        let mut place = 0;
        while place < KINDS.len() {
            if can_start(KINDS[place], byte as u8) {
                starts[byte] |= 1 << place;
            }
            place += 1;
        }
        byte += 1;
    }
    starts
};

const fn can_start(kind: Kind, byte: u8) -> bool {
    match kind {
        // Every character of a local part is tried; `email` knows up to where that is in vain.
        Kind::Email => byte.is_ascii_alphanumeric() || is_local_sign(byte),
        Kind::Url => matches!(byte, b'w' | b'h' | b'f'),
        Kind::Hostname => byte.is_ascii_alphanumeric() || byte == b'-',
        Kind::Ip => byte.is_ascii_hexdigit() || byte == b':',
        Kind::Traceparent => matches!(byte, b'0' | b'1'),
        Kind::Uuid | Kind::Sha1 | Kind::Md5 => byte.is_ascii_hexdigit(),
        Kind::Date => {
            byte.is_ascii_digit() || matches!(byte, b'A' | b'D' | b'F' | b'J' | b'M'..=b'O' | b'S' | b'T' | b'W' | b'd')
        }
        Kind::Duration => byte.is_ascii_digit(),
        Kind::SwiftTransaction => byte == b't',
        Kind::Hex => byte.is_ascii_hexdigit() || byte == b'-',
        Kind::GitSha => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        Kind::Float | Kind::Int => byte.is_ascii_digit() || byte == b'-',
        Kind::QuotedStr => matches!(byte, b'\'' | b'"'),
        Kind::Bool => matches!(byte, b'T' | b't' | b'F' | b'f'),
    }
}

const fn is_local_sign(byte: u8) -> bool {
    matches!(
        byte,
        b'.' | b'!'
            | b'#'
            | b'$'
            | b'%'
            | b'&'
            | b'\''
            | b'*'
            | b'+'
            | b'/'
            | b'='
            | b'?'
            | b'^'
            | b'_'
            | b'`'
            | b'{'
            | b'|'
            | b'}'
            | b'~'
            | b'-'
    )
}

struct Scanner<'t> {
    text: Text<'t>,
    version: Version,
    /// No e-mail address begins before this place.
    email_from: usize,
    /// No host name begins before this place.
    hostname_from: usize,
    /// No duration begins before this place.
    duration_from: usize,
    /// No `datetime.datetime(…)` begins before this place.
    constructor_from: usize,
    bracket_last: Option<usize>,
}

/// Returns the text with what varies replaced. What a kind has looked at in vain it does not look at again, so that the
/// work grows with the text and not with its square: anybody may send such texts.
pub fn replace(text: &str, version: Version) -> Cow<'_, str> {
    let mut scanner = Scanner::new(text, version);
    replace_by(text, |at, c| scanner.find(at, c))
}

/// Returns the text with what is found at a place, up to where it ends, replaced.
fn replace_by(text: &str, mut find: impl FnMut(usize, char) -> Option<(Kind, usize)>) -> Cow<'_, str> {
    let mut out = String::new();
    let mut copied = 0;
    let mut at = 0;
    while let Some(c) = Text(text).at(at) {
        match find(at, c) {
            Some((kind, end)) => {
                out.push_str(&text[copied..at]);
                out.push_str(kind.placeholder());
                copied = end;
                at = end;
            }
            None => at += c.len_utf8(),
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[copied..]);
    Cow::Owned(out)
}

impl<'t> Scanner<'t> {
    fn new(text: &'t str, version: Version) -> Scanner<'t> {
        Scanner {
            text: Text(text),
            version,
            email_from: 0,
            hostname_from: 0,
            duration_from: 0,
            constructor_from: 0,
            bracket_last: text.rfind(')'),
        }
    }

    /// Returns what begins here, and where it ends.
    fn find(&mut self, at: usize, c: char) -> Option<(Kind, usize)> {
        let mut kinds = match u8::try_from(c) {
            Ok(byte) if byte.is_ascii() => STARTS[usize::from(byte)],
            _ if is_digit(c) => STARTS[usize::from(b'9')],
            _ => 0,
        };
        while kinds != 0 {
            let kind = KINDS[kinds.trailing_zeros() as usize];
            kinds &= kinds - 1;
            if let Some(end) = self.end(kind, at) {
                return Some((kind, end));
            }
        }
        None
    }

    fn end(&mut self, kind: Kind, at: usize) -> Option<usize> {
        let (text, version) = (self.text, self.version);
        if kind.is_since_2026() && version == Version::P2024 {
            return None;
        }
        match kind {
            Kind::Email => self.email(at),
            Kind::Url => addresses::url(text, at),
            Kind::Hostname => self.hostname(at),
            Kind::Ip => addresses::ip(text, at, version),
            Kind::Traceparent => numbers::traceparent(text, at),
            Kind::Uuid => numbers::uuid(text, at),
            Kind::Sha1 => numbers::hash(text, at, 40),
            Kind::Md5 => numbers::hash(text, at, 32),
            Kind::Date => self.date(at),
            Kind::Duration => self.duration(at),
            Kind::SwiftTransaction => numbers::swift_transaction(text, at),
            Kind::Hex => numbers::hex(text, at, version),
            Kind::GitSha => numbers::git_sha(text, at),
            Kind::Float => numbers::float(text, at),
            Kind::Int => numbers::int(text, at, version),
            Kind::QuotedStr => numbers::quoted(text, at),
            Kind::Bool => numbers::boolean(text, at),
        }
    }

    fn email(&mut self, at: usize) -> Option<usize> {
        if at < self.email_from || !self.text.byte(at).is_some_and(is_local_byte) {
            return None;
        }
        addresses::email(self.text, at).inspect_err(|from| self.email_from = *from).ok()
    }

    /// A host name begins where a word does, or with a hyphen right after one.
    fn hostname(&mut self, at: usize) -> Option<usize> {
        if at < self.hostname_from || !self.text.is_boundary(at) {
            return None;
        }
        addresses::hostname(self.text, at).inspect_err(|from| self.hostname_from = *from).ok()
    }

    fn date(&mut self, at: usize) -> Option<usize> {
        if self.text.byte(at) != Some(b'd') {
            return dates::end(self.text, at, self.version, self.bracket_last);
        }
        if at < self.constructor_from {
            return None;
        }
        dates::constructor(self.text, at).inspect_err(|from| self.constructor_from = *from).ok()
    }

    fn duration(&mut self, at: usize) -> Option<usize> {
        if at < self.duration_from {
            return None;
        }
        numbers::duration(self.text, at).inspect_err(|from| self.duration_from = *from).ok()
    }
}

/// What was written before anything was remembered, for the tests to compare with.
#[cfg(test)]
pub fn replace_forgetfully(text: &str, version: Version) -> Cow<'_, str> {
    replace_by(text, |at, c| Scanner::new(text, version).find(at, c))
}
