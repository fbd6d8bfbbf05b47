//! How a job looks in a log file, and how a record about it looks in the state file beside it. Both begin with a
//! version byte; both shapes outlive the process and have golden files in `tests/golden`.
//!
//! ```text
//! frame  = 0x01 | length u32 | crc32 u32 | body          numbers little endian; crc over the body
//! body   = id len u16, id | task len u8, task | queue len u8, queue | key u64 | priority u8
//!        | enqueued_at i64 | not_before i64 | payload
//! record = 0x01 | kind u8 | ordinal u32 | value i64 | crc32 u32           crc over the fields before it
//! ```

use crate::NewJob;
use stdx::Timestamp;

pub const VERSION: u8 = 1;
pub const HEAD_BYTES: usize = 9;
pub const RECORD_BYTES: usize = 18;

/// A frame's fields, borrowed from its body.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    pub id: &'a str,
    pub task: &'a str,
    pub queue: &'a str,
    pub key: u64,
    pub priority: u8,
    pub enqueued_at: Timestamp,
    pub not_before: Timestamp,
    pub payload: &'a [u8],
}

/// Appends a job's frame.
pub fn encode(job: &NewJob, now: Timestamp, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[VERSION; 1]);
    out.extend_from_slice(&[0; 8]);
    let id = job.id.as_str().as_bytes();
    out.extend_from_slice(&(id.len() as u16).to_le_bytes());
    out.extend_from_slice(id);
    for name in [&job.task, &job.queue] {
        out.push(name.len() as u8);
        out.extend_from_slice(name.as_bytes());
    }
    out.extend_from_slice(&job.fairness_key.to_le_bytes());
    out.push(job.priority.min(9));
    out.extend_from_slice(&now.micros().to_le_bytes());
    out.extend_from_slice(&now.plus(job.delay).micros().to_le_bytes());
    out.extend_from_slice(&job.payload);
    let body = start + HEAD_BYTES;
    let (length, crc) = ((out.len() - body) as u32, crc32fast::hash(&out[body..]));
    out[start + 1..start + 5].copy_from_slice(&length.to_le_bytes());
    out[start + 5..body].copy_from_slice(&crc.to_le_bytes());
}

/// Reads a frame's head: the body's length and checksum. `Err` = the version found.
pub fn decode_head(head: &[u8; HEAD_BYTES]) -> Result<(usize, u32), u8> {
    if head[0] != VERSION {
        return Err(head[0]);
    }
    let number = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    Ok((number(1) as usize, number(5)))
}

/// Reads a frame's body. Returns `None` if it is cut short or not text where text belongs.
pub fn decode_body(body: &[u8]) -> Option<Frame<'_>> {
    let mut rest = body;
    let id_length = u16::from_le_bytes(take(&mut rest)?) as usize;
    let id = take_text(&mut rest, id_length)?;
    let task_length = take::<1>(&mut rest)?[0] as usize;
    let task = take_text(&mut rest, task_length)?;
    let queue_length = take::<1>(&mut rest)?[0] as usize;
    let queue = take_text(&mut rest, queue_length)?;
    let key = u64::from_le_bytes(take(&mut rest)?);
    let priority = take::<1>(&mut rest)?[0].min(9);
    let enqueued_at = Timestamp::from_micros(i64::from_le_bytes(take(&mut rest)?));
    let not_before = Timestamp::from_micros(i64::from_le_bytes(take(&mut rest)?));
    Some(Frame { id, task, queue, key, priority, enqueued_at, not_before, payload: rest })
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_at_checked(N)?;
    *rest = tail;
    head.try_into().ok()
}

fn take_text<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a str> {
    let (head, tail) = rest.split_at_checked(length)?;
    *rest = tail;
    std::str::from_utf8(head).ok()
}

/// What is recorded about a job after it was published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    /// A run began, alone or in company; the value is its attempt.
    Claimed { attempt: u32, alone: bool },
    /// A run ended and another may begin at the time.
    Retry { not_before: Timestamp },
    /// A run was given back; the attempt does not count.
    GivenBack { not_before: Timestamp },
    /// The job is over: done, or copied to the dead letters.
    Over,
}

