//! Compression: what goes in comes out, with and without a dictionary, from many threads, across restarts.

use super::{NOW, event_id, open};
use std::path::Path;
use store::dictionaries::BODY_BYTES_MAX;
use store::events::EventRow;
use store::{StoreError, Stores, days};

/// Bodies as a project's events are: little of one is new, most of it was in others.
fn body(number: u64) -> Vec<u8> {
    let word = |seed: u64| format!("{:x}", (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let frame = |frame: u64| {
        let place = (number * 7 + frame * 13) % 200;
        format!(r#"{{"function":"{}","lineno":{place},"context_line":"{}"}},"#, word(place), word(place + 1_000))
    };
    let frames: String = (0..40).map(frame).collect();
    format!(r#"{{"event_id":"{number:032x}","exception":{{"values":[{{"frames":[{frames}]}}]}}}}"#).into_bytes()
}

fn store_events(stores: &Stores, project_id: i64, numbers: std::ops::Range<u64>) -> u64 {
    let day = stores.db.write_blocking(|tx| days::open_or_create(tx, NOW.day(), NOW)).expect("a day").expect("open");
    let bodies: Vec<(u64, i64, Vec<u8>)> = numbers
        .map(|number| {
            let (id, bytes) = stores.dictionaries.compress(project_id, &body(number)).expect("compressed");
            (number, id, bytes)
        })
        .collect();
    let rows: Vec<EventRow<'_>> = bodies
        .iter()
        .map(|(number, dictionary_id, body)| EventRow {
            project_id,
            event_id: event_id(u128::from(*number)),
            group_key: 1,
            received_at: NOW,
            dictionary_id: *dictionary_id,
            body,
        })
        .collect();
    stores.events.insert(&day, &rows).expect("stored");
    bodies.iter().map(|(_, _, bytes)| bytes.len() as u64).sum()
}

fn check_readable(folder: &Path, project_id: i64, numbers: std::ops::Range<u64>) {
    let stores = open(folder);
    let day = stores.db.read_blocking(|tx| days::find_open(tx, NOW.day())).expect("read").expect("open");
    for number in numbers {
        let id = event_id(u128::from(number));
        let event = stores.events.get(&day, project_id, &id).expect("read").expect("it is there");
        assert_eq!(stores.body(&event).expect("readable"), body(number));
    }
}

#[test]
fn a_project_gets_its_dictionary_and_old_events_stay_readable() {
    let folder = tempfile::tempdir().expect("a folder");
    let stores = open(folder.path());
    let before = store_events(&stores, 1, 0..100);
    assert!(!stores.train_dictionary(1, NOW).expect("too few events"));
    store_events(&stores, 1, 100..400);
    assert!(stores.train_dictionary(1, NOW).expect("trained"));
    assert!(!stores.train_dictionary(1, NOW).expect("it has one"));
    assert!(!stores.train_dictionary(2, NOW).expect("another project has no events"));
    let after = store_events(&stores, 1, 400..500);
    assert!(after * 3 < before * 2, "{after} bytes with a dictionary, {before} without");
    drop(stores);
    check_readable(folder.path(), 1, 0..500);
}

#[test]
fn many_threads_compress_and_decompress_while_a_dictionary_appears() {
    let folder = tempfile::tempdir().expect("a folder");
    let stores = open(folder.path());
    let samples: Vec<Vec<u8>> = (0..400).map(body).collect();
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let stores = &stores;
            scope.spawn(move || {
                for number in 0..200 {
                    let original = body(thread * 1_000 + number);
                    let (id, bytes) = stores.dictionaries.compress(1, &original).expect("compressed");
                    assert_eq!(stores.dictionaries.decompress(id, &bytes).expect("readable"), original);
                }
            });
        }
        assert!(stores.dictionaries.train(1, &samples, NOW).expect("trained").is_some());
    });
    let (id, _) = stores.dictionaries.compress(1, b"{}").expect("compressed");
    assert_ne!(id, 0, "a trained dictionary is not forgotten");
}

#[test]
fn hostile_bytes_are_refused_and_bounded() {
    let folder = tempfile::tempdir().expect("a folder");
    let stores = open(folder.path());
    let dictionaries = &stores.dictionaries;
    let (id, bytes) = dictionaries.compress(1, &body(1)).expect("compressed");
    assert_eq!(id, 0);
    for length in 0..bytes.len() {
        assert!(dictionaries.decompress(0, &bytes[..length]).is_err(), "a prefix of {length} bytes");
    }
    assert!(matches!(dictionaries.decompress(0, b"not a frame at all"), Err(StoreError::Damaged { .. })));
    assert!(matches!(dictionaries.decompress(42, &bytes), Err(StoreError::Missing { .. })));
    let bomb = zstd::bulk::compress(&vec![0; BODY_BYTES_MAX + 1], 3).expect("compressed");
    assert!(matches!(dictionaries.decompress(0, &bomb), Err(StoreError::Damaged { .. })));
    let largest = vec![b'x'; BODY_BYTES_MAX];
    let (id, bytes) = dictionaries.compress(1, &largest).expect("compressed");
    assert_eq!(dictionaries.decompress(id, &bytes).expect("readable"), largest);
    let larger = dictionaries.compress(1, &vec![b'x'; BODY_BYTES_MAX + 1]);
    assert!(matches!(larger, Err(StoreError::TooLarge { .. })), "what cannot be read back is not stored");
    let (id, bytes) = dictionaries.compress(1, b"").expect("compressed");
    assert_eq!(dictionaries.decompress(id, &bytes).expect("readable"), b"");
}
