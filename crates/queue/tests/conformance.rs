//! What every broker must do.

use crate::support::{AnyRig as Rig, Kind, LEASE, job, unaccounted};
use queue::{
    ClaimRequest, DeadReason, Finish, JobId, JobOptions, JobState, NewJob, Published, QueueBounds, QueueError,
};
use std::time::Duration;

/// Runs each claim on every broker.
macro_rules! on_every_broker {
    ($($claim:ident),* $(,)?) => {
        mod on_embedded {
            $(#[test] fn $claim() { super::$claim(super::Kind::Embedded); })*
        }
        mod on_member {
            $(#[test] fn $claim() { super::$claim(super::Kind::Member); })*
        }
        mod on_redis {
            $(#[test] fn $claim() {
                if crate::support::redis_is_here() {
                    super::$claim(super::Kind::Redis);
                }
            })*
        }
        mod on_rabbitmq {
            $(#[test] fn $claim() {
                if crate::support::rabbit_is_here() {
                    super::$claim(super::Kind::RabbitMq);
                }
            })*
        }
    };
}

pub(crate) use on_every_broker;

on_every_broker!(
    a_job_is_published_once_while_it_lives,
    jobs_of_a_key_come_in_order_and_higher_priorities_first,
    keys_take_turns_whatever_their_backlogs,
    a_lost_lease_discards_the_result,
    an_extended_lease_is_kept,
    a_retry_waits_and_counts_and_a_given_back_job_does_not,
    delayed_jobs_become_ready_when_their_time_comes,
    a_job_that_kills_its_worker_alone_stops_as_poison,
    a_death_that_was_seen_counts_and_the_third_ends_the_job_with_its_reason,
    what_died_in_company_runs_in_smaller_batches_until_alone,
    dead_letters_are_listed_retried_and_discarded,
    a_dead_letter_stays_while_its_like_lives,
    parked_jobs_wait_without_being_claimed,
    a_full_queue_refuses_and_no_key_takes_more_than_half,
    an_id_beyond_the_limit_is_refused,
    a_refused_request_keeps_none_of_its_jobs_and_a_full_queue_still_knows_its_own,
    names_and_payloads_beyond_their_bounds_are_refused,
    one_claim_looks_at_its_queues_in_order_and_takes_from_one,
    a_batch_ends_where_its_bytes_end_but_one_job_always_fits,
    a_paused_queue_gives_nothing_and_takes_everything,
    a_purge_removes_what_does_not_run_and_counts_it,
    ends_of_one_call_stand_by_themselves,
    a_suspect_runs_with_nothing_beside_it_but_not_for_ever,
);

fn a_job_is_published_once_while_it_lives(kind: Kind) {
    let rig = Rig::new(kind);
    assert_eq!(rig.publish(vec![job("a"), job("a")]).expect("kept"), [Published::Accepted, Published::AlreadyThere]);
    assert_eq!(rig.publish(vec![job("a")]).expect("kept"), [Published::AlreadyThere]);
    let claimed = rig.claim(10);
    assert_eq!(&claimed[0].payload[..], b"payload of a");
    assert_eq!(rig.publish(vec![job("a")]).expect("kept"), [Published::AlreadyThere]);
    rig.finish(&claimed[0], Finish::Done);
    assert_eq!(rig.publish(vec![job("a")]).expect("kept"), [Published::Accepted]);
}

fn jobs_of_a_key_come_in_order_and_higher_priorities_first(kind: Kind) {
    let rig = Rig::new(kind);
    rig.publish_ids(&["a", "b"]);
    rig.publish(vec![NewJob { priority: 9, ..job("urgent") }, NewJob { priority: 0, ..job("idle") }]).expect("kept");
    assert_eq!(rig.claim_ids(10), ["urgent", "a", "b", "idle"]);
}

fn keys_take_turns_whatever_their_backlogs(kind: Kind) {
    let rig = Rig::new(kind);
    let flood: Vec<String> = (0..50).map(|number| format!("flood-{number}")).collect();
    rig.publish_ids(&flood.iter().map(String::as_str).collect::<Vec<_>>());
    rig.publish(vec![NewJob { fairness_key: 2, ..job("quiet-0") }, NewJob { fairness_key: 2, ..job("quiet-1") }])
        .expect("kept");
    assert_eq!(rig.claim_ids(5), ["flood-0", "quiet-0", "flood-1", "quiet-1", "flood-2"]);
}

