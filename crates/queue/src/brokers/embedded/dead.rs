//! Dead letters: jobs that stopped, in a log of their own with the reason before the payload. Copied durably before the
//! original ends; of two copies of a job (a crash between copy and end) the later one holds.

use super::disk::Disk;
use super::frame::{self, Record};
use super::log::{self, Keep, Log, Position, ReadError};
use crate::{DeadLetter, DeadReason, JobId, JobOptions, NewJob, QueueError};
use bytes::Bytes;
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use stdx::Timestamp;

/// Dead letters are kept for so long, and so many of them; the oldest go first.
const LETTERS_KEPT: Duration = Duration::from_secs(14 * 24 * 3_600);
const LETTERS_MAX: usize = 100_000;
/// Pause between two looks for old ones.
const SWEEP_EVERY: Duration = Duration::from_secs(600);
/// Bytes of an error text that are kept.
const ERROR_BYTES_MAX: usize = 4 << 10;

pub struct DeadLetters {
    pub log: Log,
    letters: BTreeMap<String, (DeadLetter, Position)>,
    /// How many each queue has.
    counts: HashMap<String, u64>,
    swept_at: Timestamp,
}

/// A job on its way to the dead letters.
pub struct Burial {
    /// The body of its frame, `None` if that is damaged.
    pub body: Option<Vec<u8>>,
    /// Its name if the body is damaged.
    pub id_hash: u128,
    pub queue: String,
    pub attempts: u32,
    pub deaths: u32,
    pub reason: DeadReason,
    pub error: String,
}

impl DeadLetters {
    pub fn open(disk: &Arc<dyn Disk>, folder: &Path) -> Result<Self, QueueError> {
        let mut letters: BTreeMap<String, (DeadLetter, Position)> = BTreeMap::new();
        let mut replaced = Vec::new();
        let log = Log::open(disk, folder, |found| {
            if found.is_over {
                return Keep::Over;
            }
            let frame = frame::decode_body(found.body);
            let Some((letter, _)) = frame.and_then(|frame| split(frame.payload)) else { return Keep::Unreadable };
            let before = letters.insert(letter.id.clone(), (letter, found.position));
            replaced.extend(before.map(|(_, position)| position));
            Keep::Living
        })?;
        let mut counts: HashMap<String, u64> = HashMap::new();
        for (letter, _) in letters.values() {
            *counts.entry(letter.queue.clone()).or_default() += 1;
        }
        let mut dead = DeadLetters { log, letters, counts, swept_at: Timestamp::EPOCH };
        for position in replaced {
            dead.forget(position);
        }
        Ok(dead)
    }

    pub fn damages(&self) -> u64 {
        self.log.damages
    }

    pub fn damaged_files(&mut self) -> Vec<PathBuf> {
        self.log.damaged_files()
    }

    /// Keeps copies of jobs with why they stopped; durable on return, all or none.
    pub fn bury(&mut self, burials: Vec<Burial>, now: Timestamp) -> io::Result<()> {
        let mut bytes = Vec::new();
        let mut lengths = Vec::with_capacity(burials.len());
        let mut letters = Vec::with_capacity(burials.len());
        for burial in burials {
            let (letter, job) = burial.prepare(now)?;
            let start = bytes.len();
            frame::encode(&job, now, &mut bytes);
            lengths.push(bytes.len() - start);
            letters.push(letter);
        }
        let (positions, file) = self.log.append(&bytes, &lengths)?;
        if let Err(error) = file.sync() {
            self.log.take_back(&positions);
            return Err(error);
        }
        for (letter, position) in letters.into_iter().zip(positions) {
            *self.counts.entry(letter.queue.clone()).or_default() += 1;
            if let Some((before, place)) = self.letters.insert(letter.id.clone(), (letter, position)) {
                self.count_out(&before.queue);
                self.forget(place);
            }
        }
        Ok(())
    }

    pub fn list(&self) -> Vec<DeadLetter> {
        let mut letters: Vec<DeadLetter> = self.letters.values().map(|(letter, _)| letter.clone()).collect();
        letters.sort_by_key(|letter| letter.at);
        letters
    }

    pub fn get(&self, id: &str) -> Option<&DeadLetter> {
        self.letters.get(id).map(|(letter, _)| letter)
    }

    pub fn contains(&self, id: &str) -> bool {
        self.letters.contains_key(id)
    }

    pub fn count_of(&self, queue: &str) -> u64 {
        self.counts.get(queue).copied().unwrap_or_default()
    }

    fn count_out(&mut self, queue: &str) {
        if let Some(count) = self.counts.get_mut(queue) {
            *count = count.saturating_sub(1);
        }
    }

    /// Returns the job as it was published, but that it does not expire again, and where its letter stands; or `None` if
    /// there is nothing to run.
    pub fn read(&self, id: &str) -> io::Result<Option<(NewJob, Position)>> {
        let Some((letter, position)) = self.letters.get(id) else { return Ok(None) };
        let Some(file) = self.log.file(position.segment) else { return Ok(None) };
        if letter.reason == DeadReason::Damaged.as_str() {
            return Ok(None);
        }
        let body = match log::read_body(&*file, *position) {
            Ok(body) => body,
            Err(ReadError::Damaged) => return Ok(None),
            Err(ReadError::Disk(error)) => return Err(error),
        };
        let Some(frame) = frame::decode_body(&body) else { return Ok(None) };
        let Some((_, payload)) = split(frame.payload) else { return Ok(None) };
        let job = NewJob {
            id: JobId::new(frame.id),
            task: frame.task.into(),
            queue: frame.queue.into(),
            fairness_key: frame.key,
            priority: frame.priority,
            delay: Duration::ZERO,
            enqueued_at: Some(frame.enqueued_at),
            payload: Bytes::copy_from_slice(payload),
            options: JobOptions { expires_at: None, ..frame.options },
        };
        Ok(Some((job, *position)))
    }

