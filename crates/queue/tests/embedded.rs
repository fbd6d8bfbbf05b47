//! What the embedded broker's folder must survive: restarts at any point, torn tails, damage, a full disk.

use crate::support::{LEASE, Rig, job, open, unaccounted};
use queue::{Broker, DeadReason, Finish, Ledger, NewJob, QueueError};
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
    assert_eq!(rig.broker.dead_letters().expect("letters")[0].reason, "poison");
    let rig = rig.restart();
    assert_eq!(rig.broker.dead_letters().expect("letters").len(), 1, "dead letters outlive the process");
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
        let waiting: u64 = broker.depths().expect("depths").iter().map(|depth| depth.ready).sum();
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
    assert_eq!(broker.depths().expect("depths")[0].ready, 2);
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
    bytes[2] = 3;
    let mut crc = crc32fast::Hasher::new();
    crc.update(&bytes[2..7]);
    crc.update(&bytes[11..]);
    bytes[7..11].copy_from_slice(&crc.finalize().to_le_bytes());
    std::fs::write(&log, &bytes).expect("the version is changed");
    let refused = open(folder.path(), &clock, &free, 100).err().expect("a newer frame is refused");
    assert!(matches!(refused, QueueError::Newer { version: 3, .. }), "{refused:?}");
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

/// Opens the folder of a rig whose broker is gone.
fn reopen(rig: Rig, change: impl FnOnce(&std::path::Path)) -> (tempfile::TempDir, queue::brokers::embedded::Embedded) {
    let Rig { clock, free, folder, broker, .. } = rig;
    drop(broker);
    change(folder.path());
    let broker = open(folder.path(), &clock, &free, 100).expect("the broker opens");
    (folder, broker)
}

#[test]
fn any_flipped_byte_costs_at_most_its_own_job_and_is_counted() {
    let rig = Rig::new();
    rig.publish_ids(&["a", "b", "c"]);
    let log = files(&rig, "log").remove(0);
    let whole = std::fs::read(&log).expect("the log is read");
    let second = whole.len() / 3..whole.len() / 3 * 2;
    let Rig { clock, free, folder, broker, .. } = rig;
    drop(broker);
    for index in second {
        let mut bytes = whole.clone();
        bytes[index] ^= 0x55;
        std::fs::write(&log, &bytes).expect("the log is damaged");
        let broker = open(folder.path(), &clock, &free, 100).expect("the broker opens");
        assert_eq!((broker.depths().expect("depths")[0].ready, broker.damages()), (2, 1), "flipped at {index}");
    }
}

#[test]
fn records_belong_to_their_job_also_behind_damage() {
    let rig = Rig::new();
    rig.publish_ids(&["a", "b", "c"]);
    let claimed = rig.claim(3);
    rig.finish(&claimed[2], Finish::Done);
    let log = files(&rig, "log").remove(0);
    let (_folder, broker) = reopen(rig, |_| {
        let mut bytes = std::fs::read(&log).expect("the log is read");
        // The length of the first frame.
        bytes[4] ^= 0xff;
        std::fs::write(&log, &bytes).expect("the log is damaged");
    });
    assert_eq!(broker.locate(&queue::JobId::new("c")).expect("the broker answers"), None);
    assert!(broker.locate(&queue::JobId::new("b")).expect("the broker answers").is_some());
}

#[test]
fn a_damaged_log_is_put_aside_and_not_deleted() {
    let rig = Rig::new();
    rig.publish_ids(&["a", "b"]);
    let log = files(&rig, "log").remove(0);
    let rig = {
        let Rig { clock, free, folder, broker, .. } = rig;
        drop(broker);
        let mut bytes = std::fs::read(&log).expect("the log is read");
        bytes[20] ^= 0xff;
        std::fs::write(&log, &bytes).expect("the log is damaged");
        Rig::over(folder, clock, free)
    };
    let damaged = || rig.broker.troubles().expect("the broker answers").join("; ");
    assert!(damaged().contains("00000001.log is damaged"), "{}", damaged());
    rig.finish(&rig.claim(1)[0], Finish::Done);
    eventually("it is put aside", || files(&rig, "log").is_empty() && files(&rig, "state").is_empty());
    let aside = files(&rig, "damaged");
    assert!(damaged().contains("00000001.damaged was put aside"), "{}", damaged());
    std::fs::remove_file(&aside[0]).expect("people have looked at it");
    assert_eq!(damaged(), "");
}

