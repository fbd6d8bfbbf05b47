//! Merging and taking apart: sums agree after each step, whatever is digested meanwhile, and nothing is lost on the way
//! back.

use super::NOW;
use super::digest::House;
use std::collections::BTreeMap;
use store::StoreError;
use store::digest::{DigestEvent, TAG_VALUES_MAX};
use store::issues::merge::{self, By};
use store::issues::{self, strands};

const BY: By = By { user_id: None, at: NOW };

impl House {
    fn issue_of(&self, group_key: i64) -> i64 {
        self.number(&format!("SELECT issue_id FROM issue_group WHERE group_key = {group_key}"))
    }

    fn merge(&self, target: i64, sources: &[i64]) {
        self.stores.db.write_blocking(|tx| merge::merge(tx, target, sources, BY)).expect("merged");
        self.assert_consistent();
    }

    fn unmerge(&self, issue_id: i64, strands: &[i64]) -> Option<i64> {
        let made = self.stores.db.write_blocking(|tx| merge::unmerge(tx, issue_id, strands, BY)).expect("taken apart");
        self.assert_consistent();
        made
    }

    /// What pages show of an issue's counts.
    fn counts(&self, issue_id: i64) -> String {
        self.stores
            .db
            .read_blocking(|tx| {
                let issue = issues::row(tx, issue_id)?.expect("the issue");
                let hours = issues::hours_of_issue(tx, issue_id, store_hour_zero(), &[])?;
                let mut tags = Vec::new();
                for key in issues::tag_keys(tx, issue_id)? {
                    let values = issues::tag_values(tx, issue_id, &key.key, 10)?;
                    tags.push((key, values));
                }
                let seen = (issue.first_seen, issue.last_seen, issue.event_count, issue.user_count, issue.short_no);
                Ok::<_, StoreError>(format!("{seen:?} {} {} {hours:?} {tags:?}", issue.title, issue.status))
            })
            .expect("read")
    }
}

fn store_hour_zero() -> stdx::Hour {
    stdx::Hour(0)
}

#[test]
fn a_merge_sums_and_its_undo_restores_every_count() {
    let house = House::new();
    house.digest(&(0..9).map(|number| house.event(number, 5 + (number % 2) as i64)).collect::<Vec<_>>());
    let (a, b) = (house.issue_of(5), house.issue_of(6));
    let before = (house.counts(a), house.counts(b));
    house.merge(a, &[b]);
    assert_eq!(house.number("SELECT COUNT(*) FROM issue"), 1);
    assert_eq!(house.number("SELECT event_count FROM issue"), 9);
    assert_eq!(house.number("SELECT user_count FROM issue"), 3, "users of both count once");
    assert_eq!((house.issue_of(5), house.issue_of(6)), (a, a));
    let found = house.stores.db.read_blocking(|tx| strands::issue_of(tx, b)).expect("read");
    assert_eq!(found, Some(a), "the old id leads on");
    assert_eq!(house.unmerge(a, &[b]), Some(b));
    assert_eq!((house.counts(a), house.counts(b)), before);
    assert_eq!(house.number("SELECT COUNT(*) FROM issue_strand"), 0);
    assert_eq!(house.number("SELECT COUNT(*) FROM issue_hour WHERE issue_id < 0"), 0);
}

#[test]
fn what_comes_after_a_merge_goes_where_it_belongs() {
    let house = House::new();
    house.digest(&[house.event(1, 5), house.event(2, 6), house.event(3, 7)]);
    let (a, b, c) = (house.issue_of(5), house.issue_of(6), house.issue_of(7));
    let resolve = format!("UPDATE issue SET status = 'resolved', substatus = 'resolved' WHERE id IN ({b}, {c})");
    house.stores.db.write_blocking(|tx| tx.execute(&resolve, &[])).expect("resolved");
    house.merge(a, &[b, c]);
    house.digest(&[house.event(4, 6), house.event(5, 6)]);
    house.assert_consistent();
    assert_eq!(house.number("SELECT event_count FROM issue"), 5);
    assert_eq!(house.unmerge(a, &[b]), Some(b));
    assert_eq!(house.unmerge(a, &[c]), Some(c));
    let status = |id| house.number(&format!("SELECT COUNT(*) FROM issue WHERE id = {id} AND status = 'resolved'"));
    assert_eq!((status(b), status(c)), (0, 1), "only where nothing came is it what it was");
    assert_eq!(house.number(&format!("SELECT event_count FROM issue WHERE id = {b}")), 3);
}

