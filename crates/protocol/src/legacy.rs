//! Bodies of the `store/` endpoint as old clients send them: JSON, base64 of JSON, or base64 of zlib of JSON. Sees the body
//! after its content encoding was taken off; judges no JSON.

use crate::encoding::{self, Encoding, EncodingError};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::{Engine, alphabet};
use std::borrow::Cow;

/// The standard alphabet, lenient at the end: clients forget padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

#[derive(Debug, thiserror::Error)]
pub enum LegacyError {
    #[error("empty request body")]
    Empty,
    #[error("decode base64 body")]
    Base64(#[source] base64::DecodeError),
    #[error("inflate base64 body")]
    Encoding(#[source] EncodingError),
}

/// Returns the JSON text of a `store/` body, or of the `sentry_data` of a query string.
///
/// # Errors
/// `Empty`, or what could not be decoded; `EncodingError::TooLarge` when more than `limit` bytes come out.
pub fn store_body(body: &[u8], limit: u64) -> Result<Cow<'_, [u8]>, LegacyError> {
    let body = body.trim_ascii();
    if body.is_empty() {
        return Err(LegacyError::Empty);
    }
    if body.starts_with(b"{") {
        return match body.len() as u64 > limit {
            true => Err(LegacyError::Encoding(EncodingError::TooLarge { limit })),
            false => Ok(Cow::Borrowed(body)),
        };
    }
    let decoded = decode_base64(body)?;
    if decoded.starts_with(b"{") {
        return match decoded.len() as u64 > limit {
            true => Err(LegacyError::Encoding(EncodingError::TooLarge { limit })),
            false => Ok(Cow::Owned(decoded)),
        };
    }
    let inflated = encoding::decode(Encoding::Deflate, &decoded, limit).map_err(LegacyError::Encoding)?;
    Ok(Cow::Owned(inflated.into_owned()))
}

/// Line breaks are taken out and a space stands for the `+` that a query string turned into it.
fn decode_base64(text: &[u8]) -> Result<Vec<u8>, LegacyError> {
    if !text.iter().any(u8::is_ascii_whitespace) {
        return BASE64.decode(text).map_err(LegacyError::Base64);
    }
    let cleaned: Vec<u8> = text
        .iter()
        .filter(|byte| !matches!(byte, b'\r' | b'\n' | b'\t'))
        .map(|byte| if *byte == b' ' { b'+' } else { *byte })
        .collect();
    BASE64.decode(cleaned).map_err(LegacyError::Base64)
}
