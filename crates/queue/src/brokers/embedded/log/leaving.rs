//! How segments go. That all jobs of one are over is said first, by the name of its records, and made durable; then its log
//! goes, and the records last. So no moment of a crash leaves a log that would be run again, and records without a log mean
//! that somebody took it. Each step waits for a flush of the folder: making a segment does one anyway, and upkeep does it
//! while nobody waits for the lock, since a busy disk may take seconds.

use super::Log;
use std::io;
use std::path::PathBuf;

pub struct Leaving {
    pub number: u32,
    pub log_is_gone: bool,
    /// The names of its last step survive a power loss.
    pub is_durable: bool,
    /// A flush that began after its last step is on its way.
    pub is_awaited: bool,
}

impl Leaving {
    pub fn new(number: u32) -> Leaving {
        Leaving { number, log_is_gone: false, is_durable: false, is_awaited: false }
    }
}

impl Log {
    /// Says that a segment is over; the next rounds of `sweep` take it away. A log that is damaged is put aside at once.
    pub(super) fn remove(&mut self, number: u32) {
        let is_damaged = self.segments.get(&number).is_some_and(|segment| segment.is_damaged);
        let said = match is_damaged {
            true => self.put_aside(number, "log", "damaged"),
            false => self.rename(number, "state", "over").map(drop),
        };
        if let Err(error) = said {
            tracing::warn!(error = %error, segment = number, "queue segment not deleted, tried again");
            return;
        }
        self.segments.remove(&number);
        self.leaving.push(Leaving::new(number));
    }

    /// Makes names survive a power loss.
    pub(super) fn sync_names(&mut self) -> io::Result<()> {
        self.disk.sync_folder(&self.folder)?;
        self.leaving.iter_mut().for_each(|leaving| leaving.is_durable = true);
        Ok(())
    }

    /// Returns the folder if its names are to be flushed; `names_flushed` says that they were.
    pub fn names_to_flush(&mut self) -> Option<PathBuf> {
        for leaving in &mut self.leaving {
            leaving.is_awaited = !leaving.is_durable;
        }
        self.leaving.iter().any(|leaving| leaving.is_awaited).then(|| self.folder.clone())
    }

    pub fn names_flushed(&mut self) {
        for leaving in &mut self.leaving {
            leaving.is_durable |= leaving.is_awaited;
        }
    }

    /// Takes those that are over, durably, a step further.
    pub(super) fn take_away(&mut self) {
        if let Err(error) = self.take_step() {
            tracing::warn!(error = %error, "queue segments not deleted, tried again");
        }
    }

    fn take_step(&mut self) -> io::Result<()> {
        for index in (0..self.leaving.len()).rev() {
            let Leaving { number, log_is_gone, is_durable, is_awaited: _ } = self.leaving[index];
            if !is_durable {
                continue;
            }
            if log_is_gone {
                self.remove_name(number, "over")?;
                self.leaving.swap_remove(index);
                continue;
            }
            self.remove_name(number, "log")?;
            // Where a crash undid half of the renaming, or the log was put aside.
            self.remove_name(number, "state")?;
            self.leaving[index] = Leaving { log_is_gone: true, ..Leaving::new(number) };
        }
        Ok(())
    }

    /// One that is gone already is as good.
    fn remove_name(&self, number: u32, kind: &str) -> io::Result<()> {
        match self.disk.remove(&self.path(number, kind)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Gives a file another name, under which people find it and nothing else does.
    pub(super) fn put_aside(&mut self, number: u32, kind: &str, aside: &str) -> io::Result<()> {
        if self.rename(number, kind, aside)? {
            self.aside.insert(self.path(number, aside));
        }
        Ok(())
    }

    /// Returns whether the file was there: people may have taken it.
    fn rename(&self, number: u32, from: &str, to: &str) -> io::Result<bool> {
        match self.disk.rename(&self.path(number, from), &self.path(number, to)) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}
