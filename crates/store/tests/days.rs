//! Days of receipt and their generations.

use super::{NOW, in_fresh_store, open};
use std::sync::{Arc, Barrier};
use stdx::Day;
use store::days::{self, Afterwards, OpenDay};

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
        assert!(days::end(tx, &today, Afterwards::Closed, NOW)?);
        assert!(!days::end(tx, &today, Afterwards::Closed, NOW)?, "ending twice is ending once");
        assert_eq!(days::last_ended(tx)?, Some((NOW.day(), NOW)));
        assert!(!days::is_current(tx, &today)?);
        assert_eq!(days::open_or_create(tx, NOW.day(), NOW)?, None);
        assert!(days::list_open(tx)?.is_empty());
        Ok(())
    });
}

#[test]
fn a_day_that_still_receives_goes_on_in_its_next_generation() {
    in_fresh_store(|tx| {
        let today = days::open_or_create(tx, NOW.day(), NOW)?.expect("it is open");
        assert!(days::end(tx, &today, Afterwards::Reopened, NOW)?);
        assert!(!days::is_current(tx, &today)?, "writers of the old generation turn back");
        assert_eq!(days::find_open(tx, NOW.day())?, Some(OpenDay { generation: 2, ..today }));
        assert_eq!(days::last_ended(tx)?, None);
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
