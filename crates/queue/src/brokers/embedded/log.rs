//! Segments on disk: `00000001.log` holds frames, `00000001.state` records about them. A segment goes as a whole when all
//! its jobs are over, so its state never outlives or lacks its jobs. Nothing here knows what a frame's job is for.

use super::frame::{self, HEAD_BYTES, RECORD_BYTES, Record};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A segment takes no more frames beyond this size: large enough that files are few, small enough that space is given
/// back while others wait.
const SEGMENT_BYTES_MAX: u64 = 64 << 20;
/// A frame larger than this is not one of ours: the length field is damaged.
const FRAME_BYTES_MAX: usize = 64 << 20;

/// Where a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    pub segment: u32,
    /// Its number within the segment.
    pub ordinal: u32,
    pub offset: u32,
    /// Of the body.
    pub length: u32,
}

struct Segment {
    log: Arc<File>,
    state: File,
    bytes: u64,
    frames: u32,
    live: u32,
}

/// A frame found at opening, with the records about it in order.
pub struct Recovered<'a> {
    pub position: Position,
    pub body: &'a [u8],
    pub records: &'a [Record],
}

/// All segments of a folder.
pub struct Log {
    folder: PathBuf,
    segments: BTreeMap<u32, Segment>,
    active: Option<u32>,
    next: u32,
    /// Bytes that could not be read at opening; anything but zero is reported.
    pub damaged_bytes: u64,
}

impl Log {
    /// Opens a folder and shows every frame that is not over to `keep`.
    ///
    /// # Errors
    /// If a file cannot be read. A torn end of a segment is cut off; damage in the middle is counted and passed over.
    pub fn open(folder: &Path, mut keep: impl FnMut(Recovered<'_>)) -> io::Result<Log> {
        std::fs::create_dir_all(folder)?;
        let mut log =
            Log { folder: folder.to_owned(), segments: BTreeMap::new(), active: None, next: 1, damaged_bytes: 0 };
        let mut numbers: Vec<u32> = std::fs::read_dir(folder)?
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.strip_suffix(".log")?.parse().ok())
            .collect();
        numbers.sort_unstable();
        for number in numbers {
            log.recover(number, &mut keep)?;
            log.next = number + 1;
        }
        Ok(log)
    }

    fn path(&self, number: u32, kind: &str) -> PathBuf {
        self.folder.join(format!("{number:08}.{kind}"))
    }

    fn recover(&mut self, number: u32, keep: &mut impl FnMut(Recovered<'_>)) -> io::Result<()> {
        let mut segment = self.open_segment(number, false)?;
        let records = read_records(&self.path(number, "state"))?;
        let mut reader = io::BufReader::with_capacity(1 << 20, File::open(self.path(number, "log"))?);
        let mut body = Vec::new();
        let mut offset = 0;
        loop {
            let length = match read_frame(&mut reader, &mut body)? {
                ReadFrame::End => break,
                ReadFrame::Torn => {
                    self.damaged_bytes += segment.bytes - offset;
                    segment.log.set_len(offset)?;
                    segment.bytes = offset;
                    break;
                }
                ReadFrame::Damaged(length) => {
                    self.damaged_bytes += length as u64;
                    offset += (HEAD_BYTES + length) as u64;
                    segment.frames += 1;
                    continue;
                }
                ReadFrame::Whole => body.len(),
            };
            let about = records.get(&segment.frames).map(Vec::as_slice).unwrap_or_default();
            if !about.contains(&Record::Over) {
                let position =
                    Position { segment: number, ordinal: segment.frames, offset: offset as u32, length: length as u32 };
                keep(Recovered { position, body: &body, records: about });
                segment.live += 1;
            }
            segment.frames += 1;
            offset += (HEAD_BYTES + length) as u64;
        }
        self.segments.insert(number, segment);
        self.drop_if_over(number)
    }

    fn open_segment(&self, number: u32, is_new: bool) -> io::Result<Segment> {
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true);
        let log = options.clone().create_new(is_new).open(self.path(number, "log"))?;
        let state = options.open(self.path(number, "state"))?;
        let bytes = log.metadata()?.len();
        Ok(Segment { log: Arc::new(log), state, bytes, frames: 0, live: 0 })
    }

    /// Appends frames (not yet flushed) and returns where each is; `lengths` are the whole frames' lengths in order.
    ///
    /// # Errors
    /// If they cannot be written; the segment is then as before.
    pub fn append(&mut self, frames: &[u8], lengths: &[usize]) -> io::Result<(Vec<Position>, Arc<File>)> {
        let number = self.active_for(frames.len())?;
        let segment = self.segments.get_mut(&number).expect("the active segment is there");
        if let Err(error) = (&*segment.log).write_all(frames) {
            // A part of the frames may be in the file: cut it off, or leave the segment if even that fails.
            if segment.log.set_len(segment.bytes).is_err() {
                self.active = None;
            }
            return Err(error);
        }
        let mut positions = Vec::with_capacity(lengths.len());
        for length in lengths {
            positions.push(Position {
                segment: number,
                ordinal: segment.frames,
                offset: segment.bytes as u32,
                length: (length - HEAD_BYTES) as u32,
            });
            segment.frames += 1;
            segment.live += 1;
            segment.bytes += *length as u64;
        }
        Ok((positions, segment.log.clone()))
    }

