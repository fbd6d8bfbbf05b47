//! What grows old in the metadata: hours become days, and what nothing names any more goes. Sums stay exact.

use super::*;
use stdx::Hour;

impl House {
    fn numbers<T: db::FromRow>(&self, sql: &str) -> Vec<T> {
        self.stores.db.read_blocking(|tx| tx.query(sql, &[])).unwrap()
    }

    fn run(&self, sql: &str) {
        self.stores.db.write_blocking(|tx| tx.execute(sql, &[])).unwrap();
    }
}

fn of(model: Model, days: i64) -> Ask {
    Ask { days: Some(days), installation_days: 90, models: vec![model], ..Ask::default() }
}

#[test]
fn old_hours_become_days_and_every_sum_stays() {
    let mut house = House::new(&["shop", "site"]);
    let (shop, site) = (house.projects[0], house.projects[1]);
    for (project, days_ago) in [(shop, 150), (shop, 120), (site, 120), (shop, 99), (shop, 0)] {
        house.fill(project, days_ago, 6);
    }
    let ask = of(Model::Series, 400);
    let planned = house.plan(&ask).report();
    // Three issues of shop twice and of site once, and the projects' own.
    assert_eq!(planned.rows().map(|freed| freed.rows).collect::<Vec<_>>(), [9 + 3]);
    let done = house.sweep(&ask);
    assert_eq!(planned.rows().collect::<Vec<_>>(), done.rows().collect::<Vec<_>>());
    house.assert_consistent();
    let day = |days_ago: i64| (NOW.day().0 - days_ago) * 24;
    let hours: Vec<(i64, i64)> =
        house.numbers("SELECT hour, SUM(event_count) FROM project_hour GROUP BY hour ORDER BY hour");
    assert_eq!(hours, [(day(150), 6), (day(120), 12), (day(99) + 12, 6), (day(0) + 12, 6)]);
    assert_eq!(house.plan(&ask).report().rows_total(), 0, "nothing is left to fold");

    // What comes late, for an hour of a folded day, is folded into it the next time.
    house.fill(shop, 120, 6);
    assert_eq!(house.sweep(&ask).rows_total(), 3 + 1);
    house.assert_consistent();
    let stored = house.stores.db.read_blocking(|tx| removals::stored_by_project(tx, Day(NOW.day().0 - 120))).unwrap();
    assert_eq!(stored, [(shop, 12), (site, 6)], "days go by the sums of their hours");
    house.sweep(&house.ask(30));
    house.assert_consistent();
    assert_eq!(house.listed(shop), [(0, 6)]);
}

#[test]
fn issues_fold_in_shares_and_each_step_is_exact() {
    let house = House::new(&["shop"]);
    let before = Hour(48);
    house.run(
        "WITH RECURSIVE n(i) AS (SELECT -250 UNION ALL SELECT i + 1 FROM n WHERE i < 250)
         INSERT INTO issue_hour (issue_id, hour, environment, event_count)
         SELECT i, h.value, e.value, 1 FROM n, json_each('[0,1,23,24,47,48]') h, json_each('[\"\",\"prod\"]') e",
    );
    let all: Vec<(i64,)> = house.numbers("SELECT SUM(event_count) FROM issue_hour");
    let due = |house: &House| {
        let due = store::series::due;
        house.stores.db.read_blocking(|tx| due(tx, store::series::Series::Issues, before)).unwrap()
    };
    let shares = due(&house);
    assert_eq!(shares.iter().map(|(_, rows)| rows).sum::<i64>(), 501 * 2 * 3);
    assert!(shares.windows(2).all(|pair| pair[0].0.id_last < pair[1].0.id_first), "{shares:?}");
    for (share, rows) in shares {
        let mut folded = 0;
        while folded < rows as usize {
            let step = house.stores.db.write_blocking(|tx| store::series::fold(tx, share, before, 7)).unwrap();
            assert!(step > 0);
            folded += step;
        }
    }
    assert_eq!(due(&house), []);
    let sums: Vec<(i64, i64)> =
        house.numbers("SELECT hour, SUM(event_count) FROM issue_hour GROUP BY hour ORDER BY hour");
    assert_eq!(sums, [(0, 501 * 6), (24, 501 * 4), (48, 501 * 2)]);
    assert_eq!(all, house.numbers::<(i64,)>("SELECT SUM(event_count) FROM issue_hour"));
}

