//! What a sweep tells of itself: what went, whoever died meanwhile, and nothing else.

use super::*;

impl House {
    /// Of two projects, the first keeps its events for seven days; one of its days has so many, shared with the other's.
    fn sharing(count: usize) -> (House, i64, Ask) {
        let mut house = House::new(&["shop", "site"]);
        let (shop, site) = (house.projects[0], house.projects[1]);
        house.stores.db.write_blocking(|tx| projects::set_retention(tx, shop, Some(7))).unwrap();
        house.fill(shop, 20, count);
        house.fill(site, 20, 5);
        (house, shop, Ask { installation_days: 90, models: vec![Model::Event], ..Ask::default() })
    }

    /// Models, projects, rows and bytes of each sweep, the newest first.
    fn reports(&self) -> Vec<(String, Vec<Freed>)> {
        let rows = self.stores.db.read_blocking(|tx| sweeps::latest(tx, 20)).unwrap();
        let models = |text: &str| {
            let mut report = Report::default();
            report.add_json(text);
            report.rows().collect()
        };
        rows.into_iter().map(|row| (row.state, models(&row.report))).collect()
    }
}

/// Takes one step of its first unit; then it is over, or it dies.
struct OneStep<'a> {
    bench: Bench<'a>,
    has_run: bool,
    dies: bool,
}

impl Hand for OneStep<'_> {
    fn run(&mut self, unit: &Unit) -> Run {
        if std::mem::replace(&mut self.has_run, true) {
            return Ran::Stopped.into();
        }
        let is_done = self.bench.run(unit, Instant::now(), &mut |_| {}).unwrap();
        match (is_done, self.dies) {
            (_, true) => Ran::Failed { error: "killed".to_owned() }.into(),
            (true, false) => Ran::Done.into(),
            (false, false) => Ran::Unfinished.into(),
        }
    }
}

fn one_step(house: &House, plan: &Plan, dies: bool) -> Report {
    let held = house.begin();
    let bench = Bench { stores: &house.stores, clock: &*house.clock, sweep: held.sweep, share: 1.0 };
    let hand = OneStep { bench, has_run: false, dies };
    let (report, is_whole) = sweep::run(plan, vec![Box::new(hand)], |_| {});
    held.finish(plan, (report, is_whole), NOW).unwrap()
}

#[test]
fn a_sweep_tells_what_went_also_where_it_was_more_than_planned_or_was_cut_short() {
    for dies in [false, true] {
        let (mut house, shop, ask) = House::sharing(1_200);
        let mut rows = Vec::new();
        for _ in 0..9 {
            let plan = house.plan(&ask);
            if rows.is_empty() {
                house.fill(shop, 20, 2);
            }
            rows.push(one_step(&house, &plan, dies).rows_total());
        }
        assert_eq!(rows[..4], [500, 500, 202, 0], "dies: {dies}");
        assert_eq!(house.listed(shop), []);
    }
}

#[test]
fn bytes_of_all_parts_are_those_that_were_planned() {
    let (house, shop, ask) = House::sharing(1_200);
    let plan = house.plan(&ask);
    let planned: Vec<Freed> = plan.report().rows().collect();
    let held = house.begin();
    let (report, is_whole) = sweep::run(&plan, vec![house.hand(held.sweep)], |_| {});
    assert_eq!(report.rows_total(), 0, "what went is not known from the plan");
    assert_eq!(held.rows_so_far().unwrap(), 1_200);
    let done: Vec<Freed> = held.finish(&plan, (report, is_whole), NOW).unwrap().rows().collect();
    assert_eq!(done, planned);
    assert_eq!((done.len(), done[0].project_id, done[0].rows), (1, shop, 1_200));
    assert_eq!(house.reports(), [("done".to_owned(), done)]);
}

#[test]
fn what_a_killed_sweep_removed_is_told_by_the_next_and_nothing_twice() {
    let (house, _, ask) = House::sharing(1_200);
    let plan = house.plan(&ask);
    let held = house.begin();
    let bench = Bench { stores: &house.stores, clock: &*house.clock, sweep: held.sweep, share: 1.0 };
    bench.run(&plan.units[0], Instant::now(), &mut |_| {}).unwrap();
    // Its process is killed here: it writes nothing down, and the kernel frees its lock.
    house.stores.db.write_blocking(|tx| tx.execute("UPDATE retention_sweep SET id = id + 100", &[])).unwrap();
    house
        .stores
        .db
        .write_blocking(|tx| tx.execute("UPDATE retention_tally SET sweep_id = sweep_id + 100", &[]))
        .unwrap();
    drop(held);
    let rest = house.sweep(&ask);
    assert_eq!(rest.rows_total(), 700);
    let told: Vec<(String, u64)> =
        house.reports().into_iter().map(|(state, rows)| (state, rows.iter().map(|freed| freed.rows).sum())).collect();
    assert_eq!(told, [("done".to_owned(), 700), ("abandoned".to_owned(), 500)]);
    let left: (i64,) = house
        .stores
        .db
        .read_blocking(|tx| tx.query_one::<(i64,)>("SELECT COUNT(*) FROM retention_tally", &[]))
        .unwrap();
    assert_eq!(left, (0,));
}

/// Works once; every worker it gets after that dies before it begins.
struct Losing<'a> {
    hand: Box<dyn Hand + 'a>,
    deaths: u32,
}

impl Hand for Losing<'_> {
    fn run(&mut self, unit: &Unit) -> Run {
        match self.deaths {
            0 => self.hand.run(unit),
            _ => {
                self.deaths -= 1;
                Ran::Unbegun { error: "worker 7 died".to_owned() }.into()
            }
        }
    }
}

#[test]
fn a_worker_that_dies_before_it_begins_is_no_try_of_the_unit_it_was_given() {
    let (house, shop, ask) = House::sharing(10);
    let plan = house.plan(&ask);
    assert_eq!(plan.units.len(), 1, "{plan:?}");
    let held = house.begin();
    let deaths = 3 * sweep::TRIES_MAX;
    let hand = Losing { hand: house.hand(held.sweep), deaths };
    let (report, is_whole) = sweep::run(&plan, vec![Box::new(hand)], |_| {});
    assert!(is_whole && report.skipped.is_empty(), "{report:?}");
    assert_eq!((report.retried, report.units), (u64::from(deaths), 1));
    assert!(report.retries[0].starts_with("Event of ") && report.retries[0].ends_with("worker 7 died"), "{report:?}");
    assert_eq!(house.listed(shop), []);
}

/// Gets no worker.
struct Lost;

impl Hand for Lost {
    fn run(&mut self, _: &Unit) -> Run {
        Ran::Lost { error: "no worker lives".to_owned() }.into()
    }
}

#[test]
fn a_lost_hand_leaves_its_unit_to_others_and_a_sweep_without_hands_ends() {
    let (house, shop, ask) = House::sharing(10);
    let plan = house.plan(&ask);
    let held = house.begin();
    let (report, is_whole) = sweep::run(&plan, vec![Box::new(Lost), Box::new(Lost)], |_| {});
    assert!(!is_whole);
    assert_eq!((report.lost.len(), report.skipped.len()), (2, 0), "{report:?}");
    held.finish(&plan, (report, is_whole), NOW).unwrap();
    let held = house.begin();
    let (report, is_whole) = sweep::run(&plan, vec![Box::new(Lost), house.hand(held.sweep)], |_| {});
    assert!(is_whole && report.skipped.is_empty(), "{report:?}");
    assert_eq!(house.listed(shop), []);
}
