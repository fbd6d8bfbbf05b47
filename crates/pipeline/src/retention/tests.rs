//! The engine on real stores: what is planned is what goes, and nothing else; anything may be run again.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use super::conduct::{self, Held, Origin, OwnHand};
use super::sweep::{self, Hand, Ran, Run};
use super::*;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use stdx::{Clock, Day, ManualClock, Timestamp};
use store::digest::{DigestAttachment, DigestEvent};
use store::events::{EventRow, ListQuery};
use store::projects::NewProject;
use store::{StoreError, Stores, check, days, digest, organizations, projects, removals, sweeps};

const NOW: Timestamp = Timestamp::from_seconds(1_795_262_400);

mod aging;
mod beside;
mod bodies;
mod clock;
mod governing;
mod told;

struct House {
    stores: Arc<Stores>,
    clock: Arc<ManualClock>,
    org_id: i64,
    projects: Vec<i64>,
    sent: u128,
    groups: usize,
    folder: tempfile::TempDir,
}

impl House {
    fn new(slugs: &[&str]) -> House {
        let folder = tempfile::tempdir().unwrap();
        let stores = Arc::new(Stores::open(folder.path(), NOW).unwrap());
        let (org_id, projects) = stores
            .db
            .write_blocking(|tx| {
                let org = organizations::create(tx, "acme", "Acme", NOW)?;
                let mut ids = Vec::new();
                for slug in slugs {
                    let new = NewProject { org_id: org.id, slug, name: slug, platform: None };
                    ids.push(projects::create(tx, &new, NOW)?.id);
                }
                Ok::<_, StoreError>((org.id, ids))
            })
            .unwrap();
        House { stores, clock: Arc::new(ManualClock::at(NOW)), org_id, projects, sent: 0, groups: 3, folder }
    }

    /// Stores and counts events of a project that were received so many days ago, one with an attachment.
    fn fill(&mut self, project_id: i64, days_ago: i64, count: usize) {
        let (day, events) = self.store(project_id, days_ago, count);
        self.count(day, &events);
    }

    fn count(&self, day: Day, events: &[DigestEvent]) {
        self.stores.db.write_blocking(|tx| digest::apply(tx, day, events, NOW).map(drop)).unwrap();
    }

    /// Writes their rows, and stops where a digest would count them.
    fn store(&mut self, project_id: i64, days_ago: i64, count: usize) -> (Day, Vec<DigestEvent>) {
        let received_at = NOW.minus(Duration::from_secs(u64::try_from(days_ago).unwrap() * 86_400));
        let body = vec![b'x'; 2_000];
        let events: Vec<DigestEvent> = (0..count).map(|number| self.event(project_id, received_at, number)).collect();
        let rows: Vec<EventRow<'_>> = events
            .iter()
            .map(|event| EventRow {
                project_id,
                event_id: event.event_id,
                group_key: event.group_key,
                received_at,
                dictionary_id: 0,
                body: &body,
            })
            .collect();
        let day = received_at.day();
        let open = self.stores.db.write_blocking(|tx| days::open_or_create(tx, day, NOW)).unwrap().unwrap();
        self.stores.events.insert(&open, &rows).unwrap();
        (day, events)
    }

    fn event(&mut self, project_id: i64, received_at: Timestamp, number: usize) -> DigestEvent {
        self.sent += 1;
        let attachments = if number == 0 {
            let bytes = format!("of {}", self.sent);
            vec![DigestAttachment {
                name: "a.log".into(),
                content_type: "text/plain".into(),
                attachment_type: "event.attachment".into(),
                size_bytes: bytes.len() as u64,
                blob_key: self.stores.blobs.put_bytes(bytes.as_bytes()).unwrap(),
            }]
        } else {
            Vec::new()
        };
        DigestEvent {
            org_id: self.org_id,
            project_id,
            event_id: self.sent.to_be_bytes(),
            received_at,
            timestamp: received_at,
            group_key: (number % self.groups) as i64,
            group_hash: format!("{:032x}", number % self.groups),
            kind: "error",
            title: "E".into(),
            metadata: "{}".into(),
            level: "error",
            attachments,
            ..DigestEvent::default()
        }
    }

    fn ask(&self, days: i64) -> Ask {
        Ask { days: Some(days), installation_days: 90, ..Ask::default() }
    }

    fn plan(&self, ask: &Ask) -> Plan {
        plan(&self.stores, ask, NOW).unwrap()
    }

