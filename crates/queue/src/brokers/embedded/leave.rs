//! What operators take out by hand: read and shown first, removed once it was accounted for. Two calls for each batch, so
//! that a guest of the owner can ask for them over the socket and account on its own side.

use super::frame;
use super::log::{self, ReadError};
use super::schedule::Slot;
use super::{Embedded, hash_id};
use crate::broker::{Account, LEAVING_BYTES_MAX, LEAVING_JOBS_MAX, Leaving};
use crate::letters::{self, Going};
use crate::{JobId, QueueError};
use bytes::Bytes;
use stdx::Timestamp;

/// Jobs of a queue that may leave, and where to look for more.
#[derive(Default)]
pub struct Batch {
    pub leaving: Vec<Leaving>,
    /// Their names in memory, which a job whose frame is damaged has too.
    pub hashes: Vec<u128>,
    /// `None` after the last.
    pub next: Option<Slot>,
}

/// Shows batch after batch, and removes each once it was accounted for. Returns how many jobs went: not those that a
/// worker took meanwhile.
pub fn purge(
    account: Account<'_>,
    read: impl Fn(Slot) -> Result<Batch, QueueError>,
    remove: impl Fn(&[u128]) -> Result<u64, QueueError>,
) -> Result<u64, QueueError> {
    let (mut from, mut removed) = (Some(0), 0);
    while let Some(slot) = from {
        let batch = read(slot)?;
        if !batch.leaving.is_empty() {
            account(&batch.leaving)?;
            removed += remove(&batch.hashes)?;
        }
        from = batch.next;
    }
    Ok(removed)
}

impl Embedded {
    /// Returns jobs of a queue that do not run, with their payloads.
    ///
    /// # Errors
    /// If the disk does not give them now.
    pub fn leaving(&self, queue: &str, from: Slot) -> Result<Batch, QueueError> {
        let mut found = Vec::new();
        let mut batch = Batch::default();
        {
            let inner = self.shared.lock();
            let mut bytes = 0;
            for (slot, entry) in inner.schedule.waiting_from(queue, from) {
                let length = entry.position.length as usize;
                let is_full = found.len() == LEAVING_JOBS_MAX || bytes + length > LEAVING_BYTES_MAX;
                if is_full && !found.is_empty() {
                    batch.next = Some(slot);
                    break;
                }
                bytes += length;
                found.push((entry.id_hash, entry.enqueued_s, entry.position, inner.log.file(entry.position.segment)));
            }
        }
        for (id_hash, enqueued_s, position, file) in found {
            let body = match file.as_deref().map(|file| log::read_body(file, position)) {
                Some(Ok(body)) => Some(Bytes::from(body)),
                Some(Err(ReadError::Disk(error))) => return Err(self.shared.failed(error)),
                Some(Err(ReadError::Damaged)) | None => None,
            };
            batch.hashes.push(id_hash);
            batch.leaving.push(leaving(body, id_hash, enqueued_s));
        }
        Ok(batch)
    }

    /// Removes those of them that do not run now, and returns how many.
    ///
    /// # Errors
    /// If this is not the owner any more.
    pub fn remove(&self, queue: &str, hashes: &[u128]) -> Result<u64, QueueError> {
        self.shared.owns()?;
        let mut inner = self.shared.lock();
        let places = inner.schedule.remove_waiting(queue, hashes);
        inner.forget(&places);
        Ok(places.len() as u64)
    }

    /// Returns those of the dead letters that there are, with their jobs, and how many of the ids were looked at.
    ///
    /// # Errors
    /// If the disk does not give them now.
    pub fn show_letters(&self, ids: &[String]) -> Result<(Vec<Going>, usize), QueueError> {
        letters::show_each(ids, |id| {
            let inner = self.shared.lock();
            let Some(letter) = inner.dead.get(id) else { return Ok(None) };
            let job = inner.dead.read(id).map_err(|error| self.shared.failed(error))?;
            Ok(Some(letters::going(letter, job.map(|(job, _)| job.payload))))
        })
    }

    /// Forgets dead letters that were shown, each by its name and its job's time. Returns how many of them were there.
    ///
    /// # Errors
    /// If this is not the owner any more.
    pub fn drop_letters(&self, shown: &[(String, Timestamp)]) -> Result<u64, QueueError> {
        self.shared.owns()?;
        let mut inner = self.shared.lock();
        let mut dropped = 0;
        for (name, enqueued_at) in shown {
            dropped += u64::from(inner.dead.discard_shown(name, *enqueued_at));
        }
        Ok(dropped)
    }
}

fn leaving(body: Option<Bytes>, id_hash: u128, enqueued_s: u32) -> Leaving {
    let frame = body.as_ref().and_then(|body| frame::decode_body(body)).filter(|frame| hash_id(frame.id) == id_hash);
    match (&body, frame) {
        (Some(body), Some(frame)) => Leaving {
            id: JobId::new(frame.id),
            enqueued_at: frame.enqueued_at,
            payload: Some(body.slice_ref(frame.payload)),
        },
        (Some(_) | None, _) => Leaving {
            id: JobId::new(&format!("{id_hash:032x}")),
            enqueued_at: Timestamp::from_seconds(i64::from(enqueued_s)),
            payload: None,
        },
    }
}
