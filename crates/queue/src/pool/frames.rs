//! What a worker and its child say to each other: the frames of the queue's own socket, a version, a head in JSON and
//! payloads as they are. Both ends are one program, so the version only guards against a mistake.

use crate::brokers::member::wire::{ClaimedHead, HEAD_BYTES_MAX, read_frame, write_frame};
use crate::{Claimed, Outcome};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};

/// Around an outcome in its message, with its part of what is around them all.
const BYTES_AROUND: usize = 64;

/// What the worker says.
#[derive(Debug, Serialize, Deserialize)]
pub enum Order {
    /// Their payloads stand in the tail.
    Run { task: String, jobs: Vec<ClaimedHead> },
    /// The run's time limit has passed.
    OverTime,
    /// The worker stops: a long run may end early.
    Stop,
}

/// What the child says.
#[derive(Debug, Serialize, Deserialize)]
pub enum Word {
    /// It has configured itself and waits for runs.
    Ready,
    /// It has a run: from now on its death is the run's.
    Began,
    /// An outcome for each job; a report stands in the tail.
    Ended { outcomes: Vec<Outcome> },
}

pub fn order_run(task: &str, jobs: &[Claimed]) -> (Order, Vec<u8>) {
    let mut tail = Vec::new();
    let jobs = jobs.iter().map(|job| ClaimedHead::new(job, &mut tail)).collect();
    (Order::Run { task: task.to_owned(), jobs }, tail)
}

/// The end of a job that, or whose result, is too large for a frame.
pub fn refused(why: &dyn std::fmt::Display) -> Outcome {
    Outcome::Dead { error: format!("ValueError: {why}") }
}

/// Says how a run ended. Of results that are too large together, those beyond their share are refused: the others are kept,
/// and nobody pays for another.
///
/// # Errors
/// If the other end is gone or takes nothing.
pub fn say_ended(stream: &mut impl Write, outcomes: Vec<Outcome>, report: &[u8]) -> io::Result<()> {
    let ended = Word::Ended { outcomes };
    match say(stream, &ended, report) {
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => {}
        said => return said,
    }
    let Word::Ended { mut outcomes } = ended else { return Ok(()) };
    let share = (HEAD_BYTES_MAX / outcomes.len().max(1)).saturating_sub(BYTES_AROUND);
    for outcome in &mut outcomes {
        let bytes = serde_json::to_vec(outcome).map_err(io::Error::other)?.len();
        if bytes > share {
            *outcome = refused(&format_args!("its result: message of {bytes} bytes is larger than {share}"));
        }
    }
    say(stream, &Word::Ended { outcomes }, &[])
}

/// # Errors
/// If the tail is shorter than the heads say.
pub fn jobs_of(heads: Vec<ClaimedHead>, mut tail: Bytes) -> io::Result<Vec<Claimed>> {
    heads.into_iter().map(|head| head.into_claimed(&mut tail)).collect()
}

/// # Errors
/// If the other end is gone or takes nothing.
pub fn say(stream: &mut impl Write, head: &impl Serialize, tail: &[u8]) -> io::Result<()> {
    write_frame(stream, head, tail)
}

/// # Errors
/// If the other end is gone or speaks another language.
pub fn hear<T: serde::de::DeserializeOwned>(stream: &mut impl Read) -> io::Result<(T, Bytes)> {
    read_frame(stream)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{JobId, JobOptions, LeaseId};
    use stdx::Timestamp;

    #[test]
    fn a_run_and_its_end_come_back_as_they_were() {
        let job = |id: &str| Claimed {
            lease: LeaseId(7),
            id: JobId::new(id),
            task: "t".into(),
            queue: "q".into(),
            attempt: 2,
            enqueued_at: Timestamp::EPOCH,
            payload: Bytes::copy_from_slice(id.as_bytes()),
            options: JobOptions::default(),
        };
        let (order, tail) = order_run("t", &[job("one"), job("other")]);
        let mut stream = Vec::new();
        say(&mut stream, &order, &tail).expect("written");
        let (heard, tail) = hear::<Order>(&mut stream.as_slice()).expect("read");
        let Order::Run { task, jobs } = heard else { panic!("another order") };
        let jobs = jobs_of(jobs, tail).expect("whole");
        assert_eq!((task.as_str(), jobs.len(), &jobs[1].payload[..]), ("t", 2, &b"other"[..]));

        let outcomes = vec![
            Outcome::Done,
            Outcome::Returned { value: serde_json::json!({"a": 1}) },
            Outcome::Snooze { after: std::time::Duration::from_millis(1_500) },
        ];
        let mut stream = Vec::new();
        say(&mut stream, &Word::Ended { outcomes: outcomes.clone() }, b"report").expect("written");
        let (heard, tail) = hear::<Word>(&mut stream.as_slice()).expect("read");
        assert!(matches!(heard, Word::Ended { outcomes: heard } if heard == outcomes));
        assert_eq!(&tail[..], b"report");
    }

    #[test]
    fn what_is_too_large_is_refused_with_its_size_before_any_of_it_is_written() {
        let mut stream = Vec::new();
        let error = say(&mut stream, &Order::Stop, &vec![0; (96 << 20) + 1]).expect_err("too large");
        assert_eq!((error.kind(), stream.len()), (io::ErrorKind::InvalidInput, 0));
        assert_eq!(error.to_string(), "message of 100663297 bytes is larger than 100663296");
    }
}
