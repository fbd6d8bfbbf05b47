//! Segments on disk: `00000001.log` holds frames, `00000001.state` records about them. A segment goes as a whole when all
//! its jobs are over, so its state never outlives or lacks its jobs. Nothing here knows what a frame's job is for.

mod leaving;
mod names;
mod scan;

use super::disk::{self, Disk, DiskFile, Open};
use super::frame::{self, HEAD_BYTES, Head, Record};
use crate::QueueError;
use leaving::Leaving;
use names::Kind;
use scan::{Scanner, Step, read_records};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A segment takes no more frames beyond this size: large enough that files are few, small enough that space is given
/// back while others wait.
const SEGMENT_BYTES_MAX: u64 = 64 << 20;
/// Records kept for a disk that takes none now, in bytes of one segment; beyond, they are lost and jobs may run again.
const PENDING_BYTES_MAX: usize = 4 << 20;

/// Where a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    pub segment: u32,
    pub offset: u32,
    /// Of the body.
    pub length: u32,
}

struct Segment {
    log: Arc<dyn DiskFile>,
    state: Arc<dyn DiskFile>,
    state_bytes: u64,
    /// A part of a record may stand behind `state_bytes`.
    is_state_torn: bool,
    /// Records that could not be written yet.
    pending: Vec<u8>,
    bytes: u64,
    /// What a failed write left behind `bytes` is still to be cut off.
    is_torn: bool,
    live: u32,
    is_damaged: bool,
}

/// A frame found at opening, with the records about it in order.
pub struct Recovered<'a> {
    pub position: Position,
    pub body: &'a [u8],
    pub records: &'a [Record],
    /// It ended. That it was ever written may still say something of others.
    pub is_over: bool,
}

/// What becomes of a frame found at opening.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    Living,
    /// Whole, yet of no known shape.
    Unreadable,
    /// Of no further use.
    Over,
}

/// All segments of a folder.
pub struct Log {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    segments: BTreeMap<u32, Segment>,
    active: Option<u32>,
    next: u32,
    /// Segments that are over, on their way out.
    leaving: Vec<Leaving>,
    /// What is kept for people to look at, until they remove it.
    aside: BTreeSet<PathBuf>,
    /// Places in the files that were accepted once and cannot be read; anything but zero is reported.
    pub damages: u64,
}

