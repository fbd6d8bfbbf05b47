//! Envelopes too large for memory: yields header after header from a reader, and lets the caller copy, read or skip each
//! payload. Holds one header and the reader's buffer, whatever the body's size. The same rules as `Envelope::parse`.

use super::framing::{HeaderScan, Scanned, is_blank};
use super::{EnvelopeError, EnvelopeHeader, HEADER_BYTES_MAX, HeaderError, ITEMS_MAX, ItemHeader};
use crate::item::ItemKind;
use std::io::{self, BufRead, Write};

/// Why a stream cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// The reader failed. A decoder's limit is in here too: see `EncodingError::from_io`.
    #[error("read envelope body")]
    Read(#[source] io::Error),
    #[error("write item payload")]
    Write(#[source] io::Error),
    #[error("item payload exceeds {limit} bytes")]
    PayloadTooLarge { limit: u64 },
}

/// A reader in the middle of an envelope.
pub struct EnvelopeReader<R> {
    reader: R,
    header: EnvelopeHeader<'static>,
    items: usize,
    /// What is left of the current item's payload.
    payload: Payload,
}

#[derive(Clone, Copy)]
enum Payload {
    Done,
    Bytes(u64),
    Line,
}

impl<R: BufRead> EnvelopeReader<R> {
    /// Reads the envelope's header.
    ///
    /// # Errors
    /// As `Envelope::parse`, or when reading fails.
    pub fn new(mut reader: R) -> Result<Self, StreamError> {
        let text = read_header(&mut reader, EnvelopeError::Header)?.ok_or(EnvelopeError::Empty)?;
        let header = EnvelopeHeader::parse(&text).map_err(EnvelopeError::Header)?.into_owned();
        expect_line_end(&mut reader)?;
        Ok(EnvelopeReader { reader, header, items: 0, payload: Payload::Done })
    }

    pub fn header(&self) -> &EnvelopeHeader<'static> {
        &self.header
    }

    /// Returns the next item's header, or `None` at the end. What the caller left of the last payload is skipped.
    ///
    /// # Errors
    /// As `Envelope::parse`, or when reading fails.
    pub fn next_item(&mut self) -> Result<Option<ItemHeader<'static>>, StreamError> {
        self.skip_payload()?;
        let Some(text) = read_header(&mut self.reader, EnvelopeError::ItemHeader)? else {
            return Ok(None);
        };
        if self.items == ITEMS_MAX {
            return Err(EnvelopeError::TooManyItems.into());
        }
        self.items += 1;
        let header = ItemHeader::parse(&text).map_err(EnvelopeError::ItemHeader)?.into_owned();
        expect_line_end(&mut self.reader)?;
        if header.kind == ItemKind::Integration {
            return Err(EnvelopeError::InternalItem.into());
        }
        self.payload = header.length.map_or(Payload::Line, Payload::Bytes);
        Ok(Some(header))
    }

    /// Passes over the payload; returns how many bytes it had left.
    ///
    /// # Errors
    /// When the payload is shorter than announced, or reading fails.
    pub fn skip_payload(&mut self) -> Result<u64, StreamError> {
        self.take_payload(u64::MAX, |_| Ok(()))
    }

    /// Copies the payload to `out`; returns its bytes.
    ///
    /// # Errors
    /// `PayloadTooLarge` as soon as it has more than `limit` bytes, `Write`, or as `skip_payload`.
    pub fn copy_payload(&mut self, out: &mut impl Write, limit: u64) -> Result<u64, StreamError> {
        self.take_payload(limit, |piece| out.write_all(piece).map_err(StreamError::Write))
    }

    /// Returns the payload.
    ///
    /// # Errors
    /// As `copy_payload`.
    pub fn read_payload(&mut self, limit: u64) -> Result<Vec<u8>, StreamError> {
        let mut payload = Vec::new();
        self.copy_payload(&mut payload, limit)?;
        Ok(payload)
    }

    fn take_payload(
        &mut self,
        limit: u64,
        mut take: impl FnMut(&[u8]) -> Result<(), StreamError>,
    ) -> Result<u64, StreamError> {
        let mut taken = 0;
        loop {
            if let Payload::Bytes(0) = self.payload {
                self.payload = Payload::Done;
                expect_line_end(&mut self.reader)?;
            }
            let available = match self.payload {
                Payload::Done => return Ok(taken),
                Payload::Bytes(_) | Payload::Line => fill(&mut self.reader)?,
            };
            let (piece, used, rest) = next_piece(available, self.payload)?;
            taken += piece.len() as u64;
            if taken > limit {
                return Err(StreamError::PayloadTooLarge { limit });
            }
            take(piece)?;
            self.payload = rest;
            self.reader.consume(used);
        }
    }
}

/// Returns the part of `available` that is payload, the bytes to consume, and what is left of the payload after it.
fn next_piece(available: &[u8], payload: Payload) -> Result<(&[u8], usize, Payload), StreamError> {
    match payload {
        Payload::Done => Ok((&[], 0, Payload::Done)),
        Payload::Bytes(_) if available.is_empty() => Err(EnvelopeError::UnexpectedEnd.into()),
        Payload::Bytes(left) => {
            let count = usize::try_from(left).map_or(available.len(), |left| left.min(available.len()));
            Ok((&available[..count], count, Payload::Bytes(left - count as u64)))
        }
        Payload::Line if available.is_empty() => Ok((&[], 0, Payload::Done)),
        Payload::Line => Ok(match available.iter().position(|byte| *byte == b'\n') {
            Some(end) => (&available[..end], end + 1, Payload::Done),
            None => (available, available.len(), Payload::Line),
        }),
    }
}

/// Returns the next header's text, or `None` when only white space is left.
fn read_header<R: BufRead>(
    reader: &mut R,
    malformed: fn(HeaderError) -> EnvelopeError,
) -> Result<Option<Vec<u8>>, StreamError> {
    if !skip_blanks(reader)? {
        return Ok(None);
    }
    let mut text = Vec::new();
    let mut scan = HeaderScan::default();
    loop {
        let available = fill(reader)?;
        if available.is_empty() {
            return Err(malformed(HeaderError::Truncated).into());
        }
        let window = &available[..available.len().min(HEADER_BYTES_MAX - text.len())];
        if window.is_empty() {
            return Err(EnvelopeError::HeaderTooLong.into());
        }
        let (count, is_end) = match scan.advance(window) {
            Scanned::End(count) => (count, true),
            Scanned::More => (window.len(), false),
            Scanned::Malformed(error) => return Err(malformed(error).into()),
        };
        text.extend_from_slice(&window[..count]);
        reader.consume(count);
        if is_end {
            return Ok(Some(text));
        }
    }
}

/// Returns whether anything else follows.
fn skip_blanks<R: BufRead>(reader: &mut R) -> Result<bool, StreamError> {
    loop {
        let available = fill(reader)?;
        if available.is_empty() {
            return Ok(false);
        }
        let blanks = available.iter().take_while(|byte| is_blank(**byte)).count();
        let is_found = blanks < available.len();
        reader.consume(blanks);
        if is_found {
            return Ok(true);
        }
    }
}

/// Consumes a line end; the end of the body counts as one.
fn expect_line_end<R: BufRead>(reader: &mut R) -> Result<(), StreamError> {
    match fill(reader)?.first() {
        None => Ok(()),
        Some(b'\n') => {
            reader.consume(1);
            Ok(())
        }
        Some(_) => Err(EnvelopeError::MissingNewline.into()),
    }
}

fn fill<R: BufRead>(reader: &mut R) -> Result<&[u8], StreamError> {
    reader.fill_buf().map_err(StreamError::Read)
}
