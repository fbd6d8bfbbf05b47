//! Reads a segment from its beginning, frame by frame. What is damaged is stepped over and said, never taken for the end:
//! jobs behind it were accepted too. Nothing here writes.

use crate::brokers::embedded::disk::{self, Disk, DiskFile, Reader};
use crate::brokers::embedded::frame::{HEAD_BYTES, Head, MAGIC, RECORD_BYTES, ReadRecord, Record, VERSION};
use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Bytes read at once.
const READ_BYTES: usize = 1 << 20;
/// What a disk writes wholly or not at all.
const SECTOR_BYTES: u64 = 512;

/// What stands at a place in a segment.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// A frame; its body is in `Scanner::body`.
    Whole { offset: u64 },
    /// Bytes that are no frame, with frames after them; or a frame whose bytes are all there and are not its own.
    Damaged,
    /// Bytes that are no frame, up to the end, as a write leaves them that did not come to its end.
    Torn { offset: u64, bytes: u64 },
    /// A whole frame of a version this release does not know.
    Newer { version: u8 },
}

pub struct Scanner {
    reader: Reader,
    offset: u64,
    end: u64,
    pub body: Vec<u8>,
}

impl Scanner {
    pub fn open(file: Arc<dyn DiskFile>) -> io::Result<Scanner> {
        let reader = Reader::over(file)?;
        let end = reader.end();
        Ok(Scanner { reader, offset: 0, end, body: Vec::new() })
    }

    /// Returns what comes next, or `None` at the end.
    pub fn step(&mut self) -> io::Result<Option<Step>> {
        if self.offset == self.end {
            return Ok(None);
        }
        let Some(head) = self.read_frame()? else { return self.step_over().map(Some) };
        if head.version > VERSION {
            return Ok(Some(Step::Newer { version: head.version }));
        }
        let offset = self.offset;
        self.offset += HEAD_BYTES as u64 + u64::from(head.length);
        Ok(Some(Step::Whole { offset }))
    }

    /// Reads the frame at the reader's place into `body`; `None` if there is no whole one.
    fn read_frame(&mut self) -> io::Result<Option<Head>> {
        let mut head = [0; HEAD_BYTES];
        if self.end - self.offset < HEAD_BYTES as u64 {
            return Ok(None);
        }
        self.reader.read_at(&mut head, self.offset)?;
        let Some(head) = Head::decode(&head) else { return Ok(None) };
        if u64::from(head.length) > self.end - self.offset - HEAD_BYTES as u64 {
            return Ok(None);
        }
        self.body.resize(head.length as usize, 0);
        self.reader.read_at(&mut self.body, self.offset + HEAD_BYTES as u64)?;
        Ok(head.fits(&self.body).then_some(head))
    }

    /// Goes on behind something that is no whole frame. Its own length is believed only if a frame begins there, or the
    /// file ends.
    fn step_over(&mut self) -> io::Result<Step> {
        let offset = self.offset;
        let end = self.end_by_length()?;
        let next = match end {
            Some(end) if end == self.end || self.head_at(end)?.is_some() => Some(end),
            Some(_) | None => self.find_frame(offset + 1)?,
        };
        self.offset = next.unwrap_or(self.end);
        let is_last = self.offset == self.end;
        // A write that was cut short begins as a frame does, and says that there is more of it.
        let is_cut = end.is_none_or(|end| end > self.end)
            && self.begins_as_a_frame(offset)?
            && !(is_last && self.is_all_there(offset)?);
        Ok(match is_last && (is_cut || self.ends_in_a_hole(offset)?) {
            true => Step::Torn { offset, bytes: self.end - offset },
            false => Step::Damaged,
        })
    }

    /// Whether what is left of the file is a whole frame that says a wrong length.
    fn is_all_there(&mut self, offset: u64) -> io::Result<bool> {
        let Some(head) = self.head_at(offset)? else { return Ok(false) };
        let body_at = offset + HEAD_BYTES as u64;
        self.body.resize((self.end - body_at) as usize, 0);
        self.reader.read_at(&mut self.body, body_at)?;
        Ok(head.fits_but_for_length(&self.body))
    }