impl Log {
    /// Opens a folder and shows every frame to `keep`. New frames go into a new segment. Only the newest can end in a
    /// write that was never answered, which is cut off; whatever else cannot be read was accepted once: it is counted,
    /// said, stepped over, and kept for people to look at.
    ///
    /// # Errors
    /// `Files` if a file cannot be read, `Newer` if a later release wrote it.
    pub fn open(
        disk: &Arc<dyn Disk>,
        folder: &Path,
        mut keep: impl FnMut(Recovered<'_>) -> Keep,
    ) -> Result<Log, QueueError> {
        let failed = |source| QueueError::Files { folder: folder.to_owned(), source };
        disk.create_folder(folder).map_err(failed)?;
        let mut log = Log {
            disk: disk.clone(),
            folder: folder.to_owned(),
            segments: BTreeMap::new(),
            active: None,
            next: 1,
            leaving: Vec::new(),
            aside: BTreeSet::new(),
            damages: 0,
        };
        let numbers = log.look_around().map_err(failed)?;
        for number in &numbers {
            log.recover(*number, Some(number) == numbers.last(), &mut keep)?;
        }
        // What a killed process changed and did not flush is taken as so from now on: it must not be undone later.
        log.sync_names().map_err(failed)?;
        log.sweep();
        Ok(log)
    }

    /// Returns the numbers of the segments in order.
    fn look_around(&mut self) -> io::Result<Vec<u32>> {
        let found = names::sort(self.disk.names(&self.folder)?);
        // Not one that anything has: what was put aside must not be replaced.
        self.next = found.keys().last().map_or(1, |newest| newest + 1);
        let mut numbers = Vec::new();
        for (number, names) in found {
            for (is_there, aside) in [(names.is_damaged, "damaged"), (names.is_lost, "lost")] {
                self.aside.extend(is_there.then(|| self.path(number, aside)));
            }
            match names.kind() {
                Kind::Living => numbers.push(number),
                Kind::Leaving => {
                    self.leaving.push(Leaving::new(number));
                }
                Kind::Orphan => self.miss(number)?,
                Kind::Aside => {}
            }
        }
        Ok(numbers)
    }

    /// Records without a log: somebody took it, unless it was just being made and held nothing yet.
    fn miss(&mut self, number: u32) -> io::Result<()> {
        let state = self.path(number, "state");
        if disk::read(&*self.disk, &state)?.is_empty() {
            return self.disk.remove(&state);
        }
        self.damages += 1;
        let path = self.path(number, "log");
        tracing::error!(path = %path.display(), "queue segment was missing, what waited in it is lost");
        self.put_aside(number, "state", "lost")
    }

    fn path(&self, number: u32, kind: &str) -> PathBuf {
        self.folder.join(format!("{number:08}.{kind}"))
    }

    fn recover(
        &mut self,
        number: u32,
        is_newest: bool,
        keep: &mut impl FnMut(Recovered<'_>) -> Keep,
    ) -> Result<(), QueueError> {
        let folder = self.folder.clone();
        let failed = |source| QueueError::Files { folder: folder.clone(), source };
        let mut segment = self.open_segment(number, false).map_err(failed)?;
        let (log_path, state_path) = (self.path(number, "log"), self.path(number, "state"));
        let records = read_records(&*self.disk, &state_path).map_err(failed)?;
        if let Some(version) = records.newer {
            return Err(QueueError::Newer { path: state_path, version });
        }
        segment.state.set_length(records.whole_bytes).map_err(failed)?;
        segment.state_bytes = records.whole_bytes;
        let mut damages = records.damaged;
        let mut scanner = Scanner::open(segment.log.clone()).map_err(failed)?;
        while let Some(step) = scanner.step().map_err(failed)? {
            match step {
                Step::Newer { version } => return Err(QueueError::Newer { path: log_path, version }),
                Step::Torn { offset, bytes } if is_newest && !records.is_accepted_from(offset) => {
                    tracing::warn!(bytes, segment = number, "queue log ended in a torn write, it was cut off");
                    // Now: later segments will follow, and then such an end is damage.
                    segment.log.set_length(offset).and_then(|()| segment.log.sync()).map_err(failed)?;
                    segment.bytes = offset;
                }
                Step::Torn { .. } | Step::Damaged => damages += 1,
                Step::Whole { offset } => {
                    let about = records.by_offset.get(&(offset as u32)).map(Vec::as_slice).unwrap_or_default();
                    let is_over = about.contains(&Record::Over);
                    let length = scanner.body.len() as u32;
                    let position = Position { segment: number, offset: offset as u32, length };
                    match keep(Recovered { position, body: &scanner.body, records: about, is_over }) {
                        Keep::Over => {}
                        Keep::Living => segment.live += 1,
                        Keep::Unreadable => damages += 1,
                    }
                }
            }
        }
        if segment.live > 0 {
            // A killed process may have left frames that were never flushed: they count as kept from now on.
            segment.log.sync().map_err(failed)?;
        }
        segment.is_damaged = damages > records.damaged;
        if damages > 0 {
            let path = log_path.display();
            tracing::error!(path = %path, damages, "queue segment was damaged, what can be read of it was kept");
        }
        self.damages += damages;
        self.segments.insert(number, segment);
        Ok(())
    }

    fn open_segment(&self, number: u32, is_new: bool) -> io::Result<Segment> {
        let how = if is_new { Open::AsNew } else { Open::ToAppend };
        let log = self.disk.open(&self.path(number, "log"), how)?;
        let state = self.disk.open(&self.path(number, "state"), Open::ToAppend)?;
        if is_new {
            state.set_length(0)?;
        }
        let bytes = log.length()?;
        Ok(Segment {
            log,
            state,
            state_bytes: 0,
            is_state_torn: false,
            pending: Vec::new(),
            bytes,
            is_torn: false,
            live: 0,
            is_damaged: false,
        })
    }

    /// Appends frames (not yet flushed) and returns where each is; `lengths` are the whole frames' lengths in order.
    ///
    /// # Errors
    /// If they cannot be written; nothing of them is kept then.
    pub fn append(&mut self, frames: &[u8], lengths: &[usize]) -> io::Result<(Vec<Position>, Arc<dyn DiskFile>)> {
        let number = self.active_for(frames.len())?;
        let segment = self.segments.get_mut(&number).expect("the active segment is there");
        let mut positions = Vec::with_capacity(lengths.len());
        for length in lengths {
            let body = (length - HEAD_BYTES) as u32;
            positions.push(Position { segment: number, offset: segment.bytes as u32, length: body });
            segment.live += 1;
            segment.bytes += *length as u64;
        }
        let log = segment.log.clone();
        if let Err(error) = log.append(frames) {
            self.take_back(&positions);
            return Err(error);
        }
        Ok((positions, log))
    }

    /// Takes back frames that were appended last and could not be written or flushed. If they cannot be cut off, they
    /// are recorded as over. The next frames go into a fresh file: what the failure left behind is not known.
    pub fn take_back(&mut self, positions: &[Position]) {
        let Some(first) = positions.first() else { return };
        self.active = None;
        let Some(segment) = self.segments.get_mut(&first.segment) else { return };
        segment.live -= positions.len() as u32;
        segment.bytes = u64::from(first.offset);
        segment.is_torn = true;
        if let Err(error) = cut_off(segment) {
            tracing::warn!(error = %error, "refused frames could not be cut off, tried again");
            self.note(positions.iter().map(|position| (*position, Record::Over)));
        }
    }

    fn active_for(&mut self, bytes: usize) -> io::Result<u32> {
        if let Some(number) = self.active {
            let segment = &self.segments[&number];
            if segment.bytes + bytes as u64 <= SEGMENT_BYTES_MAX || segment.bytes == 0 {
                return Ok(number);
            }
            // What is not flushed batch by batch is so before it is no longer the newest: its end is whole from then on.
            segment.log.sync()?;
            self.active = None;
        }
        let number = self.next;
        // Also when opening fails halfway: a number is never used twice.
        self.next += 1;
        let segment = self.open_segment(number, true)?;
        self.segments.insert(number, segment);
        self.sync_names()?;
        if let Some(segment) = self.segments.get_mut(&number) {
            Record::Opened.encode(0, &mut segment.pending);
        }
        self.active = Some(number);
        Ok(number)
    }

    /// Writes records about frames; they survive a killed process, not a power loss (then the job runs again). Those
    /// that cannot be written now are kept and written with the next.
    pub fn note(&mut self, records: impl IntoIterator<Item = (Position, Record)>) {
        let mut touched: Option<u32> = None;
        for (position, record) in records {
            if let Some(before) = touched.filter(|before| *before != position.segment) {
                self.write_pending(before);
            }
            touched = Some(position.segment);
            if let Some(segment) = self.segments.get_mut(&position.segment)
                && segment.pending.len() < PENDING_BYTES_MAX
            {
                record.encode(position.offset, &mut segment.pending);
            }
        }
        if let Some(last) = touched {
            self.write_pending(last);
        }
    }

    fn write_pending(&mut self, number: u32) {
        let Some(segment) = self.segments.get_mut(&number) else { return };
        if let Err(error) = write_whole(segment) {
            tracing::warn!(error = %error, "job states could not be recorded, tried again");
            return;
        }
        segment.state_bytes += segment.pending.len() as u64;
        segment.pending.clear();
    }

    /// Returns the file of a position, to read outside any lock.
    pub fn file(&self, segment: u32) -> Option<Arc<dyn DiskFile>> {
        self.segments.get(&segment).map(|segment| segment.log.clone())
    }

    /// Counts a frame as over; a segment without live frames goes.
    pub fn release(&mut self, number: u32) {
        let Some(segment) = self.segments.get_mut(&number) else { return };
        segment.live = segment.live.saturating_sub(1);
        if segment.live == 0 && self.active != Some(number) {
            self.remove(number);
        }
    }

    /// Writes what could not be written, and drops every segment whose frames are over, the active one too. Not to be
    /// called between an append and its flush.
    pub fn sweep(&mut self) {
        self.take_away();
        if self.active.is_some_and(|number| self.segments[&number].live == 0) {
            self.active = None;
        }
        let numbers: Vec<u32> = self.segments.keys().copied().collect();
        for number in numbers {
            if self.segments[&number].live == 0 && self.active != Some(number) {
                self.remove(number);
            } else if let Some(segment) = self.segments.get_mut(&number) {
                // Tried again in the next round.
                let _ = cut_off(segment);
                if !segment.pending.is_empty() {
                    self.write_pending(number);
                }
            }
        }
    }

    /// Files that are damaged, or were: until their segment goes, and then until people remove what was put aside.
    pub fn damaged_files(&mut self) -> Vec<PathBuf> {
        let is_damaged = |(number, segment): (&u32, &Segment)| segment.is_damaged.then_some(*number);
        let living = self.segments.iter().filter_map(is_damaged).map(|number| self.path(number, "log"));
        let mut files: Vec<PathBuf> = living.collect();
        self.aside.retain(|path| self.disk.open(path, Open::ToRead).is_ok());
        files.extend(self.aside.iter().cloned());
        files
    }
}

/// Cuts off what a failed write left, durably: before a later segment makes it look like damage.
fn cut_off(segment: &mut Segment) -> io::Result<()> {
    if segment.is_torn {
        segment.log.set_length(segment.bytes)?;
        segment.log.sync()?;
        segment.is_torn = false;
    }
    Ok(())
}

/// Appends the records that wait. Behind a part of a record, which a failed write left, none would be found: it is cut off
/// first.
fn write_whole(segment: &mut Segment) -> io::Result<()> {
    if segment.is_state_torn {
        segment.state.set_length(segment.state_bytes)?;
    }
    segment.is_state_torn = true;
    segment.state.append(&segment.pending)?;
    segment.is_state_torn = false;
    Ok(())
}

/// Why a body could not be read.
#[derive(Debug)]
pub enum ReadError {
    /// The bytes are not those that were written.
    Damaged,
    /// The disk gave an error; it may answer later.
    Disk(io::Error),
}

/// Reads a frame's body.
///
/// # Errors
/// If the file cannot be read or the bytes are not those that were written.
pub fn read_body(file: &dyn DiskFile, position: Position) -> Result<Vec<u8>, ReadError> {
    let mut bytes = vec![0; HEAD_BYTES + position.length as usize];
    file.read_at(&mut bytes, u64::from(position.offset)).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => ReadError::Damaged,
        _ => ReadError::Disk(error),
    })?;
    let (head, body) = bytes.split_at(HEAD_BYTES);
    let head = head.try_into().ok().and_then(Head::decode);
    if !head.is_some_and(|head| head.version <= frame::VERSION && head.fits(body)) {
        return Err(ReadError::Damaged);
    }
    bytes.drain(..HEAD_BYTES);
    Ok(bytes)
}

#[cfg(test)]
mod tests;
