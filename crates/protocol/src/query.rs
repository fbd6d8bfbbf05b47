//! Query strings: percent-decoded pairs, read lazily and within bounds. Lenient: a broken escape stays as it is and bytes
//! that are no UTF-8 become replacement characters.

use std::borrow::Cow;

/// Pairs read from one query string; later ones are not looked at.
pub const PAIRS_MAX: usize = 100;

/// Returns the decoded pairs of `query` (without its `?`), at most `PAIRS_MAX`; a key without `=` has an empty value.
pub fn pairs(query: &str) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    query.split('&').filter(|pair| !pair.is_empty()).take(PAIRS_MAX).map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(key), decode(value))
    })
}

/// Returns the first value of `key`.
pub fn get<'a>(query: &'a str, key: &str) -> Option<Cow<'a, str>> {
    pairs(query).find(|(name, _)| name == key).map(|(_, value)| value)
}

/// Decodes `%XX` and `+`. Borrows when there is nothing to decode.
pub fn decode(text: &str) -> Cow<'_, str> {
    if !text.bytes().any(|byte| matches!(byte, b'%' | b'+')) {
        return Cow::Borrowed(text);
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'+' => decoded.push(b' '),
            b'%' => match escape(after) {
                Some(value) => {
                    decoded.push(value);
                    rest = &after[2..];
                }
                None => decoded.push(b'%'),
            },
            other => decoded.push(other),
        }
    }
    match String::from_utf8(decoded) {
        Ok(text) => Cow::Owned(text),
        Err(error) => Cow::Owned(String::from_utf8_lossy(error.as_bytes()).into_owned()),
    }
}

fn escape(after: &[u8]) -> Option<u8> {
    let digits = std::str::from_utf8(after.get(..2)?).ok()?;
    stdx::hex::decode::<1>(digits).map(|[byte]| byte)
}
