//! Copies of a broker's folder, taken beside its owner: what was neither over nor discarded is in the copy, whatever the
//! owner does meanwhile.

use crate::support::{RabbitPlace, Rig, claim_from, job, rabbit_is_here, wait_for};
use queue::brokers::amqp::LedgerCopy;
use queue::brokers::embedded::copy::{self, CopiedFile, is_copied_name};
use queue::{Broker, DeadReason, Finish, Ledger, NewJob};
use std::io::Read;
use std::time::{Duration, Instant};

/// Writes a copy to a folder and opens it as a broker would be.
fn open_copy(rig: &Rig, files: Vec<CopiedFile>) -> Rig {
    let folder = tempfile::tempdir().expect("a folder");
    for CopiedFile { name, file, length } in files {
        assert!(is_copied_name(&name), "{name}");
        let path = folder.path().join(&name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        let mut bytes = Vec::new();
        file.take(length).read_to_end(&mut bytes).expect("read");
        std::fs::write(path, bytes).expect("written");
    }
    Rig::over(folder, rig.clock.clone(), rig.free.clone())
}

fn whole_copy(rig: &Rig) -> Rig {
    let copying = copy::begin(rig.folder.path()).expect("begun");
    open_copy(rig, copying.end().expect("ended").expect("no log came and went"))
}

fn die(rig: &Rig, jobs: usize) {
    for job in rig.claim(jobs) {
        rig.finish(&job, Finish::Dead { reason: DeadReason::Rejected, error: "no".to_owned() });
    }
}

fn wait_until_logs_are_gone(rig: &Rig) {
    let deadline = Instant::now() + Duration::from_secs(10);
    let has_log = |folder: &std::path::Path| {
        let mut entries = std::fs::read_dir(folder).expect("listed").flatten();
        entries.any(|entry| entry.path().extension().is_some_and(|extension| extension == "log"))
    };
    while has_log(rig.folder.path()) {
        assert!(Instant::now() < deadline, "the logs are still there");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

#[test]
fn a_copy_beside_the_owner_has_what_waits_what_runs_and_what_is_dead() {
    let rig = Rig::new();
    rig.publish_ids(&["done", "dead", "runs", "waits"]);
    let done = rig.claim(1);
    rig.finish(&done[0], Finish::Done);
    die(&rig, 1);
    assert_eq!(rig.claim_ids(1), ["runs"]);
    rig.broker.pause("other").expect("paused");
    let copy = whole_copy(&rig);
    assert_eq!(copy.broker.dead_letters().expect("letters")[0].id, "dead");
    // Nobody holds it any more: it runs again.
    let mut waiting = copy.claim_ids(10);
    waiting.sort();
    assert_eq!(waiting, ["runs", "waits"]);
    assert_eq!(copy.broker.damages(), 0);
    assert!(copy.broker.troubles().expect("asked").is_empty());
    let paused = copy.broker.depths().expect("depths").into_iter().find(|depth| depth.queue == "other");
    assert!(paused.expect("a row").paused);
}

#[test]
fn what_ends_and_goes_while_a_copy_is_taken_is_in_it_and_runs_again() {
    let rig = Rig::new();
    rig.publish_ids(&["a"]);
    let copying = copy::begin(rig.folder.path()).expect("begun");
    let claimed = rig.claim(1);
    rig.finish(&claimed[0], Finish::Done);
    wait_until_logs_are_gone(&rig);
    rig.publish_ids(&["b"]);
    let copy = open_copy(&rig, copying.end().expect("ended").expect("no log came and went"));
    let mut ids = copy.claim_ids(10);
    ids.sort();
    assert_eq!(ids, ["a", "b"]);
    assert_eq!(copy.broker.damages(), 0);
}

#[test]
fn what_dies_and_goes_while_a_copy_is_taken_is_in_it() {
    let rig = Rig::new();
    rig.publish_ids(&["a"]);
    let copying = copy::begin(rig.folder.path()).expect("begun");
    die(&rig, 1);
    wait_until_logs_are_gone(&rig);
    let copy = open_copy(&rig, copying.end().expect("ended").expect("no log came and went"));
    // It waits, or is dead, or both: what it does is fenced by its id.
    assert!(copy.waiting() + copy.broker.dead_letters().expect("letters").len() as u64 >= 1);
}

#[test]
fn a_log_that_came_and_went_unseen_makes_the_copy_begin_anew() {
    let rig = Rig::new();
    rig.publish_ids(&["a"]);
    let copying = copy::begin(rig.folder.path()).expect("begun");
    let unseen = rig.folder.path().join("00000003.log");
    std::fs::write(&unseen, b"").expect("written");
    assert!(copying.end().expect("ended").is_none(), "number 2 was never seen");
}

#[test]
fn a_copy_taken_again_and_again_under_load_lacks_nothing_that_was_published_before() {
    let rig = Rig::new();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::SeqCst) {
                for job in rig.claim_from(&["passing"], 100) {
                    rig.finish(&job, Finish::Done);
                }
            }
        });
        for round in 0..20 {
            let id = format!("stays-{round}");
            rig.publish_ids(&[&id]);
            let passing =
                (0..50).map(|number| queue::NewJob { queue: "passing".into(), ..job(&format!("{round}-{number}")) });
            rig.publish(passing.collect()).expect("kept");
            let copy = whole_copy(&rig);
            let there = copy.broker.locate(&queue::JobId::new(&id)).expect("asked");
            assert!(there.is_some(), "{id}");
            assert_eq!(copy.broker.damages(), 0, "round {round}");
        }
        stop.store(true, std::sync::atomic::Ordering::SeqCst);
    });
}

