//! What an operator takes out of the queue: counted once under its hour, and never digested after.

use super::NOW;
use super::digest::House;
use std::time::Duration;
use store::digest::{self, DigestEvent, DigestLoose, Fate, NotKept, Withdrawal};
use store::spent_bodies;

const REASON: &str = "purged by an operator";

fn withdrawal(event: &DigestEvent) -> Withdrawal {
    Withdrawal {
        project_id: event.project_id,
        key_id: event.key_id,
        event_id: event.event_id,
        received_at: event.received_at,
        is_event: true,
        body_blob: None,
    }
}

fn withdraw(house: &House, jobs: &[Withdrawal]) -> Vec<bool> {
    house.stores.db.write_blocking(|tx| digest::withdraw(tx, jobs, REASON, NOW)).expect("withdrawn")
}

fn outcomes(house: &House, outcome: &str) -> i64 {
    house.number(&format!("SELECT COALESCE(SUM(quantity), 0) FROM outcome_hour WHERE outcome = '{outcome}'"))
}

#[test]
fn a_withdrawn_event_is_dead_once_and_a_run_that_comes_after_all_has_no_effect() {
    let house = House::new();
    let (gone, stays) = (house.event(1, 5), house.event(2, 5));
    assert_eq!(withdraw(&house, &[withdrawal(&gone), withdrawal(&gone)]), [true, false]);
    assert_eq!(withdraw(&house, &[withdrawal(&gone)]), [false], "a purge that was interrupted is made again");
    assert_eq!(house.digest(&[gone.clone(), stays]).fates, [Fate::Withdrawn, Fate::Stored]);
    let batch = std::slice::from_ref(&gone);
    house.stores.db.write_blocking(|tx| digest::apply_expired(tx, NOW.day(), batch)).expect("applied");
    assert_eq!((outcomes(&house, "accepted"), outcomes(&house, "dead"), outcomes(&house, "stored")), (2, 1, 1));
    assert_eq!(outcomes(&house, "expired"), 0);
    assert_eq!(house.number("SELECT event_count FROM issue"), 1);
    assert_eq!(house.number("SELECT COUNT(*) FROM outcome_hour WHERE project_id = 0 OR key_id = 0"), 0);
    digest::drop_uncounted(&house.stores, NOW.day(), &[(gone.project_id, gone.event_id)]).expect("dropped");
    house.assert_consistent();
}

#[test]
fn what_was_digested_is_not_withdrawn() {
    let house = House::new();
    let event = house.event(1, 5);
    house.digest(std::slice::from_ref(&event));
    let again = DigestEvent { received_at: event.received_at.plus(Duration::from_secs(1)), ..event.clone() };
    house.apply(NOW.day(), std::slice::from_ref(&again));
    assert_eq!(withdraw(&house, &[withdrawal(&event), withdrawal(&again)]), [false, false]);
    assert_eq!((outcomes(&house, "dead"), outcomes(&house, "stored"), outcomes(&house, "duplicate")), (0, 1, 1));
    digest::drop_uncounted(&house.stores, NOW.day(), &[(event.project_id, event.event_id)]).expect("dropped");
    house.assert_consistent();
}

#[test]
fn an_id_whose_job_was_withdrawn_may_come_again() {
    let house = House::new();
    let first = house.event(1, 5);
    withdraw(&house, &[withdrawal(&first)]);
    let second = DigestEvent { received_at: first.received_at.plus(Duration::from_secs(1)), ..first };
    assert_eq!(house.digest(std::slice::from_ref(&second)).fates, [Fate::Stored]);
    assert_eq!(withdraw(&house, &[withdrawal(&second)]), [false]);
    house.assert_consistent();
}

#[test]
fn what_only_comes_for_an_event_is_remarked_and_not_counted_and_its_body_goes() {
    let house = House::new();
    let event = house.event(1, 5);
    let job = Withdrawal { is_event: false, body_blob: Some("body".to_owned()), ..withdrawal(&event) };
    assert_eq!(withdraw(&house, &[job.clone(), job]), [true, false]);
    let late = DigestLoose {
        project_id: event.project_id,
        key_id: 1,
        event_id: event.event_id,
        received_at: event.received_at,
        attachments: Vec::new(),
        not_kept: vec![NotKept { category: "session", reason: "session".to_owned(), quantity: 1 }],
        invalid: None,
    };
    house.stores.db.write_blocking(|tx| digest::apply_loose(tx, NOW.day(), &[late])).expect("applied");
    assert_eq!(house.number("SELECT COUNT(*) FROM outcome_hour"), 0);
    assert_eq!(house.number("SELECT COUNT(*) FROM receipt WHERE state = 'dead'"), 1);
    assert!(house.stores.db.read_blocking(|tx| spent_bodies::is_spent(tx, "body")).expect("asked"));
    assert_eq!(house.number("SELECT COUNT(*) FROM outbox WHERE task = 'blobs.discard'"), 1);
}
