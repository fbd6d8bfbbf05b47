//! A disk in memory. What was not flushed may be lost or torn at a power loss, names as well as bytes; writes and flushes
//! fail by chance, the disk fills up, and the process can be stopped in the middle of any operation.

use super::dice::Dice;
use crate::brokers::embedded::disk::{Disk, DiskFile, Open};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is written wholly or not at all.
const SECTOR_BYTES: usize = 512;

/// How a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// What was written stays.
    Kill,
    /// Only what was flushed surely stays.
    PowerLoss,
}

#[derive(Default)]
struct Bytes {
    now: Vec<u8>,
    flushed: Vec<u8>,
    /// Writes are answered well and not done.
    is_forgotten: bool,
}

/// What happens while a flush takes its time.
type Meanwhile = Box<dyn FnOnce() + Send>;

type Names = BTreeMap<PathBuf, usize>;

struct State {
    dice: Dice,
    files: Vec<Bytes>,
    names: Names,
    flushed_names: Names,
    /// One in so many writes and flushes fails; zero is never.
    failure_every: u64,
    is_full: bool,
    /// Flushes answer well and do nothing: a disk that lies.
    forgets_flushes: bool,
    /// Records beside the log are answered well and not written.
    forgets_records: bool,
    /// During the next flush of a file.
    meanwhile: Option<Meanwhile>,
    /// Operations until the process stops in the middle of one.
    stops_in: Option<u64>,
    has_stopped: bool,
}

#[derive(Clone)]
pub struct SimDisk(Arc<Mutex<State>>);

