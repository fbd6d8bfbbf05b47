//! Content encodings of request bodies: what the header may say, and decoding that ends at a limit while it decodes, so
//! that a bomb costs no more than the limit.

mod bounded;
mod streaming;

pub use streaming::decoder;

use bounded::Bounded;
use std::borrow::Cow;
use std::io::{self, Read};

/// Encodings that one request may name beyond which the header is not looked at.
const NAMES_MAX: usize = 8;
/// Room set aside before decoding, as a multiple of the encoded size: JSON packs to a sixth or so.
const EXPECTED_RATIO: usize = 6;
/// Most room set aside before decoding.
const RESERVED_BYTES_MAX: usize = 1 << 20;

/// How a body is encoded.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    #[default]
    Identity,
    Gzip,
    Deflate,
    #[serde(rename = "br")]
    Brotli,
    Zstd,
}

#[derive(Debug, thiserror::Error)]
pub enum EncodingError {
    #[error("unsupported content encoding '{name}'")]
    Unsupported { name: String },
    #[error("several content encodings in one request")]
    Several,
    #[error("decode {} body", encoding.name())]
    Corrupt { encoding: Encoding, source: io::Error },
    #[error("decoded body exceeds {limit} bytes")]
    TooLarge { limit: u64 },
}

impl Encoding {
    /// Reads the value of `Content-Encoding`. Nothing, `identity` and `UTF-8` (old Java clients) mean no encoding.
    ///
    /// # Errors
    /// `Unsupported` for another name, `Several` for a list of more than one.
    pub fn parse(header: &str) -> Result<Self, EncodingError> {
        let mut found = None;
        for name in header.split(',').map(str::trim).take(NAMES_MAX) {
            let Some(encoding) = Self::of_name(name)? else {
                continue;
            };
            if found.replace(encoding).is_some() {
                return Err(EncodingError::Several);
            }
        }
        Ok(found.unwrap_or_default())
    }

    fn of_name(name: &str) -> Result<Option<Self>, EncodingError> {
        let encoding = match name.to_ascii_lowercase().as_str() {
            "" | "identity" | "utf-8" | "utf8" => return Ok(None),
            "gzip" | "x-gzip" => Encoding::Gzip,
            "deflate" => Encoding::Deflate,
            "br" => Encoding::Brotli,
            "zstd" => Encoding::Zstd,
            _ => {
                let name = name.chars().take(32).collect();
                return Err(EncodingError::Unsupported { name });
            }
        };
        Ok(Some(encoding))
    }

    pub const fn name(self) -> &'static str {
        match self {
            Encoding::Identity => "identity",
            Encoding::Gzip => "gzip",
            Encoding::Deflate => "deflate",
            Encoding::Brotli => "br",
            Encoding::Zstd => "zstd",
        }
    }
}

impl EncodingError {
    /// Returns the error of this crate inside an `io::Error` that a `decoder` returned, or `Corrupt` around it.
    pub fn from_io(error: io::Error, encoding: Encoding) -> Self {
        match error.downcast::<EncodingError>() {
            Ok(error) => error,
            Err(source) => EncodingError::Corrupt { encoding, source },
        }
    }
}

/// Returns the decoded body, borrowed when there was nothing to decode. An empty body is empty in every encoding.
///
/// # Errors
/// `TooLarge` as soon as more than `limit` bytes came out, `Corrupt` for a broken or truncated stream.
pub fn decode(encoding: Encoding, body: &[u8], limit: u64) -> Result<Cow<'_, [u8]>, EncodingError> {
    if body.is_empty() {
        return Ok(Cow::Borrowed(body));
    }
    if encoding == Encoding::Identity {
        return if body.len() as u64 > limit {
            Err(EncodingError::TooLarge { limit })
        } else {
            Ok(Cow::Borrowed(body))
        };
    }
    let expected = body.len().saturating_mul(EXPECTED_RATIO).min(RESERVED_BYTES_MAX);
    let mut decoded = Vec::with_capacity(expected);
    decoder(encoding, body, limit)
        .and_then(|mut reader| reader.read_to_end(&mut decoded))
        .map_err(|error| EncodingError::from_io(error, encoding))?;
    Ok(Cow::Owned(decoded))
}
