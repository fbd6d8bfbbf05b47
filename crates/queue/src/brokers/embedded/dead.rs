//! Dead letters: jobs that stopped, in a log of their own with the reason before the payload. Copied durably before the
//! original ends; of two copies of a job (a crash between copy and end) the later one holds.

use super::disk::Disk;
use super::frame::{self, Record};
use super::log::{self, Keep, Log, Position, ReadError};
use crate::letters::{DeadName, DeadNames, LetterPage, Letters, NAMES_MAX, name_apart};
use crate::{DeadLetter, DeadReason, JobId, JobOptions, NewJob, QueueError};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use stdx::Timestamp;

/// Bytes of an error text that are kept.
const ERROR_BYTES_MAX: usize = 4 << 10;

pub struct DeadLetters {
    pub log: Log,
    letters: BTreeMap<String, (DeadLetter, Position)>,
    /// When each stopped, and its name.
    order: BTreeSet<(Timestamp, String)>,
    /// How many each queue has.
    counts: HashMap<String, u64>,
}

/// A job on its way to the dead letters.
pub struct Burial {
    /// The body of its frame, `None` if that is damaged.
    pub body: Option<Vec<u8>>,
    /// Its name if the body is damaged.
    pub id_hash: u128,
    /// Since when it waits, to the second, if the body is damaged.
    pub enqueued_s: u32,
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
            let Some((letter, _)) = frame.as_ref().and_then(|frame| split(frame.payload)) else {
                return Keep::Unreadable;
            };
            // The first release did not write it into the letter.
            let letter = DeadLetter { enqueued_at: frame.map_or(letter.at, |frame| frame.enqueued_at), ..letter };
            let before = letters.insert(letter.id.clone(), (letter, found.position));
            replaced.extend(before.map(|(_, position)| position));
            Keep::Living
        })?;
        let mut counts: HashMap<String, u64> = HashMap::new();
        for (letter, _) in letters.values() {
            *counts.entry(letter.queue.clone()).or_default() += 1;
        }
        let order = letters.values().map(|(letter, _)| (letter.at, letter.id.clone())).collect();
        let mut dead = DeadLetters { log, letters, order, counts };
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
            let (letter, job) = burial.prepare(now, |id, enqueued_at| self.name_of(id, enqueued_at))?;
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
            let (at, id) = (letter.at, letter.id.clone());
            if let Some((before, place)) = self.letters.insert(id.clone(), (letter, position)) {
                self.count_out(&before);
                self.forget(place);
            }
            self.order.insert((at, id));
        }
        Ok(())
    }

    /// A letter of the same job is replaced; that of another job of this id keeps its name.
    fn name_of(&self, id: &str, enqueued_at: Timestamp) -> String {
        match self.letters.get(id) {
            Some((letter, _)) if letter.enqueued_at != enqueued_at => name_apart(id, enqueued_at),
            Some(_) | None => id.to_owned(),
        }
    }

    pub fn page(&self, page: &LetterPage) -> Letters {
        let after = page.after.as_ref().map(|after| (after.at, after.id.clone()));
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let of_page = |letter: &&DeadLetter| page.queue.as_ref().is_none_or(|queue| letter.queue == *queue);
        let mut letters = self.order.range((from, Bound::Unbounded)).filter_map(|(_, id)| self.get(id)).filter(of_page);
        let found: Vec<DeadLetter> = letters.by_ref().take(page.most()).cloned().collect();
        let next = letters.next().and(found.last()).map(DeadLetter::cursor);
        Letters { letters: found, next }
    }

    /// In the order of their ids, a bounded number.
    pub fn names(&self, since: Timestamp, from: Option<&str>) -> DeadNames {
        let from = from.map_or(Bound::Unbounded, Bound::Excluded);
        let mut letters = self.letters.range::<str, _>((from, Bound::Unbounded)).map(|(_, (letter, _))| letter);
        let looked_at: Vec<&DeadLetter> = letters.by_ref().take(NAMES_MAX).collect();
        let next = letters.next().and(looked_at.last()).map(|letter| letter.id.clone());
        let name = |letter: &&DeadLetter| DeadName {
            id: letter.id.clone(),
            queue: letter.queue.clone(),
            enqueued_at: letter.enqueued_at,
        };
        DeadNames { names: looked_at.iter().filter(|letter| letter.enqueued_at >= since).map(name).collect(), next }
    }

    pub fn get(&self, id: &str) -> Option<&DeadLetter> {
        self.letters.get(id).map(|(letter, _)| letter)
    }

    /// Whether there is a letter of a job of this id, by whatever name.
    pub fn contains(&self, id: &str) -> bool {
        let mut apart = self.letters.range::<str, _>((Bound::Excluded(id), Bound::Unbounded)).map(|(_, (one, _))| one);
        self.letters.contains_key(id)
            || apart.by_ref().take_while(|letter| letter.id.starts_with(id)).any(|letter| letter.job_id() == id)
    }

    /// The queues that have any, and how many.
    pub fn counts(&self) -> impl Iterator<Item = (&str, u64)> {
        self.counts.iter().filter(|(_, count)| **count > 0).map(|(queue, count)| (queue.as_str(), *count))
    }

    pub fn count_of(&self, queue: &str) -> u64 {
        self.counts.get(queue).copied().unwrap_or_default()
    }

    fn count_out(&mut self, gone: &DeadLetter) {
        self.order.remove(&(gone.at, gone.id.clone()));
        if let Some(count) = self.counts.get_mut(&gone.queue) {
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
        self.count_out(&letter);
        self.forget(position);
        true
    }

    /// Discards the letter of a job that was shown, and not another job's that took its name since.
    pub fn discard_shown(&mut self, name: &str, enqueued_at: Timestamp) -> bool {
        self.get(name).is_some_and(|letter| letter.enqueued_at == enqueued_at) && self.discard(name)
    }

    /// Drops segments that are empty; called by upkeep.
    pub fn sweep(&mut self) {
        self.log.sweep();
    }

    fn forget(&mut self, position: Position) {
        self.log.note([(position, Record::Over)]);
        self.log.release(position.segment);
    }
}

