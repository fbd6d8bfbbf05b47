//! What happens beside a sweep and within it: others go on writing, and hands die between any two steps.

use super::*;
use store::issues::deletion::{self, Deletion};
use store::thinning::{self, Remover, Victim};

impl House {
    /// Of two projects, the first keeps its events for seven days.
    fn with_a_shorter_limit() -> (House, i64, i64, Ask) {
        let house = House::new(&["shop", "site"]);
        let (shop, site) = (house.projects[0], house.projects[1]);
        house.stores.db.write_blocking(|tx| projects::set_retention(tx, shop, Some(7))).unwrap();
        (house, shop, site, Ask { installation_days: 90, ..Ask::default() })
    }

    /// Runs the units of a plan one step at a time, and looks after each whether all agrees. Returns how many there were.
    fn step_by_step(&self, plan: &Plan) -> usize {
        let held = self.begin();
        let bench = Bench { stores: &self.stores, clock: &*self.clock, sweep: held.sweep, share: 1.0 };
        let mut steps = 0;
        for unit in &plan.units {
            let mut alive = |_| {
                self.assert_consistent();
                steps += 1;
            };
            bench.run(unit, Instant::now() + Duration::from_secs(60), &mut alive).unwrap();
        }
        steps
    }

    fn carry_out(&self, plan: &Plan) -> Report {
        let held = self.begin();
        let (report, is_whole) = sweep::run(plan, vec![self.hand(held.sweep)], |_| {});
        assert!(is_whole && report.skipped.is_empty(), "{report:?}");
        held.finish(plan, (report, is_whole), NOW).unwrap()
    }
}

#[test]
fn a_day_that_somebody_else_came_to_use_is_not_ended() {
    let shorter = |_: &House| Ask { installation_days: 90, ..Ask::default() };
    let chosen = |house: &House| Ask { project_id: Some(house.projects[0]), ..house.ask(7) };
    for ask in [&shorter as &dyn Fn(&House) -> Ask, &chosen] {
        let (mut house, shop, site, _) = House::with_a_shorter_limit();
        house.fill(shop, 20, 600);
        let ask = ask(&house);
        let plan = house.plan(&ask);
        assert!(matches!(plan.units[0].work, Work::EndDay { .. }), "{plan:?}");
        house.fill(site, 20, 5);
        house.carry_out(&plan);
        assert_eq!((house.listed(shop), house.listed(site)), (vec![], vec![(20, 5)]));
        house.assert_consistent();
        assert_eq!(house.plan(&ask).report().rows_total(), 0, "nothing is left");
    }
}

#[test]
fn every_step_of_a_removal_leaves_stores_that_agree() {
    let (mut house, shop, site, ask) = House::with_a_shorter_limit();
    house.fill(shop, 20, 1_200);
    house.fill(site, 20, 5);
    let steps = house.step_by_step(&house.plan(&ask));
    assert!(steps > 4, "{steps}");
    assert_eq!((house.listed(shop), house.listed(site)), (vec![], vec![(20, 5)]));
}

#[test]
fn a_day_of_many_groups_ends_in_bounded_steps() {
    let (mut house, shop, _, ask) = House::with_a_shorter_limit();
    house.groups = 1_100;
    house.fill(shop, 20, 1_100);
    let plan = house.plan(&ask);
    let steps = house.step_by_step(&plan);
    assert!(steps > plan.units.len(), "{steps}");
    assert_eq!(house.listed(shop), []);
    assert_eq!(house.plan(&ask).report().rows_total(), 0);
}

