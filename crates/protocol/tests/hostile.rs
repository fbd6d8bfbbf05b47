//! Evil input: everything ends at a named limit, quickly, and in bounded memory.

use crate::bodies::{gzip, zlib};
use protocol::encoding::{Encoding, EncodingError, decode, decoder};
use protocol::envelope::stream::{EnvelopeReader, StreamError};
use protocol::item::event::glimpse;
use protocol::limits::{self, LimitError};
use protocol::{Envelope, Refusal, legacy};
use std::io::{BufReader, Read};
use std::time::{Duration, Instant};

const MIB: usize = 1 << 20;
/// Generous for a debug build on a busy machine; what is meant is "not minutes".
const SOON: Duration = Duration::from_secs(20);

/// A gigabyte of zeros in about a megabyte: one member repeated, as gzip allows.
fn gigabyte_of_zeros() -> Vec<u8> {
    gzip(&vec![0; 16 * MIB]).repeat(64)
}

#[test]
fn a_gzip_bomb_ends_at_the_limit() {
    let bomb = gigabyte_of_zeros();
    let started = Instant::now();
    let error = decode(Encoding::Gzip, &bomb, MIB as u64).unwrap_err();
    assert!(matches!(error, EncodingError::TooLarge { limit } if limit == MIB as u64), "{error}");
    assert_eq!(Refusal::from(error).status(), 413);
    let mut reader = decoder(Encoding::Gzip, bomb.as_slice(), 50 * MIB as u64).unwrap();
    let mut passed = 0;
    let mut buffer = vec![0; 64 << 10];
    let error = loop {
        match reader.read(&mut buffer) {
            Ok(0) => panic!("the bomb ended before the limit"),
            Ok(count) => passed += count,
            Err(error) => break EncodingError::from_io(error, Encoding::Gzip),
        }
    };
    assert!(matches!(error, EncodingError::TooLarge { .. }) && passed <= 50 * MIB);
    assert!(started.elapsed() < SOON, "{:?}", started.elapsed());
}

#[test]
fn bombs_of_the_other_encodings_end_at_the_limit() {
    let zeros = vec![0; 32 * MIB];
    let limit = MIB as u64;
    for (encoding, bomb) in
        [(Encoding::Deflate, zlib(&zeros)), (Encoding::Zstd, zstd::encode_all(zeros.as_slice(), 1).unwrap())]
    {
        let error = decode(encoding, &bomb, limit).unwrap_err();
        assert!(matches!(error, EncodingError::TooLarge { .. }), "{encoding:?}: {error}");
    }
    let brotli_bomb = include_bytes!("golden/zeros_32mib.br");
    let error = decode(Encoding::Brotli, brotli_bomb, limit).unwrap_err();
    assert!(matches!(error, EncodingError::TooLarge { .. }), "{error}");
}

#[test]
fn a_zstd_frame_that_wants_a_huge_window_is_refused() {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(27).unwrap();
    encoder.long_distance_matching(true).unwrap();
    std::io::copy(&mut std::io::repeat(7).take(100), &mut encoder).unwrap();
    let frame = encoder.finish().unwrap();
    let error = decode(Encoding::Zstd, &frame, 1_000).unwrap_err();
    assert!(matches!(error, EncodingError::Corrupt { .. }), "{error}");
}

#[test]
fn a_string_of_100_mb_is_refused_by_size() {
    let mut body = b"{}\n{\"type\":\"event\"}\n{\"message\":\"".to_vec();
    body.resize(body.len() + 100_000_000, b'x');
    body.extend_from_slice(b"\"}\n");
    let started = Instant::now();
    let error = limits::check(&Envelope::parse(&body).unwrap()).unwrap_err();
    assert!(matches!(error, LimitError::TooLarge { kind: "event", .. }), "{error}");
    assert!(legacy::store_body(&body[20..], limits::EVENT_BYTES_MAX).is_err());
    let mut header = b"{\"x\":\"".to_vec();
    header.resize(100_000_000, b'x');
    let refusal = Refusal::from(Envelope::parse(&header).unwrap_err());
    assert_eq!(refusal.causes(), ["header longer than 65536 bytes"]);
    assert!(started.elapsed() < SOON, "{:?}", started.elapsed());
}

#[test]
fn ten_thousand_items_are_answered_with_the_limit() {
    let body = [b"{}\n".as_slice(), &b"{\"type\":\"session\"}\n{}\n".repeat(10_000)].concat();
    let refusal = Refusal::from(Envelope::parse(&body).unwrap_err());
    assert_eq!(refusal.status(), 413);
    assert_eq!(refusal.to_string(), "envelope exceeded size limits for type 'envelope' (more than 1000 items)");
}

#[test]
fn lying_lengths_never_reach_behind_the_body() {
    for length in ["5", "4294967296", "9223372036854775807", "18446744073709551615", "1e3", "01", "-0"] {
        let body = format!("{{}}\n{{\"type\":\"attachment\",\"length\":{length}}}\nabc");
        let error = Envelope::parse(body.as_bytes()).unwrap_err();
        assert_eq!(Refusal::from(error).status(), 400, "{length}");
        let mut reader = EnvelopeReader::new(body.as_bytes()).unwrap();
        let streamed = reader.next_item().and_then(|_| reader.skip_payload());
        assert!(matches!(streamed, Err(StreamError::Envelope(_))), "{length}");
    }
}

#[test]
fn deep_headers_and_payloads_are_refused_without_a_deep_stack() {
    let deep = format!("{{\"x\":{}{}}}", "[".repeat(30_000), "]".repeat(30_000));
    assert!(Envelope::parse(deep.as_bytes()).is_err());
    let item = format!("{{}}\n{}", deep.replacen("{", "{\"type\":\"event\",", 1));
    assert!(Envelope::parse(item.as_bytes()).is_err());
    let open = format!("{{\"x\":{}", "[".repeat(10_000_000));
    assert!(Envelope::parse(open.as_bytes()).is_err());
    // Whether a deep payload is an event is the digest's to say; here it must only end.
    glimpse(format!("{{\"x\":{}{}}}", "[".repeat(400_000), "]".repeat(400_000)).as_bytes()).ok();
    glimpse(open.as_bytes()).ok();
}

#[test]
fn a_hundred_megabytes_of_blank_lines_are_no_items() {
    let mut body = b"{}\n{\"type\":\"a\"}\nx\n".to_vec();
    body.resize(100_000_000, b'\n');
    let started = Instant::now();
    assert_eq!(Envelope::parse(&body).unwrap().items.len(), 1);
    let mut reader = EnvelopeReader::new(BufReader::new(body.as_slice())).unwrap();
    assert!(reader.next_item().unwrap().is_some());
    assert!(reader.next_item().unwrap().is_none());
    assert!(started.elapsed() < SOON, "{:?}", started.elapsed());
}
