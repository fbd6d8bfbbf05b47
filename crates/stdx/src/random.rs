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

pub fn u64() -> u64 {
    u64::from_le_bytes(bytes())
}

/// Returns a password of `length` letters and digits that cannot be mistaken for one another.
pub fn password(length: usize) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    (0..length).map(|_| ALPHABET[usize::from(bytes::<1>()[0] & 31)] as char).collect()
}
