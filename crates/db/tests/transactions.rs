//! What a closure promises: all or nothing, one snapshot, values as they were.

use super::{add, count, open_with_table};
use db::{DbError, Val};
use std::sync::{Arc, mpsc};
use stdx::{Day, Hour, Timestamp};

#[test]
fn an_error_or_a_panic_undoes_everything() {
    let folder = tempfile::tempdir().expect("a folder");
    let db = open_with_table(folder.path());
    let failed: Result<(), DbError> = db.write_blocking(|tx| {
        add(tx, "a")?;
        Err(DbError::NoRow)
    });
    assert!(matches!(failed, Err(DbError::NoRow)));
    let other = db.clone();
    let panicked = std::thread::spawn(move || {
        other.write_blocking(|tx| {
            add(tx, "b")?;
            if count(tx)? == 1 {
                panic!("the caller's own mistake");
            }
            Ok::<_, DbError>(())
        })
    });
    assert!(panicked.join().is_err());
    assert_eq!(db.read_blocking(count).expect("reads go on"), 0);
    db.write_blocking(|tx| add(tx, "c")).expect("writes go on");
    assert_eq!(db.read_blocking(count).expect("reads go on"), 1);
}

#[test]
fn a_failed_statement_leaves_the_transaction_to_its_caller() {
    let folder = tempfile::tempdir().expect("a folder");
    let db = open_with_table(folder.path());
    db.write_blocking(|tx| {
        add(tx, "a")?;
        assert!(matches!(add(tx, "a"), Err(DbError::Statement(_))));
        add(tx, "b")
    })
    .expect("the transaction commits");
    assert_eq!(db.read_blocking(count).expect("read"), 2);
}

#[test]
fn values_come_back_as_they_went_in() {
    let folder = tempfile::tempdir().expect("a folder");
    let db = open_with_table(folder.path());
    let at = Timestamp::from_micros(1_795_233_960_123_456);
    type Values = (i64, f64, String, Vec<u8>, [u8; 2], bool, Timestamp, Day, Hour, Option<i64>, Option<String>);
    let read: Values = db
        .read_blocking(|tx| {
            tx.query_one(
                "SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11",
                &[
                    Val::Int(i64::MIN),
                    Val::Real(1.5),
                    Val::Text("ünï\0"),
                    Val::Blob(&[0, 255]),
                    Val::from(&[1_u8, 2]),
                    Val::from(true),
                    Val::from(at),
                    Val::from(at.day()),
                    Val::from(at.hour()),
                    Val::from(None::<i64>),
                    Val::from(Some("x")),
                ],
            )
        })
        .expect("values are read");
    let text = ("ünï\0".to_owned(), Some("x".to_owned()));
    assert_eq!(read, (i64::MIN, 1.5, text.0, vec![0, 255], [1, 2], true, at, at.day(), at.hour(), None, text.1));
    let wrong: Result<(i64,), DbError> = db.read_blocking(|tx| tx.query_one("SELECT 'text'", &[]));
    assert!(matches!(wrong, Err(DbError::Column { index: 0, expected: "an integer" })));
    let none: Result<(i64,), DbError> = db.read_blocking(|tx| tx.query_one("SELECT id FROM thing", &[]));
    assert!(matches!(none, Err(DbError::NoRow)));
}

#[test]
fn many_rows_go_through_one_statement() {
    let folder = tempfile::tempdir().expect("a folder");
    let db = open_with_table(folder.path());
    let names: Vec<String> = (0..1_000).map(|number| format!("thing {number}")).collect();
    let changed = db.write_blocking(|tx| {
        let rows = names.iter().map(|name| [Val::Text(name), Val::Int(name.len() as i64)]);
        tx.execute_many("INSERT INTO thing (name, size) VALUES ($1, $2)", rows)
    });
    assert_eq!(changed.expect("rows are inserted"), 1_000);
    let found: Vec<(i64, String)> = db
        .read_blocking(|tx| {
            let wanted = ["thing 3", "no such thing", "thing 999"];
            tx.query_many("SELECT id, name FROM thing WHERE name = $1", wanted.iter().map(|name| [Val::Text(name)]))
        })
        .expect("rows are found");
    assert_eq!(found, [(4, "thing 3".to_owned()), (1_000, "thing 999".to_owned())]);
}

#[test]
fn a_reader_keeps_its_snapshot_while_writers_go_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let db = open_with_table(folder.path());
    db.write_blocking(|tx| add(tx, "first")).expect("written");
    let seen = db.read_blocking(|tx| {
        let before = count(tx)?;
        db.write_blocking(|tx| add(tx, "second"))?;
        Ok::<_, DbError>((before, count(tx)?))
    });
    assert_eq!(seen.expect("read"), (1, 1));
    assert_eq!(db.read_blocking(count).expect("read"), 2);
}

#[test]
fn a_read_cannot_change_anything() {
    let folder = tempfile::tempdir().expect("a folder");
    let db = open_with_table(folder.path());
    assert!(db.read_blocking(|tx| add(tx, "a")).is_err());
    assert_eq!(db.read_blocking(count).expect("read"), 0);
}

#[test]
fn more_readers_than_connections_wait_for_their_turn() {
    let folder = tempfile::tempdir().expect("a folder");
    let db = open_with_table(folder.path());
    let (done, answers) = mpsc::channel();
    for number in 0..16 {
        let (db, done) = (db.clone(), done.clone());
        std::thread::spawn(move || {
            for round in 0..20 {
                db.write_blocking(|tx| add(tx, &format!("{number}.{round}"))).expect("written");
                db.read_blocking(count).expect("read");
            }
            done.send(()).expect("the test waits");
        });
    }
    drop(done);
    assert_eq!(answers.iter().count(), 16);
    assert_eq!(db.read_blocking(count).expect("read"), 320);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn async_callers_share_the_same_connections() {
    let folder = tempfile::tempdir().expect("a folder");
    let db = Arc::new(open_with_table(folder.path()));
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..50 {
        let db = db.clone();
        tasks.spawn(async move {
            db.write(move |tx| add(tx, &format!("{number}"))).await?;
            db.read(count).await
        });
    }
    while let Some(done) = tasks.join_next().await {
        assert!(done.expect("no panic").expect("no error") >= 1);
    }
    assert_eq!(db.read(count).await.expect("read"), 50);
    let panicked: Result<i64, DbError> = db.read(|_| panic!("the caller's own mistake")).await;
    assert!(matches!(panicked, Err(DbError::Stopped)));
    assert_eq!(db.read(count).await.expect("the connection came back"), 50);
}