/// A write that was cut short leaves a part of a frame. A whole one whose bytes are not its own was accepted.
#[test]
fn a_flipped_byte_in_the_last_frame_is_damage_and_not_a_torn_write() {
    let rig = Rig::new();
    rig.publish_ids(&["a", "b"]);
    let log = files(&rig, "log").remove(0);
    let whole = std::fs::read(&log).expect("the log is read");
    let Rig { clock, free, folder, broker, .. } = rig;
    drop(broker);
    for index in whole.len() / 2..whole.len() {
        let mut bytes = whole.clone();
        bytes[index] ^= 0x01;
        std::fs::write(&log, &bytes).expect("the log is damaged");
        let broker = open(folder.path(), &clock, &free, 100).expect("the broker opens");
        let ready = broker.depths().expect("depths").first().map(|depth| depth.ready);
        assert_eq!((ready, broker.damages()), (Some(1), 1), "flipped at {index}");
        drop(broker);
        assert_eq!(std::fs::read(&log).expect("the log is there"), bytes, "damage is kept as it is");
    }
}

#[test]
fn a_bad_end_of_a_segment_that_is_not_the_newest_is_damage() {
    let rig = Rig::new();
    rig.publish_ids(&["a", "b"]);
    let rig = rig.restart();
    rig.publish_ids(&["c"]);
    let (folder, broker) = reopen(rig, |folder| {
        let log = folder.join("00000001.log");
        let whole = std::fs::read(&log).expect("the log is read");
        std::fs::write(&log, &whole[..whole.len() - 5]).expect("the log is cut");
    });
    assert_eq!((broker.depths().expect("depths")[0].ready, broker.damages()), (2, 1));
    assert!(folder.path().join("00000001.log").exists());
}

/// The process dies in a write, and the next begins another segment: the torn end is cut off at once, so that it is not
/// taken for damage later.
#[test]
fn a_torn_write_is_no_damage_also_when_later_segments_follow() {
    let mut rig = Rig::new();
    rig.publish_ids(&["a"]);
    for id in ["b", "c", "d"] {
        let Rig { clock, free, folder, broker, .. } = rig;
        drop(broker);
        let rig_files = std::fs::read_dir(folder.path()).expect("the folder is there");
        let logs = rig_files.map(|entry| entry.expect("an entry").path());
        let newest = logs.filter(|path| path.extension().is_some_and(|kind| kind == "log")).max().expect("a log");
        let mut bytes = std::fs::read(&newest).expect("the log is read");
        let torn = bytes.len() / 2;
        bytes.extend_from_within(..torn);
        std::fs::write(&newest, &bytes).expect("torn");
        rig = Rig::over(folder, clock, free);
        rig.publish_ids(&[id]);
    }
    let rig = rig.restart();
    assert_eq!((rig.waiting(), rig.broker.damages()), (4, 0));
}

/// A power loss may leave a file with its length and without its last sectors.
#[test]
fn a_write_whose_last_sector_never_came_is_torn() {
    let rig = Rig::new();
    rig.publish(vec![job("a"), NewJob { payload: vec![7; 2_000].into(), ..job("b") }]).expect("kept");
    let (_folder, broker) = reopen(rig, |folder| {
        let log = folder.join("00000001.log");
        let mut bytes = std::fs::read(&log).expect("the log is read");
        bytes[1_536..].fill(0);
        std::fs::write(&log, &bytes).expect("the last sectors never came");
    });
    assert_eq!((broker.depths().expect("depths")[0].ready, broker.damages()), (1, 0));
}

#[test]
fn a_segment_that_somebody_took_is_missed_and_its_records_are_kept() {
    let mut rig = Rig::new();
    for id in ["a", "b", "c"] {
        rig.publish_ids(&[id]);
        eventually("its beginning is recorded", || {
            files(&rig, "state").iter().all(|path| path.metadata().is_ok_and(|state| state.len() > 0))
        });
        rig = rig.restart();
    }
    let (folder, broker) = reopen(rig, |folder| {
        std::fs::remove_file(folder.join("00000002.log")).expect("somebody takes it");
    });
    assert_eq!((broker.depths().expect("depths")[0].ready, broker.damages()), (2, 1));
    let said = broker.troubles().expect("the broker answers").join("; ");
    assert!(said.contains("00000002.log is missing"), "{said}");
    assert!(folder.path().join("00000002.lost").exists());
}