    /// Discards the letter that was read, and not one that took its place since.
    pub fn discard_read(&mut self, id: &str, read: Position) {
        if self.letters.get(id).is_some_and(|(_, position)| *position == read) {
            self.discard(id);
        }
    }

    pub fn discard(&mut self, id: &str) -> bool {
        let Some((letter, position)) = self.letters.remove(id) else { return false };
        self.count_out(&letter.queue);
        self.forget(position);
        true
    }

    /// Drops what is old, what is too much and what is empty; called by upkeep.
    pub fn sweep(&mut self, now: Timestamp) {
        if now.since(self.swept_at) >= SWEEP_EVERY || self.letters.len() > LETTERS_MAX {
            self.swept_at = now;
            self.sweep_letters(now);
        }
        self.log.sweep();
    }

    fn sweep_letters(&mut self, now: Timestamp) {
        let mut by_age: Vec<(Timestamp, String)> =
            self.letters.values().map(|(letter, _)| (letter.at, letter.id.clone())).collect();
        by_age.sort_unstable();
        let too_many = by_age.len().saturating_sub(LETTERS_MAX);
        let goes =
            |(index, (at, _)): &(usize, (Timestamp, String))| *index < too_many || now.since(*at) >= LETTERS_KEPT;
        let going: Vec<String> = by_age.into_iter().enumerate().filter(goes).map(|(_, (_, id))| id).collect();
        if !going.is_empty() {
            tracing::warn!(letters = going.len(), "dead letters went: too old, or too many");
        }
        for id in going {
            self.discard(&id);
        }
    }

    fn forget(&mut self, position: Position) {
        self.log.note([(position, Record::Over)]);
        self.log.release(position.segment);
    }
}

impl Burial {
    /// Returns the letter and the frame's job that carries it.
    fn prepare(self, now: Timestamp) -> io::Result<(DeadLetter, NewJob)> {
        let frame = self.body.as_deref().and_then(frame::decode_body);
        let reason = if frame.is_some() { self.reason } else { DeadReason::Damaged };
        let letter = DeadLetter {
            id: frame.as_ref().map_or_else(|| format!("{:032x}", self.id_hash), |frame| frame.id.to_owned()),
            queue: self.queue,
            task: frame.as_ref().map(|frame| frame.task.to_owned()).unwrap_or_default(),
            reason: reason.as_str().to_owned(),
            attempts: self.attempts,
            deaths: self.deaths,
            error: shorten(&self.error).to_owned(),
            at: now,
        };
        let head = serde_json::to_vec(&letter).map_err(io::Error::other)?;
        let mut payload = (head.len() as u32).to_le_bytes().to_vec();
        payload.extend_from_slice(&head);
        payload.extend_from_slice(frame.as_ref().map(|frame| frame.payload).unwrap_or_default());
        let job = NewJob {
            id: JobId::new(&letter.id),
            task: letter.task.as_str().into(),
            queue: letter.queue.as_str().into(),
            fairness_key: frame.as_ref().map(|frame| frame.key).unwrap_or_default(),
            priority: frame.as_ref().map(|frame| frame.priority).unwrap_or_default(),
            delay: Duration::ZERO,
            enqueued_at: frame.as_ref().map(|frame| frame.enqueued_at),
            payload: Bytes::from(payload),
            options: frame.map(|frame| frame.options).unwrap_or_default(),
        };
        Ok((letter, job))
    }
}

fn split(payload: &[u8]) -> Option<(DeadLetter, &[u8])> {
    let (length, rest) = payload.split_at_checked(4)?;
    let length = u32::from_le_bytes(length.try_into().ok()?) as usize;
    let (head, payload) = rest.split_at_checked(length)?;
    Some((serde_json::from_slice(head).ok()?, payload))
}

fn shorten(error: &str) -> &str {
    let mut end = error.len().min(ERROR_BYTES_MAX);
    while !error.is_char_boundary(end) {
        end -= 1;
    }
    &error[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_looks_as_it_did_in_the_first_release() {
        let letter = DeadLetter {
            id: "1-abc".to_owned(),
            queue: "q".to_owned(),
            task: "t.run".to_owned(),
            reason: DeadReason::Poison.as_str().to_owned(),
            attempts: 4,
            deaths: 3,
            error: "gone".to_owned(),
            at: Timestamp::from_seconds(1_000),
        };
        let golden = include_str!("../../../tests/golden/letter_v1.json").trim_end();
        assert_eq!(serde_json::to_string(&letter).expect("a letter is text"), golden);
        assert_eq!(serde_json::from_str::<DeadLetter>(golden).expect("a letter is read"), letter);
    }

    #[test]
    fn long_errors_are_cut_between_characters() {
        let long = "ä".repeat(ERROR_BYTES_MAX);
        assert_eq!(shorten(&long).len(), ERROR_BYTES_MAX);
        assert_eq!(shorten("short"), "short");
    }
}
