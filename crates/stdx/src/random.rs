//! Random bytes from the operating system, for tokens, keys and passwords.

/// Returns `N` bytes from the operating system's generator.
///
/// # Panics
/// If the operating system gives none: nothing safe can be done without randomness.
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system provides randomness");
    bytes
}

/// Returns `N` random bytes as `2 * N` lowercase hexadecimal digits.
pub fn hex<const N: usize>() -> String {
    crate::hex::encode(&bytes::<N>())
}

/// Returns a random UUID (version 4) with hyphens.
pub fn uuid() -> String {
    let mut bytes = bytes::<16>();
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = crate::hex::encode(&bytes);
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

pub fn u64() -> u64 {
    u64::from_le_bytes(bytes())
}

/// Returns a number of at least 0 and below 1.
pub fn unit() -> f64 {
    // As many bits as a double holds exactly.
    (u64() >> 11) as f64 / (1u64 << 53) as f64
}

/// Returns a password of `length` letters and digits that cannot be mistaken for one another.
pub fn password(length: usize) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    (0..length).map(|_| ALPHABET[usize::from(bytes::<1>()[0] & 31)] as char).collect()
}
