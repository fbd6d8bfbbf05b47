//! Replaces what varies in a message (numbers, ids, addresses) so that "user 17 not found" and "user 18 not found" are
//! one issue. One walk from word to word, no regular expressions.

use std::borrow::Cow;

/// Hexadecimal words from this length on are ids or hashes; shorter ones may be words (`cafe`, `deadbeef`).
const HEX_DIGITS_MIN: usize = 16;

/// Returns `text` with variable words replaced by what they are: `<int>`, `<float>`, `<hex>`, `<uuid>`, `<ip>`, `<email>`.
pub(super) fn replace(text: &str) -> Cow<'_, str> {
    if !text.bytes().any(|byte| byte.is_ascii_digit() || byte == b'@') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(is_word_char) {
        out.push_str(&rest[..start]);
        let tail = &rest[start..];
        let length = tail.find(|c| !is_word_char(c)).unwrap_or(tail.len());
        // A dot or colon at the end of a word ends a sentence.
        let word = tail[..length].trim_end_matches(['.', ':', '-', '@']);
        let word = if word.is_empty() { &tail[..length] } else { word };
        out.push_str(placeholder(word).unwrap_or(word));
        rest = &tail[word.len()..];
    }
    out.push_str(rest);
    Cow::Owned(out)
}

fn is_word_char(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | ':' | '@' | '+')
}

fn placeholder(word: &str) -> Option<&'static str> {
    if is_email(word) {
        return Some("<email>");
    }
    if !word.bytes().any(|byte| byte.is_ascii_digit()) {
        return None;
    }
    if is_uuid(word) {
        return Some("<uuid>");
    }
    let number = word.strip_prefix(['-', '+']).unwrap_or(word);
    if number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some("<int>");
    }
    if number.parse::<f64>().is_ok() && number.bytes().next().is_some_and(|byte| byte.is_ascii_digit()) {
        return Some("<float>");
    }
    if word.parse::<std::net::IpAddr>().is_ok() || word.parse::<std::net::SocketAddr>().is_ok() {
        return Some("<ip>");
    }
    let is_hex = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if word.strip_prefix("0x").is_some_and(is_hex) || (word.len() >= HEX_DIGITS_MIN && is_hex(word)) {
        return Some("<hex>");
    }
    None
}

fn is_uuid(word: &str) -> bool {
    let lengths = [8, 4, 4, 4, 12];
    let mut groups = word.split('-');
    let fits = lengths.into_iter().all(|length| {
        groups.next().is_some_and(|group| group.len() == length && group.bytes().all(|byte| byte.is_ascii_hexdigit()))
    });
    fits && groups.next().is_none()
}

fn is_email(word: &str) -> bool {
    word.split_once('@').is_some_and(|(name, host)| !name.is_empty() && host.contains('.') && !host.contains('@'))
}

#[cfg(test)]
mod tests {
    use super::replace;

    #[test]
    fn what_varies_is_replaced() {
        fn check(text: &str, expected: &str) {
            assert_eq!(replace(text), expected);
        }
        check("user 17 not found", "user <int> not found");
        check("took 1.5s or 1.5 s.", "took 1.5s or <float> s.");
        check("id=123e4567-e89b-12d3-a456-426614174000,", "id=<uuid>,");
        check("at 0xdeadbeef: 10.0.0.1:8080 [::1]", "at <hex>: <ip> [<ip>]");
        check("mail to a.b@example.com.", "mail to <email>.");
        check("sha 0123456789abcdef0123", "sha <hex>");
        check("-5 and +6, x86_64", "<int> and <int>, x86_64");
        check("no variables... here @ all", "no variables... here @ all");
        check("", "");
        check("é1 … 2", "é1 … <int>");
    }
}
