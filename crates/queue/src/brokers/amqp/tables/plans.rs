//! That no statement of the ledger reads a table from end to end, but those whose reasons are given here: the ledger is as
//! long as the backlog, and whoever publishes waits for whoever writes.

use super::Tables;
use crate::QueueError;
use regex_lite::Regex;
use std::collections::BTreeMap;
use std::path::Path;
use stdx::Timestamp;

/// What a statement that may scan says, and why it may.
const SCANS: &[(&str, &str)] = &[
    ("SELECT queue, state, COUNT(*), SUM(bytes)", "counts all jobs by state; whoever asks keeps the answer"),
    ("COALESCE(SUM(bytes), 0) FROM queue_job", "an index alone, outside of transactions that write"),
    ("state = 6 AND +fairness_key = $1", "an index of names that have ended, outside of transactions that write"),
    ("SELECT queue, lane, COUNT(*), MIN(changed_at)", "a look for what RabbitMQ lost, a twentieth of the time at most"),
    ("WHERE state = 2 AND lane = $1 AND changed_at <= $2", "by hand: write-off"),
    ("WHERE state = 3 AND session = $1", "what is leased and no more, when a process has died"),
    ("WHERE state = 4 AND queue = $1 ORDER BY due_at LIMIT $2", "in the order of an index up to its limit, by hand"),
    ("FROM queue_job WHERE state = 5 GROUP BY", "what is parked and no more"),
    ("WHERE state IN (1, 2, 3) AND id NOT IN", "in the copy of a backup"),
    ("SELECT id FROM queue_message WHERE NOT EXISTS", "each minute, outside of transactions that write"),
    ("SELECT queue, COUNT(*) FROM queue_letter", "an index alone; letters are bounded"),
    ("FROM queue_revoked ORDER BY at DESC, id DESC", "an index; what was revoked is bounded"),
];

/// Tables that have a row for each queue, lane, process or schedule.
const SMALL: [&str; 5] = ["queue_name", "queue_lane", "queue_session", "queue_worker", "queue_cursor"];

#[test]
fn no_statement_of_the_ledger_reads_a_whole_table_without_a_reason() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let tables = Tables::open(&folder.path().join("queue.db"), Timestamp::from_seconds(1)).expect("the ledger opens");
    let statements = statements();
    assert!(statements.len() > 60, "the files were read: {}", statements.len());
    let mut scans: BTreeMap<&str, usize> = SCANS.iter().map(|(part, _)| (*part, 0)).collect();
    for sql in &statements {
        let plan = plan_of(&tables, sql);
        let is_scan = |line: &&String| {
            let table = line.strip_prefix("SCAN ").and_then(|rest| rest.split(' ').next());
            table.is_some_and(|table| !SMALL.contains(&table) && table != "CONSTANT")
        };
        if plan.iter().any(|line| is_scan(&line)) {
            let allowed = scans.iter_mut().find(|(part, _)| sql.contains(**part));
            *allowed.unwrap_or_else(|| panic!("{sql}\n{plan:#?}")).1 += 1;
        }
    }
    let idle: Vec<_> = scans.iter().filter(|(_, count)| **count == 0).collect();
    assert!(idle.is_empty(), "need no exception: {idle:?}");
}

fn plan_of(tables: &Tables, sql: &str) -> Vec<String> {
    let explained = format!("EXPLAIN QUERY PLAN {sql}");
    let rows: Result<Vec<(i64, i64, i64, String)>, QueueError> = tables.note(|tx| Ok(tx.query(&explained, &[])?));
    rows.unwrap_or_else(|error| panic!("{sql}: {error}")).into_iter().map(|(.., detail)| detail).collect()
}

/// All statements in the files beside this one, on one line each, with their lists of columns.
fn statements() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/brokers/amqp/tables");
    let (comment, list, literal, space) = (
        Regex::new(r"(?m)^\s*//.*$").expect("a pattern"),
        Regex::new(r#"const (\w*COLUMNS): &str =\s*"([^"]*)""#).expect("a pattern"),
        Regex::new(r#""((?:SELECT|INSERT|UPDATE|DELETE)\s[^"]*)""#).expect("a pattern"),
        Regex::new(r"\s+").expect("a pattern"),
    );
    let mut found = Vec::new();
    for file in std::fs::read_dir(folder).expect("the folder of tables") {
        let path = file.expect("a file").path();
        if path.extension().is_none_or(|kind| kind != "rs") || path.ends_with("plans.rs") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a source file");
        let text = comment.replace_all(&text, "");
        for sql in literal.captures_iter(&text) {
            let mut sql = space.replace_all(&sql[1], " ").into_owned();
            for columns in list.captures_iter(&text) {
                sql = sql.replace(&format!("{{{}}}", &columns[1]), &columns[2]);
            }
            found.push(sql);
        }
    }
    found
}
