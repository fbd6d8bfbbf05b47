//! Opening a data directory: private, migrated, made once, also by roles that start at the same moment.

use super::{NOW, in_fresh_store, open};
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Barrier};
use store::{StoreError, Stores, first_run, keys, organizations, projects, users};

#[test]
fn a_new_directory_is_private_and_migrated() {
    let folder = tempfile::tempdir().expect("a folder");
    let data_dir = folder.path().join("some").join("vigie-data");
    let pending = Stores::pending_migrations(&data_dir).expect("asked");
    assert_eq!(pending[0], "0001_first");
    assert!(!data_dir.exists(), "asking creates nothing");
    open(&data_dir);
    assert!(Stores::pending_migrations(&data_dir).expect("asked").is_empty());
    let mode = data_dir.metadata().expect("the directory").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn the_first_run_happens_once() {
    in_fresh_store(|tx| {
        assert!(first_run::create(tx, "hash", NOW)?);
        assert!(!first_run::create(tx, "hash", NOW)?);
        let org = organizations::by_slug(tx, "default")?.expect("the organization");
        let project = projects::by_slug(tx, org.id, "default")?.expect("the project");
        assert_eq!((project.id, project.short_prefix.as_str()), (1, "DEFAULT"));
        assert_eq!(keys::list(tx, project.id)?.len(), 1);
        let admin = users::by_email(tx, "admin@localhost")?.expect("the person");
        assert!(admin.is_superuser && admin.is_active);
        assert_eq!(users::memberships(tx, admin.id)?, [(org.id, "owner".to_owned())]);
        Ok(())
    });
}

#[test]
fn roles_that_start_at_once_on_an_empty_directory_make_one_house() {
    let folder = tempfile::tempdir().expect("a folder");
    let data_dir = folder.path().join("data");
    let start = Arc::new(Barrier::new(4));
    let roles: Vec<_> = (0..4)
        .map(|_| {
            let (data_dir, start) = (data_dir.clone(), start.clone());
            std::thread::spawn(move || {
                start.wait();
                let stores = Stores::open(&data_dir, NOW)?;
                stores.db.write_blocking(|tx| first_run::create(tx, "hash", NOW))
            })
        })
        .collect();
    let made: Result<Vec<bool>, StoreError> = roles.into_iter().map(|role| role.join().expect("no panic")).collect();
    assert_eq!(made.expect("all start").into_iter().filter(|made| *made).count(), 1);
    let stores = open(&data_dir);
    let listed = stores.db.read_blocking(organizations::list).expect("read");
    assert_eq!(listed.len(), 1);
}

#[test]
fn a_newer_schema_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let stores = open(folder.path());
    let newer = "INSERT INTO schema_migration (number, name, checksum, applied_at) VALUES (9999, 'later', 0, 0)";
    stores.db.write_blocking(|tx| tx.execute(newer, &[])).expect("recorded");
    drop(stores);
    let Err(error) = Stores::open(folder.path(), NOW) else { panic!("the schema is newer") };
    let cause = std::error::Error::source(&error).expect("a cause").to_string();
    assert!(cause.contains("newer release"), "{cause}");
}

#[tokio::test]
async fn quiet_stores_leave_no_log_and_answer() {
    let folder = tempfile::tempdir().expect("a folder");
    let stores = open(folder.path());
    stores.ping().await.expect("it answers");
    stores.checkpoint_truncate().expect("folded");
    let log = folder.path().join("metadata.sqlite-wal").metadata().expect("the log");
    assert_eq!(log.len(), 0);
}

#[test]
fn days_without_their_metadata_are_not_begun_anew_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let data_dir = folder.path().join("data");
    drop(open(&data_dir));
    for part in ["metadata.sqlite", "metadata.sqlite-wal", "metadata.sqlite-shm"] {
        // What was folded at closing is gone already.
        let _ = std::fs::remove_file(data_dir.join(part));
    }
    std::fs::write(data_dir.join("events/2026-11-20.g1.sqlite"), b"").expect("written");
    for copied in [None, Some(b"")] {
        copied.into_iter().for_each(|bytes| std::fs::write(data_dir.join("metadata.sqlite"), bytes).expect("written"));
        let refused = Stores::migrate(&data_dir, NOW).expect_err("refused");
        assert!(matches!(refused, StoreError::Headless { files: 1, .. }), "{refused}");
    }
    std::fs::remove_file(data_dir.join("events/2026-11-20.g1.sqlite")).expect("removed");
    Stores::migrate(&data_dir, NOW).expect("a new one");
}
