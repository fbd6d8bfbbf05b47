//! Consistency: do counters, facts and event rows say the same? Every sum that the digest keeps is compared with what it
//! sums, in one read snapshot. It reads everything, so it is for `vigie check`, never for a page.

use crate::days::OpenDay;
use crate::issues::deletion;
use crate::{StoreError, Stores, removals, thinning};
use db::{Tx, Val};
use std::collections::HashSet;
use stdx::Day;

/// A sweep that notes a removal each time a day's rows are read does not keep the check for ever.
const READ_AGAIN_MAX: u32 = 10;

/// One comparison that was made.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Finding {
    pub name: &'static str,
    /// Rows or groups that were compared.
    pub compared: i64,
    /// How many disagree; 0 is good.
    pub disagreeing: i64,
    pub detail: String,
}

impl Finding {
    pub fn is_good(&self) -> bool {
        self.disagreeing == 0
    }
}

/// A sum and what it sums. The query answers (compared, disagreeing).
struct Sum {
    name: &'static str,
    detail: &'static str,
    sql: &'static str,
}

const SUMS: &[Sum] = &[
    Sum {
        name: "issue events by day",
        detail: "issue.event_count against the sum of group_day over the issue's groups",
        sql: "SELECT COUNT(*), COALESCE(SUM(CASE WHEN i.event_count <> COALESCE(d.n, 0) THEN 1 ELSE 0 END), 0)
              FROM issue i LEFT JOIN (
                  SELECT g.issue_id AS issue_id, SUM(day.event_count) AS n
                  FROM issue_group g
                  JOIN group_day day ON day.project_id = g.project_id AND day.group_key = g.group_key
                  GROUP BY g.issue_id) d ON d.issue_id = i.id",
    },
    Sum {
        name: "issue events by hour",
        detail: "issue.event_count against the sum of issue_hour",
        sql: "SELECT COUNT(*), COALESCE(SUM(CASE WHEN i.event_count <> COALESCE(h.n, 0) THEN 1 ELSE 0 END), 0)
              FROM issue i LEFT JOIN (
                  SELECT issue_id, SUM(event_count) AS n FROM issue_hour GROUP BY issue_id) h ON h.issue_id = i.id",
    },
    Sum {
        name: "issue events by environment",
        detail: "issue.event_count against the sum of issue_environment",
        sql: "SELECT COUNT(*), COALESCE(SUM(CASE WHEN i.event_count <> COALESCE(e.n, 0) THEN 1 ELSE 0 END), 0)
              FROM issue i LEFT JOIN (
                  SELECT issue_id, SUM(event_count) AS n FROM issue_environment GROUP BY issue_id) e
              ON e.issue_id = i.id",
    },
    Sum {
        name: "issue users",
        detail: "issue.user_count against the rows of issue_user",
        sql: "SELECT COUNT(*), COALESCE(SUM(CASE WHEN i.user_count <> COALESCE(u.n, 0) THEN 1 ELSE 0 END), 0)
              FROM issue i LEFT JOIN (
                  SELECT issue_id, COUNT(*) AS n FROM issue_user GROUP BY issue_id) u ON u.issue_id = i.id",
    },
    Sum {
        name: "merged issues",
        detail: "issue.event_count against the sum of its strands",
        sql: "SELECT COUNT(*), COALESCE(SUM(CASE WHEN i.event_count <> s.n THEN 1 ELSE 0 END), 0)
              FROM issue i JOIN (
                  SELECT issue_id, SUM(event_count) AS n FROM issue_strand GROUP BY issue_id) s ON s.issue_id = i.id",
    },
    Sum {
        name: "strand events by day",
        detail: "issue_strand.event_count against the sum of group_day over the strand's groups",
        sql: "SELECT COUNT(*), COALESCE(SUM(CASE WHEN s.event_count <> COALESCE(d.n, 0) THEN 1 ELSE 0 END), 0)
              FROM issue_strand s LEFT JOIN (
                  SELECT g.strand_id AS strand_id, SUM(day.event_count) AS n
                  FROM issue_group g
                  JOIN group_day day ON day.project_id = g.project_id AND day.group_key = g.group_key
                  WHERE g.strand_id IS NOT NULL
                  GROUP BY g.strand_id) d ON d.strand_id = s.id",
    },
    Sum {
        name: "strand events by hour",
        detail: "issue_strand.event_count against its rows of issue_hour and issue_environment",
        sql: "SELECT COUNT(*), COALESCE(SUM(CASE
                  WHEN s.event_count <> COALESCE(h.n, 0) OR s.event_count <> COALESCE(e.n, 0) THEN 1 ELSE 0 END), 0)
              FROM issue_strand s
              LEFT JOIN (SELECT issue_id, SUM(event_count) AS n FROM issue_hour WHERE issue_id < 0 GROUP BY issue_id) h
                  ON h.issue_id = -s.id
              LEFT JOIN (
                  SELECT issue_id, SUM(event_count) AS n FROM issue_environment WHERE issue_id < 0 GROUP BY issue_id) e
                  ON e.issue_id = -s.id",
    },
    Sum {
        name: "strand users",
        detail: "issue_strand.user_count against the rows of issue_user",
        sql: "SELECT COUNT(*), COALESCE(SUM(CASE WHEN s.user_count <> COALESCE(u.n, 0) THEN 1 ELSE 0 END), 0)
              FROM issue_strand s LEFT JOIN (
                  SELECT issue_id, COUNT(*) AS n FROM issue_user WHERE issue_id < 0 GROUP BY issue_id) u
              ON u.issue_id = -s.id",
    },
    Sum {
        name: "tag values",
        detail: "issue_tag_key against its values and the rest",
        sql: "SELECT COUNT(*), COALESCE(SUM(CASE
                  WHEN k.event_count <> COALESCE(t.n, 0) + k.other_count OR k.value_count <> COALESCE(t.v, 0)
                  THEN 1 ELSE 0 END), 0)
              FROM issue_tag_key k LEFT JOIN (
                  SELECT issue_id, key, SUM(event_count) AS n, COUNT(*) AS v FROM issue_tag GROUP BY issue_id, key) t
              ON t.issue_id = k.issue_id AND t.key = k.key",
    },
    Sum {
        name: "project events",
        detail: "the sum of project_hour against the sum of group_day, by project",
        sql: "SELECT COUNT(*), COALESCE(SUM(CASE WHEN COALESCE(h.n, 0) <> COALESCE(d.n, 0) THEN 1 ELSE 0 END), 0)
              FROM project p
              LEFT JOIN (SELECT project_id, SUM(event_count) AS n FROM project_hour GROUP BY project_id) h
                  ON h.project_id = p.id
              LEFT JOIN (SELECT project_id, SUM(event_count) AS n FROM group_day GROUP BY project_id) d
                  ON d.project_id = p.id",
    },
    Sum {
        name: "outcomes",
        detail: "accepted against stored, filtered, duplicate, expired, dead and not-kept, by project and category",
        sql: "SELECT COUNT(*), COALESCE(SUM(CASE WHEN accepted <> settled THEN 1 ELSE 0 END), 0)
              FROM (SELECT project_id, category,
                           SUM(CASE WHEN outcome = 'accepted' THEN quantity ELSE 0 END) AS accepted,
                           SUM(CASE WHEN outcome IN ('accepted', 'refused') THEN 0 ELSE quantity END) AS settled
                    FROM outcome_hour GROUP BY project_id, category) sums",
    },
];

