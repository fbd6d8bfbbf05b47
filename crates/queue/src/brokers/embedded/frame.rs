//! How a job looks in a log file, and how a record about it looks in the state file beside it. Both carry a version
//! byte; both shapes outlive the process and have golden files in `tests/golden`.
//!
//! ```text
//! frame  = 0xF5 'J' | version u8 | length u32 | crc32 u32 | body      numbers little endian; crc over version, length, body
//! body   = id len u16, id | task len u8, task | queue len u8, queue | key u64 | priority u8
//!        | enqueued_at i64 | not_before i64 | (options len u32, options as JSON) | payload
//! record = version u8 | kind u8 | frame's offset u32 | value i64 | crc32 u32         crc over the fields before it
//! ```
//!
//! Options stand in a body of version 2 whose priority has its highest bit set; a job without is written in version 1.
//!
//! The frame's head and the record's first and last fields stay as they are in every version, so that a newer version is
//! told from damage by its checksum.

use crate::{JobOptions, LeaseId, NewJob};
use stdx::Timestamp;

/// The newest version of a frame.
pub const VERSION: u8 = 2;
/// Of a frame without options.
const VERSION_PLAIN: u8 = 1;
const RECORD_VERSION: u8 = 1;
const HAS_OPTIONS: u8 = 0x80;
pub const HEAD_BYTES: usize = 11;
pub const RECORD_BYTES: usize = 18;
/// Begins every frame. The first byte is in no UTF-8 text, so that text payloads are never taken for frames.
pub const MAGIC: [u8; 2] = [0xf5, b'J'];

/// A frame's fields, borrowed from its body.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    pub options: JobOptions,
    pub id: &'a str,
    pub task: &'a str,
    pub queue: &'a str,
    pub key: u64,
    pub priority: u8,
    pub enqueued_at: Timestamp,
    pub not_before: Timestamp,
    pub payload: &'a [u8],
}

/// A frame's fixed beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    pub version: u8,
    pub length: u32,
    crc: u32,
}

impl Head {
    /// Returns `None` if no frame begins with these bytes.
    pub fn decode(head: &[u8; HEAD_BYTES]) -> Option<Head> {
        let number = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        (head[..2] == MAGIC).then(|| Head { version: head[2], length: number(3), crc: number(7) })
    }

    /// Whether the body is the one that was written with this head.
    pub fn fits(&self, body: &[u8]) -> bool {
        self.length as usize == body.len() && checksum(self.version, self.length, body) == self.crc
    }

    /// Whether only the length that the head says is not that of the body.
    pub fn fits_but_for_length(&self, body: &[u8]) -> bool {
        let length = u32::try_from(body.len());
        length.is_ok_and(|length| checksum(self.version, length, body) == self.crc)
    }
}

fn checksum(version: u8, length: u32, body: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&[version]);
    crc.update(&length.to_le_bytes());
    crc.update(body);
    crc.finalize()
}

/// Appends a job's frame. Names and payload must be within the bounds that publishing checks.
pub fn encode(job: &NewJob, now: Timestamp, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; HEAD_BYTES]);
    let id = job.id.as_str().as_bytes();
    out.extend_from_slice(&(id.len() as u16).to_le_bytes());
    out.extend_from_slice(id);
    for name in [&job.task, &job.queue] {
        out.push(name.len() as u8);
        out.extend_from_slice(name.as_bytes());
    }
    out.extend_from_slice(&job.fairness_key.to_le_bytes());
    let options = (job.options != JobOptions::default()).then_some(&job.options);
    out.push(job.priority.min(9) | if options.is_some() { HAS_OPTIONS } else { 0 });
    out.extend_from_slice(&job.enqueued_at.unwrap_or(now).micros().to_le_bytes());
    out.extend_from_slice(&now.plus(job.delay).micros().to_le_bytes());
    if let Some(options) = options {
        let text = serde_json::to_vec(options).expect("options can be written as JSON");
        out.extend_from_slice(&(text.len() as u32).to_le_bytes());
        out.extend_from_slice(&text);
    }
    out.extend_from_slice(&job.payload);
    let version = if options.is_some() { VERSION } else { VERSION_PLAIN };
    let body = start + HEAD_BYTES;
    let length = (out.len() - body) as u32;
    let crc = checksum(version, length, &out[body..]);
    out[start..start + 2].copy_from_slice(&MAGIC);
    out[start + 2] = version;
    out[start + 3..start + 7].copy_from_slice(&length.to_le_bytes());
    out[start + 7..body].copy_from_slice(&crc.to_le_bytes());
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
    let marked = take::<1>(&mut rest)?[0];
    let priority = (marked & !HAS_OPTIONS).min(9);
    let enqueued_at = Timestamp::from_micros(i64::from_le_bytes(take(&mut rest)?));
    let not_before = Timestamp::from_micros(i64::from_le_bytes(take(&mut rest)?));
    let mut options = JobOptions::default();
    if marked & HAS_OPTIONS != 0 {
        let length = u32::from_le_bytes(take(&mut rest)?) as usize;
        options = serde_json::from_str(take_text(&mut rest, length)?).ok()?;
    }
    Some(Frame { options, id, task, queue, key, priority, enqueued_at, not_before, payload: rest })
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

