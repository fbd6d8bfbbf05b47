//! Content encodings and the old forms of `store/` bodies.

use base64::Engine;
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use protocol::encoding::{Encoding, EncodingError, decode, decoder};
use protocol::legacy::{LegacyError, store_body};
use std::borrow::Cow;
use std::io::{BufReader, Read, Write};

const TEXT: &[u8] = b"{\"message\":\"hello hello hello hello\"}";
/// `TEXT` as Node's zlib module writes it: we only have a decoder.
const BROTLI: &[u8] = include_bytes!("golden/hello.br");
const LIMIT: u64 = 1 << 20;

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn raw_deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).unwrap()
}

fn encodings() -> Vec<(Encoding, Vec<u8>)> {
    vec![
        (Encoding::Gzip, gzip(TEXT)),
        (Encoding::Deflate, zlib(TEXT)),
        (Encoding::Deflate, raw_deflate(TEXT)),
        (Encoding::Zstd, zstd(TEXT)),
        (Encoding::Brotli, BROTLI.to_vec()),
    ]
}

#[test]
fn names_are_read_leniently_and_lists_refused() {
    fn check(header: &str, expected: Encoding) {
        assert_eq!(Encoding::parse(header).unwrap(), expected, "{header}");
    }
    check("", Encoding::Identity);
    check(" ", Encoding::Identity);
    check("identity", Encoding::Identity);
    check("UTF-8", Encoding::Identity);
    check("GZIP", Encoding::Gzip);
    check("x-gzip", Encoding::Gzip);
    check(" deflate ", Encoding::Deflate);
    check("br", Encoding::Brotli);
    check("zstd", Encoding::Zstd);
    check("identity, gzip", Encoding::Gzip);
    assert!(matches!(Encoding::parse("gzip, br"), Err(EncodingError::Several)));
    assert!(matches!(Encoding::parse("gzip,gzip"), Err(EncodingError::Several)));
    assert!(matches!(Encoding::parse("snappy"), Err(EncodingError::Unsupported { .. })));
}

#[test]
fn every_encoding_is_decoded_in_memory_and_as_a_stream() {
    for (encoding, body) in encodings() {
        assert_eq!(decode(encoding, &body, LIMIT).unwrap(), TEXT, "{encoding:?}");
        let mut streamed = Vec::new();
        let reader = BufReader::with_capacity(7, body.as_slice());
        decoder(encoding, reader, LIMIT).unwrap().read_to_end(&mut streamed).unwrap();
        assert_eq!(streamed, TEXT, "{encoding:?}");
        assert_eq!(decode(encoding, b"", LIMIT).unwrap(), b"".as_slice(), "{encoding:?}");
    }
    assert!(matches!(decode(Encoding::Identity, TEXT, LIMIT), Ok(Cow::Borrowed(_))));
}

#[test]
fn a_gzip_body_of_several_members_is_read_whole() {
    let body = [gzip(b"{}\n"), gzip(b"{\"type\":\"x\"}\n")].concat();
    assert_eq!(decode(Encoding::Gzip, &body, LIMIT).unwrap(), b"{}\n{\"type\":\"x\"}\n".as_slice());
}

#[test]
fn a_limit_is_exact_in_every_encoding() {
    let length = TEXT.len() as u64;
    for (encoding, body) in encodings() {
        assert!(decode(encoding, &body, length).is_ok(), "{encoding:?}");
        let error = decode(encoding, &body, length - 1).unwrap_err();
        assert!(matches!(error, EncodingError::TooLarge { limit } if limit == length - 1), "{encoding:?}: {error}");
    }
}

#[test]
fn truncated_and_foreign_bodies_are_corrupt() {
    for (encoding, body) in encodings() {
        for cut in [&body[..body.len() / 2], &body[..1], b"plain text, not encoded at all".as_slice()] {
            let error = decode(encoding, cut, LIMIT).unwrap_err();
            assert!(matches!(error, EncodingError::Corrupt { .. }), "{encoding:?}: {error}");
        }
    }
}

#[test]
fn store_bodies_of_every_age_are_read() {
    let base64 = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes).into_bytes();
    fn check(body: &[u8]) {
        assert_eq!(store_body(body, LIMIT).unwrap(), TEXT, "{body:?}");
    }
    check(TEXT);
    check(&[b" \r\n", TEXT, b"\n"].concat());
    check(&base64(TEXT));
    check(&base64(&zlib(TEXT)));
    let packed = base64(&zlib(TEXT));
    check(&packed.chunks(20).collect::<Vec<_>>().join(b"\r\n".as_slice()));
    check(packed.strip_suffix(b"=").map_or(packed.as_slice(), |cut| cut.strip_suffix(b"=").unwrap_or(cut)));
    let spaced: Vec<u8> = packed.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    check(&spaced);
}

#[test]
fn store_bodies_that_are_none_are_refused() {
    assert!(matches!(store_body(b"", LIMIT), Err(LegacyError::Empty)));
    assert!(matches!(store_body(b"\n \t", LIMIT), Err(LegacyError::Empty)));
    assert!(matches!(store_body(b"<xml/>", LIMIT), Err(LegacyError::Base64(_))));
    assert!(matches!(store_body(b"bm90aGluZw==", LIMIT), Err(LegacyError::Encoding(EncodingError::Corrupt { .. }))));
    let bomb = base64::engine::general_purpose::STANDARD.encode(zlib(&vec![b' '; 4 << 20]));
    let error = store_body(bomb.as_bytes(), LIMIT).unwrap_err();
    assert!(matches!(error, LegacyError::Encoding(EncodingError::TooLarge { limit: LIMIT })), "{error}");
}
