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

/// What stands at a place in a segment.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// A frame; its body is in `Scanner::body`.
    Whole { offset: u64 },
    /// Bytes that are no frame, with frames after them.
    Damaged { bytes: u64 },
    /// Bytes that are no frame, up to the end: a write that was never answered.
    Torn { bytes: u64 },
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

    /// Goes on behind something that is no whole frame. Its own length is believed only if a frame begins there.
    fn step_over(&mut self) -> io::Result<Step> {
        let start = self.offset;
        let next = match self.end_by_length()? {
            Some(next) => Some(next),
            None => self.find_frame(start + 1)?,
        };
        let bytes = next.unwrap_or(self.end) - start;
        self.offset = next.unwrap_or(self.end);
        Ok(if next.is_some() { Step::Damaged { bytes } } else { Step::Torn { bytes } })
    }

    fn end_by_length(&mut self) -> io::Result<Option<u64>> {
        let Some(head) = self.head_at(self.offset)? else { return Ok(None) };
        let end = self.offset + HEAD_BYTES as u64 + u64::from(head.length);
        Ok(self.head_at(end)?.map(|_| end))
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
    /// Bytes up to which the file holds whole records.
    pub whole_bytes: u64,
    pub damaged: u64,
    pub newer: Option<u8>,
}

/// Reads a state file.
///
/// # Errors
/// If it cannot be read.
pub fn read_records(disk: &dyn Disk, path: &Path) -> io::Result<Records> {
    let bytes = disk::read(disk, path)?;
    let mut records = Records::default();
    for chunk in bytes.chunks_exact(RECORD_BYTES) {
        let record = chunk.try_into().map_or(ReadRecord::Damaged, Record::decode);
        match record {
            ReadRecord::Known(offset, record) => records.by_offset.entry(offset).or_default().push(record),
            ReadRecord::Newer(version) => records.newer = Some(version),
            ReadRecord::Damaged => records.damaged += 1,
        }
    }
    records.whole_bytes = (bytes.len() - bytes.len() % RECORD_BYTES) as u64;
    Ok(records)
}
