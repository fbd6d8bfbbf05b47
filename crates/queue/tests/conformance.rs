//! What every broker must do.

use crate::support::{LEASE, Rig, job};
use queue::{Broker, DeadReason, Finish, JobId, JobState, Ledger, NewJob, Published, QueueError};
use std::time::Duration;

#[test]
fn a_job_is_published_once_while_it_lives() {
    let rig = Rig::new();
    assert_eq!(rig.publish(vec![job("a"), job("a")]).expect("kept"), [Published::Accepted, Published::AlreadyThere]);
    assert_eq!(rig.publish(vec![job("a")]).expect("kept"), [Published::AlreadyThere]);
    let claimed = rig.claim(10);
    assert_eq!(&claimed[0].payload[..], b"payload of a");
    assert_eq!(rig.publish(vec![job("a")]).expect("kept"), [Published::AlreadyThere]);
    rig.finish(&claimed[0], Finish::Done);
    assert_eq!(rig.publish(vec![job("a")]).expect("kept"), [Published::Accepted]);
}

#[test]
fn jobs_of_a_key_come_in_order_and_higher_priorities_first() {
    let rig = Rig::new();
    rig.publish_ids(&["a", "b"]);
    rig.publish(vec![NewJob { priority: 9, ..job("urgent") }, NewJob { priority: 0, ..job("idle") }]).expect("kept");
    assert_eq!(rig.claim_ids(10), ["urgent", "a", "b", "idle"]);
}

#[test]
fn keys_take_turns_whatever_their_backlogs() {
    let rig = Rig::new();
    let flood: Vec<String> = (0..50).map(|number| format!("flood-{number}")).collect();
    rig.publish_ids(&flood.iter().map(String::as_str).collect::<Vec<_>>());
    rig.publish(vec![NewJob { fairness_key: 2, ..job("quiet-0") }, NewJob { fairness_key: 2, ..job("quiet-1") }])
        .expect("kept");
    assert_eq!(rig.claim_ids(5), ["flood-0", "quiet-0", "flood-1", "quiet-1", "flood-2"]);
}

#[test]
fn a_lost_lease_discards_the_result() {
    let rig = Rig::new();
    rig.publish_ids(&["a"]);
    let first = rig.claim(1);
    assert!(rig.claim(1).is_empty(), "never two live leases");
    rig.clock.advance(LEASE);
    let second = rig.claim(1);
    assert_eq!(second[0].attempt, 2);
    let lost = rig.broker.finish(vec![(first[0].lease, Finish::Done)]).expect("finished");
    assert_eq!(lost, [first[0].lease]);
    assert_eq!(rig.waiting(), 1);
    rig.finish(&second[0], Finish::Done);
    assert_eq!(rig.waiting(), 0);
}

#[test]
fn an_extended_lease_is_kept() {
    let rig = Rig::new();
    rig.publish_ids(&["a"]);
    let claimed = rig.claim(1);
    rig.clock.advance(LEASE / 2);
    assert!(rig.broker.extend(&[claimed[0].lease], LEASE).is_empty());
    rig.clock.advance(LEASE / 2);
    assert!(rig.claim(1).is_empty());
    rig.clock.advance(LEASE);
    assert_eq!(rig.claim(1).len(), 1);
    assert_eq!(rig.broker.extend(&[claimed[0].lease], LEASE), [claimed[0].lease]);
}

#[test]
fn a_retry_waits_and_counts_and_a_given_back_job_does_not() {
    let rig = Rig::new();
    rig.publish_ids(&["a"]);
    let first = rig.claim(1);
    let error = "no".to_owned();
    rig.finish(&first[0], Finish::Retry { after: Duration::from_secs(5), error });
    assert_eq!(rig.broker.locate(&JobId::new("a")), Some(JobState::Delayed));
    assert!(rig.claim(1).is_empty());
    rig.clock.advance(Duration::from_secs(5));
    let second = rig.claim(1);
    assert_eq!(second[0].attempt, 2);
    rig.finish(&second[0], Finish::GiveBack { after: Duration::ZERO });
    assert_eq!(rig.claim(1)[0].attempt, 2);
}