/// Compares everything. `is_waiting` tells whether the event's job is still in the queue: its row may be there already.
///
/// # Errors
/// If a store cannot be read; a disagreement is a finding, not an error.
pub fn check(stores: &Stores, is_waiting: &dyn Fn(i64, [u8; 16]) -> bool) -> Result<Vec<Finding>, StoreError> {
    let (mut findings, days) = stores.db.read_blocking(|tx| Ok::<_, StoreError>((check_sums(tx)?, days(tx)?)))?;
    for day in days {
        findings.push(check_day(stores, day, is_waiting)?);
    }
    findings.push(check_attachments(stores)?);
    Ok(findings)
}

fn check_sums(tx: &mut Tx<'_>) -> Result<Vec<Finding>, StoreError> {
    let compare = |sum: &Sum| {
        let (compared, disagreeing): (i64, i64) = tx.query_one(sum.sql, &[])?;
        Ok(Finding { name: sum.name, compared, disagreeing, detail: sum.detail.to_owned() })
    };
    SUMS.iter().map(compare).collect()
}

/// A day and its generation, for days whose events have not been dropped.
fn days(tx: &mut Tx<'_>) -> Result<Vec<OpenDay>, StoreError> {
    let rows: Vec<(i64, i64)> =
        tx.query("SELECT day, generation FROM event_day WHERE state = 'open' ORDER BY day", &[])?;
    Ok(rows.into_iter().map(|(day, generation)| OpenDay { day: Day(day), generation }).collect())
}

/// Project and event.
type Id = (i64, [u8; 16]);