#[test]
fn what_a_dead_hand_noted_is_carried_out_once() {
    let (mut house, shop, site, ask) = House::with_a_shorter_limit();
    house.fill(shop, 20, 300);
    house.fill(site, 20, 5);
    let plan = house.plan(&ask);
    let open = house.stores.db.read_blocking(days::list_open).unwrap()[0];
    let query = ListQuery { project_id: shop, group_keys: None, bound: None, newest_first: false, limit: 100 };
    let weights = house.stores.events.weigh(&open, &query).unwrap();
    let victim = |weight: &store::events::EventWeight| Victim {
        project_id: shop,
        group_key: weight.group_key,
        event_id: weight.event_id,
        body_bytes: weight.body_bytes,
    };
    let victims: Vec<Victim> = weights.iter().map(victim).collect();
    let note = |tx: &mut db::Tx<'_>| thinning::note(tx, Remover::Project(&open, shop), &open, &victims, NOW);
    let noted = house.stores.db.write_blocking(note).unwrap();
    assert_eq!(noted.removing.events().map(|(_, ids)| ids.len()).sum::<usize>(), 100);
    assert_eq!(house.listed(shop), [(20, 300)], "noted, not removed: here it was killed");
    house.assert_consistent();
    // The same sweep gives its unit to another hand: nobody has begun anew.
    house.step_by_step(&plan);
    assert_eq!((house.listed(shop), house.listed(site)), (vec![], vec![(20, 5)]));
    house.assert_consistent();
}

#[test]
fn an_event_that_is_being_digested_stays() {
    let (mut house, shop, site, ask) = House::with_a_shorter_limit();
    house.fill(shop, 20, 10);
    house.fill(site, 20, 5);
    let (day, late) = house.store(shop, 20, 4);
    house.carry_out(&house.plan(&ask));
    assert_eq!(house.listed(shop), [(20, 4)], "rows that nobody counted yet");
    house.count(day, &late);
    house.assert_consistent();
    house.carry_out(&house.plan(&ask));
    assert_eq!(house.listed(shop), []);
    house.assert_consistent();
}

#[test]
fn events_of_an_issue_that_is_being_deleted_are_removed_once() {
    let (mut house, shop, site, ask) = House::with_a_shorter_limit();
    house.fill(shop, 20, 30);
    house.fill(site, 20, 5);
    let issue: (i64,) = house
        .stores
        .db
        .read_blocking(|tx| tx.query_one("SELECT MIN(id) FROM issue WHERE project_id = $1", &[db::Val::Int(shop)]))
        .unwrap();
    house.stores.db.write_blocking(|tx| deletion::begin(tx, issue.0, shop, NOW)).unwrap();
    house.carry_out(&house.plan(&ask));
    house.assert_consistent();
    let mut left = Deletion::resume(&house.stores, issue.0).unwrap().unwrap();
    while !left.step(&house.stores, NOW).unwrap() {}
    house.assert_consistent();
    assert_eq!((house.listed(shop), house.listed(site)), (vec![], vec![(20, 5)]));
    let removed = house.stores.db.read_blocking(|tx| removals::of_day(tx, Day(NOW.day().0 - 20))).unwrap();
    assert_eq!(removed, [(shop, 30)]);
}

#[test]
fn a_damaged_day_is_set_aside_and_keeps_nobody_from_the_others() {
    let (mut house, shop, site, ask) = House::with_a_shorter_limit();
    for days_ago in [20, 25] {
        house.fill(shop, days_ago, 100);
        house.fill(site, days_ago, 100);
    }
    house.stores.checkpoint_truncate().unwrap();
    let (damaged, whole) = (Day(NOW.day().0 - 25), Day(NOW.day().0 - 20));
    let folder = house.folder.path().join("events");
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        if entry.file_name().to_string_lossy().starts_with(&damaged.to_string()) {
            let mut bytes = std::fs::read(entry.path()).unwrap();
            // All but the first page, by which a file is known.
            bytes.iter_mut().skip(16_384).for_each(|byte| *byte = 0xff);
            std::fs::write(entry.path(), bytes).unwrap();
        }
    }
    // What is in memory of the files is forgotten.
    house.stores = Arc::new(Stores::open(house.folder.path(), NOW).unwrap());
    let plan = house.plan(&ask);
    let held = house.begin();
    let (report, is_whole) = sweep::run(&plan, vec![house.hand(held.sweep)], |_| {});
    let report = held.finish(&plan, (report, is_whole), NOW).unwrap();
    assert!(report.skipped.iter().any(|unit| unit.contains(&damaged.to_string())), "{report:?}");
    let left = house.stores.db.read_blocking(|tx| removals::stored_by_project(tx, whole)).unwrap();
    assert_eq!(left, [(site, 100)], "the other day's events are gone");
}
