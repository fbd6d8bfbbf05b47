//! Bodies too large for a job: gone once their content is in the stores, and whoever runs the job again is told so.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use super::*;
use crate::tasks::discard_blobs;
use store::{outbox, spent_bodies};

const EVENT: &[u8] = b"{}\n{\"type\":\"event\"}\n{\"message\":\"m\"}\n";

/// A job whose body is a blob. Returns it with the blob's key.
fn large(house: &mut House, body: &[u8]) -> (Claimed, String) {
    let (key, raw_bytes) = house.stores.blobs.put_own(&mut &body[..]).unwrap();
    let claimed = house.claimed(AcceptedBody::Blob { key: key.as_str().into(), raw_bytes });
    (claimed, key)
}

fn stored(house: &House) -> i64 {
    let counted = house.stores.db.read_blocking(|tx| tx.query_one::<(i64,)>("SELECT COUNT(*) FROM digested", &[]));
    counted.unwrap().0
}

#[test]
fn a_spent_body_is_given_to_the_outbox_and_a_second_run_changes_nothing() {
    let mut house = House::new();
    let (job, key) = large(&mut house, EVENT);
    assert!(matches!(house.run(std::slice::from_ref(&job))[..], [Outcome::Done]));
    let rows = house.stores.db.read_blocking(|tx| outbox::oldest(tx, 9)).unwrap();
    let told: Vec<_> = rows.iter().map(|row| (row.task.as_str(), row.payload.clone())).collect();
    assert_eq!(told, [(discard_blobs::NAME, spent_bodies::discard_payload(std::slice::from_ref(&key)))]);
    assert!(house.stores.db.read_blocking(|tx| spent_bodies::is_spent(tx, &key)).unwrap());
    // The worker died before its ack, and the body is discarded before the next one runs the job.
    house.stores.blobs.delete(&key).unwrap();
    assert!(matches!(house.run(&[job])[..], [Outcome::Done]));
    assert_eq!(stored(&house), 1);
}

#[test]
fn a_lost_body_is_said_and_never_taken_for_a_spent_one() {
    let mut house = House::new();
    let (job, key) = large(&mut house, EVENT);
    house.stores.blobs.delete(&key).unwrap();
    assert!(matches!(&house.run(&[job])[..], [Outcome::Dead { error }] if error.contains(&key)));
    assert_eq!(stored(&house), 0);
}

#[test]
fn bodies_of_duplicates_and_of_what_holds_no_event_are_spent_too() {
    let mut house = House::new();
    let (job, first) = large(&mut house, EVENT);
    house.sent -= 1;
    house.received_at = NOW.plus(Duration::from_secs(1));
    let (copy, second) = large(&mut house, EVENT);
    let (loose, third) = large(&mut house, b"{}\n{\"type\":\"attachment\",\"length\":1}\na\n");
    let outcomes = house.run(&[job, copy, loose]);
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Done)), "{outcomes:?}");
    for key in [first, second, third] {
        assert!(house.stores.db.read_blocking(|tx| spent_bodies::is_spent(tx, &key)).unwrap(), "{key}");
    }
    assert_eq!(stored(&house), 1);
}

#[test]
fn a_job_that_an_operator_took_out_leaves_nothing_when_it_runs_after_all() {
    let mut house = House::new();
    let job = house.claimed(AcceptedBody::Inline(EVENT));
    let accepted = AcceptedJob::decode(&job.payload).unwrap();
    let withdrawal = store::digest::Withdrawal {
        project_id: accepted.project_id,
        key_id: accepted.key_id,
        event_id: accepted.event_id.bytes(),
        received_at: accepted.received_at,
        is_event: true,
        body_blob: None,
    };
    let (day, now) = (accepted.received_at.day(), accepted.received_at);
    house.stores.db.write_blocking(|tx| store::digest::withdraw(tx, &[withdrawal], "purged", now)).unwrap();
    assert!(matches!(house.run(std::slice::from_ref(&job))[..], [Outcome::Done]));
    let open = house.stores.db.read_blocking(|tx| store::days::find_open(tx, day)).unwrap().unwrap();
    assert_eq!((stored(&house), house.stores.events.ids(&open).unwrap().len()), (0, 0));
}
