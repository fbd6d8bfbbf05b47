//! What Python's regular expressions take for digits and words, and looking around in a text.

use crate::group::text::is_word;

/// A text with a look at the characters around a place.
#[derive(Clone, Copy, Debug)]
pub struct Text<'t>(pub &'t str);

impl<'t> Text<'t> {
    /// Returns the character at a place.
    pub fn at(self, at: usize) -> Option<char> {
        steps::take(1);
        match self.0.as_bytes().get(at) {
            Some(byte) if byte.is_ascii() => Some(char::from(*byte)),
            Some(_) => self.0.get(at..)?.chars().next(),
            None => None,
        }
    }

    /// Returns the character before a place.
    pub fn before(self, at: usize) -> Option<char> {
        steps::take(1);
        match self.0.as_bytes().get(at.checked_sub(1)?) {
            Some(byte) if byte.is_ascii() => Some(char::from(*byte)),
            Some(_) => self.0.get(..at)?.chars().next_back(),
            None => None,
        }
    }

    pub fn byte(self, at: usize) -> Option<u8> {
        self.0.as_bytes().get(at).copied()
    }

    pub fn is_word_at(self, at: usize) -> bool {
        self.at(at).is_some_and(is_word)
    }

    pub fn is_word_before(self, at: usize) -> bool {
        self.before(at).is_some_and(is_word)
    }

    /// Returns whether a word begins or ends here.
    pub fn is_boundary(self, at: usize) -> bool {
        self.is_word_before(at) != self.is_word_at(at)
    }

    pub fn rest(self, at: usize) -> &'t str {
        self.0.get(at..).unwrap_or_default()
    }

    /// Returns how many bytes from a place on are taken.
    pub fn run(self, at: usize, takes: impl Fn(u8) -> bool) -> usize {
        let bytes = self.0.as_bytes().get(at..).unwrap_or_default();
        let length = bytes.iter().position(|byte| !takes(*byte)).unwrap_or(bytes.len());
        steps::take(length + 1);
        length
    }

    /// Returns `run`, but looks at no more than so many bytes: what matches no longer one is not counted to its end.
    pub fn run_up_to(self, at: usize, bytes_max: usize, takes: impl Fn(u8) -> bool) -> usize {
        let end = self.0.len().min(at.saturating_add(bytes_max));
        let bytes = self.0.as_bytes().get(at..end).unwrap_or_default();
        let length = bytes.iter().position(|byte| !takes(*byte)).unwrap_or(bytes.len());
        steps::take(length + 1);
        length
    }

    /// Returns the first place from `at` on whose character is wanted, or the end of the text.
    pub fn find(self, at: usize, wanted: impl Fn(char) -> bool) -> usize {
        let rest = self.rest(at);
        let length = rest.find(wanted).unwrap_or(rest.len());
        steps::take(length + 1);
        at + length
    }

    /// Returns the length in bytes of the decimal digits from a place on, and how many there are.
    pub fn digits(self, at: usize) -> (usize, usize) {
        let ascii = self.run(at, |byte| byte.is_ascii_digit());
        if self.byte(at + ascii).is_none_or(|byte| byte.is_ascii()) {
            return (ascii, ascii);
        }
        let digits = self.rest(at).chars().take_while(|c| is_digit(*c));
        let (bytes, count) = digits.fold((0, 0), |(bytes, count), c| (bytes + c.len_utf8(), count + 1));
        steps::take(bytes + 1);
        (bytes, count)
    }
}

/// The first of the ten digits of every script that writes numbers decimally.
const ZEROS: &[u32] = &[
    0x30, 0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xde6, 0xe50, 0xed0,
    0xf20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50, 0x1bb0, 0x1c40, 0x1c50, 0xa620,
    0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10, 0x104a0, 0x10d30, 0x11066, 0x110f0, 0x11136, 0x111d0,
    0x112f0, 0x11450, 0x114d0, 0x11650, 0x116c0, 0x11730, 0x118e0, 0x11950, 0x11c50, 0x11d50, 0x11da0, 0x11f50,
    0x16a60, 0x16b50, 0x1d7ce, 0x1d7d8, 0x1d7e2, 0x1d7ec, 0x1d7f6, 0x1e140, 0x1e2f0, 0x1e4f0, 0x1e950, 0x1fbf0,
];

/// Decimal digits of every script.
pub fn is_digit(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_digit();
    }
    let code = u32::from(c);
    let at = ZEROS.partition_point(|zero| *zero <= code);
    at > 0 && code - ZEROS[at - 1] < 10
}

pub fn is_lower_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

pub fn is_upper_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'A'..=b'F')
}

/// Counts what is looked at, so that tests can show that it grows with the text and not with its square.
#[cfg(test)]
pub mod steps {
    use std::cell::Cell;

    thread_local! {
        static TAKEN: Cell<usize> = const { Cell::new(0) };
    }

    pub fn take(steps: usize) {
        TAKEN.set(TAKEN.get() + steps);
    }

    /// Returns the steps that `work` takes on this thread.
    pub fn of(work: impl FnOnce()) -> usize {
        let before = TAKEN.get();
        work();
        TAKEN.get() - before
    }
}

#[cfg(not(test))]
mod steps {
    pub fn take(_steps: usize) {}
}
