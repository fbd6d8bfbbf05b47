//! Lists against a real database: order, paging in both directions, filters, bounds, and the plans of the statements.

use super::super::filter::{Field, Pattern};
use super::*;
use db::{Db, SqliteConfig};

const SCHEMA: &str = include_str!("../../../migrations/sqlite/0001_first.sql");

struct Issues {
    db: Db,
    _directory: tempfile::TempDir,
}

/// One issue of a fixture.
#[derive(Clone)]
struct Fixture {
    id: i64,
    project_id: i64,
    status: &'static str,
    last_seen: i64,
    event_count: i64,
    title: String,
}

fn fixture(id: i64) -> Fixture {
    // Equal times in threes, so that the id decides.
    Fixture {
        id,
        project_id: 1,
        status: "unresolved",
        last_seen: id / 3,
        event_count: id % 7,
        title: format!("ValueError: number {id}"),
    }
}

impl Issues {
    fn new(fixtures: impl IntoIterator<Item = Fixture>) -> Issues {
        let directory = tempfile::tempdir().unwrap();
        let db = Db::open_sqlite(&directory.path().join("meta.db"), SqliteConfig::default()).unwrap();
        db.write_blocking(|tx| {
            tx.execute_script(SCHEMA)?;
            tx.execute_script(
                "INSERT INTO organization VALUES (1, 'o', 'O', 0);
                 INSERT INTO project (id, org_id, slug, name, short_prefix, created_at)
                 VALUES (1, 1, 'a', 'A', 'A', 0), (2, 1, 'b', 'B', 'B', 0);",
            )?;
            for fixture in fixtures {
                insert(tx, &fixture)?;
            }
            Ok::<_, StoreError>(())
        })
        .unwrap();
        Issues { db, _directory: directory }
    }

    fn run(&self, sql: &str) {
        self.db.write_blocking(|tx| Ok::<_, StoreError>(tx.execute_script(sql)?)).unwrap();
    }

    fn find(&self, list: &IssueList) -> FoundIssues {
        self.db.read_blocking(|tx| find(tx, list)).unwrap()
    }

    fn ids(&self, list: &IssueList) -> Vec<i64> {
        self.find(list).places.iter().map(|place| place.id).collect()
    }
}

fn insert(tx: &mut Tx<'_>, fixture: &Fixture) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO issue (id, org_id, project_id, short_no, kind, title, culprit, metadata, platform, logger, level,
                            status, status_at, first_seen, last_seen, event_count, user_count)
         VALUES ($1, 1, $2, $1, 'error', $3, 'app.main in run', '{}', 'python', '', 'error', $4, 0, 0, $5, $6, 0)",
        &[
            Val::Int(fixture.id),
            Val::Int(fixture.project_id),
            Val::Text(&fixture.title),
            Val::Text(fixture.status),
            Val::Int(fixture.last_seen),
            Val::Int(fixture.event_count),
        ],
    )?;
    Ok(())
}

fn list() -> IssueList {
    IssueList {
        projects: vec![1],
        statuses: vec!["unresolved"],
        environments: Vec::new(),
        terms: Vec::new(),
        sort: SortBy::LastSeen,
        from: None,
        backwards: false,
        limit: 10,
    }
}

fn term(field: Field, value: Pattern) -> Term {
    Term { negated: false, field, values: vec![value] }
}

fn exact(text: &str) -> Pattern {
    Pattern::Exact(text.to_owned())
}