#[test]
fn names_that_no_copy_has_are_not_taken_for_one() {
    for name in ["00000001.log", "00000001.state", "paused", "cursors", "dead/00000007.log", "dead/00000007.state"] {
        assert!(is_copied_name(name), "{name}");
    }
    for name in [
        "",
        "lock",
        "../x",
        "dead/paused",
        "dead/../00000001.log",
        "1.log",
        "00000001.over",
        "/00000001.log",
        "results/00000001.log",
        "0000000a.log",
        "00000001.log/x",
        "dead//00000001.log",
    ] {
        assert!(!is_copied_name(name), "{name}");
    }
}

#[test]
fn a_copy_of_the_ledger_has_what_is_nowhere_else_and_no_name_without_its_message() {
    if !rabbit_is_here() {
        return;
    }
    let place = RabbitPlace::shared();
    let broker = place.live_broker();
    let later = NewJob { delay: Duration::from_secs(3_600), ..job("later") };
    wait_for(broker.publish(vec![job("dead"), later])).expect("published");
    let dead = claim_from(&broker, &["q"], 1);
    let finish = Finish::Dead { reason: DeadReason::Rejected, error: "no".to_owned() };
    broker.finish(vec![(dead[0].lease, finish)]).expect("finished");
    wait_for(broker.publish(vec![job("ready")])).expect("published");
    let held = LedgerCopy::of(&place.folder.path().join("queue.db")).expect("looked at").expect("there is one");
    // What happens after the moment is not in the copy.
    wait_for(broker.publish(vec![job("after")])).expect("published");
    drop(broker);
    let restored = RabbitPlace { folder: tempfile::tempdir().expect("a folder"), ..place };
    held.copy_to(&restored.folder.path().join("queue.db")).expect("copied");
    let broker = restored.live_broker();
    assert_eq!(broker.dead_letters().expect("letters")[0].id, "dead");
    let depths = broker.depths().expect("depths");
    let sums = depths.iter().fold((0, 0), |sum, depth| (sum.0 + depth.ready, sum.1 + depth.delayed));
    assert_eq!(sums, (0, 1), "{depths:?}");
    // Their messages are where they were.
    let mut ran = Vec::new();
    while ran.len() < 2 {
        ran.extend(claim_from(&broker, &["q"], 10).iter().map(|job| job.id.to_string()));
    }
    ran.sort();
    assert_eq!(ran, ["after", "ready"]);
}
