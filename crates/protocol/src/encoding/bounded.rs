//! A reader that fails when more than its limit comes out of it. An `io::Take` would end quietly and pass a cut body on.

use super::EncodingError;
use std::io::{self, Read};

pub struct Bounded<R> {
    inner: R,
    left: u64,
    limit: u64,
}

impl<R: Read> Bounded<R> {
    pub fn new(inner: R, limit: u64) -> Self {
        Bounded { inner, left: limit, limit }
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        // One byte past the limit is asked for: only then it is known that there is more.
        let wanted = usize::try_from(self.left.saturating_add(1)).map_or(buffer.len(), |left| left.min(buffer.len()));
        let count = self.inner.read(&mut buffer[..wanted])?;
        match self.left.checked_sub(count as u64) {
            Some(left) => {
                self.left = left;
                Ok(count)
            }
            None => Err(io::Error::other(EncodingError::TooLarge { limit: self.limit })),
        }
    }
}
