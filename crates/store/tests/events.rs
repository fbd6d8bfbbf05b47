//! The conformance suite of event stores: what the digest and the pages rely on, whichever engine keeps the rows.

use super::{NOW, event_id};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use stdx::{Day, Timestamp};
use store::StoreError;
use store::days::OpenDay;
use store::events::{EventRow, EventStore, ListQuery, SqliteEvents, StoredEvent};

/// A way to open one engine over a folder; opening it again stands for a restart or another process.
type Open = fn(&Path) -> Arc<dyn EventStore>;

fn sqlite(folder: &Path) -> Arc<dyn EventStore> {
    Arc::new(SqliteEvents::open(folder).expect("the event store opens"))
}

const DAY: OpenDay = OpenDay { day: NOW.day(), generation: 1 };

fn row(number: u128, project_id: i64, group_key: i64, body: &[u8]) -> EventRow<'_> {
    let received_at = NOW.plus(Duration::from_secs(number as u64));
    EventRow { project_id, event_id: event_id(number), group_key, received_at, dictionary_id: 7, body }
}

fn all(project_id: i64) -> ListQuery<'static> {
    ListQuery { project_id, group_keys: None, bound: None, newest_first: true, limit: 100 }
}

fn numbers(events: &[StoredEvent]) -> Vec<u128> {
    events.iter().map(|event| u128::from_be_bytes(event.event_id)).collect()
}

/// Runs each claim on every engine, each on a folder of its own.
macro_rules! conformance {
    ($($claim:ident),+ $(,)?) => {
        mod on_sqlite {
            $(#[test]
            fn $claim() {
                let folder = tempfile::tempdir().expect("a folder");
                super::$claim(super::sqlite, folder.path());
            })+
        }
    };
}

conformance!(
    an_event_is_stored_once_and_read_back_whole,
    stored_events_survive_a_restart,
    lists_go_both_ways_and_page_without_gaps,
    several_groups_are_merged_in_order,
    a_days_ids_are_all_there,
    days_and_generations_do_not_meet,
    a_dropped_day_gives_its_disk_back_and_is_not_made_again,
    a_day_dropped_by_another_process_is_empty_and_not_made_again_by_readers,
    removed_rows_leave_lists_and_give_their_disk_back,
    a_place_is_never_given_twice,
    many_days_are_written_with_few_open_files,
    writers_and_readers_work_at_once,
    two_processes_share_a_day,
    quiet_logs_are_empty,
);

fn an_event_is_stored_once_and_read_back_whole(open: Open, folder: &Path) {
    let events = open(folder);
    let body: Vec<u8> = (0..=255).cycle().take(70_000).collect();
    let first = row(1, 1, i64::MIN, &body);
    assert_eq!(events.insert(&DAY, &[first, row(2, 1, 5, b"two"), first]).expect("stored"), [true, true, false]);
    let other = EventRow { body: b"another body", group_key: 9, ..first };
    assert_eq!(events.insert(&DAY, &[other, row(1, 2, 5, b"in project 2")]).expect("stored"), [false, true]);
    let found = events.get(&DAY, 1, &event_id(1)).expect("read").expect("it is there");
    let expected = StoredEvent {
        seq: found.seq,
        project_id: 1,
        event_id: event_id(1),
        group_key: i64::MIN,
        received_at: first.received_at,
        dictionary_id: 7,
        body,
    };
    assert_eq!(found, expected);
    assert_eq!(events.get(&DAY, 2, &event_id(1)).expect("read").expect("it is there").body, b"in project 2");
    assert_eq!(events.get(&DAY, 3, &event_id(1)).expect("read"), None);
    assert!(events.insert(&DAY, &[]).expect("nothing to store").is_empty());
}

fn stored_events_survive_a_restart(open: Open, folder: &Path) {
    open(folder).insert(&DAY, &[row(1, 1, 5, b"one")]).expect("stored");
    let events = open(folder);
    assert_eq!(numbers(&events.list(&DAY, &all(1)).expect("listed")), [1]);
    assert_eq!(events.insert(&DAY, &[row(1, 1, 5, b"one")]).expect("stored"), [false]);
}