#[test]
fn a_job_that_the_disk_gives_back_damaged_becomes_a_dead_letter_and_the_others_run() {
    let rig = Rig::new();
    rig.publish_ids(&["a", "b"]);
    let log = files(&rig, "log").remove(0);
    let mut bytes = std::fs::read(&log).expect("the log is read");
    bytes[20] ^= 0xff;
    std::fs::write(&log, &bytes).expect("the log is damaged");
    assert_eq!(rig.claim_ids(10), ["b"]);
    let dead = rig.broker.dead_letters().expect("letters");
    assert_eq!((dead.len(), dead[0].reason.as_str(), dead[0].queue.as_str()), (1, "damaged", "q"));
    assert!(!rig.broker.retry_dead(&dead[0].id).expect("nothing to run"));
    assert!(rig.broker.discard_dead(&dead[0].id, &mut unaccounted).expect("discarded"));
}

#[test]
fn an_innocent_job_beside_a_killer_is_not_poison() {
    let mut rig = Rig::new();
    rig.publish_ids(&["killer", "innocent"]);
    for _ in 0..12 {
        // Two threads that take one job each, and a process that dies while the killer runs.
        let mut running = rig.claim(1);
        if rig.broker.depths().expect("depths")[0].ready > 0 {
            running.extend(rig.claim(1));
        }
        if running.iter().any(|job| job.id.as_str() == "killer") {
            rig = rig.restart();
        } else {
            running.iter().for_each(|job| rig.finish(job, Finish::Done));
        }
    }
    let dead: Vec<String> = rig.broker.dead_letters().expect("letters").into_iter().map(|letter| letter.id).collect();
    assert_eq!(dead, ["killer"]);
    assert_eq!(rig.waiting(), 0);
}

#[test]
fn a_parked_job_has_no_deaths_and_gets_its_chance_when_its_task_is_known() {
    let mut rig = Rig::new();
    rig.publish_ids(&["a"]);
    for _ in 0..4 {
        let claimed = rig.claim(1);
        assert_eq!(claimed[0].attempt, 1);
        rig.finish(&claimed[0], Finish::Park);
        rig = rig.restart();
        assert!(rig.claim(1).is_empty());
        assert_eq!(rig.broker.unpark(&["t"]).expect("asked"), 1);
    }
    assert!(rig.broker.dead_letters().expect("letters").is_empty());
}

#[test]
fn delays_and_attempts_outlive_the_process() {
    let rig = Rig::new();
    rig.publish(vec![NewJob { delay: Duration::from_secs(60), ..job("later") }, job("a")]).expect("kept");
    rig.finish(&rig.claim(1)[0], Finish::Retry { after: Duration::from_secs(30), error: "no".to_owned() });
    let rig = rig.restart();
    assert_eq!(rig.broker.depths().expect("depths")[0].delayed, 2);
    rig.clock.advance(Duration::from_secs(30));
    let again = rig.claim(10);
    assert_eq!((again[0].id.as_str(), again[0].attempt, again.len()), ("a", 2, 1));
    rig.clock.advance(Duration::from_secs(30));
    assert!(rig.claim_ids(10).contains(&"later".to_owned()));
}

#[test]
fn a_folder_copied_at_any_moment_opens_with_everything_that_was_answered() {
    let rig = Rig::new();
    for number in 0..20 {
        rig.publish_ids(&[&format!("job-{number}")]);
        let copy = tempfile::tempdir().expect("a temporary folder");
        for path in [files(&rig, "log"), files(&rig, "state")].concat() {
            let name = path.file_name().expect("a file's name");
            std::fs::copy(&path, copy.path().join(name)).expect("copied");
        }
        let broker = open(copy.path(), &rig.clock, &rig.free, 100).expect("the copy opens");
        assert_eq!(broker.depths().expect("depths")[0].ready, number + 1);
    }
}

#[test]
fn a_segment_that_cannot_be_made_refuses_and_heals_without_a_restart() {
    let rig = Rig::new();
    let obstacle = rig.folder.path().join("00000001.log");
    std::fs::create_dir(&obstacle).expect("an obstacle");
    assert!(matches!(rig.publish(vec![job("a")]), Err(QueueError::Unwritable { .. })));
    eventually("the queue heals", || rig.publish(vec![job("b")]).is_ok());
    assert_eq!(rig.claim_ids(10), ["b"]);
}

