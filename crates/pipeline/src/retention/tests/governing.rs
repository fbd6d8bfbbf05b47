//! The disk governor, on a disk whose size the test says: what goes first, what never goes, when it stops, and that a
//! death at any step leaves nothing half done.

use super::*;
use crate::retention::governor::{Governor, Looked};
use crate::retention::thin;
use std::sync::atomic::{AtomicU64, Ordering};
use store::governor::{self, Verdict};
use store::sizes;
use store::thinning;

const FREE_MIN: u64 = 4 << 20;

impl House {
    fn used(&self) -> u64 {
        sizes::of_folder(&self.stores.data_dir).iter().map(|(_, bytes)| bytes).sum()
    }

    /// On a disk that others have left so much of to us.
    fn governor(&self, disk: &Arc<AtomicU64>) -> Governor {
        let (folder, disk) = (self.stores.data_dir.clone(), disk.clone());
        let used = move || sizes::of_folder(&folder).iter().map(|(_, bytes)| bytes).sum::<u64>();
        Governor {
            stores: self.stores.clone(),
            clock: self.clock.clone(),
            queue: None,
            event_days: Arc::new(|| 90),
            free_space: Arc::new(move || Ok(disk.load(Ordering::Relaxed).saturating_sub(used()))),
            free_min: FREE_MIN,
        }
    }

    fn said(&self) -> Option<Verdict> {
        self.stores.db.read_blocking(governor::last).unwrap().map(|said| said.verdict)
    }
}

#[test]
fn what_repeats_goes_first_until_enough_is_free() {
    let mut house = House::new(&["shop"]);
    let shop = house.projects[0];
    for days_ago in [20, 10, 0] {
        house.fill(shop, days_ago, 2_000);
    }
    house.stores.checkpoint_truncate().unwrap();
    // A little below the beginning: a part of the oldest day is enough.
    let disk = Arc::new(AtomicU64::new(house.used() + FREE_MIN + (100 << 10)));
    let governor = house.governor(&disk);
    assert_eq!(governor.look(&|| false).unwrap(), Looked::Done(Verdict::Relieved));
    assert_eq!(house.said(), Some(Verdict::Relieved));
    assert_eq!(governor.look(&|| false).unwrap(), Looked::Enough, "it does not begin again at once");
    let left = house.listed(shop);
    assert_eq!(left[0], (0, 2_000), "the newest day is whole: {left:?}");
    assert!(left[2].1 < 2_000 && left[2].1 >= 3 * 10, "the oldest gave: {left:?}");
    house.assert_consistent();
    let sweep = house.stores.db.read_blocking(|tx| sweeps::latest(tx, 1)).unwrap().pop().unwrap();
    assert_eq!((sweep.origin.as_str(), sweep.state.as_str()), ("governor", "done"));
    let report: serde_json::Value = serde_json::from_str(&sweep.report).unwrap();
    let all: usize = left.iter().map(|(_, count)| count).sum();
    assert_eq!(report["models"][0]["rows"], 6_000 - all);
}

#[test]
fn by_a_clock_that_leapt_nothing_is_past_its_limit() {
    let mut house = House::new(&["shop"]);
    let shop = house.projects[0];
    for days_ago in [20, 10] {
        house.fill(shop, days_ago, 2_000);
    }
    house.stores.checkpoint_truncate().unwrap();
    house.clock.set(NOW.plus(Duration::from_secs(86_400 * 365)));
    let disk = Arc::new(AtomicU64::new(house.used() + FREE_MIN + (100 << 10)));
    assert_eq!(house.governor(&disk).look(&|| false).unwrap(), Looked::Done(Verdict::Relieved));
    let left = house.listed(shop);
    assert_eq!(left[0], (10, 2_000), "{left:?}");
    assert!(left[1].1 >= 3, "each group keeps some: {left:?}");
    house.assert_consistent();
}

#[test]
fn the_first_and_the_last_of_each_group_stay_and_it_says_that_no_more_can_go() {
    let mut house = House::new(&["shop", "site"]);
    let (shop, site) = (house.projects[0], house.projects[1]);
    for days_ago in [20, 10, 0] {
        house.fill(shop, days_ago, 700);
        house.fill(site, days_ago, 4);
    }
    let ends = |project| {
        let ids = |day: &days::OpenDay, newest_first| {
            let events = |key: i64| {
                let query =
                    ListQuery { project_id: project, group_keys: Some(&[key]), bound: None, newest_first, limit: 1 };
                house.stores.events.list(day, &query).unwrap().pop().unwrap().event_id
            };
            (0..3).map(events).collect::<Vec<_>>()
        };
        let open = house.stores.db.read_blocking(days::list_open).unwrap();
        (ids(open.last().unwrap(), false), ids(&open[0], true))
    };
    let before = (ends(shop), ends(site));
    // Content that was just written is younger than the clock of these tests says.
    house.clock.set(NOW.plus(Duration::from_secs(86_400 * 365 * 20)));
    // Somebody else takes whatever comes free.
    let free_space = Arc::new(|| Ok(FREE_MIN - 1));
    let governor = Governor { free_space, event_days: Arc::new(|| 36_500), ..house.governor(&Arc::default()) };
    assert_eq!(governor.look(&|| false).unwrap(), Looked::Done(Verdict::Exhausted));
    assert_eq!(house.said(), Some(Verdict::Exhausted));
    assert_eq!(house.listed(shop), [(0, 3), (20, 3)]);
    assert_eq!(house.listed(site), [(0, 3), (20, 3)]);
    assert_eq!((ends(shop), ends(site)), before);
    house.assert_consistent();
    let sweep = house.stores.db.read_blocking(|tx| sweeps::latest(tx, 1)).unwrap().pop().unwrap();
    assert!(sweep.report.contains("no more can be removed"), "{}", sweep.report);
    let blobs: usize = (0..=255).map(|folder| house.stores.blobs.list(folder).unwrap().len()).sum();
    let rows: (i64,) =
        house.stores.db.read_blocking(|tx| tx.query_one("SELECT COUNT(*) FROM attachment", &[])).unwrap();
    assert_eq!(blobs as i64, rows.0, "the content of attachments went with their events");
    let counted: (i64,) =
        house.stores.db.read_blocking(|tx| tx.query_one("SELECT SUM(event_count) FROM issue", &[])).unwrap();
    assert_eq!(counted, (3 * 704,), "counts stay");
}

