//! The runner: once each, in order, whoever starts first; never over a newer or a changed schema.

use super::open;
use db::{DbError, Migration, migrate};
use std::sync::{Arc, Barrier};
use stdx::Timestamp;

const FIRST: Migration =
    Migration { number: 1, name: "first", sql: "CREATE TABLE a (id INTEGER PRIMARY KEY); INSERT INTO a VALUES (1);" };
const SECOND: Migration = Migration { number: 2, name: "second", sql: "INSERT INTO a VALUES (2);" };
const BROKEN: Migration = Migration { number: 3, name: "broken", sql: "INSERT INTO a VALUES (3); SELECT nonsense;" };
const NOW: Timestamp = Timestamp::from_seconds(1);

#[test]
fn each_is_applied_once_and_later_ones_follow() {
    let folder = tempfile::tempdir().expect("a folder");
    let db = open(folder.path());
    assert_eq!(migrate::pending(&db, &[FIRST, SECOND]).expect("asked"), ["first", "second"]);
    assert_eq!(migrate::run(&db, &[FIRST], NOW).expect("applied"), ["first"]);
    assert!(migrate::run(&db, &[FIRST], NOW).expect("nothing to do").is_empty());
    assert_eq!(migrate::pending(&db, &[FIRST, SECOND]).expect("asked"), ["second"]);
    assert_eq!(migrate::run(&db, &[FIRST, SECOND], NOW).expect("applied"), ["second"]);
    let (rows,): (i64,) =
        db.read_blocking(|tx| tx.query_one::<(i64,)>("SELECT COUNT(*) FROM a", &[])).expect("the table is there");
    assert_eq!(rows, 2);
}

#[test]
fn a_broken_one_changes_nothing_of_itself_or_its_company() {
    let folder = tempfile::tempdir().expect("a folder");
    let db = open(folder.path());
    migrate::run(&db, &[FIRST], NOW).expect("applied");
    assert!(migrate::run(&db, &[FIRST, SECOND, BROKEN], NOW).is_err());
    assert_eq!(migrate::pending(&db, &[FIRST, SECOND]).expect("asked"), ["second"]);
    let (rows,): (i64,) = db.read_blocking(|tx| tx.query_one::<(i64,)>("SELECT COUNT(*) FROM a", &[])).expect("read");
    assert_eq!(rows, 1);
}

#[test]
fn processes_that_start_at_once_apply_it_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let start = Arc::new(Barrier::new(6));
    let starters: Vec<_> = (0..6)
        .map(|_| {
            let (folder, start) = (folder.path().to_owned(), start.clone());
            std::thread::spawn(move || {
                start.wait();
                let db = open(&folder);
                migrate::run(&db, &[FIRST, SECOND], NOW).expect("applied or waited").len()
            })
        })
        .collect();
    let applied: usize = starters.into_iter().map(|starter| starter.join().expect("no panic")).sum();
    assert_eq!(applied, 2);
}

#[test]
fn a_newer_or_changed_schema_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let db = open(folder.path());
    migrate::run(&db, &[FIRST, SECOND], NOW).expect("applied");
    let newer = migrate::run(&db, &[FIRST], NOW);
    assert!(matches!(newer, Err(DbError::Newer { found: 2, known: 1 })), "{newer:?}");
    let changed = Migration { sql: "CREATE TABLE b (id INTEGER PRIMARY KEY)", ..FIRST };
    assert!(matches!(migrate::run(&db, &[changed, SECOND], NOW), Err(DbError::Changed { number: 1 })));
}