    fn begin(&self) -> Held<'_> {
        // Files that were just written are younger than the clock of these tests says.
        self.clock.set(NOW.plus(Duration::from_secs(86_400 * 365 * 20)));
        conduct::begin(&self.stores, Origin::Command, NOW).unwrap().expect("nobody else sweeps")
    }

    fn hand(&self, sweep: i64) -> Box<dyn Hand + '_> {
        let bench = Bench { stores: &self.stores, clock: &*self.clock, sweep, share: 1.0 };
        Box::new(OwnHand { bench, until: Instant::now() + Duration::from_secs(60), is_stopping: &|| false })
    }

    fn sweep(&self, ask: &Ask) -> Report {
        let plan = self.plan(ask);
        let held = self.begin();
        let (report, is_whole) = sweep::run(&plan, vec![self.hand(held.sweep), self.hand(held.sweep)], |_| {});
        assert!(is_whole);
        held.finish(&plan, (report, is_whole), NOW).unwrap()
    }

    /// How many events of a project each day of the store still lists.
    fn listed(&self, project_id: i64) -> Vec<(i64, usize)> {
        let open = self.stores.db.read_blocking(days::list_open).unwrap();
        let query = ListQuery { project_id, group_keys: None, bound: None, newest_first: true, limit: 10_000 };
        let count =
            |day: &days::OpenDay| (NOW.day().0 - day.day.0, self.stores.events.list(day, &query).unwrap().len());
        open.iter().map(count).filter(|(_, count)| *count > 0).collect()
    }

    fn assert_consistent(&self) {
        let findings = check::check(&self.stores, &|_, _| false).unwrap();
        let bad: Vec<_> = findings.iter().filter(|finding| !finding.is_good()).collect();
        assert!(bad.is_empty(), "{bad:?}");
    }
}

#[test]
fn days_past_the_limit_go_whole_and_counts_stay() {
    let mut house = House::new(&["shop", "site"]);
    let (shop, site) = (house.projects[0], house.projects[1]);
    for days_ago in [40, 31, 30, 29, 0] {
        house.fill(shop, days_ago, 20);
    }
    house.fill(site, 40, 5);
    let ask = house.ask(30);
    let planned = house.plan(&ask);
    assert_eq!(planned, house.plan(&ask), "a plan changes nothing");
    let done = house.sweep(&ask);
    let rows: Vec<Freed> = planned.report().rows().collect();
    assert_eq!(rows, done.rows().collect::<Vec<_>>(), "what was said is what was done");
    let of = |model, project_id| {
        let found = rows.iter().find(|freed| (freed.model, freed.project_id) == (model, project_id));
        found.map(|freed| freed.rows)
    };
    assert_eq!((of(Model::Event, shop), of(Model::Event, site)), (Some(40), Some(5)));
    assert_eq!((of(Model::Attachment, shop), of(Model::Attachment, site)), (Some(2), Some(1)));
    assert!(done.returned_bytes > 100_000, "{done:?}");
    assert_eq!(house.listed(shop), [(0, 20), (29, 20), (30, 20)]);
    assert!(house.listed(site).is_empty());
    let open = house.stores.db.read_blocking(days::list_open).unwrap();
    assert_eq!(house.stores.events.days_on_disk().unwrap().len(), open.len());
    let blobs: usize = (0..=255).map(|folder| house.stores.blobs.list(folder).unwrap().len()).sum();
    assert_eq!(blobs, 3, "the content of attachments went with them");
    house.assert_consistent();
    let counted: (i64,) =
        house.stores.db.read_blocking(|tx| tx.query_one("SELECT SUM(event_count) FROM issue", &[])).unwrap();
    assert_eq!(counted, (105,), "counts stay");
    let again = house.plan(&ask).report();
    assert_eq!((again.rows_total(), again.bytes_total()), (0, 0));
}