    /// Takes back frames that were appended last and could not be flushed.
    pub fn take_back(&mut self, positions: &[Position]) {
        let Some(first) = positions.first() else { return };
        if let Some(segment) = self.segments.get_mut(&first.segment) {
            segment.live -= positions.len() as u32;
            segment.frames -= positions.len() as u32;
            segment.bytes = u64::from(first.offset);
            if segment.log.set_len(segment.bytes).is_err() {
                tracing::warn!("refused frames could not be cut off, they may be run after a restart");
            }
        }
        // What a failed flush left behind is not known: the next frames go into a fresh file.
        self.active = None;
    }

    fn active_for(&mut self, bytes: usize) -> io::Result<u32> {
        if let Some(number) = self.active {
            let segment = &self.segments[&number];
            if segment.bytes + bytes as u64 <= SEGMENT_BYTES_MAX || segment.frames == 0 {
                return Ok(number);
            }
            self.active = None;
            self.drop_if_over(number)?;
        }
        let number = self.next;
        let segment = self.open_segment(number, true)?;
        File::open(&self.folder)?.sync_all()?;
        self.segments.insert(number, segment);
        self.next += 1;
        self.active = Some(number);
        Ok(number)
    }

    /// Writes records about frames; they survive a killed process, not a power loss (then the job runs again).
    pub fn note(&mut self, records: impl IntoIterator<Item = (Position, Record)>) {
        let mut buffers: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
        for (position, record) in records {
            record.encode(position.ordinal, buffers.entry(position.segment).or_default());
        }
        for (number, bytes) in buffers {
            if let Some(segment) = self.segments.get_mut(&number)
                && let Err(error) = segment.state.write_all(&bytes)
            {
                tracing::warn!(error = %error, "job states not recorded, jobs may run again after a restart");
            }
        }
    }

    /// Returns the file of a position, to read outside any lock.
    pub fn file(&self, segment: u32) -> Option<Arc<File>> {
        self.segments.get(&segment).map(|segment| segment.log.clone())
    }

    /// Counts a frame as over; a segment without live frames goes.
    ///
    /// # Errors
    /// If its files cannot be deleted.
    pub fn release(&mut self, segment: u32) -> io::Result<()> {
        if let Some(found) = self.segments.get_mut(&segment) {
            found.live = found.live.saturating_sub(1);
        }
        self.drop_if_over(segment)
    }

    fn drop_if_over(&mut self, number: u32) -> io::Result<()> {
        let is_over = self.segments.get(&number).is_some_and(|segment| segment.live == 0);
        if !is_over || self.active == Some(number) {
            return Ok(());
        }
        self.segments.remove(&number);
        std::fs::remove_file(self.path(number, "log"))?;
        std::fs::remove_file(self.path(number, "state"))
    }

    /// Drops the active segment if all its frames are over; called when nothing is being appended.
    ///
    /// # Errors
    /// If its files cannot be deleted.
    pub fn drop_empty_active(&mut self) -> io::Result<()> {
        match self.active {
            Some(number) if self.segments[&number].live == 0 => {
                self.active = None;
                self.drop_if_over(number)
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// Reads a frame's body.
///
/// # Errors
/// If the file cannot be read or the bytes are not those that were written.
pub fn read_body(file: &File, position: Position) -> io::Result<Vec<u8>> {
    let mut head = [0; HEAD_BYTES];
    file.read_exact_at(&mut head, u64::from(position.offset))?;
    let mut body = vec![0; position.length as usize];
    file.read_exact_at(&mut body, u64::from(position.offset) + HEAD_BYTES as u64)?;
    match frame::decode_head(&head) {
        Ok((length, crc)) if length == body.len() && crc32fast::hash(&body) == crc => Ok(body),
        Ok(_) | Err(_) => Err(io::Error::new(io::ErrorKind::InvalidData, "a queue frame is damaged")),
    }
}

enum ReadFrame {
    End,
    Torn,
    Damaged(usize),
    Whole,
}

fn read_frame(reader: &mut impl Read, body: &mut Vec<u8>) -> io::Result<ReadFrame> {
    let mut head = [0; HEAD_BYTES];
    match read_up_to(reader, &mut head)? {
        0 => return Ok(ReadFrame::End),
        HEAD_BYTES => {}
        _ => return Ok(ReadFrame::Torn),
    }
    let (length, crc) = match frame::decode_head(&head) {
        Ok((length, crc)) if length <= FRAME_BYTES_MAX => (length, crc),
        Ok(_) | Err(0) => return Ok(ReadFrame::Torn),
        Err(version) => {
            let text = format!("a queue frame of version {version}, this release reads {}", frame::VERSION);
            return Err(io::Error::new(io::ErrorKind::Unsupported, text));
        }
    };
    body.resize(length, 0);
    if read_up_to(reader, body)? != length {
        return Ok(ReadFrame::Torn);
    }
    Ok(if crc32fast::hash(body) == crc { ReadFrame::Whole } else { ReadFrame::Damaged(length) })
}

fn read_up_to(reader: &mut impl Read, out: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < out.len() {
        match reader.read(&mut out[filled..]) {
            Ok(0) => break,
            Ok(length) => filled += length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

fn read_records(path: &Path) -> io::Result<BTreeMap<u32, Vec<Record>>> {
    let bytes = std::fs::read(path)?;
    let mut records: BTreeMap<u32, Vec<Record>> = BTreeMap::new();
    for chunk in bytes.chunks_exact(RECORD_BYTES) {
        let record = chunk.try_into().ok().and_then(Record::decode);
        if let Some((ordinal, record)) = record {
            records.entry(ordinal).or_default().push(record);
        }
    }
    Ok(records)
}