#[test]
fn what_was_merged_before_comes_along_and_leaves_along() {
    let house = House::new();
    house.digest(&[house.event(1, 5), house.event(2, 6), house.event(3, 7)]);
    let (a, b, c) = (house.issue_of(5), house.issue_of(6), house.issue_of(7));
    house.merge(b, &[c]);
    house.merge(a, &[b]);
    assert_eq!(house.unmerge(a, &[a, b, c]), None, "nothing would be left");
    assert_eq!(house.unmerge(a, &[99]), None);
    assert_eq!(house.unmerge(a, &[b, c]), Some(b));
    assert_eq!(house.issue_of(7), b);
    assert_eq!(house.unmerge(b, &[b]), Some(c), "an issue keeps its own strand");
    assert_eq!((house.issue_of(6), house.issue_of(7)), (b, c));
    assert_eq!(house.number("SELECT COUNT(*) FROM issue_strand"), 0);
}

#[test]
fn the_bound_on_tag_values_holds_for_sums_and_is_undone_with_them() {
    let house = House::new();
    let values_max = u128::try_from(TAG_VALUES_MAX).expect("it is positive");
    let with_tag = |number: u128, group| DigestEvent {
        tags: vec![("request".to_owned(), format!("{number}"))],
        ..house.event(number, group)
    };
    house.digest(&(0..values_max).map(|number| with_tag(number, 5)).collect::<Vec<_>>());
    house.digest(&(values_max..2 * values_max).map(|number| with_tag(number, 6)).collect::<Vec<_>>());
    let (a, b) = (house.issue_of(5), house.issue_of(6));
    house.merge(a, &[b]);
    let kept = format!("SELECT COUNT(*) FROM issue_tag WHERE key = 'request' AND issue_id = {a}");
    assert_eq!(house.number(&kept), TAG_VALUES_MAX);
    house.unmerge(a, &[b]);
    let other = "SELECT SUM(other_count) FROM issue_tag_key";
    assert_eq!((house.number(&kept), house.number(other)), (TAG_VALUES_MAX, 0));
}

#[test]
fn any_order_of_merging_and_digesting_agrees_with_a_model() {
    for seed in 1..6_u64 {
        let house = House::new();
        let mut random = seed;
        let mut next = |bound: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % bound
        };
        let mut model: BTreeMap<i64, i64> = BTreeMap::new();
        for group in 0..6 {
            house.digest(&[house.event(group as u128, group)]);
            model.insert(group, 1);
        }
        for step in 0..40_u64 {
            let (one, other) = (house.issue_of(next(6) as i64), house.issue_of(next(6) as i64));
            match next(3) {
                0 if one != other => house.merge(one, &[other]),
                1 => {
                    let all = house.stores.db.read_blocking(|tx| strands::of_issue(tx, one)).expect("strands");
                    let chosen: Vec<i64> = all.iter().map(|s| s.id).filter(|_| next(2) == 0).collect();
                    house.unmerge(one, &chosen);
                }
                _ => {
                    let group = next(6) as i64;
                    house.digest(&[house.event(100 + u128::from(step), group)]);
                    *model.entry(group).or_default() += 1;
                }
            }
        }
        let mut issues: BTreeMap<i64, i64> = BTreeMap::new();
        for (group, count) in &model {
            *issues.entry(house.issue_of(*group)).or_default() += count;
        }
        for (issue, count) in issues {
            let sql = format!("SELECT event_count FROM issue WHERE id = {issue}");
            assert_eq!(house.number(&sql), count, "seed {seed}");
        }
    }
}

#[test]
fn merging_while_the_digest_writes_to_both_loses_nothing() {
    let house = House::new();
    house.digest(&[house.event(1, 5), house.event(2, 6)]);
    let (a, b) = (house.issue_of(5), house.issue_of(6));
    std::thread::scope(|scope| {
        let write = |from: u128| {
            let house = &house;
            move || {
                for number in from..from + 60 {
                    house.digest(&[house.event(number, 5), house.event(number + 5_000, 6)]);
                }
            }
        };
        scope.spawn(write(1_000));
        scope.spawn(write(2_000));
        for _ in 0..20 {
            house.stores.db.write_blocking(|tx| merge::merge(tx, a, &[b], BY)).expect("merged");
            let made = house.stores.db.write_blocking(|tx| merge::unmerge(tx, a, &[b], BY)).expect("taken apart");
            assert_eq!(made, Some(b));
        }
    });
    house.assert_consistent();
    for issue in [a, b] {
        assert_eq!(house.number(&format!("SELECT event_count FROM issue WHERE id = {issue}")), 121);
    }
}
