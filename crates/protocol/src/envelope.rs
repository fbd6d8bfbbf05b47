//! Envelopes: one header line, then items of a header line and a payload each. Borrows everything from the body; `stream`
//! reads the same format from a file. Payloads are not looked into.
//!
//! Source: Sentry's SDK documentation ("Envelopes"), and Relay's behaviour where that is silent. Kinder than Relay in one
//! point: blank lines at the end are no item.

mod framing;
mod header;
pub mod stream;

pub use header::{EnvelopeHeader, HeaderError, ItemHeader, SdkInfo};

use crate::item::ItemKind;
use framing::{Found, find_header, payload_end};

/// Longest header, of the envelope or of an item. Real ones have a few hundred bytes; a trace header can have kilobytes.
pub const HEADER_BYTES_MAX: usize = 64 << 10;
/// Deepest nesting of a header. Unknown keys may nest; none that we know does by more than two.
pub const HEADER_DEPTH_MAX: u32 = 128;
/// Items in one envelope. The largest real ones (sessions in bulk) have about a hundred.
pub const ITEMS_MAX: usize = 1_000;

/// An envelope, in the body it was read from.
#[derive(Debug)]
pub struct Envelope<'a> {
    pub header: EnvelopeHeader<'a>,
    pub items: Vec<Item<'a>>,
}

/// One item, payload as sent.
#[derive(Debug)]
pub struct Item<'a> {
    pub header: ItemHeader<'a>,
    pub payload: &'a [u8],
}

/// What is wrong with an envelope's framing.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    #[error("empty request body")]
    Empty,
    #[error("invalid envelope header")]
    Header(#[source] HeaderError),
    #[error("invalid item header")]
    ItemHeader(#[source] HeaderError),
    #[error("header longer than {HEADER_BYTES_MAX} bytes")]
    HeaderTooLong,
    #[error("missing newline after header or payload")]
    MissingNewline,
    #[error("unexpected end of file")]
    UnexpectedEnd,
    #[error("more than {ITEMS_MAX} items in one envelope")]
    TooManyItems,
    #[error("items of type 'integration' are not accepted")]
    InternalItem,
}

impl<'a> Envelope<'a> {
    /// Reads a whole envelope. Item kinds that are not known are kept as `ItemKind::Unknown`.
    ///
    /// # Errors
    /// The first thing that is wrong with the framing; sizes are `limits::check`'s.
    pub fn parse(body: &'a [u8]) -> Result<Self, EnvelopeError> {
        let (header, mut at) = EnvelopeHeader::parse_first(body)?;
        let mut items = Vec::new();
        while let Some((item, next)) = Item::parse_at(body, at)? {
            if items.len() == ITEMS_MAX {
                return Err(EnvelopeError::TooManyItems);
            }
            items.push(item);
            at = next;
        }
        Ok(Envelope { header, items })
    }

    /// Returns whether any item belongs to an event, so that the envelope needs an event id.
    pub fn is_event_bound(&self) -> bool {
        self.items.iter().any(|item| item.header.is_event_bound())
    }

    /// Returns the first item of a kind.
    pub fn find(&self, kind: &ItemKind<'_>) -> Option<&Item<'a>> {
        self.items.iter().find(|item| item.header.kind == *kind)
    }
}

impl<'a> EnvelopeHeader<'a> {
    /// Reads the first line of `body` only; returns where the items start.
    ///
    /// # Errors
    /// As `Envelope::parse`, for this line.
    pub fn parse_first(body: &'a [u8]) -> Result<(Self, usize), EnvelopeError> {
        match find_header(body, 0) {
            Found::Header { text, next } => {
                let header = EnvelopeHeader::parse(text).map_err(EnvelopeError::Header)?;
                Ok((header, next.ok_or(EnvelopeError::MissingNewline)?))
            }
            Found::Nothing => Err(EnvelopeError::Empty),
            Found::Malformed(error) => Err(EnvelopeError::Header(error)),
            Found::TooLong => Err(EnvelopeError::HeaderTooLong),
        }
    }
}

impl<'a> Item<'a> {
    fn parse_at(body: &'a [u8], at: usize) -> Result<Option<(Self, usize)>, EnvelopeError> {
        let (header, start) = match find_header(body, at) {
            Found::Header { text, next } => {
                let header = ItemHeader::parse(text).map_err(EnvelopeError::ItemHeader)?;
                (header, next.ok_or(EnvelopeError::MissingNewline)?)
            }
            Found::Nothing => return Ok(None),
            Found::Malformed(error) => return Err(EnvelopeError::ItemHeader(error)),
            Found::TooLong => return Err(EnvelopeError::HeaderTooLong),
        };
        if header.kind == ItemKind::Integration {
            return Err(EnvelopeError::InternalItem);
        }
        let (end, next) = payload_end(body, start, header.length)?;
        Ok(Some((Item { payload: &body[start..end], header }, next)))
    }
}
