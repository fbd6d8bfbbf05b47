//! Bodies of large requests: none goes while a job may name it, whatever the queue can tell of its jobs.

use super::*;
use queue::QueueDepth;
use store::spent_bodies;

fn depth(ready: u64, oldest_age: Option<Duration>) -> QueueDepth {
    let queue = "events".to_owned();
    QueueDepth { queue, ready, delayed: 1, leased: 1, dead: 0, parked: 1, oldest_age, paused: false, bytes: 0 }
}

fn later(days: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(days * 86_400))
}

#[test]
fn a_body_goes_when_it_is_spent_or_no_job_can_name_it() {
    let house = House::new(&["shop"]);
    let put = |text: &str| house.stores.blobs.put_own(&mut text.as_bytes()).unwrap().0;
    let (spent, waiting) = (put("spent"), put("waiting"));
    house.stores.db.write_blocking(|tx| spent_bodies::note(tx, NOW.day(), &spent)).unwrap();
    let there = |key: &str| house.stores.blobs.exists(key).unwrap();
    // A ready job that came just now beside parked ones, of which nobody knows how old they are.
    let depths = [depth(1, Some(Duration::from_secs(1)))];
    for (days, rows, is_there) in [(3, 1, true), (40, 0, true), (60, 1, false)] {
        let now = later(days);
        let bodies_before = Some(conduct::bodies_before_of(&depths, [].into_iter(), now));
        let ask = Ask { models: vec![Model::Blob], bodies_before, ..house.ask(30) };
        let plan = plan(&house.stores, &ask, now).unwrap();
        assert_eq!(plan.report().rows_total(), rows, "after {days} days");
        let held = house.begin();
        sweep::run(&plan, vec![house.hand(held.sweep)], |_| {});
        assert_eq!((there(&spent), there(&waiting)), (false, is_there), "after {days} days");
    }
}

#[test]
fn no_body_goes_before_what_the_queue_still_has() {
    let before = |oldest_days: Option<u64>, letter_days_ago: &[u64]| {
        let age = oldest_days.map(|days| Duration::from_secs(days * 86_400));
        let letters = letter_days_ago.iter().map(|days| later(0).minus(Duration::from_secs(days * 86_400)));
        let before = conduct::bodies_before_of(&[depth(0, None), depth(1, age)], letters, NOW);
        NOW.since(before).as_secs() / 86_400
    };
    assert_eq!(before(None, &[]), 45, "what is parked has no age");
    assert_eq!(before(Some(0), &[13]), 45);
    assert_eq!(before(Some(100), &[]), 101);
    assert_eq!(before(Some(1), &[60, 2]), 69);
}
