//! The plans of the reads beside the list: none may look at a whole table.

use super::filter::Statement;
use db::{Db, SqliteConfig, Val};

const SCHEMA: &str = include_str!("../../migrations/sqlite/0001_first.sql");

fn check(db: &Db, statement: &Statement<'_>) {
    let sql = format!("EXPLAIN QUERY PLAN {}", statement.sql);
    let plan: Vec<(i64, i64, i64, String)> = db.read_blocking(|tx| tx.query(&sql, &statement.values)).expect("a plan");
    for (_, _, _, step) in plan {
        assert!(!step.starts_with("SCAN"), "{step}: {}", statement.sql);
    }
}

#[test]
fn rows_and_series_of_a_page_follow_primary_keys() {
    let directory = tempfile::tempdir().expect("a temporary folder");
    let db = Db::open_sqlite(&directory.path().join("plans.sqlite"), SqliteConfig::default()).expect("a database");
    db.write_blocking(|tx| tx.execute_script(SCHEMA)).expect("the schema is made");
    let environments = ["prod".to_owned(), "dev".to_owned()];
    check(&db, &super::rows_statement(&[1, 2, 3]));
    check(&db, &super::series::statement(&[1, 2, 3], stdx::Hour(5), &[]));
    check(&db, &super::series::statement(&[1, 2, 3], stdx::Hour(5), &environments));
    let range = crate::event_lookup::DayRange { from: stdx::Day(1), to: stdx::Day(9), newest_first: true, limit: 3 };
    check(&db, &crate::event_lookup::days_statement(1, &[5, 6], range));
    let mut values = Statement::default();
    values.push("SELECT value FROM issue_tag WHERE issue_id = ");
    values.bind(Val::Int(1));
    values.push(" AND key = ");
    values.bind(Val::Text("browser"));
    values.push(" ORDER BY event_count DESC, value LIMIT 10");
    check(&db, &values);
}
