//! Numbers, and words of hexadecimal digits: ids, hashes, durations.

use super::Version;
use super::words::{Text, is_lower_hex, is_upper_hex};
use crate::group::text::is_blank;

/// Returns where a number that begins here with a word boundary may begin: after a minus that is no hyphen, or here.
fn start(text: Text<'_>, at: usize) -> Option<usize> {
    match (text.byte(at), text.is_word_before(at)) {
        (_, true) => None,
        (Some(b'-'), false) => Some(at + 1),
        (_, false) => Some(at),
    }
}

/// A word of exactly so many hexadecimal digits of any case.
pub fn hash(text: Text<'_>, at: usize, length: usize) -> Option<usize> {
    // The boundary first: a long word is then not counted from each of its letters.
    if text.is_word_before(at) {
        return None;
    }
    let digits = text.run(at, |byte| byte.is_ascii_hexdigit());
    (digits == length && !text.is_word_at(at + length)).then_some(at + length)
}

pub fn uuid(text: Text<'_>, at: usize) -> Option<usize> {
    let id = text.rest(at).as_bytes().get(..36)?;
    let fits = |(place, byte): (usize, &u8)| match place {
        8 | 13 | 18 | 23 => *byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    let is_id = id.iter().enumerate().all(fits);
    (is_id && !text.is_word_before(at) && !text.is_word_at(at + 36)).then_some(at + 36)
}

/// `00-` 32 `-` 16 `-0` and a digit; or the form of another vendor, `1-` 8 `-` 24.
pub fn traceparent(text: Text<'_>, at: usize) -> Option<usize> {
    if text.is_word_before(at) {
        return None;
    }
    let rest = text.rest(at).as_bytes();
    let has = |from: usize, length: usize| {
        let digits = rest.get(from..from + length);
        digits.is_some_and(|digits| digits.iter().copied().all(is_lower_hex))
    };
    let dash = |place: usize| rest.get(place) == Some(&b'-');
    let is_standard = rest.starts_with(b"00-")
        && has(3, 32)
        && dash(35)
        && has(36, 16)
        && dash(52)
        && rest.get(53) == Some(&b'0')
        && matches!(rest.get(54), Some(b'0' | b'1'));
    let is_other = rest.starts_with(b"1-") && has(2, 8) && dash(10) && has(11, 24);
    let length = if is_standard {
        55
    } else if is_other {
        35
    } else {
        return None;
    };
    (!text.is_word_at(at + length)).then_some(at + length)
}

/// `12ms` and `1.5s`; only the first begins a word, only the second ends one. Returns where the duration that begins
/// here ends, or up to where none begins: digits that are none from their first on are none from a later one.
pub fn duration(text: Text<'_>, at: usize) -> Result<usize, usize> {
    let (digits, _) = text.digits(at);
    let whole_end = at + digits;
    if digits == 0 {
        return Err(at);
    }
    if !text.is_word_before(at) && text.rest(whole_end).starts_with("ms") {
        return Ok(whole_end + 2);
    }
    let fraction = if text.byte(whole_end) == Some(b'.') { text.digits(whole_end + 1).0 } else { 0 };
    let end = if fraction > 0 { whole_end + 1 + fraction } else { whole_end };
    let is_duration = text.byte(end) == Some(b's') && !text.is_word_at(end + 1);
    if is_duration { Ok(end + 1) } else { Err(whole_end) }
}

/// `tx` 21 `-` 10, and what follows without a blank.
pub fn swift_transaction(text: Text<'_>, at: usize) -> Option<usize> {
    let id = text.rest(at).as_bytes().get(..34)?;
    let is_hex = |digits: &[u8]| digits.iter().copied().all(is_lower_hex);
    let is_id = id.starts_with(b"tx") && is_hex(&id[2..23]) && id[23] == b'-' && is_hex(&id[24..]);
    if !is_id || text.is_word_before(at) {
        return None;
    }
    Some(text.find(at + 34, is_blank))
}

/// `0x` and digits, or a word of hexadecimal digits in one case that is long or mixed enough to be none of a language.
pub fn hex(text: Text<'_>, at: usize, version: Version) -> Option<usize> {
    let prefixed = text.byte(at) == Some(b'0') && matches!(text.byte(at + 1), Some(b'x' | b'X'));
    if prefixed && !text.is_word_before(at) {
        let digits = text.run(at + 2, |byte| byte.is_ascii_hexdigit());
        let end = at + 2 + digits;
        if digits > 0 && !text.is_word_at(end) {
            return Some(end);
        }
    }
    let begin = match version {
        Version::P2024 => return None,
        Version::P2026a => (!text.is_word_before(at)).then_some(at)?,
        Version::P2026b => start(text, at)?,
    };
    let lengths = [text.run(begin, is_lower_hex), text.run(begin, is_upper_hex)];
    let mut words = lengths.into_iter().map(|length| &text.rest(begin)[..length]);
    let word = words.find(|word| !text.is_word_at(begin + word.len()) && is_hex_word(word, version))?;
    Some(begin + word.len())
}

fn is_hex_word(word: &str, version: Version) -> bool {
    let has_digit = word.bytes().any(|byte| byte.is_ascii_digit());
    let has_letter = word.bytes().any(|byte| byte.is_ascii_alphabetic());
    match (word.len(), version) {
        (8..=128, Version::P2026a) => has_digit,
        (8..=128, Version::P2026b) => true,
        (4..=6, Version::P2026b) => has_digit && has_letter,
        _ => false,
    }
}

/// Seven hexadecimal digits, letters and digits both.
pub fn git_sha(text: Text<'_>, at: usize) -> Option<usize> {
    if text.is_word_before(at) {
        return None;
    }
    let digits = text.run(at, is_lower_hex);
    let word = &text.rest(at)[..digits];
    let is_mixed = word.bytes().any(|byte| byte.is_ascii_digit()) && word.bytes().any(|byte| byte.is_ascii_lowercase());
    (digits == 7 && is_mixed && !text.is_word_at(at + 7)).then_some(at + 7)
}

/// A minus needs no word boundary before it; a digit does.
pub fn float(text: Text<'_>, at: usize) -> Option<usize> {
    let begin = signed(text, at)?;
    let (whole, _) = text.digits(begin);
    let point = begin + whole;
    if whole == 0 || text.byte(point) != Some(b'.') {
        return None;
    }
    let (fraction, _) = text.digits(point + 1);
    let end = point + 1 + fraction;
    (fraction > 0 && !text.is_word_at(end)).then_some(end)
}

pub fn int(text: Text<'_>, at: usize, version: Version) -> Option<usize> {
    let begin = match version {
        Version::P2024 | Version::P2026a => signed(text, at)?,
        Version::P2026b => start(text, at)?,
    };
    let (digits, count) = text.digits(begin);
    let is_short = version != Version::P2026b || count <= 7;
    (count > 0 && is_short && !text.is_word_at(begin + digits)).then_some(begin + digits)
}

fn signed(text: Text<'_>, at: usize) -> Option<usize> {
    match text.byte(at) {
        Some(b'-') => Some(at + 1),
        _ => (!text.is_word_before(at)).then_some(at),
    }
}

/// A run of one kind of quotes after an equals sign.
pub fn quoted(text: Text<'_>, at: usize) -> Option<usize> {
    let quote = text.at(at).filter(|_| text.before(at) == Some('='))?;
    let closing = text.find(at + 1, |c| c == quote);
    (closing > at + 1 && closing < text.0.len()).then_some(closing + 1)
}

/// A truth value after an equals sign.
pub fn boolean(text: Text<'_>, at: usize) -> Option<usize> {
    let rest = text.rest(at);
    let word = ["True", "true", "False", "false"].into_iter().find(|word| rest.starts_with(word))?;
    (text.before(at) == Some('=')).then_some(at + word.len())
}