#[test]
fn pages_visit_every_issue_once_in_order_and_back() {
    let fixtures: Vec<Fixture> = (1..=100)
        .map(|id| Fixture {
            project_id: 1 + id % 2,
            status: ["unresolved", "resolved", "ignored"][(id % 3) as usize],
            ..fixture(id)
        })
        .collect();
    let issues = Issues::new(fixtures);
    for sort in [SortBy::LastSeen, SortBy::FirstSeen, SortBy::Events, SortBy::Users] {
        let mut wanted = IssueList {
            projects: vec![1, 2],
            statuses: vec!["unresolved", "resolved", "ignored"],
            sort,
            limit: 7,
            ..list()
        };
        let mut seen = Vec::new();
        loop {
            let page = issues.find(&wanted).places;
            let Some(last) = page.last() else { break };
            wanted.from = Some(*last);
            seen.extend(page);
        }
        let mut sorted = seen.clone();
        sorted.sort_unstable_by(|a, b| b.cmp(a));
        assert_eq!((seen.len(), &seen), (100, &sorted), "{sort:?}");

        wanted.backwards = true;
        let before: Vec<Place> = issues.find(&wanted).places;
        let expected: Vec<Place> = seen.iter().rev().skip(1).take(7).copied().collect();
        assert_eq!(before, expected, "{sort:?}");
    }
}

#[test]
fn an_insert_before_the_cursor_shifts_no_page() {
    let issues = Issues::new((1..=20).map(fixture));
    let first = issues.find(&list()).places;
    let next = IssueList { from: first.last().copied(), ..list() };
    let expected = issues.ids(&next);
    issues.db.write_blocking(|tx| insert(tx, &Fixture { last_seen: 1_000, ..fixture(1_000) })).unwrap();
    assert_eq!(issues.ids(&next), expected);
}

#[test]
fn terms_look_at_rows_tags_and_environments() {
    let issues = Issues::new((1..=9).map(fixture));
    issues.run(
        "INSERT INTO issue_tag VALUES (3, 'browser', 'Firefox', 1, 0, 0), (4, 'browser', 'Fire_fox', 1, 0, 0);
         INSERT INTO issue_tag_key VALUES (3, 'browser', 1, 1, 0);
         INSERT INTO issue_environment VALUES (5, 'prod', 1, 0, 9, 1), (6, 'dev', 1, 0, 8, 1), (5, 'dev', 1, 0, 7, 1);
         UPDATE issue SET level = 'fatal', is_unhandled = 1, last_release = '2.0' WHERE id = 7;
         UPDATE issue SET title = 'üñí 100%_done' WHERE id = 8;",
    );
    let check = |term: Term, expected: &[i64]| {
        assert_eq!(issues.ids(&IssueList { terms: vec![term.clone()], ..list() }), expected, "{term:?}");
    };
    check(term(Field::Tag("browser".into()), exact("Firefox")), &[3]);
    check(term(Field::Tag("browser".into()), Pattern::wildcard("fire*")), &[4, 3]);
    check(term(Field::Tag("browser".into()), Pattern::wildcard("Fire_*")), &[4]);
    check(term(Field::Tag("' OR 1=1 --".into()), exact("' OR '1'='1")), &[]);
    check(Term { negated: false, field: Field::HasTag("browser".into()), values: vec![] }, &[3]);
    check(term(Field::Environment, exact("prod")), &[5]);
    check(term(Field::Level, exact("fatal")), &[7]);
    check(term(Field::Release, exact("2.0")), &[7]);
    check(Term { negated: false, field: Field::Unhandled, values: vec![] }, &[7]);
    check(Term { negated: true, ..term(Field::Text, Pattern::containing("valueerror")) }, &[8]);
    check(term(Field::Text, Pattern::containing("100%_")), &[8]);
    check(term(Field::Text, Pattern::containing("NUMBER 3")), &[3]);
    check(Term { negated: true, ..term(Field::FirstRelease, exact("1")) }, &[9, 8, 7, 6, 5, 4, 3, 2, 1]);
    check(Term { negated: false, field: Field::Level, values: vec![] }, &[]);
}

