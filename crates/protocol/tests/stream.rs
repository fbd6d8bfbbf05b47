//! Envelopes read from a reader: payloads copied, read and skipped, and failures of the reader.

use protocol::encoding::{Encoding, EncodingError, decoder};
use protocol::envelope::stream::{EnvelopeReader, StreamError};
use std::io::{BufReader, Read};

/// Reads `body` through a buffer of `capacity` bytes and describes it as `envelopes::describe` does.
pub fn read_streamed(body: &[u8], capacity: usize) -> String {
    fn read(body: &[u8], capacity: usize) -> Result<Vec<String>, StreamError> {
        let mut reader = EnvelopeReader::new(BufReader::with_capacity(capacity, body))?;
        let mut items = Vec::new();
        while let Some(header) = reader.next_item()? {
            let payload = reader.read_payload(u64::MAX)?;
            items.push(format!("{}={}", header.kind, payload.escape_ascii()));
        }
        Ok(items)
    }
    match read(body, capacity) {
        Ok(items) => items.join(" "),
        Err(error) => error.to_string(),
    }
}

#[test]
fn payloads_are_copied_skipped_or_forgotten() {
    let body = b"{}\n{\"type\":\"a\",\"length\":3}\nabc\n{\"type\":\"b\"}\ndefg\n{\"type\":\"c\",\"length\":2}\nhi";
    let mut reader = EnvelopeReader::new(body.as_slice()).unwrap();
    let mut copy = Vec::new();
    assert_eq!(reader.next_item().unwrap().unwrap().kind.name(), "a");
    assert_eq!(reader.copy_payload(&mut copy, 3).unwrap(), 3);
    assert_eq!(reader.next_item().unwrap().unwrap().kind.name(), "b");
    // Forgotten: the next call passes over it.
    assert_eq!(reader.next_item().unwrap().unwrap().kind.name(), "c");
    assert_eq!(reader.skip_payload().unwrap(), 2);
    assert!(reader.next_item().unwrap().is_none());
    assert!(reader.next_item().unwrap().is_none());
    assert_eq!(copy, b"abc");
}

#[test]
fn a_payload_over_the_callers_limit_stops_at_once() {
    for header in ["{\"type\":\"a\",\"length\":1000000}", "{\"type\":\"a\"}"] {
        let body = format!("{{}}\n{header}\n{}", "x".repeat(1_000_000));
        let mut reader = EnvelopeReader::new(BufReader::with_capacity(4 << 10, body.as_bytes())).unwrap();
        reader.next_item().unwrap();
        let mut copy = Vec::new();
        let error = reader.copy_payload(&mut copy, 10_000).unwrap_err();
        assert!(matches!(error, StreamError::PayloadTooLarge { limit: 10_000 }), "{error}");
        assert!(copy.len() <= 10_000);
    }
}

#[test]
fn a_decoders_limit_comes_through() {
    let body = crate::bodies::gzip(&[b"{}\n{\"type\":\"a\"}\n".as_slice(), &[b'x'; 100_000]].concat());
    let decoded = BufReader::new(decoder(Encoding::Gzip, body.as_slice(), 50_000).unwrap());
    let mut reader = EnvelopeReader::new(decoded).unwrap();
    reader.next_item().unwrap();
    let Err(StreamError::Read(error)) = reader.skip_payload() else {
        panic!("the decoder's limit was passed");
    };
    assert!(matches!(EncodingError::from_io(error, Encoding::Gzip), EncodingError::TooLarge { limit: 50_000 }));
}

#[test]
fn a_reader_that_fails_is_told_apart_from_a_bad_envelope() {
    struct Failing;
    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("disk"))
        }
    }
    let body = BufReader::new(b"{}\n{\"type\":\"a\"}\nxyz".chain(Failing));
    let mut reader = EnvelopeReader::new(body).unwrap();
    reader.next_item().unwrap();
    assert!(matches!(reader.skip_payload(), Err(StreamError::Read(_))));
}
