//! Days of receipt and their generations.

use super::{NOW, in_fresh_store, open};
use db::Val;
use std::sync::{Arc, Barrier};
use stdx::Day;
use store::days::{self, OpenDay};

#[test]
fn a_day_is_opened_once_and_stays_current() {
    in_fresh_store(|tx| {
        let today = days::open_or_create(tx, NOW.day(), NOW)?;
        assert_eq!(today, Some(OpenDay { day: NOW.day(), generation: 1 }));
        assert_eq!(days::open_or_create(tx, NOW.day(), NOW)?, today);
        assert!(days::is_current(tx, &today.expect("it is open"))?);
        assert_eq!(days::find_open(tx, NOW.day().previous())?, None);
        days::open_or_create(tx, NOW.day().previous(), NOW)?;
        let listed: Vec<Day> = days::list_open(tx)?.into_iter().map(|open| open.day).collect();
        assert_eq!(listed, [NOW.day(), NOW.day().previous()]);
        Ok(())
    });
}

#[test]
fn an_ended_day_turns_writers_back() {
    in_fresh_store(|tx| {
        let today = days::open_or_create(tx, NOW.day(), NOW)?.expect("it is open");
        tx.execute(
            "UPDATE event_day SET generation = generation + 1, state = 'ended' WHERE day = $1",
            &[Val::from(NOW.day())],
        )?;
        assert!(!days::is_current(tx, &today)?);
        assert_eq!(days::open_or_create(tx, NOW.day(), NOW)?, None);
        assert!(days::list_open(tx)?.is_empty());
        Ok(())
    });
}

#[test]
fn roles_that_open_a_day_at_once_agree() {
    let folder = tempfile::tempdir().expect("a folder");
    open(folder.path());
    let start = Arc::new(Barrier::new(4));
    let openers: Vec<_> = (0..4)
        .map(|_| {
            let (folder, start) = (folder.path().to_owned(), start.clone());
            std::thread::spawn(move || {
                let stores = open(&folder);
                start.wait();
                stores.db.write_blocking(|tx| days::open_or_create(tx, NOW.day(), NOW)).expect("opened")
            })
        })
        .collect();
    for opener in openers {
        assert_eq!(opener.join().expect("no panic"), Some(OpenDay { day: NOW.day(), generation: 1 }));
    }
}