/// Whose a run is: the lower 48 bits of its lease's number, which is enough to tell the leases of one job apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder(u64);

impl Holder {
    const ATTEMPT_BITS: u32 = 16;

    pub fn of(lease: LeaseId) -> Holder {
        Holder(lease.0 & (u64::MAX >> Self::ATTEMPT_BITS))
    }

    fn beside(self, attempt: u32) -> i64 {
        let attempt = u16::try_from(attempt).unwrap_or(u16::MAX);
        (self.0 << Self::ATTEMPT_BITS | u64::from(attempt)).cast_signed()
    }

    fn apart(value: i64) -> (u32, Holder) {
        let value = value.cast_unsigned();
        (u32::from(value as u16), Holder(value >> Self::ATTEMPT_BITS))
    }
}

/// What is recorded about a job after it was published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    /// A run began, alone or in company; the value is its attempt and who holds it, which older records lack.
    Claimed { attempt: u32, alone: bool, holder: Option<Holder> },
    /// A run ended and another may begin at the time.
    Retry { not_before: Timestamp },
    /// A run was given back; the attempt does not count.
    GivenBack { not_before: Timestamp },
    /// The job is over: done, or copied to the dead letters.
    Over,
    /// A run ended without a word: its thread or process was gone.
    Died { alone: bool },
    /// Nobody knew the task; the attempt does not count.
    Parked { since: Timestamp },
    /// About no frame: the segment was begun and its name is durable.
    Opened,
}

/// What stands in a state file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadRecord {
    /// About the frame at the offset.
    Known(u32, Record),
    /// Whole, but of a version this release does not know.
    Newer(u8),
    /// Torn or damaged. A lost record only means a rerun.
    Damaged,
}

impl Record {
    pub fn encode(self, offset: u32, out: &mut Vec<u8>) {
        let (kind, value) = match self {
            Record::Claimed { attempt, alone: true, holder: None } => (1, i64::from(attempt)),
            Record::Claimed { attempt, alone: false, holder: None } => (2, i64::from(attempt)),
            Record::Claimed { attempt, alone: true, holder: Some(holder) } => (8, holder.beside(attempt)),
            Record::Claimed { attempt, alone: false, holder: Some(holder) } => (9, holder.beside(attempt)),
            Record::Retry { not_before } => (3, not_before.micros()),
            Record::GivenBack { not_before } => (4, not_before.micros()),
            Record::Over => (5, 0),
            Record::Died { alone } => (6, i64::from(alone)),
            Record::Parked { since } => (7, since.micros()),
            Record::Opened => (10, 0),
        };
        let start = out.len();
        out.extend_from_slice(&[RECORD_VERSION, kind]);
        out.extend_from_slice(&offset.to_le_bytes());
        out.extend_from_slice(&value.to_le_bytes());
        let crc = crc32fast::hash(&out[start..]);
        out.extend_from_slice(&crc.to_le_bytes());
    }

