//! A job as the spool keeps it: the whole of it, in the payload of another. It outlives the process, so its shape has a
//! version and a golden file.
//!
//! Layout of version 1: the byte 1, the head's length as four bytes little-endian, the head as JSON, the payload.

use super::QUEUE;
use crate::{JobId, JobOptions, NewJob};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use stdx::Timestamp;

const VERSION: u8 = 1;
/// The version and the head's length.
const PREFIX_BYTES: usize = 5;
/// The task of whatever is kept; nothing runs it.
const TASK: &str = "spool.forward";

#[derive(Serialize, Deserialize)]
struct Head {
    task: String,
    queue: String,
    fairness_key: u64,
    priority: u8,
    #[serde(default, skip_serializing_if = "is_zero")]
    delay_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    enqueued_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "is_default")]
    options: JobOptions,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

fn is_default(options: &JobOptions) -> bool {
    *options == JobOptions::default()
}

/// Returns the job in which `job` waits: of the same id, so that publishing twice keeps one.
pub fn pack(job: NewJob) -> NewJob {
    let NewJob { id, task, queue, fairness_key, priority, delay, enqueued_at, payload, options } = job;
    // They lie on this machine for as long as the parcel does.
    let outside = JobOptions { outside_bytes: options.outside_bytes, ..JobOptions::default() };
    let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
    let (task, queue) = (task.to_string(), queue.to_string());
    let head = Head { task, queue, fairness_key, priority, delay_ms, enqueued_at, options };
    let head = serde_json::to_vec(&head).expect("texts and numbers can be written");
    let mut bytes = Vec::with_capacity(PREFIX_BYTES + head.len() + payload.len());
    bytes.push(VERSION);
    bytes.extend_from_slice(&(head.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&head);
    bytes.extend_from_slice(&payload);
    NewJob { enqueued_at, options: outside, ..NewJob::new(id, TASK, QUEUE, Bytes::from(bytes)) }
}

/// Returns the job that waits in a parcel, or `None` for what this release cannot read.
pub fn unpack(id: &JobId, parcel: &Bytes) -> Option<NewJob> {
    let (prefix, rest) = parcel.split_at_checked(PREFIX_BYTES)?;
    let (version, length) = prefix.split_first()?;
    let length = u32::from_le_bytes(length.try_into().ok()?) as usize;
    if *version != VERSION || rest.len() < length {
        return None;
    }
    let head: Head = serde_json::from_slice(&rest[..length]).ok()?;
    Some(NewJob {
        id: id.clone(),
        task: head.task.into(),
        queue: head.queue.into(),
        fairness_key: head.fairness_key,
        priority: head.priority,
        delay: Duration::from_millis(head.delay_ms),
        enqueued_at: head.enqueued_at,
        payload: parcel.slice(PREFIX_BYTES + length..),
        options: head.options,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job() -> NewJob {
        NewJob {
            fairness_key: 7,
            priority: 9,
            delay: Duration::from_secs(2),
            options: JobOptions { keeps_result: true, ..JobOptions::default() },
            ..NewJob::new(JobId::new("1-abc"), "t.run", "q", Bytes::from_static(b"payload"))
        }
    }

    #[test]
    fn a_parcel_looks_as_it_did_in_the_first_release() {
        let golden = include_bytes!("../../tests/golden/spool_v1.bin");
        assert_eq!(pack(job()).payload, golden.as_slice());
        let read = unpack(&JobId::new("1-abc"), &Bytes::from_static(golden)).expect("a parcel is read");
        assert_eq!(format!("{read:?}"), format!("{:?}", job()));
    }

    #[test]
    fn what_is_cut_or_of_another_version_is_not_read() {
        let parcel = pack(job()).payload;
        let id = JobId::new("1-abc");
        let head = parcel.len() - b"payload".len();
        for length in 0..head {
            assert!(unpack(&id, &parcel.slice(..length)).is_none(), "{length}");
        }
        let mut newer = parcel.to_vec();
        newer[0] = 2;
        assert!(unpack(&id, &Bytes::from(newer)).is_none());
    }
}