#[test]
fn a_projects_shorter_limit_touches_nobody_else() {
    let mut house = House::new(&["shop", "site"]);
    let (shop, site) = (house.projects[0], house.projects[1]);
    for days_ago in [20, 8, 1] {
        house.fill(shop, days_ago, 700);
        house.fill(site, days_ago, 100);
    }
    house.stores.db.write_blocking(|tx| projects::set_retention(tx, shop, Some(7))).unwrap();
    house.stores.checkpoint_truncate().unwrap();
    let ask = Ask { installation_days: 90, ..Ask::default() };
    let planned = house.plan(&ask).report();
    let done = house.sweep(&ask);
    assert_eq!(planned.rows().collect::<Vec<_>>(), done.rows().collect::<Vec<_>>());
    assert_eq!(house.listed(shop), [(1, 700)]);
    assert_eq!(house.listed(site), [(1, 100), (8, 100), (20, 100)]);
    let (said, came) = (done.bytes_total() as f64, done.returned_bytes as f64);
    assert!((0.8..1.25).contains(&(came / said)), "{said} bytes were said, {came} came back");
    house.assert_consistent();
    assert_eq!(house.plan(&ask).report().rows_total(), 0);
}

#[test]
fn a_chosen_project_and_model_scope_everything() {
    let mut house = House::new(&["shop", "site"]);
    let (shop, site) = (house.projects[0], house.projects[1]);
    for project in [shop, site] {
        house.fill(project, 40, 10);
    }
    let of_shop = Ask { project_id: Some(shop), ..house.ask(30) };
    let planned = house.plan(&of_shop);
    assert!(planned.report().rows().all(|freed| freed.project_id == shop));
    let attachments = Ask { models: vec![Model::Attachment], ..of_shop.clone() };
    assert_eq!(house.sweep(&attachments).rows_total(), 1);
    assert_eq!((house.listed(shop), house.listed(site)), (vec![(40, 10)], vec![(40, 10)]));
    assert_eq!(house.sweep(&of_shop).rows_total(), 10);
    assert_eq!((house.listed(shop), house.listed(site)), (vec![], vec![(40, 10)]));
    house.assert_consistent();
}

#[test]
fn everything_may_go_and_today_goes_on() {
    let mut house = House::new(&["shop"]);
    let shop = house.projects[0];
    house.fill(shop, 0, 10);
    house.fill(shop, 5, 10);
    assert_eq!(house.sweep(&house.ask(0)).rows().find(|freed| freed.model == Model::Event).unwrap().rows, 20);
    assert!(house.listed(shop).is_empty());
    house.fill(shop, 0, 3);
    assert_eq!(house.listed(shop), [(0, 3)]);
    house.assert_consistent();
    let stored = house.stores.db.read_blocking(|tx| removals::stored_by_project(tx, NOW.day())).unwrap();
    assert_eq!(stored, [(shop, 3)]);
}

/// Dies a given number of times before it works.
struct Mortal<'a> {
    hand: Box<dyn Hand + 'a>,
    deaths: &'a Mutex<u32>,
}

impl Hand for Mortal<'_> {
    fn run(&mut self, unit: &Unit) -> Run {
        let mut left = self.deaths.lock().unwrap();
        if *left > 0 {
            *left -= 1;
            return Ran::Failed { error: "its worker was killed".to_owned() }.into();
        }
        drop(left);
        self.hand.run(unit)
    }
}

#[test]
fn a_unit_whose_hand_dies_goes_to_another_and_a_poisoned_one_is_named() {
    let mut house = House::new(&["shop"]);
    let shop = house.projects[0];
    house.fill(shop, 40, 10);
    let plan = house.plan(&Ask { models: vec![Model::Event], ..house.ask(30) });
    for (deaths, left, retried, skipped) in [(sweep::TRIES_MAX, 1, 2, 1), (1, 0, 1, 0)] {
        let held = house.begin();
        let deaths = Mutex::new(deaths);
        let hand: Box<dyn Hand + '_> = Box::new(Mortal { hand: house.hand(held.sweep), deaths: &deaths });
        let (report, is_whole) = sweep::run(&plan, vec![hand], |_| {});
        assert!(is_whole);
        assert_eq!((report.retried, report.skipped.len()), (retried, skipped), "{report:?}");
        assert_eq!(house.listed(shop).len(), left);
        if skipped > 0 {
            assert!(report.skipped[0].starts_with("Event of "), "{report:?}");
        }
        held.finish(&plan, (report, is_whole), NOW).unwrap();
    }
    let states: Vec<String> =
        house.stores.db.read_blocking(|tx| sweeps::latest(tx, 10)).unwrap().into_iter().map(|row| row.state).collect();
    assert_eq!(states, ["done", "incomplete"]);
}

/// Panics over its first units.
struct Panicking<'a> {
    hand: Box<dyn Hand + 'a>,
    panics: u32,
}