fn lists_go_both_ways_and_page_without_gaps(open: Open, folder: &Path) {
    let events = open(folder);
    let rows: Vec<EventRow<'_>> = (0..50).map(|number| row(number, 1 + (number % 2) as i64, 5, b"x")).collect();
    // Several share a time: the place in the order must tell them apart.
    let rows: Vec<EventRow<'_>> = rows
        .into_iter()
        .map(|row| EventRow { received_at: Timestamp::from_seconds(row.received_at.micros() / 10_000_000), ..row })
        .collect();
    events.insert(&DAY, &rows).expect("stored");
    for group_keys in [None, Some(&[5][..])] {
        for newest_first in [true, false] {
            let mut seen = Vec::new();
            let mut query = ListQuery { project_id: 2, group_keys, bound: None, newest_first, limit: 7 };
            loop {
                let page = events.list(&DAY, &query).expect("listed");
                let Some(last) = page.last() else { break };
                query.bound = Some((last.received_at, last.seq));
                seen.extend(numbers(&page));
            }
            let mut expected: Vec<u128> = (0..50).filter(|number| number % 2 == 1).collect();
            if newest_first {
                expected.reverse();
            }
            assert_eq!(seen, expected, "{group_keys:?} newest_first={newest_first}");
        }
    }
}

fn several_groups_are_merged_in_order(open: Open, folder: &Path) {
    let events = open(folder);
    let rows: Vec<EventRow<'_>> = (0..30).map(|number| row(number, 1, -((number % 3) as i64), b"x")).collect();
    events.insert(&DAY, &rows).expect("stored");
    let query = ListQuery { group_keys: Some(&[0, -2, 99]), limit: 5, ..all(1) };
    assert_eq!(numbers(&events.list(&DAY, &query).expect("listed")), [29, 27, 26, 24, 23]);
    let none = ListQuery { group_keys: Some(&[]), ..all(1) };
    assert!(events.list(&DAY, &none).expect("listed").is_empty());
}

fn a_days_ids_are_all_there(open: Open, folder: &Path) {
    let events = open(folder);
    assert!(events.ids(&DAY).expect("a day without a file").is_empty());
    events.insert(&DAY, &[row(1, 1, 5, b"x"), row(1, 2, 5, b"x"), row(2, 1, 5, b"x")]).expect("stored");
    let mut ids = events.ids(&DAY).expect("read");
    ids.sort_unstable();
    assert_eq!(ids, [(1, event_id(1)), (1, event_id(2)), (2, event_id(1))]);
}

fn days_and_generations_do_not_meet(open: Open, folder: &Path) {
    let events = open(folder);
    let tomorrow = OpenDay { day: Day(DAY.day.0 + 1), generation: 1 };
    let again = OpenDay { generation: 2, ..DAY };
    for day in [DAY, tomorrow, again] {
        assert_eq!(events.insert(&day, &[row(1, 1, 5, b"x")]).expect("stored"), [true]);
    }
    events.drop_day(&DAY).expect("dropped");
    assert_eq!(events.get(&DAY, 1, &event_id(1)).expect("read"), None);
    assert!(events.get(&again, 1, &event_id(1)).expect("read").is_some());
    assert!(events.get(&tomorrow, 1, &event_id(1)).expect("read").is_some());
}

fn a_dropped_day_gives_its_disk_back_and_is_not_made_again(open: Open, folder: &Path) {
    let events = open(folder);
    let body = vec![1; 100_000];
    events.insert(&DAY, &[row(1, 1, 5, &body)]).expect("stored");
    assert!(events.size_bytes(&DAY).expect("measured") > 100_000);
    events.drop_day(&DAY).expect("dropped");
    assert_eq!(events.size_bytes(&DAY).expect("measured"), 0);
    let late = events.insert(&DAY, &[row(2, 1, 5, b"late")]);
    assert!(matches!(late, Err(StoreError::DayEnded)), "{late:?}");
    assert!(events.list(&DAY, &all(1)).expect("listed").is_empty());
    assert_eq!(events.size_bytes(&DAY).expect("measured"), 0);
    events.drop_day(&DAY).expect("dropping twice is fine");
}

fn a_day_dropped_by_another_process_is_empty_and_not_made_again_by_readers(open: Open, folder: &Path) {
    let (here, there) = (open(folder), open(folder));
    here.insert(&DAY, &[row(1, 1, 5, b"x")]).expect("stored");
    assert!(there.get(&DAY, 1, &event_id(1)).expect("read").is_some());
    assert!(here.drop_day(&DAY).expect("dropped") > 0);
    assert_eq!(there.get(&DAY, 1, &event_id(1)).expect("read"), None);
    assert!(there.list(&DAY, &all(1)).expect("listed").is_empty());
    there.remove_events(&DAY, 1, &[event_id(1)]).expect("nothing to remove");
    assert!(there.days_on_disk().expect("looked at").is_empty(), "readers create nothing");
    there.close_dropped();
    // A writer that was told before that the day is open makes its files again, and drops them when it is turned back.
    assert_eq!(there.insert(&DAY, &[row(2, 1, 5, b"late")]).expect("stored"), [true]);
    assert_eq!(there.days_on_disk().expect("looked at"), [DAY]);
    there.drop_day(&DAY).expect("dropped");
    assert!(here.days_on_disk().expect("looked at").is_empty());
}