#[test]
fn a_dead_letter_that_cannot_be_kept_is_not_ended_and_the_others_are() {
    let rig = Rig::new();
    rig.publish_ids(&["dead", "done"]);
    let claimed = rig.claim(2);
    let obstacle = rig.folder.path().join("dead/00000001.log");
    std::fs::create_dir(&obstacle).expect("an obstacle");
    let dead = Finish::Dead { reason: DeadReason::Rejected, error: "no use".to_owned() };
    let finished = vec![(claimed[0].lease, dead.clone()), (claimed[1].lease, Finish::Done)];
    assert!(rig.broker.finish(finished).is_err());
    assert_eq!(rig.waiting(), 1);
    rig.finish(&claimed[0], dead);
    assert_eq!((rig.waiting(), rig.broker.dead_letters().expect("letters").len()), (0, 1));
}

/// Records are not flushed: a power loss may take those of one segment and leave those of another.
#[test]
fn a_job_that_ended_does_not_come_back_while_its_later_life_is_on_disk() {
    let rig = Rig::new();
    rig.publish_ids(&["a", "stays-1"]);
    rig.finish(&rig.claim(1)[0], Finish::Done);
    let rig = rig.restart();
    rig.publish_ids(&["a", "stays-2"]);
    assert_eq!(rig.claim(1)[0].id.as_str(), "stays-1");
    rig.finish(&rig.claim(1)[0], Finish::Done);
    let (_folder, broker) = reopen(rig, |folder| {
        std::fs::write(folder.join("00000001.state"), []).expect("the records are lost");
    });
    assert_eq!(broker.locate(&queue::JobId::new("a")).expect("the broker answers"), None);
    assert!(broker.locate(&queue::JobId::new("stays-1")).expect("the broker answers").is_some());
}

#[test]
fn only_the_last_holder_of_a_job_gets_it_back_after_a_takeover() {
    let rig = Rig::new();
    rig.publish_ids(&["a"]);
    let first = rig.claim(1).remove(0);
    rig.clock.advance(LEASE);
    let second = rig.claim(1).remove(0);
    let Rig { clock, folder, broker, .. } = rig;
    drop(broker);
    let config = queue::brokers::embedded::Config { reassert_grace: LEASE, ..crate::support::config(folder.path()) };
    let next = queue::brokers::embedded::Embedded::open(config, Arc::new(clock)).expect("the next owner opens");
    assert_eq!(next.reassert(&[(first.id.clone(), first.lease)], LEASE), [first.lease]);
    assert!(next.reassert(&[(second.id.clone(), second.lease)], LEASE).is_empty());
    assert_eq!(next.finish(vec![(first.lease, Finish::Done)]).expect("asked"), [first.lease]);
    assert!(next.finish(vec![(second.lease, Finish::Done)]).expect("ended").is_empty());
}

#[test]
fn damage_to_the_list_of_paused_queues_opens_none_of_them() {
    let rig = Rig::new();
    rig.publish_ids(&["a"]);
    rig.publish(vec![NewJob { queue: "other".into(), ..job("b") }]).expect("kept");
    rig.broker.pause("q").expect("paused");
    let rig = {
        let Rig { clock, free, folder, broker, .. } = rig;
        drop(broker);
        let path = folder.path().join("paused");
        let mut bytes = std::fs::read(&path).expect("the list is read");
        let last = bytes.len() - 2;
        bytes[last] ^= 1;
        std::fs::write(&path, bytes).expect("the list is damaged");
        Rig::over(folder, clock, free)
    };
    assert!(rig.claim_from(&["q", "other", "p"], 10).is_empty(), "nobody knows which were held");
    rig.publish(vec![NewJob { queue: "new".into(), ..job("c") }]).expect("kept");
    assert!(rig.claim_from(&["new"], 10).is_empty(), "it may have been among them");
    let said = rig.broker.troubles().expect("the broker answers").join("; ");
    assert!(said.contains("every queue is held"), "{said}");
    rig.broker.resume("other").expect("resumed");
    assert_eq!(rig.claim_from(&["q", "other"], 10)[0].id.as_str(), "b");
    assert!(rig.broker.troubles().expect("the broker answers").is_empty());
    let rig = rig.restart();
    assert!(rig.claim_from(&["q", "new"], 10).is_empty(), "what is held now is written again");
    assert!(rig.folder.path().join("paused.damaged").exists());
}
