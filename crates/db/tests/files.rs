//! What happens to the file: several processes' connections, creation at once, the log, a full disk.

use super::{add, count, open, open_with_table};
use db::{Db, DbError, SqliteConfig};
use std::sync::{Arc, Barrier};

#[test]
fn a_file_created_by_many_at_once_is_one_database() {
    let folder = tempfile::tempdir().expect("a folder");
    for round in 0..10 {
        let path = folder.path().join(format!("{round}.sqlite"));
        let start = Arc::new(Barrier::new(8));
        let openers: Vec<_> = (0..8)
            .map(|_| {
                let (path, start) = (path.clone(), start.clone());
                std::thread::spawn(move || {
                    start.wait();
                    let config = SqliteConfig { page_bytes: 16 << 10, ..SqliteConfig::default() };
                    let db = Db::open_sqlite(&path, config)?;
                    db.write_blocking(|tx| {
                        tx.execute_script("CREATE TABLE IF NOT EXISTS opening (id INTEGER PRIMARY KEY)")?;
                        tx.execute("INSERT INTO opening DEFAULT VALUES", &[])
                    })?;
                    db.read_blocking(|tx| {
                        let shape: (i64,) = tx.query_one("PRAGMA page_size", &[])?;
                        let vacuum: (i64,) = tx.query_one("PRAGMA auto_vacuum", &[])?;
                        let mode: (String,) = tx.query_one("PRAGMA journal_mode", &[])?;
                        Ok::<_, DbError>((shape.0, vacuum.0, mode.0))
                    })
                })
            })
            .collect();
        for opener in openers {
            let shape = opener.join().expect("no panic").expect("opened, written and read");
            assert_eq!(shape, (16 << 10, 2, "wal".to_owned()));
        }
    }
}

#[test]
fn two_processes_connections_see_each_others_commits() {
    let folder = tempfile::tempdir().expect("a folder");
    let (here, there) = (open_with_table(folder.path()), open(folder.path()));
    std::thread::scope(|scope| {
        for (name, db) in [("here", &here), ("there", &there)] {
            scope.spawn(move || {
                for number in 0..100 {
                    db.write_blocking(|tx| add(tx, &format!("{name} {number}"))).expect("waits for the other's lock");
                }
            });
        }
    });
    assert_eq!(here.read_blocking(count).expect("read"), 200);
    assert_eq!(there.read_blocking(count).expect("read"), 200);
}

#[test]
fn the_log_is_empty_after_a_checkpoint_even_beside_an_open_reader_pool() {
    let folder = tempfile::tempdir().expect("a folder");
    let (here, there) = (open_with_table(folder.path()), open(folder.path()));
    here.write_blocking(|tx| add(tx, "a")).expect("written");
    there.read_blocking(count).expect("read");
    let log = folder.path().join("test.sqlite-wal");
    assert!(log.metadata().expect("a log").len() > 0);
    here.checkpoint_truncate().expect("folded");
    assert_eq!(log.metadata().expect("a log").len(), 0);
}

#[test]
fn a_checkpoint_beside_a_long_reader_gives_up_soon_and_loses_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let db = open_with_table(folder.path());
    db.write_blocking(|tx| add(tx, "a")).expect("written");
    let read = db.read_blocking(|tx| {
        let before = count(tx)?;
        db.write_blocking(|tx| add(tx, "b"))?;
        db.checkpoint_truncate()?;
        Ok::<_, DbError>((before, count(tx)?))
    });
    assert_eq!(read.expect("read"), (1, 1));
    assert_eq!(db.read_blocking(count).expect("read"), 2);
}

#[test]
fn a_full_disk_is_told_from_a_wrong_statement_and_passes() {
    let folder = tempfile::tempdir().expect("a folder");
    let db = open_with_table(folder.path());
    let limit = |pages: i64| {
        // The pragma answers with a row, so it is read, not executed.
        db.write_blocking(|tx| tx.query_one::<(i64,)>(&format!("PRAGMA max_page_count = {pages}"), &[])).expect("set")
    };
    let big = "x".repeat(100_000);
    limit(8);
    let full = db.write_blocking(|tx| {
        add(tx, "small")?;
        add(tx, &big)
    });
    let error = full.expect_err("the file may not grow");
    assert!(error.is_unwritable(), "{error:?}");
    assert_eq!(db.read_blocking(count).expect("read"), 0, "nothing of the transaction is kept");
    limit(1_000_000);
    db.write_blocking(|tx| add(tx, &big)).expect("there is room again");
    let wrong = db.write_blocking(|tx| tx.execute("INSERT INTO no_such_table VALUES (1)", &[]));
    assert!(!wrong.expect_err("there is no such table").is_unwritable());
}

#[test]
fn a_place_that_cannot_be_opened_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("missing").join("test.sqlite");
    let Err(error) = Db::open_sqlite(&path, SqliteConfig::default()) else { panic!("there is no such folder") };
    assert!(error.to_string().contains("missing/test.sqlite"), "{error}");
}