#[test]
fn releases_go_when_no_issue_names_them() {
    let mut house = House::new(&["shop", "site"]);
    let (shop, site) = (house.projects[0], house.projects[1]);
    house.fill(shop, 0, 3);
    let old = NOW.minus(Duration::from_secs(401 * 86_400)).micros();
    for (project, version, seen) in [
        (shop, "gone", old),
        (shop, "first", old),
        (shop, "last", old),
        (shop, "young", NOW.micros()),
        (site, "first", old),
    ] {
        house.run(&format!(
            "INSERT INTO project_release (project_id, version, first_seen, last_seen, event_count)
             VALUES ({project}, '{version}', 0, {seen}, 1)"
        ));
    }
    house.run("UPDATE issue SET first_release = 'first', last_release = 'last' WHERE id = (SELECT MIN(id) FROM issue)");
    let one = Ask { project_id: Some(site), ..of(Model::Release, 30) };
    assert_eq!(house.sweep(&one).rows_total(), 1);
    let ask = of(Model::Release, 30);
    assert_eq!(house.plan(&ask).report().rows_total(), 1);
    assert_eq!(house.sweep(&ask).rows_total(), 1);
    let left: Vec<(String,)> = house.numbers("SELECT version FROM project_release ORDER BY version");
    assert_eq!(left.iter().map(|(version,)| version.as_str()).collect::<Vec<_>>(), ["first", "last", "young"]);
}

#[test]
fn a_deleted_project_goes_once_its_events_are_gone_and_the_others_stay() {
    let mut house = House::new(&["shop", "site"]);
    let (shop, site) = (house.projects[0], house.projects[1]);
    for project in [shop, site] {
        house.fill(project, 40, 50);
        house.fill(project, 10, 50);
        for (table, column) in [("project_release", "version"), ("project_environment", "name")] {
            let counted = if column == "version" { ("last_seen, event_count,", "0, 1,") } else { ("", "") };
            house.run(&format!(
                "INSERT INTO {table} (project_id, {} first_seen, {column})
                 WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500)
                 SELECT {project}, {} 0, 'v' || i FROM n",
                counted.0, counted.1
            ));
        }
        house.run(&format!(
            "INSERT INTO event_dictionary (project_id, bytes, sample_count, created_at) VALUES ({project}, x'00', 1, 0)"
        ));
    }
    house.stores.db.write_blocking(|tx| projects::delete(tx, shop)).unwrap();
    let ask = of(Model::Project, 30);
    assert_eq!(house.plan(&ask).report().rows_total(), 0, "events are stored");
    house.sweep(&Ask { models: vec![Model::Event, Model::Attachment], ..of(Model::Project, 5) });
    assert!(house.listed(shop).is_empty() && house.listed(site).is_empty());
    let planned = house.plan(&ask).report();
    // Events without an environment are of the one without a name.
    assert_eq!(planned.rows_total(), 3 + 1_500 + (1_500 + 1) + 2 + 1);
    let done = house.sweep(&ask);
    assert_eq!(planned.rows().collect::<Vec<_>>(), done.rows().collect::<Vec<_>>());
    house.assert_consistent();
    assert_eq!(house.plan(&ask).report().rows_total(), 0);
    for table in [
        "issue",
        "issue_group",
        "group_day",
        "project_hour",
        "project_release",
        "project_environment",
        "event_dictionary",
    ] {
        let left: Vec<(i64,)> = house.numbers(&format!("SELECT DISTINCT project_id FROM {table}"));
        assert_eq!(left, [(site,)], "{table}");
    }
    let waiting: Vec<(i64,)> = house.numbers("SELECT COUNT(*) FROM outbox WHERE task = 'issues.delete'");
    assert_eq!(waiting, [(3,)], "their counters go by the task");
    let issues: Vec<(i64,)> = house.numbers("SELECT issue_id FROM issue_deletion");
    for (issue,) in issues {
        let mut deletion = store::issues::deletion::Deletion::resume(&house.stores, issue).unwrap().unwrap();
        while !deletion.step(&house.stores, NOW).unwrap() {}
    }
    house.assert_consistent();
    // A job that waited longer than all of it makes something new, and that goes in its turn.
    house.fill(shop, 0, 4);
    house.assert_consistent();
    assert_eq!(house.plan(&ask).report().rows_total(), 0);
}