    pub fn decode(bytes: &[u8; RECORD_BYTES]) -> ReadRecord {
        let (fields, crc) = bytes.split_at(RECORD_BYTES - 4);
        if crc32fast::hash(fields).to_le_bytes() != crc {
            return ReadRecord::Damaged;
        }
        if fields[0] != RECORD_VERSION {
            return ReadRecord::Newer(fields[0]);
        }
        let mut rest = &fields[2..];
        let (Some(offset), Some(value)) = (take(&mut rest), take(&mut rest)) else { return ReadRecord::Damaged };
        let value = i64::from_le_bytes(value);
        let attempt = u32::try_from(value).unwrap_or(u32::MAX);
        let not_before = Timestamp::from_micros(value);
        let record = match fields[1] {
            1 => Record::Claimed { attempt, alone: true, holder: None },
            2 => Record::Claimed { attempt, alone: false, holder: None },
            3 => Record::Retry { not_before },
            4 => Record::GivenBack { not_before },
            5 => Record::Over,
            6 => Record::Died { alone: value != 0 },
            7 => Record::Parked { since: Timestamp::from_micros(value) },
            10 => Record::Opened,
            8 | 9 => {
                let (attempt, holder) = Holder::apart(value);
                Record::Claimed { attempt, alone: fields[1] == 8, holder: Some(holder) }
            }
            _ => return ReadRecord::Damaged,
        };
        ReadRecord::Known(u32::from_le_bytes(offset), record)
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
            enqueued_at: None,
            payload: Bytes::from_static(b"payload"),
            options: crate::JobOptions::default(),
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
            Record::Claimed { attempt: 1, alone: true, holder: None },
            Record::Claimed { attempt: 2, alone: false, holder: None },
            Record::Retry { not_before: at },
            Record::GivenBack { not_before: at },
            Record::Over,
            Record::Died { alone: true },
            Record::Parked { since: Timestamp::EPOCH },
        ];
        for (offset, record) in all.iter().enumerate() {
            record.encode(offset as u32, &mut records);
        }
        assert_eq!(records, include_bytes!("../../../tests/golden/records_v1.bin"));
        for (offset, bytes) in records.chunks_exact(RECORD_BYTES).enumerate() {
            let bytes = bytes.try_into().expect("a whole record");
            assert_eq!(Record::decode(bytes), ReadRecord::Known(offset as u32, all[offset]));
        }
    }

    #[test]
    fn a_record_of_a_claim_says_who_holds_it() {
        let holder = Some(Holder::of(LeaseId(0x3fff_1234_5678_9abc)));
        let mut records = Vec::new();
        Record::Claimed { attempt: 3, alone: true, holder }.encode(0, &mut records);
        Record::Claimed { attempt: 70_000, alone: false, holder }.encode(11, &mut records);
        assert_eq!(records, include_bytes!("../../../tests/golden/records_v1_holder.bin"));
        let (first, second) = records.split_at(RECORD_BYTES);
        let read = |bytes: &[u8]| Record::decode(bytes.try_into().expect("a whole record"));
        assert_eq!(read(first), ReadRecord::Known(0, Record::Claimed { attempt: 3, alone: true, holder }));
        // Attempts beyond 16 bits are counted no further in memory either.
        assert_eq!(read(second), ReadRecord::Known(11, Record::Claimed { attempt: 65_535, alone: false, holder }));
    }

    #[test]
    fn options_stand_in_a_frame_of_the_second_version() {
        let options = JobOptions { keeps_result: true, unique_key: Some("one".to_owned()), ..JobOptions::default() };
        let mut frame = Vec::new();
        encode(&NewJob { options: options.clone(), ..job() }, Timestamp::from_seconds(1_000), &mut frame);
        assert_eq!(frame, include_bytes!("../../../tests/golden/frame_v2.bin"));
        let read = decode_body(&frame[HEAD_BYTES..]).expect("a whole body");
        assert_eq!((read.options, read.priority, read.payload), (options, 3, &b"payload"[..]));
    }

    #[test]
    fn a_newer_record_is_told_from_a_damaged_one() {
        let mut bytes = Vec::new();
        Record::Over.encode(3, &mut bytes);
        bytes[0] = 2;
        let damaged = bytes.as_slice().try_into().expect("a whole record");
        assert_eq!(Record::decode(damaged), ReadRecord::Damaged);
        let crc = crc32fast::hash(&bytes[..RECORD_BYTES - 4]);
        bytes[RECORD_BYTES - 4..].copy_from_slice(&crc.to_le_bytes());
        let newer = bytes.as_slice().try_into().expect("a whole record");
        assert_eq!(Record::decode(newer), ReadRecord::Newer(2));
    }

    #[test]
    fn a_frame_comes_back_whole_and_any_cut_or_flip_is_seen() {
        let mut bytes = Vec::new();
        encode(&job(), Timestamp::from_seconds(1_000), &mut bytes);
        let head = bytes[..HEAD_BYTES].try_into().expect("a whole head");
        let head = Head::decode(head).expect("a frame begins");
        assert!(head.fits(&bytes[HEAD_BYTES..]));
        let frame = decode_body(&bytes[HEAD_BYTES..]).expect("a whole body");
        assert_eq!((frame.id, frame.task, frame.queue, frame.key, frame.priority), ("1-abc", "t.run", "q", 7, 3));
        assert_eq!((frame.payload, frame.not_before), (&b"payload"[..], Timestamp::from_seconds(1_001)));
        for index in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[index] ^= 1;
            let head = flipped[..HEAD_BYTES].try_into().expect("a whole head");
            let is_whole = Head::decode(head).is_some_and(|head| head.fits(&flipped[HEAD_BYTES..]));
            assert!(!is_whole, "flipped at {index}");
        }
        for index in HEAD_BYTES..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[index] ^= 1;
            // Whatever the bytes are, decoding ends without a panic.
            let _ = decode_body(&bytes[HEAD_BYTES..index]);
            let _ = decode_body(&flipped[HEAD_BYTES..]);
        }
    }
}
