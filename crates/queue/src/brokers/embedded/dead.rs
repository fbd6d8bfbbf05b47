//! Dead letters: jobs that stopped, in a log of their own with the reason before the payload. Copied durably before the
//! original ends.

use super::frame::{self, Record};
use super::log::{self, Log, Position};
use super::schedule::Entry;
use crate::{DeadLetter, DeadReason, JobId, NewJob};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::Duration;
use stdx::Timestamp;

/// Bytes of an error text that are kept.
const ERROR_BYTES_MAX: usize = 4 << 10;

pub struct DeadLetters {
    log: Log,
    /// By time and id, so that the oldest comes first.
    letters: BTreeMap<String, (DeadLetter, Position)>,
}

impl DeadLetters {
    pub fn open(folder: &Path) -> io::Result<Self> {
        let mut letters = BTreeMap::new();
        let log = Log::open(folder, |found| {
            let letter =
                frame::decode_body(found.body).and_then(|frame| split(frame.payload).map(|(letter, _)| letter));
            match letter {
                Some(letter) => {
                    letters.insert(letter.id.clone(), (letter, found.position));
                }
                None => tracing::error!("dead letter of an unknown shape, passed over"),
            }
        })?;
        Ok(DeadLetters { log, letters })
    }

    /// Keeps a copy of a job's frame with why it stopped; durable on return.
    pub fn bury(
        &mut self,
        body: &[u8],
        entry: &Entry,
        reason: DeadReason,
        error: &str,
        now: Timestamp,
    ) -> io::Result<()> {
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, "a queue frame is damaged");
        let job = frame::decode_body(body).ok_or_else(damaged)?;
        let letter = DeadLetter {
            id: job.id.to_owned(),
            queue: job.queue.to_owned(),
            task: job.task.to_owned(),
            reason: reason.as_str().to_owned(),
            attempts: u32::from(entry.attempts),
            deaths: u32::from(entry.deaths),
            error: shorten(error).to_owned(),
            at: now,
        };
        let head = serde_json::to_vec(&letter).map_err(io::Error::other)?;
        let mut payload = (head.len() as u32).to_le_bytes().to_vec();
        payload.extend_from_slice(&head);
        payload.extend_from_slice(job.payload);
        let copy = NewJob {
            id: JobId::new(job.id),
            task: job.task.into(),
            queue: job.queue.into(),
            fairness_key: job.key,
            priority: job.priority,
            delay: Duration::ZERO,
            payload: Bytes::from(payload),
        };
        let mut bytes = Vec::new();
        frame::encode(&copy, now, &mut bytes);
        let length = bytes.len();
        let (positions, file) = self.log.append(&bytes, &[length])?;
        if let Err(error) = file.sync_data() {
            self.log.take_back(&positions);
            return Err(error);
        }
        self.letters.insert(letter.id.clone(), (letter, positions[0]));
        Ok(())
    }

    pub fn list(&self) -> Vec<DeadLetter> {
        let mut letters: Vec<DeadLetter> = self.letters.values().map(|(letter, _)| letter.clone()).collect();
        letters.sort_by_key(|letter| letter.at);
        letters
    }

    pub fn contains(&self, id: &str) -> bool {
        self.letters.contains_key(id)
    }

    pub fn count_of(&self, queue: &str) -> u64 {
        self.letters.values().filter(|(letter, _)| letter.queue == queue).count() as u64
    }

    /// Returns the job as it was published.
    pub fn read(&self, id: &str) -> io::Result<Option<NewJob>> {
        let Some((_, position)) = self.letters.get(id) else { return Ok(None) };
        let Some(file) = self.log.file(position.segment) else { return Ok(None) };
        let body = log::read_body(&file, *position)?;
        let Some(frame) = frame::decode_body(&body) else { return Ok(None) };
        let Some((_, payload)) = split(frame.payload) else { return Ok(None) };
        Ok(Some(NewJob {
            id: JobId::new(frame.id),
            task: frame.task.into(),
            queue: frame.queue.into(),
            fairness_key: frame.key,
            priority: frame.priority,
            delay: Duration::ZERO,
            payload: Bytes::copy_from_slice(payload),
        }))
    }

    pub fn discard(&mut self, id: &str) -> io::Result<bool> {
        let Some((_, position)) = self.letters.remove(id) else { return Ok(false) };
        self.log.note([(position, Record::Over)]);
        self.log.release(position.segment)?;
        Ok(true)
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