impl Burial {
    /// Returns the letter and the frame's job that carries it.
    fn prepare(self, now: Timestamp, name_of: impl Fn(&str, Timestamp) -> String) -> io::Result<(DeadLetter, NewJob)> {
        let frame = self.body.as_deref().and_then(frame::decode_body);
        let reason = if frame.is_some() { self.reason } else { DeadReason::Damaged };
        let id = frame.as_ref().map_or_else(|| format!("{:032x}", self.id_hash), |frame| frame.id.to_owned());
        let enqueued_at = frame
            .as_ref()
            .map_or_else(|| Timestamp::from_seconds(i64::from(self.enqueued_s)), |frame| frame.enqueued_at);
        let letter = DeadLetter {
            id: name_of(&id, enqueued_at),
            queue: self.queue,
            task: frame.as_ref().map(|frame| frame.task.to_owned()).unwrap_or_default(),
            reason: reason.as_str().to_owned(),
            attempts: self.attempts,
            deaths: self.deaths,
            error: shorten(&self.error).to_owned(),
            at: now,
            enqueued_at,
        };
        let head = serde_json::to_vec(&letter).map_err(io::Error::other)?;
        let mut payload = (head.len() as u32).to_le_bytes().to_vec();
        payload.extend_from_slice(&head);
        payload.extend_from_slice(frame.as_ref().map(|frame| frame.payload).unwrap_or_default());
        let job = NewJob {
            id: JobId::new(&id),
            task: letter.task.as_str().into(),
            queue: letter.queue.as_str().into(),
            fairness_key: frame.as_ref().map(|frame| frame.key).unwrap_or_default(),
            priority: frame.as_ref().map(|frame| frame.priority).unwrap_or_default(),
            delay: Duration::ZERO,
            enqueued_at: Some(enqueued_at),
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
    fn a_letter_looks_as_it_did_and_one_of_the_first_release_is_read() {
        let letter = DeadLetter {
            id: "1-abc".to_owned(),
            queue: "q".to_owned(),
            task: "t.run".to_owned(),
            reason: DeadReason::Poison.as_str().to_owned(),
            attempts: 4,
            deaths: 3,
            error: "gone".to_owned(),
            at: Timestamp::from_seconds(1_000),
            enqueued_at: Timestamp::from_seconds(900),
        };
        let first = include_str!("../../../tests/golden/letter_v1.json");
        let of_first = DeadLetter { enqueued_at: Timestamp::EPOCH, ..letter.clone() };
        assert_eq!(serde_json::from_str::<DeadLetter>(first).expect("a letter is read"), of_first);
        let golden = include_str!("../../../tests/golden/letter_v2.json").trim_end();
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