fn removed_rows_leave_lists_and_give_their_disk_back(open: Open, folder: &Path) {
    let (here, there) = (open(folder), open(folder));
    let body: Vec<u8> = (0..=255).cycle().take(5_000).collect();
    let rows: Vec<EventRow<'_>> = (0..200).map(|number| row(number, 1 + (number % 2) as i64, 5, &body)).collect();
    here.insert(&DAY, &rows).expect("stored");
    here.checkpoint_truncate().expect("folded");
    assert_eq!(there.list(&DAY, &all(1)).expect("listed").len(), 100);
    assert_eq!(here.body_bytes(&DAY, 1).expect("measured"), (500_000, 1_000_000));
    let before = here.size_bytes(&DAY).expect("measured");
    let weights = here.weigh(&DAY, &all(1)).expect("weighed");
    assert!(weights.iter().all(|weight| weight.body_bytes == 5_000 && weight.group_key == 5), "{weights:?}");
    let ids: Vec<[u8; 16]> = weights.iter().map(|weight| weight.event_id).collect();
    assert_eq!(ids.len(), 100);
    for ids in [&ids[..60], &ids[50..], &ids] {
        here.remove_events(&DAY, 1, ids).expect("removed");
    }
    while here.compact_step(&DAY).expect("compacted").has_more {}
    let freed = before - here.size_bytes(&DAY).expect("measured");
    assert!((400_000..700_000).contains(&freed), "{freed} bytes of {before} came back");
    for events in [&here, &there] {
        assert!(events.list(&DAY, &all(1)).expect("listed").is_empty());
        assert_eq!(events.get(&DAY, 1, &event_id(2)).expect("read"), None);
        assert_eq!(events.list(&DAY, &all(2)).expect("listed").len(), 100);
        assert_eq!(events.get(&DAY, 2, &event_id(3)).expect("read").expect("it stays").body, body);
    }
}

fn a_place_is_never_given_twice(open: Open, folder: &Path) {
    let events = open(folder);
    events.insert(&DAY, &[row(1, 1, 5, b"x"), row(2, 2, 5, b"x")]).expect("stored");
    let last = events.get(&DAY, 2, &event_id(2)).expect("read").expect("it is there").seq;
    events.remove_events(&DAY, 2, &[event_id(2)]).expect("removed");
    events.insert(&DAY, &[row(3, 1, 5, b"x")]).expect("stored");
    let next = open(folder).get(&DAY, 1, &event_id(3)).expect("read").expect("it is there").seq;
    assert!(next > last, "{next} after {last}");
}

fn many_days_are_written_with_few_open_files(open: Open, folder: &Path) {
    let events = open(folder);
    let day = |number: i64| OpenDay { day: Day(DAY.day.0 - number), generation: 1 };
    for round in 0..2 {
        for number in 0..20 {
            let stored = events.insert(&day(number), &[row(round, 1, 5, b"x")]).expect("stored");
            assert_eq!(stored, [true]);
        }
    }
    for number in 0..20 {
        assert_eq!(numbers(&events.list(&day(number), &all(1)).expect("listed")), [1, 0]);
    }
}

fn writers_and_readers_work_at_once(open: Open, folder: &Path) {
    let events = open(folder);
    std::thread::scope(|scope| {
        for writer in 0..2_u128 {
            let events = &events;
            scope.spawn(move || {
                for number in 0..50 {
                    let rows = [row(writer * 1_000 + number, 1, 5, b"x"), row(5_000 + number, 1, 6, b"shared")];
                    events.insert(&DAY, &rows).expect("stored");
                }
            });
        }
        for _ in 0..4 {
            let events = &events;
            scope.spawn(move || {
                let mut seen = 0;
                for _ in 0..50 {
                    let count = events.ids(&DAY).expect("read").len();
                    assert!(count >= seen, "what was there stays");
                    seen = count;
                }
            });
        }
    });
    assert_eq!(events.ids(&DAY).expect("read").len(), 150);
}

fn two_processes_share_a_day(open: Open, folder: &Path) {
    let (here, there) = (open(folder), open(folder));
    std::thread::scope(|scope| {
        for (first, events) in [(0, &here), (10, &there)] {
            scope.spawn(move || {
                for number in first..first + 30 {
                    events.insert(&DAY, &[row(number, 1, 5, b"x")]).expect("stored");
                }
            });
        }
    });
    assert_eq!(here.ids(&DAY).expect("read").len(), 40);
    assert_eq!(there.list(&DAY, &all(1)).expect("listed").len(), 40);
}