    fn begins_as_a_frame(&mut self, offset: u64) -> io::Result<bool> {
        let mut start = MAGIC;
        let start = &mut start[..MAGIC.len().min((self.end - offset) as usize)];
        self.reader.read_at(start, offset)?;
        Ok(MAGIC.starts_with(start))
    }

    fn end_by_length(&mut self) -> io::Result<Option<u64>> {
        let head = self.head_at(self.offset)?;
        Ok(head.map(|head| self.offset + HEAD_BYTES as u64 + u64::from(head.length)))
    }

    /// Whether the last sector of what begins at `offset` was never written: after a power loss a file may have its
    /// length and not its last bytes.
    fn ends_in_a_hole(&mut self, offset: u64) -> io::Result<bool> {
        let last = (self.end - 1) / SECTOR_BYTES * SECTOR_BYTES;
        let from = last.max(offset);
        let mut bytes = vec![0; (self.end - from) as usize];
        self.reader.read_at(&mut bytes, from)?;
        Ok(bytes.iter().all(|byte| *byte == 0))
    }

    fn head_at(&mut self, offset: u64) -> io::Result<Option<Head>> {
        let mut head = [0; HEAD_BYTES];
        if offset.saturating_add(HEAD_BYTES as u64) > self.end {
            return Ok(None);
        }
        self.reader.read_at(&mut head, offset)?;
        Ok(Head::decode(&head))
    }

    /// Looks for the next whole frame at or after a place.
    fn find_frame(&mut self, from: u64) -> io::Result<Option<u64>> {
        let mut chunk = vec![0; READ_BYTES];
        let mut at = from;
        while at + (HEAD_BYTES as u64) <= self.end {
            let length = chunk.len().min((self.end - at) as usize);
            self.reader.read_at(&mut chunk[..length], at)?;
            for (index, bytes) in chunk[..length].windows(MAGIC.len()).enumerate() {
                let place = at + index as u64;
                if bytes == MAGIC && self.is_frame_at(place)? {
                    return Ok(Some(place));
                }
            }
            // The last byte may be the first of the two.
            at += length as u64 - 1;
        }
        Ok(None)
    }

    fn is_frame_at(&mut self, offset: u64) -> io::Result<bool> {
        let Some(head) = self.head_at(offset)? else { return Ok(false) };
        let body_at = offset + HEAD_BYTES as u64;
        if u64::from(head.length) > self.end - body_at {
            return Ok(false);
        }
        self.body.resize(head.length as usize, 0);
        self.reader.read_at(&mut self.body, body_at)?;
        Ok(head.fits(&self.body))
    }
}

/// The records of a state file, in order, by the offset of their frame.
#[derive(Default)]
pub struct Records {
    pub by_offset: HashMap<u32, Vec<Record>>,
    /// Bytes up to the end of the last whole record; what follows was never written to its end.
    pub whole_bytes: u64,
    /// Records that cannot be read, with others after them.
    pub damaged: u64,
    pub newer: Option<u8>,
}

impl Records {
    /// Whether a job at or behind a place was accepted: something became of it.
    pub fn is_accepted_from(&self, offset: u64) -> bool {
        // Frames that were refused and could not be cut off are over too.
        let is_proof = |record: &Record| *record != Record::Over;
        let behind = self.by_offset.iter().filter(|(at, _)| u64::from(**at) >= offset);
        behind.into_iter().any(|(_, records)| records.iter().any(is_proof))
    }
}

/// Reads a state file.
///
/// # Errors
/// If it cannot be read.
pub fn read_records(disk: &dyn Disk, path: &Path) -> io::Result<Records> {
    let bytes = disk::read(disk, path)?;
    let mut records = Records::default();
    let mut bad = 0;
    for (index, chunk) in bytes.chunks_exact(RECORD_BYTES).enumerate() {
        let record = chunk.try_into().map_or(ReadRecord::Damaged, Record::decode);
        match record {
            ReadRecord::Known(_, Record::Opened) => {}
            ReadRecord::Known(offset, record) => records.by_offset.entry(offset).or_default().push(record),
            ReadRecord::Newer(version) => records.newer = Some(version),
            ReadRecord::Damaged => {
                bad += 1;
                continue;
            }
        }
        records.damaged += std::mem::take(&mut bad);
        records.whole_bytes = ((index + 1) * RECORD_BYTES) as u64;
    }
    Ok(records)
}
