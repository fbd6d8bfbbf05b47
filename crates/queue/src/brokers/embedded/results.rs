//! Results of jobs that keep one, in a log of their own: a frame each, whose payload is the result. In memory stands only
//! where it is. Written before the job ends, not flushed: a power loss may cost the latest, never a job.

use super::disk::Disk;
use super::frame::{self, Record};
use super::hash_id;
use super::log::{self, Keep, Log, Position};
use crate::{JobId, JobResult, NewJob, QueueError, RESULT_BYTES_MAX, RESULT_KEPT};
use std::collections::{HashMap, VecDeque};
use std::io;
use std::path::Path;
use std::sync::Arc;
use stdx::Timestamp;

/// Results kept at once; beyond it the oldest go first.
const RESULTS_MAX: usize = 100_000;

pub struct Results {
    pub log: Log,
    kept: HashMap<u128, Position>,
    /// By when they were written; a result that was replaced has left `kept` or stands there at another place.
    order: VecDeque<(Timestamp, u128, Position)>,
}

impl Results {
    pub fn open(disk: &Arc<dyn Disk>, folder: &Path) -> Result<Results, QueueError> {
        let mut found: Vec<(Timestamp, u128, Position)> = Vec::new();
        let log = Log::open(disk, folder, |recovered| {
            if recovered.is_over {
                return Keep::Over;
            }
            let Some(frame) = frame::decode_body(recovered.body) else { return Keep::Unreadable };
            found.push((frame.enqueued_at, hash_id(frame.id), recovered.position));
            Keep::Living
        })?;
        let mut results = Results { log, kept: HashMap::new(), order: VecDeque::new() };
        for (at, id, position) in found {
            results.take_in(at, id, position);
        }
        Ok(results)
    }

    fn take_in(&mut self, at: Timestamp, id: u128, position: Position) {
        if let Some(before) = self.kept.insert(id, position) {
            self.forget(before);
        }
        self.order.push_back((at, id, position));
    }

    /// Keeps a result. One that cannot be written is said to be missing, and nothing else stops for it.
    pub fn keep(&mut self, id: &str, result: JobResult, now: Timestamp) {
        let mut text = serde_json::to_vec(&result).expect("JSON values can be written");
        if text.len() > RESULT_BYTES_MAX {
            let error = format!("ResultTooLarge: {} bytes, at most {RESULT_BYTES_MAX} are kept", text.len());
            text = serde_json::to_vec(&JobResult::Failure { error }).expect("JSON values can be written");
        }
        let mut bytes = Vec::new();
        frame::encode(&NewJob::new(JobId::new(id), "", "", text.into()), now, &mut bytes);
        let length = bytes.len();
        match self.log.append(&bytes, &[length]) {
            Ok((positions, _)) => {
                for position in positions {
                    self.take_in(now, hash_id(id), position);
                }
            }
            Err(error) => tracing::warn!(error = %error, job = id, "result not kept"),
        }
    }

    pub fn read(&self, id: &JobId) -> io::Result<Option<JobResult>> {
        let Some(position) = self.kept.get(&hash_id(id.as_str())) else { return Ok(None) };
        let Some(file) = self.log.file(position.segment) else { return Ok(None) };
        let body = match log::read_body(&*file, *position) {
            Ok(body) => body,
            Err(log::ReadError::Damaged) => return Ok(None),
            Err(log::ReadError::Disk(error)) => return Err(error),
        };
        let payload = frame::decode_body(&body).map(|frame| frame.payload.to_vec());
        Ok(payload.and_then(|payload| serde_json::from_slice(&payload).ok()))
    }

    /// Drops what is old and what is too much; called by upkeep.
    pub fn sweep(&mut self, now: Timestamp) {
        while let Some((at, id, position)) = self.order.front().copied() {
            let is_current = self.kept.get(&id) == Some(&position);
            if is_current && now.since(at) < RESULT_KEPT && self.kept.len() <= RESULTS_MAX {
                break;
            }
            self.order.pop_front();
            if is_current {
                self.kept.remove(&id);
                self.forget(position);
            }
        }
        self.log.sweep();
    }

    fn forget(&mut self, position: Position) {
        self.log.note([(position, Record::Over)]);
        self.log.release(position.segment);
    }
}
