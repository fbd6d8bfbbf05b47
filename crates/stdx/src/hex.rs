//! Lowercase hexadecimal text of bytes, both ways.

/// Returns `bytes` as lowercase hexadecimal text.
pub fn encode(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(DIGITS[usize::from(byte >> 4)] as char);
        text.push(DIGITS[usize::from(byte & 15)] as char);
    }
    text
}

/// Returns the bytes written in `text` (either case), or `None` if it is not exactly `2 * N` digits.
pub fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != N * 2 {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, decoded) in bytes.iter_mut().zip(pairs(text)) {
        *byte = decoded?;
    }
    Some(bytes)
}

/// Returns the bytes written in `text` (either case), however many, or `None` if it is not pairs of digits.
pub fn decode_all(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) {
        return None;
    }
    pairs(text).collect()
}

/// The byte of each pair of digits; `None` for a pair that is none.
fn pairs(text: &str) -> impl Iterator<Item = Option<u8>> {
    text.as_bytes().chunks_exact(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?))
}

fn digit(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'a'..=b'f' => Some(character - b'a' + 10),
        b'A'..=b'F' => Some(character - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_goes_both_ways_and_refuses_the_rest() {
        assert_eq!(encode(&[0, 255, 16]), "00ff10");
        assert_eq!(decode::<3>("00Ff10"), Some([0, 255, 16]));
        assert_eq!(decode::<3>("00ff1"), None);
        assert_eq!(decode::<3>("00ff1g"), None);
        assert_eq!(decode::<1>("é"), None);
        assert_eq!(decode_all("00Ff10"), Some(vec![0, 255, 16]));
        assert_eq!(decode_all(""), Some(Vec::new()));
        for wrong in ["00ff1", "00ff1g", "é"] {
            assert_eq!(decode_all(wrong), None, "{wrong}");
        }
    }
}
