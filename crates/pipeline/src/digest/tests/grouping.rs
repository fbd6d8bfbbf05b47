//! How a project's grouping reaches its issues: rules, changes of configuration, and jobs that run again after one.

use super::*;
use serde_json::{Value, json};

/// Two frames, one in the app: the configurations of 2023 and 2026 hash it differently.
const EVENT: &str = concat!(
    r#"{"platform":"python","exception":{"values":[{"type":"KeyError","value":"x","stacktrace":{"frames":["#,
    r#"{"module":"lib.core","function":"call","filename":"core.py","in_app":false},"#,
    r#"{"module":"shop.cart","function":"add","filename":"cart.py","in_app":true}]}}]}}"#
);

impl House {
    fn group(&mut self, settings: &Value) -> i64 {
        self.set("grouping", settings);
        let id = self.send(EVENT);
        self.issue_of(&id)
    }

    fn issue_of(&self, id: &[u8; 16]) -> i64 {
        let day = self.stores.db.read_blocking(|tx| days::find_open(tx, NOW.day())).unwrap().unwrap();
        let row = self.stores.events.get(&day, self.project_id, id).unwrap().unwrap();
        let issue = self.stores.db.read_blocking(|tx| store::issues::id_by_group(tx, row.project_id, row.group_key));
        issue.unwrap().unwrap()
    }

    fn number(&self, sql: &str) -> i64 {
        self.stores.db.read_blocking(|tx| tx.query_one::<(i64,)>(sql, &[])).unwrap().0
    }

    fn assert_consistent(&self) {
        let findings = store::check::check(&self.stores, &|_, _| false).unwrap();
        let bad: Vec<_> = findings.iter().filter(|finding| !finding.is_good()).collect();
        assert!(bad.is_empty(), "{bad:?}");
    }
}

#[test]
fn an_event_keeps_all_its_hashes_and_what_they_depend_on() {
    let mut house = House::new();
    house.set("grouping", &json!({"revision": 7, "stack_rules": "function:nothing -group"}));
    let id = house.send(EVENT);
    let body = house.body(&id).unwrap();
    let header: Value = serde_json::from_str(body.lines().next().unwrap()).unwrap();
    let grouping = &header["grouping"];
    assert_eq!(grouping["hashes"].as_array().unwrap().len(), 2, "app and system");
    assert_eq!((&grouping["config"], &grouping["revision"]), (&json!("newstyle:2026-01-20"), &json!(7)));
    assert_eq!((&grouping["patterns"], &grouping["normaliser"]), (&json!("p2026b"), &json!(3)));
    assert_eq!(house.number("SELECT COUNT(*) FROM issue_group"), 2, "both lead to the issue");
    assert_eq!(house.number("SELECT COUNT(DISTINCT issue_id) FROM issue_group"), 1);
    house.assert_consistent();
}

#[test]
fn a_projects_rules_decide_its_issues_from_the_next_batch_on() {
    let mut house = House::new();
    let plain = house.group(&json!({}));
    let by_rule = house.group(&json!({"fingerprint_rules": "type:KeyError -> cart-keys title=\"Cart keys\""}));
    assert_ne!(plain, by_rule);
    assert_eq!(house.group(&json!({})), plain);
    let title = house.stores.db.read_blocking(|tx| store::issues::row(tx, by_rule)).unwrap().unwrap().title;
    assert_eq!(title, "Cart keys");
}

#[test]
fn the_title_that_a_rule_gave_stays_with_the_event() {
    let mut house = House::new();
    let title = |house: &House, id: &[u8; 16]| {
        let header: Value = serde_json::from_str(house.body(id).unwrap().lines().next().unwrap()).unwrap();
        header["grouping"]["title"].clone()
    };
    let id = house.send(EVENT);
    assert_eq!(title(&house, &id), Value::Null);
    let rules = r#"type:KeyError -> cart title="Cart: {{ error.value }}""#;
    house.set("grouping", &json!({ "revision": 1, "fingerprint_rules": rules }));
    let id = house.send(EVENT);
    assert_eq!(title(&house, &id), "Cart: x");
}

#[test]
fn a_hash_that_is_new_finds_its_issue_by_another_of_its_event() {
    let mut house = House::new();
    let before = house.group(&json!({}));
    // The app's frames change, all frames together do not.
    let after = house.group(&json!({"stack_rules": "module:lib.* +app"}));
    assert_eq!(before, after);
    assert_eq!(house.number("SELECT event_count FROM issue"), 2);
    house.assert_consistent();
}

#[test]
fn a_change_of_configuration_keeps_issues_together_while_it_lasts() {
    let mut house = House::new();
    let old = house.group(&json!({"config": "newstyle:2023-01-11"}));
    let until = NOW.micros() / 1_000_000 + 60;
    let upgraded = json!({"former_config": "newstyle:2023-01-11", "former_until": until});
    assert_eq!(house.group(&upgraded), old);
    let hashes = house.number("SELECT COUNT(*) FROM issue_group");
    assert_eq!(house.group(&upgraded), old, "the new hash is known now");
    assert_eq!(house.number("SELECT COUNT(*) FROM issue_group"), hashes);
    house.assert_consistent();

    let mut late = House::new();
    let old = late.group(&json!({"config": "newstyle:2023-01-11"}));
    let expired = json!({"former_config": "newstyle:2023-01-11", "former_until": until - 60});
    assert_ne!(late.group(&expired), old, "it lasted until now");
}

#[test]
fn a_job_that_runs_again_after_a_change_counts_where_its_row_is() {
    let mut house = House::new();
    let first = house.group(&json!({}));
    // The row of a first run is there, its facts are not: as if the worker had died between the two.
    let forget = "DELETE FROM digested; DELETE FROM group_day; DELETE FROM issue_hour; DELETE FROM issue_environment;
        DELETE FROM issue_tag; DELETE FROM issue_tag_key; DELETE FROM issue_user; DELETE FROM issue_group;
        DELETE FROM issue_activity; DELETE FROM issue; DELETE FROM project_hour; DELETE FROM outcome_hour;
        DELETE FROM attachment; DELETE FROM receipt";
    house.stores.db.write_blocking(|tx| tx.execute_script(forget)).unwrap();
    house.set("grouping", &json!({"fingerprint_rules": "type:KeyError -> other"}));
    house.sent -= 1;
    let id = house.send(EVENT);
    assert_ne!(house.issue_of(&id), first, "ids are never used again");
    assert_eq!(house.number("SELECT COUNT(*) FROM issue"), 1);
    house.assert_consistent();
}

#[test]
fn grouping_of_a_later_release_does_not_stop_events() {
    let mut house = House::new();
    let plain = house.group(&json!({}));
    assert_eq!(house.group(&json!({"config": "newstyle:2031-01-01"})), plain);
    assert_eq!(house.group(&json!({"stack_rules": "no rule"})), plain);
    assert_eq!(house.group(&json!([1])), plain);
}
