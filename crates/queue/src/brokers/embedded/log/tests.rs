//! Files that do not take what they are given.

use super::*;
use crate::brokers::embedded::disk::RealDisk;
use std::fs::File;

fn disk() -> Arc<dyn Disk> {
    Arc::new(RealDisk)
}

fn frames(count: usize) -> (Vec<u8>, Vec<usize>) {
    let job = crate::NewJob {
        options: crate::JobOptions::default(),
        id: crate::JobId::new("a"),
        task: "t".into(),
        queue: "q".into(),
        fairness_key: 1,
        priority: 5,
        delay: std::time::Duration::ZERO,
        enqueued_at: None,
        payload: bytes::Bytes::from_static(b"payload"),
    };
    let (mut bytes, mut lengths) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let start = bytes.len();
        frame::encode(&job, stdx::Timestamp::EPOCH, &mut bytes);
        lengths.push(bytes.len() - start);
    }
    (bytes, lengths)
}

fn count(folder: &Path) -> usize {
    let mut found = 0;
    let count = |frame: Recovered<'_>| {
        if frame.is_over {
            return Keep::Over;
        }
        found += 1;
        Keep::Living
    };
    Log::open(&disk(), folder, count).expect("the log opens");
    found
}

#[test]
fn a_write_that_fails_keeps_nothing_and_the_next_goes_to_a_fresh_segment() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut log = Log::open(&disk(), folder.path(), |_| Keep::Living).expect("the log opens");
    let (bytes, lengths) = frames(2);
    log.append(&bytes, &lengths).expect("written");
    // A handle that may not write: writing and cutting off both fail.
    let first = log.segments.get_mut(&1).expect("the first segment");
    first.log = Arc::new(File::open(folder.path().join("00000001.log")).expect("opened to read"));
    assert!(log.append(&bytes, &lengths).is_err());
    let (positions, _) = log.append(&bytes, &lengths).expect("written");
    assert_eq!(positions[0].segment, 2);
    drop(log);
    assert_eq!(count(folder.path()), 4);
}

#[test]
fn frames_that_reached_the_file_and_were_refused_are_not_found_again() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut log = Log::open(&disk(), folder.path(), |_| Keep::Living).expect("the log opens");
    let (bytes, lengths) = frames(2);
    log.append(&bytes, &lengths).expect("written");
    let (refused, _) = log.append(&bytes, &lengths).expect("written");
    let first = log.segments.get_mut(&1).expect("the first segment");
    first.log = Arc::new(File::open(folder.path().join("00000001.log")).expect("opened to read"));
    log.take_back(&refused);
    drop(log);
    assert_eq!(count(folder.path()), 2);
}

#[test]
fn records_that_could_not_be_written_are_written_later_in_order() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut log = Log::open(&disk(), folder.path(), |_| Keep::Living).expect("the log opens");
    let (bytes, lengths) = frames(2);
    let (positions, _) = log.append(&bytes, &lengths).expect("written");
    let state = folder.path().join("00000001.state");
    let segment = log.segments.get_mut(&1).expect("the first segment");
    let writable = std::mem::replace(&mut segment.state, Arc::new(File::open(&state).expect("opened to read")));
    log.note([(positions[0], Record::Claimed { attempt: 1, alone: true, holder: None })]);
    log.segments.get_mut(&1).expect("the first segment").state = writable;
    log.note([(positions[0], Record::Over)]);
    drop(log);
    assert_eq!(count(folder.path()), 1);
    let records = read_records(&RealDisk, &state).expect("records are read");
    assert_eq!(records.by_offset[&0], [Record::Claimed { attempt: 1, alone: true, holder: None }, Record::Over]);
}

#[test]
fn a_state_left_without_its_log_is_not_met_by_a_later_segment() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut stale = Vec::new();
    Record::Over.encode(0, &mut stale);
    std::fs::write(folder.path().join("00000001.state"), stale).expect("written");
    let mut log = Log::open(&disk(), folder.path(), |_| Keep::Living).expect("the log opens");
    let (bytes, lengths) = frames(1);
    log.append(&bytes, &lengths).expect("written");
    assert_eq!(log.damages, 1);
    drop(log);
    assert_eq!(count(folder.path()), 1);
    assert!(folder.path().join("00000001.lost").exists(), "what is known of it is kept");
}