fn quiet_logs_are_empty(open: Open, folder: &Path) {
    let events = open(folder);
    let body = vec![7; 1_000];
    let rows: Vec<EventRow<'_>> = (0..500).map(|number| row(number, 1, 5, &body)).collect();
    events.insert(&DAY, &rows).expect("stored");
    events.checkpoint_truncate().expect("folded");
    let (mut log_bytes, mut file_bytes) = (0, 0);
    for entry in std::fs::read_dir(folder).expect("the folder") {
        let entry = entry.expect("an entry");
        let bytes = entry.metadata().expect("its size").len();
        let name = entry.file_name().into_string().expect("our names are text");
        if name.ends_with("-wal") {
            log_bytes += bytes;
        } else if name.ends_with(".sqlite") {
            file_bytes += bytes;
        }
    }
    assert_eq!(log_bytes, 0);
    assert!((500_000..700_000).contains(&file_bytes), "{file_bytes} bytes for 500 bodies of 1,000");
}

/// A crash may take the index's last commits, or come between the rows' commit and the index's.
#[test]
fn rows_that_lost_their_place_are_named_at_the_next_opening_or_write() {
    let folder = tempfile::tempdir().expect("a folder");
    sqlite(folder.path()).insert(&DAY, &[row(1, 1, 5, b"one"), row(2, 1, 5, b"two")]).expect("stored");
    let lose_all_but = |seq: i64| {
        let index = database(folder.path(), ".index");
        for table in ["event_place", "group_place", "project_place"] {
            let sql = format!("DELETE FROM {table} WHERE seq > {seq}");
            index.write_blocking(|tx| tx.execute(&sql, &[])).expect("as if it was not committed");
        }
        index.write_blocking(|tx| tx.execute(&format!("UPDATE named SET seq = {seq}"), &[])).expect("changed");
    };
    lose_all_but(0);
    let events = sqlite(folder.path());
    assert_eq!(numbers(&events.list(&DAY, &all(1)).expect("listed")), [2, 1]);
    lose_all_but(1);
    let again = events.insert(&DAY, &[row(2, 1, 5, b"two"), row(3, 1, 5, b"three")]);
    assert_eq!(again.expect("stored"), [false, true]);
    assert_eq!(numbers(&events.list(&DAY, &all(1)).expect("listed")), [3, 2, 1]);
    assert_eq!(events.ids(&DAY).expect("read").len(), 3);
}

fn database(folder: &Path, suffix: &str) -> db::Db {
    let path = folder.join(format!("{}.g1{suffix}.sqlite", DAY.day));
    db::Db::open_sqlite(&path, db::SqliteConfig::default()).expect("it is a database")
}

#[test]
fn a_days_files_have_their_mark_and_their_page_size() {
    let folder = tempfile::tempdir().expect("a folder");
    sqlite(folder.path()).insert(&DAY, &[row(1, 1, 5, b"x")]).expect("stored");
    for (suffix, page_bytes) in [("", 16_384), (".index", 4_096)] {
        let db = database(folder.path(), suffix);
        let pragma = |name: &str| {
            let sql = format!("PRAGMA {name}");
            db.read_blocking(|tx| tx.query_one::<(i64,)>(&sql, &[])).expect("a number").0
        };
        assert_eq!(pragma("page_size"), page_bytes);
        assert_eq!(pragma("application_id"), 0x5649_4745);
        assert_eq!(pragma("user_version"), 1);
        assert_eq!(pragma("auto_vacuum"), 2);
    }
}

/// Every page opens a day by one range of an index; a change of shape that loses it must not pass unseen.
#[test]
fn lists_read_one_range_of_an_index() {
    let folder = tempfile::tempdir().expect("a folder");
    sqlite(folder.path()).insert(&DAY, &[row(1, 1, 5, b"x")]).expect("stored");
    let index = database(folder.path(), ".index");
    let plan = |sql: &str| {
        let sql = format!("EXPLAIN QUERY PLAN {sql}");
        let rows: Vec<(i64, i64, i64, String)> = index.read_blocking(|tx| tx.query(&sql, &[])).expect("a plan");
        rows.into_iter().map(|(_, _, _, text)| text).collect::<Vec<_>>().join("; ")
    };
    let of_group = plan(
        "SELECT received_at, seq FROM group_place
         WHERE project_id = 1 AND group_key = 2 AND (received_at, seq) < (3, 4)
         ORDER BY received_at DESC, seq DESC LIMIT 5",
    );
    assert_eq!(
        of_group,
        "SEARCH group_place USING PRIMARY KEY (project_id=? AND group_key=? AND (received_at,seq)<(?,?))"
    );
    let of_project = plan("SELECT seq FROM project_place WHERE project_id = 1 AND seq < 9 ORDER BY seq DESC LIMIT 5");
    assert_eq!(of_project, "SEARCH project_place USING PRIMARY KEY (project_id=? AND seq<?)");
}