impl Record {
    pub fn encode(self, ordinal: u32, out: &mut Vec<u8>) {
        let (kind, value) = match self {
            Record::Claimed { attempt, alone: true } => (1, i64::from(attempt)),
            Record::Claimed { attempt, alone: false } => (2, i64::from(attempt)),
            Record::Retry { not_before } => (3, not_before.micros()),
            Record::GivenBack { not_before } => (4, not_before.micros()),
            Record::Over => (5, 0),
        };
        let start = out.len();
        out.extend_from_slice(&[VERSION, kind]);
        out.extend_from_slice(&ordinal.to_le_bytes());
        out.extend_from_slice(&value.to_le_bytes());
        let crc = crc32fast::hash(&out[start..]);
        out.extend_from_slice(&crc.to_le_bytes());
    }

    /// Reads a record and whose it is. Returns `None` if it is torn or unknown: a lost record only means a rerun.
    pub fn decode(bytes: &[u8; RECORD_BYTES]) -> Option<(u32, Record)> {
        let (fields, crc) = bytes.split_at(RECORD_BYTES - 4);
        if crc32fast::hash(fields).to_le_bytes() != crc || fields[0] != VERSION {
            return None;
        }
        let ordinal = u32::from_le_bytes(fields[2..6].try_into().ok()?);
        let value = i64::from_le_bytes(fields[6..14].try_into().ok()?);
        let attempt = u32::try_from(value).unwrap_or(u32::MAX);
        let not_before = Timestamp::from_micros(value);
        let record = match fields[1] {
            1 => Record::Claimed { attempt, alone: true },
            2 => Record::Claimed { attempt, alone: false },
            3 => Record::Retry { not_before },
            4 => Record::GivenBack { not_before },
            5 => Record::Over,
            _ => return None,
        };
        Some((ordinal, record))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::JobId;
    use bytes::Bytes;
    use std::time::Duration;

    fn job() -> NewJob {
        NewJob {
            id: JobId::new("1-abc"),
            task: "t.run".into(),
            queue: "q".into(),
            fairness_key: 7,
            priority: 3,
            delay: Duration::from_secs(1),
            payload: Bytes::from_static(b"payload"),
        }
    }

    #[test]
    fn frames_and_records_look_as_they_did_in_the_first_release() {
        let mut frame = Vec::new();
        encode(&job(), Timestamp::from_seconds(1_000), &mut frame);
        assert_eq!(frame, include_bytes!("../../../tests/golden/frame_v1.bin"));
        let mut records = Vec::new();
        let at = Timestamp::from_seconds(5);
        let all = [
            Record::Claimed { attempt: 1, alone: true },
            Record::Claimed { attempt: 2, alone: false },
            Record::Retry { not_before: at },
            Record::GivenBack { not_before: at },
            Record::Over,
        ];
        for (ordinal, record) in all.iter().enumerate() {
            record.encode(ordinal as u32, &mut records);
        }
        assert_eq!(records, include_bytes!("../../../tests/golden/records_v1.bin"));
        for (ordinal, bytes) in records.chunks_exact(RECORD_BYTES).enumerate() {
            let bytes = bytes.try_into().expect("a whole record");
            assert_eq!(Record::decode(bytes), Some((ordinal as u32, all[ordinal])));
        }
    }

    #[test]
    fn a_frame_comes_back_whole_and_any_cut_or_flip_is_seen() {
        let mut bytes = Vec::new();
        encode(&job(), Timestamp::from_seconds(1_000), &mut bytes);
        let head = bytes[..HEAD_BYTES].try_into().expect("a whole head");
        let (length, crc) = decode_head(head).expect("our version");
        assert_eq!(length, bytes.len() - HEAD_BYTES);
        let frame = decode_body(&bytes[HEAD_BYTES..]).expect("a whole body");
        assert_eq!((frame.id, frame.task, frame.queue, frame.key, frame.priority), ("1-abc", "t.run", "q", 7, 3));
        assert_eq!((frame.payload, frame.not_before), (&b"payload"[..], Timestamp::from_seconds(1_001)));
        for index in HEAD_BYTES..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[index] ^= 1;
            assert_ne!(crc32fast::hash(&flipped[HEAD_BYTES..]), crc);
            // Whatever the bytes are, decoding ends without a panic.
            let _ = decode_body(&bytes[HEAD_BYTES..index]);
            let _ = decode_body(&flipped[HEAD_BYTES..]);
        }
    }
}
