//! Decoders as readers, for bodies that lie in files. Memory is bounded by the encodings' windows.

use super::{Bounded, Encoding};
use brotli_decompressor::Decompressor;
use flate2::bufread::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use std::io::{self, BufRead, Read};

/// Largest zstd window: what RFC 8878 asks every decoder to support. The library's own default is 128 MiB.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;
/// Input buffer of the brotli decoder.
const BROTLI_BUFFER_BYTES: usize = 4 << 10;

/// Returns a reader of the decoded body, which fails with an `EncodingError` inside (see `EncodingError::from_io`) when
/// more than `limit` bytes come out.
///
/// # Errors
/// If the first bytes cannot be read, or the decoder cannot be set up.
pub fn decoder<'a, R: BufRead + 'a>(encoding: Encoding, mut body: R, limit: u64) -> io::Result<Box<dyn Read + 'a>> {
    Ok(match encoding {
        Encoding::Identity => Box::new(Bounded::new(body, limit)),
        Encoding::Gzip => Box::new(Bounded::new(MultiGzDecoder::new(body), limit)),
        Encoding::Deflate if has_zlib_header(body.fill_buf()?) => Box::new(Bounded::new(ZlibDecoder::new(body), limit)),
        Encoding::Deflate => Box::new(Bounded::new(DeflateDecoder::new(body), limit)),
        Encoding::Brotli => Box::new(Bounded::new(Decompressor::new(body, BROTLI_BUFFER_BYTES), limit)),
        Encoding::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(body)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
            Box::new(Bounded::new(decoder, limit))
        }
    })
}

/// Tells zlib from raw deflate, which some clients send for `deflate`. A raw stream that looked like this would start
/// with a stored block whose padding bits are set, which no encoder writes.
fn has_zlib_header(start: &[u8]) -> bool {
    match start {
        [method, flags, ..] => {
            method & 0x0f == 8 && method >> 4 <= 7 && u16::from_be_bytes([*method, *flags]) % 31 == 0
        }
        _ => false,
    }
}