impl Hand for Panicking<'_> {
    fn run(&mut self, unit: &Unit) -> Run {
        if self.panics > 0 {
            self.panics -= 1;
            panic!("a unit of {}", unit.name());
        }
        self.hand.run(unit)
    }
}

#[test]
fn a_unit_that_panics_is_tried_again_then_set_aside_and_the_sweep_ends() {
    let mut house = House::new(&["shop"]);
    let shop = house.projects[0];
    house.fill(shop, 40, 10);
    house.fill(shop, 41, 10);
    let plan = house.plan(&Ask { models: vec![Model::Event], ..house.ask(30) });
    for (panics, left, skipped) in [(sweep::TRIES_MAX * 2, 2, 2), (1, 0, 0)] {
        let held = house.begin();
        let hand: Box<dyn Hand + '_> = Box::new(Panicking { hand: house.hand(held.sweep), panics });
        let (report, is_whole) = sweep::run(&plan, vec![hand], |_| {});
        assert!(is_whole);
        assert_eq!(report.skipped.len(), skipped, "{report:?}");
        assert!(report.retries[0].contains("panicked: a unit of Event of "), "{report:?}");
        assert_eq!(house.listed(shop).len(), left);
    }
}

#[test]
fn a_sweep_that_ends_by_an_error_does_not_seem_to_run() {
    let mut house = House::new(&["shop"]);
    house.fill(house.projects[0], 40, 10);
    let ended = |house: &House| {
        let row = house.stores.db.read_blocking(|tx| sweeps::latest(tx, 1)).unwrap().pop().unwrap();
        assert!(row.ended_at.is_some());
        (row.state, serde_json::from_str::<serde_json::Value>(&row.report).unwrap())
    };
    let scheduled = |now| conduct::begin(&house.stores, Origin::Schedule, now).unwrap().expect("nobody else sweeps");
    let mut done = Report::default();
    done.units = 3;
    scheduled(NOW).finish(&house.plan(&house.ask(30)), (done.clone(), false), NOW).unwrap();
    drop(scheduled(NOW));
    let (state, report) = ended(&house);
    assert_eq!((state.as_str(), &report["units"]), ("incomplete", &3.into()), "{report}");
    assert!(report["skipped"][0].as_str().unwrap().contains("error"), "{report}");
    scheduled(NOW).finish(&house.plan(&house.ask(30)), (done, true), NOW).unwrap();
    let (state, report) = ended(&house);
    assert_eq!((state.as_str(), &report["units"]), ("done", &6.into()), "it was carried on: {report}");
}

#[test]
fn a_probe_that_is_being_written_is_no_leftover() {
    let house = House::new(&["shop"]);
    let day = |age| days::OpenDay { day: Day(0), generation: NOW.minus(Duration::from_secs(age)).micros() };
    let row =
        EventRow { project_id: -1, event_id: [1; 16], group_key: 1, received_at: NOW, dictionary_id: 0, body: b"p" };
    let leftovers = |house: &House| {
        let units = house.plan(&Ask { models: vec![Model::Event], ..house.ask(30) }).units;
        units.iter().filter(|unit| unit.work == Work::Leftovers).count()
    };
    for (age, found) in [(0, 0), (60, 0), (700, 1)] {
        house.stores.events.insert(&day(age), &[row]).unwrap();
        assert_eq!(leftovers(&house), found, "{age} s");
    }
    let held = conduct::begin(&house.stores, Origin::Command, NOW).unwrap().unwrap();
    let plan = house.plan(&house.ask(30));
    sweep::run(&plan, vec![house.hand(held.sweep)], |_| {});
    let left = house.stores.events.days_on_disk().unwrap();
    assert!(left.len() == 2 && !left.contains(&day(700)), "{left:?}");
}

#[test]
fn one_sweep_at_a_time_and_one_that_was_followed_changes_nothing() {
    let mut house = House::new(&["shop"]);
    let shop = house.projects[0];
    house.fill(shop, 40, 10);
    let plan = house.plan(&house.ask(30));
    let held = house.begin();
    assert!(conduct::begin(&house.stores, Origin::Schedule, NOW).unwrap().is_none(), "another one runs");
    let old = held.sweep;
    drop(held);
    let _held = house.begin();
    let (report, is_whole) = sweep::run(&plan, vec![house.hand(old)], |_| {});
    assert!(!is_whole && report.units == 0, "{report:?}");
    assert_eq!(house.listed(shop), [(40, 10)]);
    assert!(house.clock.now() > NOW && Day(0) < NOW.day());
}