#[test]
fn delayed_jobs_become_ready_when_their_time_comes() {
    let rig = Rig::new();
    rig.publish(vec![NewJob { delay: Duration::from_secs(60), ..job("later") }]).expect("kept");
    assert!(rig.claim(1).is_empty());
    assert_eq!(rig.broker.depths()[0].delayed, 1);
    rig.clock.advance(Duration::from_secs(60));
    assert_eq!(rig.claim_ids(1), ["later"]);
}

#[test]
fn a_job_that_kills_its_worker_alone_stops_as_poison() {
    let rig = Rig::new();
    rig.publish_ids(&["killer"]);
    for _ in 0..3 {
        assert_eq!(rig.claim(1).len(), 1);
        rig.clock.advance(LEASE);
    }
    assert!(rig.claim(1).is_empty());
    let dead = rig.broker.dead_letters();
    assert_eq!((dead[0].id.as_str(), dead[0].reason.as_str(), dead[0].deaths), ("killer", "poison", 3));
}

#[test]
fn what_died_in_company_runs_in_smaller_batches_until_alone() {
    let rig = Rig::new();
    let ids: Vec<String> = (0..32).map(|number| number.to_string()).collect();
    rig.publish_ids(&ids.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(rig.claim(32).len(), 32);
    rig.clock.advance(LEASE);
    assert_eq!(rig.claim(32).len(), 2);
    rig.clock.advance(LEASE);
    assert!(rig.broker.dead_letters().is_empty(), "deaths in company are nobody's fault");
}

#[test]
fn dead_letters_are_listed_retried_and_discarded() {
    let rig = Rig::new();
    rig.publish_ids(&["a", "b"]);
    for claimed in rig.claim(2) {
        rig.finish(&claimed, Finish::Dead { reason: DeadReason::Rejected, error: "no use".to_owned() });
    }
    assert_eq!(rig.broker.locate(&JobId::new("a")), Some(JobState::Dead));
    assert_eq!(rig.broker.depths()[0].dead, 2);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    assert!(runtime.block_on(rig.broker.retry_dead("a")).expect("retried"));
    assert!(!runtime.block_on(rig.broker.retry_dead("a")).expect("gone"));
    assert!(rig.broker.discard_dead("b").expect("discarded"));
    assert!(!rig.broker.discard_dead("b").expect("gone"));
    let again = rig.claim(2);
    assert_eq!((again.len(), again[0].attempt, &again[0].payload[..]), (1, 1, &b"payload of a"[..]));
}

#[test]
fn parked_jobs_wait_without_being_claimed() {
    let rig = Rig::new();
    rig.publish_ids(&["a"]);
    rig.finish(&rig.claim(1)[0], Finish::Park);
    assert!(rig.claim(1).is_empty());
    assert_eq!(rig.broker.depths()[0].parked, 1);
}

#[test]
fn a_full_queue_refuses_and_no_key_takes_more_than_half() {
    let rig = Rig::with_jobs_max(10);
    rig.publish(vec![NewJob { fairness_key: 2, ..job("other") }]).expect("kept");
    let mut refused = None;
    for number in 0..20 {
        if let Err(error) = rig.publish(vec![job(&format!("a{number}"))]) {
            refused = Some((number, error));
            break;
        }
    }
    let (kept, error) = refused.expect("the key is refused at half");
    assert!(matches!(error, QueueError::Full { .. }), "{error}");
    assert_eq!(kept, 5);
    for number in 0..4 {
        rig.publish(vec![NewJob { fairness_key: 3, ..job(&format!("c{number}")) }]).expect("others still fit");
    }
    assert!(rig.publish(vec![NewJob { fairness_key: 4, ..job("d") }]).is_err(), "the whole is bounded too");
    assert!(rig.broker.accepting().is_err());
}

#[test]
fn an_id_beyond_the_limit_is_refused() {
    let rig = Rig::new();
    let refused = rig.publish(vec![job(&"x".repeat(129))]);
    assert!(matches!(refused, Err(QueueError::IdTooLong { length: 129, max: 128 })));
}
