//! Where headers and payloads begin and end. Shared by the reader of slices and the reader of files, so that both agree on
//! every trap.

use super::{EnvelopeError, HEADER_BYTES_MAX, HEADER_DEPTH_MAX, HeaderError};
use std::io::BufRead;

/// What stands at a place where a header is due.
pub enum Found<'a> {
    /// The header's text, and where the payload starts: `None` when something else than a line end follows.
    Header {
        text: &'a [u8],
        next: Option<usize>,
    },
    /// Only white space up to the end of the body.
    Nothing,
    Malformed(HeaderError),
    TooLong,
}

/// Looks for a header from `at` on. White space before it is swallowed, as JSON readers do.
pub fn find_header(body: &[u8], at: usize) -> Found<'_> {
    let rest = &body[at..];
    let Some(blank) = rest.iter().position(|byte| !is_blank(*byte)) else {
        return Found::Nothing;
    };
    let start = at + blank;
    let mut scan = HeaderScan::default();
    let window = &body[start..body.len().min(start + HEADER_BYTES_MAX)];
    match scan.advance(window) {
        Scanned::End(length) => {
            let end = start + length;
            Found::Header { text: &body[start..end], next: after_line_end(body, end) }
        }
        Scanned::Malformed(error) => Found::Malformed(error),
        Scanned::More if body.len() - start > HEADER_BYTES_MAX => Found::TooLong,
        Scanned::More => Found::Malformed(HeaderError::Truncated),
    }
}

/// Returns where the payload that starts at `start` ends, and where the next header is looked for.
pub fn payload_end(body: &[u8], start: usize, length: Option<u64>) -> Result<(usize, usize), EnvelopeError> {
    let Some(length) = length else {
        let end = start + line_length(&body[start..]);
        // The line ends at a line end or at the end of the body, so there is always a next place.
        return Ok((end, body.len().min(end + 1)));
    };
    let available = body.len() - start;
    let length = usize::try_from(length).ok().filter(|length| *length <= available);
    let end = start + length.ok_or(EnvelopeError::UnexpectedEnd)?;
    let next = after_line_end(body, end).ok_or(EnvelopeError::MissingNewline)?;
    Ok((end, next))
}

pub const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// Returns the place behind the line end at `at`; the end of the body counts as one.
fn after_line_end(body: &[u8], at: usize) -> Option<usize> {
    match body.get(at) {
        None => Some(at),
        Some(b'\n') => Some(at + 1),
        Some(_) => None,
    }
}

/// Returns the number of bytes before the first line end, or all of them.
fn line_length(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    // The standard library's fast search; reading from a slice cannot fail.
    let skipped = rest.skip_until(b'\n').expect("a slice is read without failing");
    if skipped > 0 && bytes[skipped - 1] == b'\n' { skipped - 1 } else { skipped }
}

/// Finds the end of a JSON object that may come in pieces, knowing no more of JSON than strings and brackets. What is
/// inside is judged by the JSON reader afterwards.
#[derive(Default)]
pub struct HeaderScan {
    depth: u32,
    is_in_string: bool,
    is_escaped: bool,
}

pub enum Scanned {
    /// The object ends after this many bytes of the piece.
    End(usize),
    More,
    Malformed(HeaderError),
}

impl HeaderScan {
    pub fn advance(&mut self, piece: &[u8]) -> Scanned {
        for (at, byte) in piece.iter().enumerate() {
            if self.is_in_string {
                match byte {
                    _ if self.is_escaped => self.is_escaped = false,
                    b'\\' => self.is_escaped = true,
                    b'"' => self.is_in_string = false,
                    // No JSON string holds a bare line end: without this a broken header would eat the next lines.
                    b'\n' => return Scanned::Malformed(HeaderError::Truncated),
                    _ => {}
                }
                continue;
            }
            match byte {
                b'{' | b'[' if self.depth == HEADER_DEPTH_MAX => return Scanned::Malformed(HeaderError::TooDeep),
                b'{' => self.depth += 1,
                b'[' if self.depth > 0 => self.depth += 1,
                b'}' | b']' if self.depth == 1 => return Scanned::End(at + 1),
                b'}' | b']' if self.depth > 1 => self.depth -= 1,
                _ if self.depth == 0 => return Scanned::Malformed(HeaderError::NotAnObject),
                b'"' => self.is_in_string = true,
                _ => {}
            }
        }
        Scanned::More
    }
}