impl SimDisk {
    pub fn new(seed: u64) -> SimDisk {
        SimDisk(Arc::new(Mutex::new(State {
            dice: Dice::new(seed),
            files: Vec::new(),
            names: Names::new(),
            flushed_names: Names::new(),
            failure_every: 0,
            is_full: false,
            forgets_flushes: false,
            forgets_records: false,
            meanwhile: None,
            stops_in: None,
            has_stopped: false,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn fail_one_in(&self, operations: u64) {
        self.lock().failure_every = operations;
    }

    pub fn set_full(&self, is_full: bool) {
        self.lock().is_full = is_full;
    }

    pub fn forget_flushes(&self) {
        self.lock().forgets_flushes = true;
    }

    pub fn forget_records(&self) {
        self.lock().forgets_records = true;
    }

    /// The next flush of a file is slow: this happens before it has an effect. Whoever flushes must hold no lock.
    pub fn slow_flush(&self, meanwhile: impl FnOnce() + Send + 'static) {
        self.lock().meanwhile = Some(Box::new(meanwhile));
    }

    /// No flush is slow any more.
    pub fn fast_flush(&self) {
        self.lock().meanwhile = None;
    }

    /// The process stops at one of the next operations.
    pub fn stop_in(&self, operations: u64) {
        self.lock().stops_in = Some(operations);
    }

    pub fn has_stopped(&self) -> bool {
        self.lock().has_stopped
    }

    /// Ends what ran and gives the disk as the next process finds it, well again. Files opened before must not be used.
    pub fn restart(&self, crash: Crash) {
        let mut state = self.lock();
        if crash == Crash::PowerLoss {
            state.lose_names();
            state.lose_bytes();
            state.flushed_names = state.names.clone();
        }
        (state.failure_every, state.is_full, state.stops_in, state.has_stopped) = (0, false, None, false);
    }

    /// Names of all files with their lengths.
    pub fn listing(&self) -> Vec<(String, usize)> {
        let state = self.lock();
        state.names.iter().map(|(path, file)| (path.display().to_string(), state.files[*file].now.len())).collect()
    }
}

impl State {
    /// Each change of a name that was not flushed is there or not.
    fn lose_names(&mut self) {
        let mut paths: Vec<PathBuf> = self.names.keys().chain(self.flushed_names.keys()).cloned().collect();
        paths.sort_unstable();
        paths.dedup();
        for path in paths {
            let (now, flushed) = (self.names.get(&path).copied(), self.flushed_names.get(&path).copied());
            if now != flushed && self.dice.one_in(2) {
                match flushed {
                    Some(file) => self.names.insert(path, file),
                    None => self.names.remove(&path),
                };
            }
        }
    }

    fn lose_bytes(&mut self) {
        for file in &mut self.files {
            if file.now == file.flushed {
                continue;
            }
            if !file.now.starts_with(&file.flushed) {
                // Cut off, and perhaps written again: all of it is there or nothing.
                if self.dice.one_in(2) {
                    file.now.clone_from(&file.flushed);
                }
            } else {
                let unflushed = (file.now.len() - file.flushed.len()) as u64;
                let kept = self.dice.below(unflushed + 1) as usize;
                file.now.truncate(file.flushed.len() + kept);
                if self.dice.one_in(4) {
                    // The length was written and the last sectors were not.
                    let zeroed = self.dice.below(kept as u64 + 1) as usize;
                    let sector = (file.now.len() - zeroed) / SECTOR_BYTES * SECTOR_BYTES;
                    file.now[sector.max(file.flushed.len())..].fill(0);
                }
            }
            file.flushed.clone_from(&file.now);
        }
    }

    /// Counts an operation; `Err` if the process has stopped, `Ok(true)` if it stops in this one.
    fn count(&mut self) -> io::Result<bool> {
        if self.has_stopped {
            return Err(stopped());
        }
        match &mut self.stops_in {
            Some(0) => {
                self.has_stopped = true;
                Ok(true)
            }
            Some(left) => {
                *left -= 1;
                Ok(false)
            }
            None => Ok(false),
        }
    }

    /// An operation that changes names; if the process stops in it, it happened or not.
    fn change(&mut self) -> io::Result<bool> {
        let stops = self.count()?;
        if self.failure_every > 0 && self.dice.one_in(self.failure_every) {
            return Err(io::Error::other("simulated failure"));
        }
        if stops && self.dice.one_in(2) {
            return Err(stopped());
        }
        Ok(stops)
    }
}

fn stopped() -> io::Error {
    io::Error::other("the simulated process has stopped")
}

fn end_of(stops: bool) -> io::Result<()> {
    if stops { Err(stopped()) } else { Ok(()) }
}

struct SimFile {
    disk: SimDisk,
    file: usize,
}

impl DiskFile for SimFile {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.disk.lock();
        if state.files[self.file].is_forgotten {
            return Ok(());
        }
        let stops = state.count()?;
        let fails = state.failure_every > 0 && {
            let every = state.failure_every;
            state.dice.one_in(every)
        };
        if !stops && !fails && !state.is_full {
            state.files[self.file].now.extend_from_slice(bytes);
            return Ok(());
        }
        let written = state.dice.below(bytes.len() as u64 + 1) as usize;
        state.files[self.file].now.extend_from_slice(&bytes[..written]);
        end_of(stops)?;
        Err(io::Error::from(if state.is_full { io::ErrorKind::StorageFull } else { io::ErrorKind::Other }))
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        let state = self.disk.lock();
        if state.has_stopped {
            return Err(stopped());
        }
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let found = state.files[self.file].now.get(start..start + bytes.len());
        bytes.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let meanwhile = {
            let mut state = self.disk.lock();
            let has_more = state.files[self.file].now.len() > state.files[self.file].flushed.len();
            // A flush of nothing new takes no time.
            if has_more { state.meanwhile.take() } else { None }
        };
        if let Some(meanwhile) = meanwhile {
            meanwhile();
        }
        let mut state = self.disk.lock();
        let stops = state.change()?;
        if !state.forgets_flushes {
            let file = &mut state.files[self.file];
            file.flushed.clone_from(&file.now);
        }
        end_of(stops)
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        let mut state = self.disk.lock();
        let stops = state.change()?;
        state.files[self.file].now.resize(usize::try_from(length).map_err(io::Error::other)?, 0);
        end_of(stops)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.disk.lock().files[self.file].now.len() as u64)
    }
}

impl Disk for SimDisk {
    fn create_folder(&self, _folder: &Path) -> io::Result<()> {
        Ok(())
    }

    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.lock();
        let mut stops = false;
        let file = match (state.names.get(path).copied(), how) {
            (Some(_), Open::AsNew) => return Err(io::ErrorKind::AlreadyExists.into()),
            (None, Open::ToRead) => return Err(io::ErrorKind::NotFound.into()),
            (Some(file), Open::ToRead | Open::ToAppend) => file,
            (None, Open::ToAppend | Open::AsNew) => {
                stops = state.change()?;
                let is_record = path.extension().is_some_and(|kind| kind == "state");
                let is_forgotten = state.forgets_records && is_record;
                state.files.push(Bytes { is_forgotten, ..Bytes::default() });
                let file = state.files.len() - 1;
                state.names.insert(path.to_owned(), file);
                file
            }
        };
        end_of(stops)?;
        Ok(Arc::new(SimFile { disk: self.clone(), file }))
    }

    fn names(&self, folder: &Path) -> io::Result<Vec<String>> {
        let state = self.lock();
        let here = state.names.keys().filter(|path| path.parent() == Some(folder));
        Ok(here.filter_map(|path| path.file_name()?.to_str().map(str::to_owned)).collect())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        let stops = state.change()?;
        state.names.remove(path).ok_or(io::ErrorKind::NotFound)?;
        end_of(stops)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.lock();
        let stops = state.change()?;
        let file = state.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        state.names.insert(to.to_owned(), file);
        end_of(stops)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        let mut state = self.lock();
        let stops = state.change()?;
        if !state.forgets_flushes {
            let is_here = |path: &PathBuf| path.parent() == Some(folder);
            let here: Names = state
                .names
                .iter()
                .filter(|(path, _)| is_here(path))
                .map(|(path, file)| (path.clone(), *file))
                .collect();
            state.flushed_names.retain(|path, _| !is_here(path));
            state.flushed_names.extend(here);
        }
        end_of(stops)
    }
}
