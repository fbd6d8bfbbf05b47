//! The command's side against real processes that speak as workers do, and die where they are told to.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use super::*;
use pipeline::retention::sweep::{self, TRIES_MAX};
use pipeline::retention::{Plan, Report, Work};
use stdx::Day;

const READY: &str = r#"echo '{"said":"ready"}' >&0"#;
const BEGUN: &str = r#"echo '{"said":"begun"}' >&0"#;
const DONE: &str = r#"echo '{"said":"ran","is_done":true,"returned_bytes":5}' >&0"#;
const DIES: &str = "kill -9 $$";

/// Workers that are all this script.
fn spawner(script: &str) -> Spawner {
    Spawner { program: PathBuf::from("/bin/sh"), arguments: vec!["-c".into(), script.into()] }
}

fn plan(units: i64) -> Plan {
    let unit = |day| Unit { work: Work::Fold { day: Day(day) }, due: Vec::new() };
    Plan { cutoff: Day(0), units: (0..units).map(unit).collect(), projects: Vec::new() }
}

fn run(first: &str, others: &str, units: i64) -> (Report, bool) {
    let worker = spawner(first).start(1).unwrap().pop().unwrap();
    let others = spawner(others);
    let hand = ChildHand::new(&others, worker, 1);
    sweep::run(&plan(units), vec![Box::new(hand)], |_| {})
}

/// Answers every order.
fn works() -> String {
    format!("{READY}; while read -r order; do case \"$order\" in *stop*) exit;; esac; {BEGUN}; {DONE}; done")
}

#[test]
fn units_are_handed_to_a_process_one_after_the_other() {
    let (report, is_whole) = run(&works(), "exit 1", 20);
    assert!(is_whole, "{report:?}");
    assert_eq!((report.units, report.retried, report.returned_bytes), (20, 0, 100), "{report:?}");
}

#[test]
fn a_worker_that_dies_between_two_units_is_replaced_and_the_next_unit_is_not_to_blame() {
    let (once, before) = (format!("{READY}; read -r order; {BEGUN}; {DONE}; {DIES}"), format!("{READY}; {DIES}"));
    let after_reading = format!("{READY}; read -r order; {DIES}");
    let units = i64::from(TRIES_MAX) + 2;
    for (first, others) in [(&once, &once), (&before, &works()), (&after_reading, &works())] {
        let (report, is_whole) = run(first, others, units);
        assert!(is_whole && report.skipped.is_empty(), "{first}: {report:?}");
        assert_eq!(report.units, units.unsigned_abs(), "{first}: {report:?}");
        assert!(report.retries.iter().all(|text| text.contains("signal 9 before it began")), "{report:?}");
    }
}

#[test]
fn a_unit_is_set_aside_and_named_after_workers_died_while_they_worked_on_it() {
    let dies_within = format!("{READY}; read -r order; {BEGUN}; {DIES}");
    let (report, is_whole) = run(&dies_within, &dies_within, 1);
    assert!(is_whole);
    assert_eq!((report.units, report.retried), (0, u64::from(TRIES_MAX) - 1), "{report:?}");
    assert_eq!(report.skipped.len(), 1, "{report:?}");
    let named = &report.skipped[0];
    assert!(
        named.starts_with("counts by group of 1970-01-01: worker ") && named.ends_with("died, signal 9"),
        "{named}"
    );
}

#[test]
fn bytes_that_came_back_before_a_worker_died_are_counted() {
    let alive = r#"echo '{"said":"alive","returned_bytes":3}' >&0"#;
    let dies_within = format!("{READY}; read -r order; {BEGUN}; {alive}; {DIES}");
    let (report, is_whole) = run(&dies_within, &works(), 1);
    assert!(is_whole);
    assert_eq!((report.returned_bytes, report.retried, report.skipped.len()), (8, 1, 0), "{report:?}");
}

#[test]
fn where_no_worker_lives_the_sweep_ends_and_says_so() {
    let (report, is_whole) = run("exit 3", "exit 3", 2);
    assert!(!is_whole);
    assert!(report.skipped.is_empty(), "no unit is to blame: {report:?}");
    assert!(report.lost.len() == 1 && report.lost[0].contains("exit code 3"), "{report:?}");
}