/// What the metadata say of a day's events, at one moment.
struct Facts {
    counted: Vec<Id>,
    /// Rows that are noted as removed before they are.
    going: Vec<Id>,
    removed: Vec<(i64, i64)>,
}

impl Facts {
    fn read(tx: &mut Tx<'_>, day: Day) -> Result<Facts, StoreError> {
        let counted = tx.query(
            "SELECT project_id, event_id FROM digested WHERE day = $1 ORDER BY project_id, event_id",
            &[Val::Int(day.0)],
        )?;
        let mut going = deletion::going(tx, day)?;
        let noted = thinning::removing(tx)?;
        for removing in noted.iter().filter(|removing| removing.day().day == day) {
            going.extend(removing.events().flat_map(|(project, ids)| ids.into_iter().map(move |id| (project, id))));
        }
        Ok(Facts { counted, going, removed: removals::of_day(tx, day)? })
    }
}

/// Facts before rows: rows are written first, so every fact has its row by then. A removal that was noted in between
/// would look like a loss: then both are read again.
fn facts_and_rows(stores: &Stores, day: OpenDay) -> Result<(Facts, Vec<Id>), StoreError> {
    let mut left = READ_AGAIN_MAX;
    loop {
        let facts = stores.db.read_blocking(|tx| Facts::read(tx, day.day))?;
        let rows = stores.events.ids(&day)?;
        left -= 1;
        if left == 0 || stores.db.read_blocking(|tx| removals::of_day(tx, day.day))? == facts.removed {
            return Ok((facts, rows));
        }
    }
}

/// Every counted id has a row; a row that is not counted belongs to a job that still waits.
fn check_day(stores: &Stores, day: OpenDay, is_waiting: &dyn Fn(i64, [u8; 16]) -> bool) -> Result<Finding, StoreError> {
    let (Facts { counted, going, removed }, mut rows) = facts_and_rows(stores, day)?;
    let going: HashSet<Id> = going.into_iter().collect();
    rows.retain(|row| !going.contains(row));
    let row_set: HashSet<Id> = rows.iter().copied().collect();
    let counted_set: HashSet<Id> = counted.iter().copied().collect();
    let lost = lost(counted_set.difference(&row_set), &removed);
    let doubled = rows.len() - row_set.len();
    let mut uncounted = 0;
    for (project, id) in row_set.difference(&counted_set) {
        if !is_waiting(*project, *id) && !is_counted_by_now(stores, day.day, *project, *id)? {
            uncounted += 1;
        }
    }
    Ok(Finding {
        name: "event rows",
        compared: counted.len() as i64,
        disagreeing: (lost + doubled + uncounted) as i64,
        detail: format!("{}: {lost} counted without a row, {doubled} doubled, {uncounted} rows not counted", day.day),
    })
}

/// Counted ids without a row, beyond those whose rows retention removed.
fn lost<'a>(ids: impl Iterator<Item = &'a (i64, [u8; 16])>, removed: &[(i64, i64)]) -> usize {
    let mut without_row: std::collections::HashMap<i64, i64> = std::collections::HashMap::new();
    for (project, _) in ids {
        *without_row.entry(*project).or_default() += 1;
    }
    for (project, rows) in removed {
        *without_row.entry(*project).or_default() -= rows;
    }
    without_row.values().map(|difference| difference.unsigned_abs() as usize).sum()
}

/// The digest may have counted it since the snapshot was taken.
fn is_counted_by_now(stores: &Stores, day: Day, project_id: i64, event_id: [u8; 16]) -> Result<bool, StoreError> {
    stores.db.read_blocking(move |tx| {
        let row: Option<(i64,)> = tx.query_opt(
            "SELECT 1 FROM digested WHERE day IN ($1, $2) AND project_id = $3 AND event_id = $4",
            &[Val::Int(day.0), Val::Int(day.previous().0), Val::Int(project_id), Val::Blob(&event_id)],
        )?;
        Ok::<_, StoreError>(row.is_some())
    })
}

/// Every attachment's content is there.
fn check_attachments(stores: &Stores) -> Result<Finding, StoreError> {
    let keys: Vec<(String,)> = stores
        .db
        .read_blocking(|tx| Ok::<_, StoreError>(tx.query("SELECT DISTINCT blob_key FROM attachment", &[])?))?;
    let mut missing = 0;
    for (key,) in &keys {
        missing += i64::from(!stores.blobs.exists(key)?);
    }
    Ok(Finding {
        name: "attachments",
        compared: keys.len() as i64,
        disagreeing: missing,
        detail: format!("{missing} attachments without their content"),
    })
}
