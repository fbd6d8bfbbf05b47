//! Deleting issues: gone at once, the rest in steps that anybody may carry on, and sums agree after each.

use super::NOW;
use super::digest::House;
use std::time::Duration;
use stdx::Timestamp;
use store::digest::Fate;
use store::issues::deletion::{self, Deletion};
use store::issues::merge::{self, By};
use store::{StoreError, removals};

impl House {
    fn delete(&self, group_key: i64, at: Timestamp) -> i64 {
        let issue_id = self.number(&format!("SELECT issue_id FROM issue_group WHERE group_key = {group_key}"));
        let project_id = self.number("SELECT id FROM project");
        self.stores.db.write_blocking(|tx| deletion::begin(tx, issue_id, project_id, at)).expect("deleted");
        self.assert_consistent();
        issue_id
    }

    /// A step of a worker that remembers nothing; returns whether there was one.
    fn forgetful_step(&self, issue_id: i64) -> bool {
        let deletion = Deletion::resume(&self.stores, issue_id).expect("resumed");
        let Some(mut deletion) = deletion else { return false };
        deletion.step(&self.stores, NOW).expect("a step is done");
        self.assert_consistent();
        true
    }

    /// Runs the deletion to its end, looking after each step.
    fn finish(&self, issue_id: i64) {
        while let Some(mut deletion) = Deletion::resume(&self.stores, issue_id).expect("resumed") {
            while !deletion.step(&self.stores, NOW).expect("a step is done") {
                self.assert_consistent();
            }
        }
        self.assert_consistent();
    }

    fn rows(&self) -> usize {
        self.stores.events.ids(&self.today).expect("ids").len()
    }

    fn leftovers(&self) -> i64 {
        let tables = ["issue_tag", "issue_tag_key", "issue_hour", "issue_environment", "issue_user", "issue_activity"];
        let all = tables.iter().chain(&["issue_deletion", "issue_deletion_group", "issue_deletion_event"]);
        all.map(|table| self.number(&format!("SELECT COUNT(*) FROM {table}"))).sum()
    }
}

/// After all that the tests digest.
fn later() -> Timestamp {
    NOW.plus(Duration::from_secs(10_000))
}

#[test]
fn a_deleted_issue_is_gone_at_once_and_its_rest_in_steps() {
    let house = House::new();
    house.digest(&(0..1_200).map(|number| house.event(number, 5)).collect::<Vec<_>>());
    let issue_id = house.delete(5, later());
    assert_eq!(house.number("SELECT COUNT(*) FROM issue"), 0);
    assert_eq!(house.number("SELECT COUNT(*) FROM issue_group"), 0);
    house.finish(issue_id);
    assert_eq!((house.rows(), house.leftovers()), (0, 0));
    let removed = house.stores.db.read_blocking(|tx| removals::of_day(tx, NOW.day())).expect("removals");
    assert_eq!(removed.iter().map(|(_, rows)| rows).sum::<i64>(), 1_200);
    assert!(!house.forgetful_step(issue_id), "it is over");
}

#[test]
fn an_event_that_comes_later_makes_a_new_issue_and_stays() {
    let house = House::new();
    house.digest(&[house.event(1, 5), house.event(2, 5)]);
    let deleted = house.delete(5, NOW.plus(Duration::from_secs(2)));
    let applied = house.digest(&[house.event(3, 5)]);
    assert_eq!(applied.issues_created, 1);
    house.finish(deleted);
    assert_eq!(house.rows(), 1);
    assert_eq!(house.number("SELECT event_count FROM issue"), 1);
}

#[test]
fn an_event_on_its_way_is_of_the_next_issue_and_stays_whenever_it_is_counted() {
    for counted_after_steps in [0, 1, 2, 100] {
        let house = House::new();
        house.digest(&[house.event(1, 5), house.event(2, 5)]);
        // Its row is there, its facts are not: the digest is between the two.
        let on_its_way = house.event(3, 5);
        house.insert_rows(std::slice::from_ref(&on_its_way));
        let issue_id = house.number("SELECT issue_id FROM issue_group");
        let project_id = house.number("SELECT id FROM project");
        house.stores.db.write_blocking(|tx| deletion::begin(tx, issue_id, project_id, later())).expect("deleted");
        let mut deletion = Deletion::resume(&house.stores, issue_id).expect("resumed").expect("not over");
        let mut is_over = (0..counted_after_steps).any(|_| deletion.step(&house.stores, NOW).expect("a step"));
        assert_eq!(house.apply(NOW.day(), &[on_its_way]).fates, [Fate::Stored]);
        while !is_over {
            is_over = deletion.step(&house.stores, NOW).expect("a step");
        }
        house.assert_consistent();
        assert_eq!(house.rows(), 1, "counted after {counted_after_steps} steps");
        assert_eq!(house.number("SELECT COUNT(*) FROM issue_deletion_kept"), 0);
    }
}

#[test]
fn a_worker_that_forgets_everything_after_each_step_comes_to_the_end_too() {
    let house = House::new();
    house.digest(&(0..700).map(|number| house.event(number, 5)).collect::<Vec<_>>());
    let issue_id = house.delete(5, later());
    let steps = (0..1_000).take_while(|_| house.forgetful_step(issue_id)).count();
    assert!(steps < 1_000, "it never ended");
    assert_eq!((house.rows(), house.leftovers()), (0, 0));
}

#[test]
fn strands_go_with_the_issue_they_were_merged_into_and_others_stay() {
    let house = House::new();
    house.digest(&(0..30).map(|number| house.event(number, 5 + (number % 3) as i64)).collect::<Vec<_>>());
    let issue = |group: i64| house.number(&format!("SELECT issue_id FROM issue_group WHERE group_key = {group}"));
    let (a, b) = (issue(5), issue(6));
    let by = By { user_id: None, at: NOW };
    house.stores.db.write_blocking(|tx| merge::merge(tx, a, &[b], by)).expect("merged");
    let deleted = house.delete(6, later());
    assert_eq!(deleted, a);
    house.finish(deleted);
    assert_eq!((house.rows(), house.number("SELECT COUNT(*) FROM issue")), (10, 1));
    assert_eq!(house.number("SELECT COUNT(*) FROM issue_strand"), 0);
    assert_eq!(house.number("SELECT COUNT(*) FROM issue_tag WHERE issue_id < 0"), 0);
}

#[test]
fn a_day_that_ends_under_a_deletion_takes_its_rows_along() {
    let house = House::new();
    house.digest(&(0..10).map(|number| house.event(number, 5)).collect::<Vec<_>>());
    let issue_id = house.delete(5, later());
    house.forgetful_step(issue_id);
    let ended = store::days::Afterwards::Closed;
    let end = |tx: &mut db::Tx<'_>| store::days::end(tx, &house.today, ended, NOW);
    assert!(house.stores.db.write_blocking::<_, StoreError>(end).expect("ended"));
    house.stores.events.drop_day(&house.today).expect("dropped");
    house.finish(issue_id);
    assert_eq!(house.leftovers(), 0);
}
