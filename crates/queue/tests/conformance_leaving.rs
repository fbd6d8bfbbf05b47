//! What every broker must do with jobs that are taken out by hand: show them before they go, and keep what is not accounted
//! for.

use crate::conformance::on_every_broker;
use crate::support::{AnyRig as Rig, Kind, job, unaccounted};
use queue::{DeadReason, Finish, Leaving, NewJob, QueueError};
use std::collections::BTreeMap;
use std::time::Duration;
use stdx::Timestamp;

on_every_broker!(
    what_is_purged_was_shown_once_with_its_payload_and_its_time,
    what_cannot_be_accounted_for_stays_and_is_shown_again,
    what_a_worker_takes_meanwhile_stays_with_it,
    a_paused_queue_is_purged_too,
    a_letter_is_discarded_once_it_was_accounted_for,
    a_job_keeps_the_time_since_when_it_waits,
);

/// More than one batch.
const MANY: usize = 300;

fn since(number: usize) -> Timestamp {
    Timestamp::from_micros(900_000_000_123 + number as i64)
}

fn many() -> Vec<NewJob> {
    let one = |number| NewJob { enqueued_at: Some(since(number)), ..job(&format!("{number:04}")) };
    (0..MANY).map(one).collect()
}

fn refusal() -> QueueError {
    QueueError::Unaccounted { why: "the store is away".to_owned() }
}

fn what_is_purged_was_shown_once_with_its_payload_and_its_time(kind: Kind) {
    let rig = Rig::new(kind);
    rig.publish(many()).expect("kept");
    rig.publish(vec![NewJob { delay: Duration::from_secs(60), ..job("later") }]).expect("kept");
    rig.publish(vec![NewJob { priority: 9, fairness_key: 7, ..job("parked") }]).expect("kept");
    rig.finish(&rig.claim(1)[0], Finish::Park);
    let mut shown: Vec<Leaving> = Vec::new();
    let removed = rig.broker.purge("q", &mut |leaving| {
        shown.extend_from_slice(leaving);
        Ok(())
    });
    assert_eq!(removed.expect("purged"), MANY as u64 + 2);
    assert_eq!(rig.waiting(), 0);
    let by_id: BTreeMap<&str, &Leaving> = shown.iter().map(|leaving| (leaving.id.as_str(), leaving)).collect();
    assert_eq!((shown.len(), by_id.len()), (MANY + 2, MANY + 2), "each once");
    for (id, leaving) in &by_id {
        assert_eq!(leaving.payload.as_deref(), Some(format!("payload of {id}").as_bytes()));
    }
    let now = rig.clock_now();
    assert_eq!((by_id["0007"].enqueued_at, by_id["later"].enqueued_at), (since(7), now));
    assert_eq!(rig.restart().waiting(), 0);
}

fn what_cannot_be_accounted_for_stays_and_is_shown_again(kind: Kind) {
    let rig = Rig::new(kind);
    rig.publish(many()).expect("kept");
    let mut batches = 0;
    let mut gone = 0;
    let refused = rig.broker.purge("q", &mut |leaving| {
        batches += 1;
        if batches == 2 {
            return Err(refusal());
        }
        gone += leaving.len();
        Ok(())
    });
    assert!(matches!(refused, Err(QueueError::Unaccounted { .. })), "{refused:?}");
    assert!(gone > 0 && gone < MANY, "{gone}");
    let rig = rig.restart();
    assert_eq!(rig.waiting(), (MANY - gone) as u64);
    assert_eq!(rig.broker.purge("q", &mut unaccounted).expect("purged"), (MANY - gone) as u64);
    assert!(rig.claim(1).is_empty());
}

fn what_a_worker_takes_meanwhile_stays_with_it(kind: Kind) {
    let rig = Rig::new(kind);
    rig.publish_ids(&["a", "b", "c"]);
    let mut taken = Vec::new();
    let removed = rig.broker.purge("q", &mut |_| {
        taken.extend(rig.claim(1));
        Ok(())
    });
    assert_eq!(removed.expect("purged") as usize + taken.len(), 3);
    assert_eq!(rig.waiting() as usize, taken.len());
    taken.iter().for_each(|job| rig.finish(job, Finish::Done));
    assert_eq!(rig.waiting(), 0);
}

fn a_paused_queue_is_purged_too(kind: Kind) {
    let rig = Rig::new(kind);
    rig.publish_ids(&["a", "b"]);
    rig.broker.pause("q").expect("paused");
    assert!(rig.claim(10).is_empty());
    assert_eq!(rig.broker.purge("q", &mut unaccounted).expect("purged"), 2);
    rig.broker.resume("q").expect("resumed");
    assert!(rig.claim(10).is_empty());
}

fn a_letter_is_discarded_once_it_was_accounted_for(kind: Kind) {
    let rig = Rig::new(kind);
    rig.publish(vec![NewJob { enqueued_at: Some(since(1)), ..job("a") }]).expect("kept");
    let dead = || Finish::Dead { reason: DeadReason::Rejected, error: "no".to_owned() };
    rig.finish(&rig.claim(1)[0], dead());
    assert!(rig.broker.discard_dead("a", &mut |_| Err(refusal())).is_err());
    let rig = rig.restart();
    assert!(rig.broker.retry_dead("a").expect("retried"), "it stayed");
    rig.finish(&rig.claim(1)[0], dead());
    let mut shown = Vec::new();
    let discarded = rig.broker.discard_dead("a", &mut |leaving| {
        shown.extend_from_slice(leaving);
        Ok(())
    });
    assert!(discarded.expect("discarded"));
    let [letter] = &shown[..] else { panic!("shown {shown:?}") };
    assert_eq!((letter.id.as_str(), letter.payload.as_deref()), ("a", Some(&b"payload of a"[..])));
    assert_eq!(letter.enqueued_at, since(1), "also after a retry");
    assert!(!rig.broker.discard_dead("a", &mut |_| panic!("there is nothing to account for")).expect("asked"));
}

fn a_job_keeps_the_time_since_when_it_waits(kind: Kind) {
    let rig = Rig::new(kind);
    rig.publish(many().split_off(MANY - 1)).expect("kept");
    let rig = rig.restart();
    let claimed = rig.claim(1);
    assert_eq!(claimed[0].enqueued_at, since(MANY - 1));
    rig.finish(&claimed[0], Finish::Retry { after: Duration::ZERO, error: "again".to_owned() });
    assert_eq!(rig.claim(1)[0].enqueued_at, since(MANY - 1));
}
