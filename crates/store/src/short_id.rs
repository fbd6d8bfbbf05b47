//! Short ids of issues: `SHOP-1A`, the project's prefix and the number in Crockford's base 32 (no I, L, O, U).

const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const PREFIX_CHARS_MAX: usize = 32;

/// Returns the short id of issue `number` of a project.
pub fn format(prefix: &str, number: i64) -> String {
    let mut digits = Vec::new();
    let mut rest = number.max(0) as u64;
    loop {
        digits.push(DIGITS[(rest % 32) as usize]);
        rest /= 32;
        if rest == 0 {
            break;
        }
    }
    digits.reverse();
    format!("{prefix}-{}", String::from_utf8_lossy(&digits))
}

/// Reads a short id: the prefix in capitals and the number. Returns `None` for anything else.
pub fn parse(text: &str) -> Option<(String, i64)> {
    let (prefix, digits) = text.rsplit_once('-')?;
    if prefix.is_empty() || digits.is_empty() || digits.len() > 10 {
        return None;
    }
    let mut number: i64 = 0;
    for digit in digits.bytes().map(|digit| digit.to_ascii_uppercase()) {
        let value = DIGITS.iter().position(|known| *known == digit)?;
        number = number * 32 + value as i64;
    }
    Some((prefix.to_ascii_uppercase(), number))
}

/// Returns the prefix that a project's slug suggests.
pub fn prefix_of(slug: &str) -> String {
    let capitals: String = slug.chars().filter(char::is_ascii).collect::<String>().to_ascii_uppercase();
    let prefix: String =
        capitals.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(PREFIX_CHARS_MAX).collect();
    if prefix.is_empty() { "PROJECT".to_owned() } else { prefix }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_ids_go_both_ways() {
        for (number, text) in
            [(1, "SHOP-1"), (31, "SHOP-Z"), (32, "SHOP-10"), (42, "SHOP-1A"), (1_000_000, "SHOP-YGJ0")]
        {
            assert_eq!(format("SHOP", number), text);
            assert_eq!(parse(text), Some(("SHOP".to_owned(), number)));
        }
        assert_eq!(parse("my-shop-1a"), Some(("MY-SHOP".to_owned(), 42)));
        for text in ["", "-", "SHOP-", "-1", "SHOP-U", "SHOP-99999999999"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