#[test]
fn nothing_is_removed_where_it_would_not_help_or_nothing_is_known() {
    let mut house = House::new(&["shop"]);
    let shop = house.projects[0];
    house.fill(shop, 10, 100);
    let disk = Arc::new(AtomicU64::new(house.used()));
    let governor = house.governor(&disk);
    assert_eq!(governor.look(&|| false).unwrap(), Looked::Done(Verdict::Helpless));
    assert_eq!(house.listed(shop), [(10, 100)]);
    let mute = Governor { free_space: Arc::new(|| Err(std::io::Error::other("no answer"))), ..governor.clone() };
    mute.look(&|| false).unwrap_err();
    let off = Governor { free_min: 0, ..governor.clone() };
    assert_eq!(off.look(&|| false).unwrap(), Looked::Enough);
    let other = conduct::begin(&house.stores, Origin::Command, NOW).unwrap();
    assert_eq!(governor.look(&|| false).unwrap(), Looked::Busy);
    assert_eq!(house.said(), Some(Verdict::Waiting), "it says what it waits for");
    drop(other);
    assert_eq!(house.listed(shop), [(10, 100)]);
}

#[test]
fn what_is_past_its_limit_goes_before_anything_else() {
    let mut house = House::new(&["shop"]);
    let shop = house.projects[0];
    house.fill(shop, 120, 2_000);
    house.fill(shop, 10, 2_000);
    house.stores.checkpoint_truncate().unwrap();
    let disk = Arc::new(AtomicU64::new(house.used() + FREE_MIN));
    assert_eq!(house.governor(&disk).look(&|| false).unwrap(), Looked::Done(Verdict::Relieved));
    assert_eq!(house.listed(shop), [(10, 2_000)]);
    house.assert_consistent();
}

#[test]
fn a_stop_leaves_a_sweep_that_is_not_whole_and_the_next_goes_on() {
    let mut house = House::new(&["shop"]);
    let shop = house.projects[0];
    house.fill(shop, 10, 1_800);
    house.stores.checkpoint_truncate().unwrap();
    let disk = Arc::new(AtomicU64::new(house.used() + (2 << 20)));
    let governor = house.governor(&disk);
    let looks = AtomicU64::new(0);
    let stopping = || looks.fetch_add(1, Ordering::Relaxed) > 2;
    assert_eq!(governor.look(&stopping).unwrap(), Looked::Stopped);
    let sweep = house.stores.db.read_blocking(|tx| sweeps::latest(tx, 1)).unwrap().pop().unwrap();
    assert_eq!(sweep.state, "incomplete");
    house.assert_consistent();
    assert!(matches!(governor.look(&|| false).unwrap(), Looked::Done(_)));
    house.assert_consistent();
}

#[test]
fn a_death_between_the_note_and_the_removal_is_made_up_for() {
    let mut house = House::new(&["shop"]);
    let shop = house.projects[0];
    house.fill(shop, 10, 300);
    let open = house.stores.db.read_blocking(days::list_open).unwrap()[0];
    let query = ListQuery { project_id: shop, group_keys: None, bound: None, newest_first: false, limit: 50 };
    let victim = |event: store::events::StoredEvent| thinning::Victim {
        project_id: shop,
        group_key: event.group_key,
        event_id: event.event_id,
        body_bytes: 1,
    };
    let victims: Vec<_> = house.stores.events.list(&open, &query).unwrap().into_iter().map(victim).collect();
    house.stores.db.write_blocking(|tx| thinning::note(tx, thinning::Remover::Governor, &open, &victims, NOW)).unwrap();
    assert_eq!(house.listed(shop), [(10, 300)], "noted, not removed: here it died");
    house.assert_consistent();
    thin::finish_noted(&house.stores).unwrap();
    assert_eq!(house.listed(shop), [(10, 250)]);
    house.assert_consistent();
    thin::finish_noted(&house.stores).unwrap();
    assert_eq!(house.listed(shop), [(10, 250)], "once");
}