#[test]
fn an_issue_of_several_environments_is_listed_once_where_it_was_seen_last() {
    let issues = Issues::new((1..=4).map(fixture));
    issues.run(
        "INSERT INTO issue_environment VALUES (1, 'prod', 1, 0, 90, 1), (1, 'dev', 1, 0, 70, 1),
                (2, 'dev', 1, 0, 80, 1), (3, 'test', 1, 0, 95, 1), (4, 'prod', 1, 0, 60, 1), (4, 'dev', 1, 0, 60, 1);",
    );
    let mut wanted = IssueList { environments: vec!["prod".into(), "dev".into()], limit: 1, ..list() };
    let mut seen = Vec::new();
    while let Some(place) = issues.find(&wanted).places.first() {
        seen.push(place.id);
        wanted.from = Some(*place);
    }
    assert_eq!(seen, [1, 2, 4]);
    let by_count = IssueList { environments: vec!["test".into()], sort: SortBy::Events, ..list() };
    assert_eq!(issues.ids(&by_count), [3]);
}

#[test]
fn a_filter_that_matches_nothing_stops_at_its_bound_and_goes_on_from_there() {
    let rows = CANDIDATES_MAX as i64 + 5;
    let issues = Issues::new((1..=rows).map(fixture));
    issues.run("UPDATE issue SET level = 'fatal' WHERE id = 2;");
    let mut wanted = IssueList { terms: vec![term(Field::Level, exact("fatal"))], ..list() };
    let found = issues.find(&wanted);
    let stopped = found.stopped_at.expect("the bound was hit");
    assert_eq!((found.places.len(), stopped.id), (0, 6));
    wanted.from = Some(stopped);
    assert_eq!(issues.ids(&wanted), [2]);
}

/// A plan may not scan a table and may not sort: then its cost grows with the table.
#[test]
fn every_shape_of_list_follows_an_index() {
    let issues = Issues::new((1..=3).map(fixture));
    let terms = vec![
        term(Field::Level, exact("error")),
        term(Field::Release, Pattern::wildcard("1*")),
        term(Field::Environment, exact("prod")),
        term(Field::Tag("a".into()), exact("b")),
        Term { negated: true, ..term(Field::HasTag("a".into()), exact("b")) },
        term(Field::Text, Pattern::containing("x")),
    ];
    let places = [None, Some(Place { value: 5, id: 5 })];
    for sort in [SortBy::LastSeen, SortBy::FirstSeen, SortBy::Events, SortBy::Users] {
        for environments in [vec![], vec!["prod".to_owned()], vec!["prod".to_owned(), "dev".to_owned()]] {
            for (backwards, from) in [false, true].into_iter().flat_map(|b| places.map(|place| (b, place))) {
                for terms in [vec![], terms.clone()] {
                    let wanted =
                        IssueList { sort, environments: environments.clone(), backwards, from, terms, ..list() };
                    check_plan(&issues, &wanted);
                }
            }
        }
    }
}

fn check_plan(issues: &Issues, list: &IssueList) {
    for stream in Stream::all_of(list) {
        let statement = stream.range.statement(list, list.from, 10);
        let sql = format!("EXPLAIN QUERY PLAN {}", statement.sql);
        let plan: Vec<(i64, i64, i64, String)> =
            issues.db.read_blocking(|tx| Ok::<_, StoreError>(tx.query(&sql, &statement.values)?)).unwrap();
        for (_, _, _, step) in &plan {
            assert!(!step.starts_with("SCAN") && !step.contains("TEMP B-TREE"), "{step}: {}", statement.sql);
        }
        let first = &plan.first().expect("a plan has a step").3;
        let index = match stream.range {
            Range::Environment { .. } => "issue_environment_by_last_seen",
            Range::Status { .. } => match list.sort {
                SortBy::LastSeen => "issue_by_last_seen",
                SortBy::FirstSeen => "issue_by_first_seen",
                SortBy::Events => "issue_by_events",
                SortBy::Users => "issue_by_users",
            },
        };
        assert!(first.contains(index), "{first}: {}", statement.sql);
    }
}