fn a_lost_lease_discards_the_result(kind: Kind) {
    let rig = Rig::new(kind);
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

fn an_extended_lease_is_kept(kind: Kind) {
    let rig = Rig::new(kind);
    rig.publish_ids(&["a"]);
    let claimed = rig.claim(1);
    rig.clock.advance(LEASE / 2);
    assert!(rig.broker.extend(&[claimed[0].lease], LEASE).expect("the broker answers").is_empty());
    rig.clock.advance(LEASE / 2);
    assert!(rig.claim(1).is_empty());
    rig.clock.advance(LEASE);
    assert_eq!(rig.claim(1).len(), 1);
    assert_eq!(rig.broker.extend(&[claimed[0].lease], LEASE).expect("the broker answers"), [claimed[0].lease]);
}

fn a_retry_waits_and_counts_and_a_given_back_job_does_not(kind: Kind) {
    let rig = Rig::new(kind);
    rig.publish_ids(&["a"]);
    let first = rig.claim(1);
    let error = "no".to_owned();
    rig.finish(&first[0], Finish::Retry { after: Duration::from_secs(5), error });
    assert_eq!(rig.broker.locate(&JobId::new("a")).expect("the broker answers"), Some(JobState::Delayed));
    assert!(rig.claim(1).is_empty());
    rig.clock.advance(Duration::from_secs(5));
    let second = rig.claim(1);
    assert_eq!(second[0].attempt, 2);
    rig.finish(&second[0], Finish::GiveBack { after: Duration::ZERO });
    assert_eq!(rig.claim(1)[0].attempt, 2);
}

fn delayed_jobs_become_ready_when_their_time_comes(kind: Kind) {
    let rig = Rig::new(kind);
    rig.publish(vec![NewJob { delay: Duration::from_secs(60), ..job("later") }]).expect("kept");
    assert!(rig.claim(1).is_empty());
    assert_eq!(rig.broker.depths().expect("depths")[0].delayed, 1);
    rig.clock.advance(Duration::from_secs(60));
    assert_eq!(rig.claim_ids(1), ["later"]);
}

fn a_job_that_kills_its_worker_alone_stops_as_poison(kind: Kind) {
    let rig = Rig::new(kind);
    rig.publish_ids(&["killer"]);
    for _ in 0..3 {
        assert_eq!(rig.claim(1).len(), 1);
        rig.clock.advance(LEASE);
    }
    assert!(rig.claim(1).is_empty());
    let dead = rig.broker.dead_letters().expect("letters");
    assert_eq!((dead[0].id.as_str(), dead[0].reason.as_str(), dead[0].deaths), ("killer", "poison", 3));
}

fn a_death_that_was_seen_counts_and_the_third_ends_the_job_with_its_reason(kind: Kind) {
    let rig = Rig::new(kind);
    rig.publish_ids(&["killer"]);
    let died = || Finish::Died { reason: DeadReason::Crashed, error: "crashed: signal 11 SIGSEGV".to_owned() };
    for _ in 0..2 {
        rig.finish(&rig.claim(1)[0], died());
        assert!(rig.broker.dead_letters().expect("letters").is_empty());
    }
    let third = rig.claim(1);
    rig.finish(&third[0], died());
    assert!(rig.claim(1).is_empty());
    let dead = rig.broker.dead_letters().expect("letters").remove(0);
    assert_eq!((dead.reason.as_str(), dead.deaths), ("crashed", 3));
    assert_eq!(dead.error, "crashed: signal 11 SIGSEGV");
}

fn what_died_in_company_runs_in_smaller_batches_until_alone(kind: Kind) {
    let rig = Rig::new(kind);
    let ids: Vec<String> = (0..32).map(|number| number.to_string()).collect();
    rig.publish_ids(&ids.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(rig.claim(32).len(), 32);
    rig.clock.advance(LEASE);
    assert_eq!(rig.claim(32).len(), 2);
    rig.clock.advance(LEASE);
    assert!(rig.broker.dead_letters().expect("letters").is_empty(), "deaths in company are nobody's fault");
}

fn dead_letters_are_listed_retried_and_discarded(kind: Kind) {
    let rig = Rig::new(kind);
    rig.publish_ids(&["a", "b"]);
    for claimed in rig.claim(2) {
        rig.finish(&claimed, Finish::Dead { reason: DeadReason::Rejected, error: "no use".to_owned() });
    }
    assert_eq!(rig.broker.locate(&JobId::new("a")).expect("the broker answers"), Some(JobState::Dead));
    assert_eq!(rig.broker.depths().expect("depths")[0].dead, 2);
    assert!(rig.broker.retry_dead("a").expect("retried"));
    assert!(!rig.broker.retry_dead("a").expect("gone"));
    assert!(rig.broker.discard_dead("b", &mut unaccounted).expect("discarded"));
    assert!(!rig.broker.discard_dead("b", &mut unaccounted).expect("gone"));
    let again = rig.claim(2);
    assert_eq!((again.len(), again[0].attempt, &again[0].payload[..]), (1, 1, &b"payload of a"[..]));
}

fn a_dead_letter_stays_while_its_like_lives(kind: Kind) {
    let rig = Rig::new(kind);
    let unique = |id: &str| NewJob {
        options: JobOptions { unique_key: Some("only one".to_owned()), ..JobOptions::default() },
        ..job(id)
    };
    rig.publish(vec![unique("a"), job("b")]).expect("kept");
    for claimed in rig.claim(2) {
        rig.finish(&claimed, Finish::Dead { reason: DeadReason::Rejected, error: "no use".to_owned() });
    }
    assert_eq!(rig.publish(vec![unique("c"), job("b")]).expect("kept"), [Published::Accepted; 2]);
    for (id, by) in [("a", "unique key"), ("b", "id")] {
        let refused = rig.broker.retry_dead(id);
        assert!(matches!(&refused, Err(QueueError::Lives { by: said, .. }) if said == &by), "{id}: {refused:?}");
    }
    assert_eq!(rig.broker.dead_letters().expect("letters").len(), 2, "both stay");
    let mut ran = rig.claim(10);
    ran.iter().for_each(|claimed| rig.finish(claimed, Finish::Done));
    ran.sort_by_key(|claimed| claimed.id.to_string());
    assert_eq!(ran.iter().map(|claimed| claimed.id.as_str()).collect::<Vec<_>>(), ["b", "c"], "each once");
    assert!(rig.broker.retry_dead("a").expect("retried"));
    assert_eq!(
        rig.publish(vec![unique("d")]).expect("asked"),
        [Published::AlreadyThere],
        "it has its unique key again"
    );
    assert_eq!(rig.claim_ids(10), ["a"]);
}

fn parked_jobs_wait_without_being_claimed(kind: Kind) {
    let rig = Rig::new(kind);
    rig.publish_ids(&["a"]);
    rig.finish(&rig.claim(1)[0], Finish::Park);
    assert!(rig.claim(1).is_empty());
    assert_eq!(rig.broker.depths().expect("depths")[0].parked, 1);
}

fn a_full_queue_refuses_and_no_key_takes_more_than_half(kind: Kind) {
    let rig = Rig::with_jobs_max(kind, 10);
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

fn an_id_beyond_the_limit_is_refused(kind: Kind) {
    let rig = Rig::new(kind);
    let refused = rig.publish(vec![job(&"x".repeat(129))]);
    assert!(matches!(refused, Err(QueueError::IdTooLong { length: 129, max: 128 })));
}

fn a_refused_request_keeps_none_of_its_jobs_and_a_full_queue_still_knows_its_own(kind: Kind) {
    let rig = Rig::with_jobs_max(kind, 4);
    rig.publish_ids(&["a"]);
    let refused = rig.publish((0..5).map(|number| job(&format!("b{number}"))).collect());
    assert!(matches!(refused, Err(QueueError::Full { .. })));
    assert_eq!(rig.waiting(), 1);
    rig.publish_ids(&["b0", "b1", "b2"]);
    assert!(matches!(rig.publish(vec![job("c")]), Err(QueueError::Full { .. })));
    assert_eq!(rig.publish(vec![job("b1")]).expect("known"), [Published::AlreadyThere]);
    assert_eq!(rig.claim_ids(10), ["a", "b0", "b1", "b2"]);
}

fn names_and_payloads_beyond_their_bounds_are_refused(kind: Kind) {
    let rig = Rig::new(kind);
    let long: std::sync::Arc<str> = "x".repeat(200).into();
    let named = rig.publish(vec![NewJob { task: long.clone(), ..job("a") }]);
    assert!(matches!(named, Err(QueueError::IdTooLong { length: 200, max: 128 })));
    let queued = rig.publish(vec![NewJob { queue: long, ..job("a") }]);
    assert!(matches!(queued, Err(QueueError::IdTooLong { length: 200, max: 128 })));
    let large = bytes::Bytes::from(vec![0; (32 << 20) + 1]);
    let refused = rig.publish(vec![NewJob { payload: large, ..job("a") }]);
    assert!(matches!(refused, Err(QueueError::Full { .. })));
    assert_eq!(rig.waiting(), 0);
}

fn one_claim_looks_at_its_queues_in_order_and_takes_from_one(kind: Kind) {
    let rig = Rig::new(kind);
    rig.publish(vec![NewJob { queue: "other".into(), ..job("b") }, job("a")]).expect("kept");
    assert_eq!(ids(&rig.claim_from(&["empty", "other", "q"], 10)), ["b"]);
    assert_eq!(ids(&rig.claim_from(&["empty", "other", "q"], 10)), ["a"]);
}

fn a_batch_ends_where_its_bytes_end_but_one_job_always_fits(kind: Kind) {
    let rig = Rig::new(kind);
    rig.publish_ids(&["a", "b"]);
    let bounds = QueueBounds { queue: "q".to_owned(), jobs_max: 10, bytes_max: 1, lease: LEASE };
    let claimed = rig.broker.claim(&ClaimRequest { queues: vec![bounds] }).expect("claimed");
    assert_eq!(ids(&claimed), ["a"]);
}

fn a_paused_queue_gives_nothing_and_takes_everything(kind: Kind) {
    let rig = Rig::new(kind);
    rig.publish_ids(&["a"]);
    rig.broker.pause("q").expect("paused");
    rig.publish_ids(&["b"]);
    assert!(rig.claim(10).is_empty());
    assert!(rig.broker.depths().expect("depths")[0].paused);
    let rig = rig.restart();
    assert!(rig.claim(10).is_empty(), "a pause holds over restarts");
    rig.broker.resume("q").expect("resumed");
    assert_eq!(rig.claim_ids(10), ["a", "b"]);
    assert!(!rig.restart().broker.depths().expect("depths")[0].paused);
}

fn a_purge_removes_what_does_not_run_and_counts_it(kind: Kind) {
    let rig = Rig::new(kind);
    rig.publish_ids(&["running", "a", "b"]);
    rig.publish(vec![NewJob { delay: Duration::from_secs(60), ..job("later") }]).expect("kept");
    rig.publish(vec![NewJob { queue: "other".into(), ..job("stays") }]).expect("kept");
    let running = rig.claim(1);
    assert_eq!(rig.broker.purge("q", &mut unaccounted).expect("purged"), 3);
    assert_eq!(rig.broker.purge("nobody knows", &mut unaccounted).expect("purged"), 0);
    assert_eq!(rig.waiting(), 2);
    rig.finish(&running[0], Finish::Done);
    let rig = rig.restart();
    assert_eq!(rig.waiting(), 1);
    rig.publish_ids(&["a"]);
    assert_eq!(rig.claim_ids(10), ["a"]);
}

fn ends_of_one_call_stand_by_themselves(kind: Kind) {
    let rig = Rig::new(kind);
    rig.publish_ids(&["done", "dead", "again", "lost"]);
    let claimed = rig.claim(4);
    rig.finish(&claimed[3], Finish::Done);
    let dead = Finish::Dead { reason: DeadReason::Attempts, error: "no".to_owned() };
    let finished = vec![
        (claimed[3].lease, Finish::Done),
        (claimed[0].lease, Finish::Done),
        (claimed[1].lease, dead.clone()),
        (claimed[1].lease, dead),
        (claimed[2].lease, Finish::Retry { after: Duration::ZERO, error: "no".to_owned() }),
    ];
    let lost = rig.broker.finish(finished).expect("ended");
    assert_eq!(lost, [claimed[3].lease, claimed[1].lease]);
    assert_eq!(rig.broker.dead_letters().expect("letters").len(), 1);
    assert_eq!(rig.broker.dead_letter("dead").expect("asked").map(|letter| letter.attempts), Some(1));
    assert_eq!(rig.claim_ids(10), ["again"]);
}

fn a_suspect_runs_with_nothing_beside_it_but_not_for_ever(kind: Kind) {
    let rig = Rig::new(kind);
    rig.publish_ids(&["a", "b"]);
    assert_eq!(rig.claim(2).len(), 2);
    rig.clock.advance(LEASE);
    // Batches of one sixteenth: each runs by itself, and nothing starts beside it.
    let first = rig.claim(2);
    assert_eq!(ids(&first), ["a"]);
    rig.publish(vec![NewJob { queue: "other".into(), ..job("c") }]).expect("kept");
    assert!(rig.claim_from(&["other", "q"], 1).is_empty());
    rig.clock.advance(Duration::from_secs(3));
    assert_eq!(ids(&rig.claim_from(&["other", "q"], 1)), ["c"], "a long run does not stop other work");
    rig.finish(&first[0], Finish::Done);
    assert!(rig.claim(1).is_empty(), "the next suspect waits for other runs");
    rig.clock.advance(Duration::from_secs(6));
    assert_eq!(rig.claim_ids(1), ["b"], "but not for ever");
}

fn ids(claimed: &[queue::Claimed]) -> Vec<String> {
    claimed.iter().map(|job| job.id.to_string()).collect()
}
