//! What the embedded broker's folder must survive: restarts at any point, torn tails, damage, a full disk.

use crate::support::{LEASE, Rig, job, open};
use queue::{Broker, Finish, Ledger, QueueError};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

fn files(rig: &Rig, kind: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(rig.folder.path()).expect("the folder is there");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == kind)).collect()
}

/// Waits for upkeep, which runs every quarter of a second.
fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

#[test]
fn what_waits_comes_back_after_a_restart_and_what_is_over_does_not() {
    let rig = Rig::new();
    rig.publish_ids(&["a", "b", "c"]);
    let claimed = rig.claim(1);
    rig.finish(&claimed[0], Finish::Done);
    let rig = rig.restart();
    assert_eq!(rig.claim_ids(10), ["b", "c"]);
}

#[test]
fn a_restart_while_a_job_runs_counts_as_a_death_of_its_company() {
    let rig = Rig::new();
    rig.publish_ids(&["killer"]);
    let mut rig = rig;
    for attempt in 1..=3 {
        assert_eq!(rig.claim(1)[0].attempt, attempt);
        rig = rig.restart();
    }
    assert!(rig.claim(1).is_empty());
    assert_eq!(rig.broker.dead_letters()[0].reason, "poison");
    let rig = rig.restart();
    assert_eq!(rig.broker.dead_letters().len(), 1, "dead letters outlive the process");
    assert_eq!(rig.waiting(), 0);
}

#[test]
fn a_given_back_attempt_is_not_counted_after_a_restart() {
    let rig = Rig::new();
    rig.publish_ids(&["a"]);
    rig.finish(&rig.claim(1)[0], Finish::GiveBack { after: Duration::ZERO });
    let rig = rig.restart();
    assert_eq!(rig.claim(1)[0].attempt, 1);
}

#[test]
fn a_torn_tail_costs_only_what_was_never_answered() {
    let rig = Rig::new();
    rig.publish_ids(&["a", "b"]);
    let log = files(&rig, "log").remove(0);
    let whole = std::fs::read(&log).expect("the log is read");
    let Rig { clock, free, folder, broker, .. } = rig;
    drop(broker);
    let first = whole.len() / 2;
    for cut in first..whole.len() {
        std::fs::write(&log, &whole[..cut]).expect("the log is cut");
        let broker = open(folder.path(), &clock, &free, 100).expect("the broker opens");
        let waiting: u64 = broker.depths().iter().map(|depth| depth.ready).sum();
        assert_eq!(waiting, 1, "cut at {cut}");
        drop(broker);
    }
}

#[test]
fn a_damaged_frame_in_the_middle_leaves_the_others() {
    let rig = Rig::new();
    rig.publish_ids(&["a", "b", "c"]);
    let log = files(&rig, "log").remove(0);
    let mut bytes = std::fs::read(&log).expect("the log is read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    let Rig { clock, free, folder, broker, .. } = rig;
    drop(broker);
    std::fs::write(&log, &bytes).expect("the log is damaged");
    let broker = open(folder.path(), &clock, &free, 100).expect("the broker opens");
    assert_eq!(broker.depths()[0].ready, 2);
}

#[test]
fn a_frame_of_a_newer_release_is_refused_by_name() {
    let rig = Rig::new();
    rig.publish_ids(&["a"]);
    let log = files(&rig, "log").remove(0);
    let Rig { clock, free, folder, broker, .. } = rig;
    drop(broker);
    let mut bytes = std::fs::read(&log).expect("the log is read");
    // The version and its checksum: version, length, body.
    bytes[2] = 2;
    let mut crc = crc32fast::Hasher::new();
    crc.update(&bytes[2..7]);
    crc.update(&bytes[11..]);
    bytes[7..11].copy_from_slice(&crc.finalize().to_le_bytes());
    std::fs::write(&log, &bytes).expect("the version is changed");
    let refused = open(folder.path(), &clock, &free, 100).err().expect("a newer frame is refused");
    assert!(matches!(refused, QueueError::Newer { version: 2, .. }), "{refused:?}");
}

#[test]
fn a_second_owner_is_refused() {
    let rig = Rig::new();
    let refused = open(rig.folder.path(), &rig.clock, &Arc::new(AtomicU64::new(u64::MAX)), 100);
    assert!(matches!(refused, Err(QueueError::Owned { .. })));
}

#[test]
fn the_last_ack_frees_the_segments_also_the_active_one() {
    let rig = Rig::new();
    rig.publish_ids(&["a", "b"]);
    for claimed in rig.claim(2) {
        rig.finish(&claimed, Finish::Done);
    }
    eventually("segments are gone", || files(&rig, "log").is_empty() && files(&rig, "state").is_empty());
    rig.publish_ids(&["c"]);
    assert_eq!(rig.claim_ids(1), ["c"]);
}

#[test]
fn a_full_disk_refuses_and_heals_without_a_restart() {
    let rig = Rig::new();
    rig.publish_ids(&["kept"]);
    rig.free.store(10, Ordering::SeqCst);
    eventually("the floor is noticed", || rig.broker.accepting().is_err());
    assert!(matches!(rig.publish(vec![job("refused")]), Err(QueueError::Unwritable { .. })));
    rig.free.store(u64::MAX, Ordering::SeqCst);
    eventually("space is noticed", || rig.broker.accepting().is_ok());
    rig.publish_ids(&["after"]);
    assert_eq!(rig.claim_ids(10), ["kept", "after"]);
}

#[test]
fn a_lease_of_a_dead_worker_is_noticed_by_the_next_claim() {
    let rig = Rig::new();
    rig.publish_ids(&["a"]);
    assert_eq!(rig.claim(1).len(), 1);
    rig.clock.advance(LEASE);
    assert_eq!(rig.claim_ids(1), ["a"]);
}
