//! Deleting an issue. At once, in one transaction: the issue is gone, its hashes lead nowhere, and an event that is counted
//! from then on makes a new issue. Then, in bounded steps that anybody may carry on: its events and its counters go.
//!
//! What is removed is what was received until the deletion and counted before it. An event that was on its way is counted
//! for the next issue, and stays: the digest notes it (`keep`). Before a row goes, that it does is noted in the metadata
//! (`event_removal`, which conservation and `check` go by) together with its id, so a death in between is carried on and
//! nothing is noted twice. Safe to run twice: each step looks at what is there.

use crate::days::{self, OpenDay};
use crate::digest::DigestEvent;
use crate::events::GroupQuery;
use crate::removals::{self, DAY_REMOVED};
use crate::{StoreError, Stores, outbox};
use db::{Tx, Val};
use stdx::{Day, Timestamp};

/// The task that goes on with it.
pub const TASK: &str = "issues.delete";
/// The group under which the counts of deleted issues are kept, so that a project's sums stay.
const GROUP_DELETED: i64 = i64::MIN;
/// Events removed, and rows of counters deleted, in one transaction.
const EVENTS_AT_ONCE: usize = 500;
const ROWS_AT_ONCE: i64 = 2_000;
/// The keys of tags before their values: `check` compares the values of keys that are there.
const COUNTERS: &[&str] =
    &["issue_tag_key", "issue_tag", "issue_hour", "issue_environment", "issue_user", "issue_activity"];

/// Deletes an issue as far as people see it, and has the rest done.
///
/// # Errors
/// Any database error; nothing is changed then.
pub fn begin(tx: &mut Tx<'_>, issue_id: i64, project_id: i64, now: Timestamp) -> Result<(), StoreError> {
    let issue = [Val::Int(issue_id)];
    let strands: Vec<(i64,)> = tx.query("SELECT -id FROM issue_strand WHERE issue_id = $1", &issue)?;
    let counters: Vec<i64> = [issue_id].into_iter().chain(strands.into_iter().map(|(id,)| id)).collect();
    tx.execute(
        "INSERT INTO issue_deletion_group (project_id, group_key, issue_id, deleted_at)
         SELECT project_id, group_key, issue_id, $2 FROM issue_group WHERE issue_id = $1",
        &[Val::Int(issue_id), Val::from(now)],
    )?;
    let days: Vec<(i64,)> = tx.query(
        "SELECT DISTINCT d.day FROM issue_deletion_group g
         JOIN group_day d ON d.project_id = g.project_id AND d.group_key = g.group_key
         WHERE g.issue_id = $1 AND d.day >= 0 ORDER BY d.day",
        &issue,
    )?;
    let days: Vec<i64> = days.into_iter().map(|(day,)| day).collect();
    fold_counts(tx, issue_id, project_id)?;
    tx.execute(
        "INSERT INTO issue_deletion (issue_id, project_id, deleted_at, counters, days) VALUES ($1, $2, $3, $4, $5)",
        &[
            Val::Int(issue_id),
            Val::Int(project_id),
            Val::from(now),
            Val::Text(&as_json(&counters)),
            Val::Text(&as_json(&days)),
        ],
    )?;
    for statement in [
        "DELETE FROM issue_strand WHERE issue_id = $1",
        "DELETE FROM issue_group WHERE issue_id = $1",
        "DELETE FROM issue_import WHERE issue_id = $1",
        "DELETE FROM issue WHERE id = $1",
    ] {
        tx.execute(statement, &issue)?;
    }
    outbox::add(tx, TASK, as_json(&[issue_id]).as_bytes(), now)
}

/// A project's counts never fall; those by group lead pages to days, and would lead the next issue's to these.
fn fold_counts(tx: &mut Tx<'_>, issue_id: i64, project_id: i64) -> Result<(), StoreError> {
    let (events,): (i64,) = tx.query_one(
        "SELECT COALESCE(SUM(d.event_count), 0) FROM issue_deletion_group g
         JOIN group_day d ON d.project_id = g.project_id AND d.group_key = g.group_key WHERE g.issue_id = $1",
        &[Val::Int(issue_id)],
    )?;
    tx.execute(
        "INSERT INTO group_day (project_id, group_key, day, event_count) VALUES ($1, $2, $3, $4)
         ON CONFLICT (project_id, group_key, day) DO UPDATE
         SET event_count = group_day.event_count + excluded.event_count",
        &[Val::Int(project_id), Val::Int(GROUP_DELETED), Val::from(DAY_REMOVED), Val::Int(events)],
    )?;
    tx.execute(
        "DELETE FROM group_day WHERE (project_id, group_key) IN (
             SELECT project_id, group_key FROM issue_deletion_group WHERE issue_id = $1)",
        &[Val::Int(issue_id)],
    )?;
    Ok(())
}

/// Notes events that are counted now and were received before an issue of their group was deleted: they stay.
pub(crate) fn keep<'a>(
    tx: &mut Tx<'_>,
    day: Day,
    counted: impl Iterator<Item = &'a DigestEvent>,
) -> Result<(), StoreError> {
    if tx.query_opt::<(i64,)>("SELECT 1 FROM issue_deletion LIMIT 1", &[])?.is_none() {
        return Ok(());
    }
    for event in counted {
        tx.execute(
            "INSERT INTO issue_deletion_kept (project_id, day, event_id)
             SELECT $1, $2, $3 WHERE EXISTS (
                 SELECT 1 FROM issue_deletion_group WHERE project_id = $1 AND group_key = $4 AND deleted_at >= $5)
             ON CONFLICT DO NOTHING",
            &[
                Val::Int(event.project_id),
                Val::from(day),
                Val::Blob(&event.event_id),
                Val::Int(event.group_key),
                Val::from(event.received_at),
            ],
        )?;
    }
    Ok(())
}

/// Returns the ids of events that are noted as removed and whose rows may still be there.
pub(crate) fn going(tx: &mut Tx<'_>, day: Day) -> Result<Vec<(i64, [u8; 16])>, StoreError> {
    Ok(tx.query("SELECT project_id, event_id FROM issue_deletion_event WHERE day = $1", &[Val::from(day)])?)
}

/// A deletion that is not over. It remembers how far it looked, and nothing that matters when it is lost.
pub struct Deletion {
    issue_id: i64,
    project_id: i64,
    deleted_at: Timestamp,
    counters: Vec<i64>,
    /// Days and groups still to be looked through, a group's side by side, and the last place that was.
    todo: Vec<(Day, i64)>,
    bound: Option<(Timestamp, i64)>,
}

impl Deletion {
    /// Takes up a deletion; `None` = it is over.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn resume(stores: &Stores, issue_id: i64) -> Result<Option<Deletion>, StoreError> {
        stores.db.read_blocking(|tx| {
            let row: Option<(i64, Timestamp, String, String)> = tx.query_opt(
                "SELECT project_id, deleted_at, counters, days FROM issue_deletion WHERE issue_id = $1",
                &[Val::Int(issue_id)],
            )?;
            let Some((project_id, deleted_at, counters, days)) = row else { return Ok(None) };
            let groups: Vec<(i64,)> =
                tx.query("SELECT group_key FROM issue_deletion_group WHERE issue_id = $1", &[Val::Int(issue_id)])?;
            let days = of_json(&days)?;
            let of_group = |(group,): &(i64,)| days.iter().map(|day| (Day(*day), *group)).collect::<Vec<_>>();
            let todo = groups.iter().flat_map(of_group).collect();
            Ok(Some(Deletion { issue_id, project_id, deleted_at, counters: of_json(&counters)?, todo, bound: None }))
        })
    }

    /// Does a step: some hundred rows in one transaction of each store. Returns whether it was the last.
    ///
    /// # Errors
    /// If a store cannot be written; what was done stays done.
    pub fn step(&mut self, stores: &Stores, now: Timestamp) -> Result<bool, StoreError> {
        if self.remove_noted(stores)? {
            return Ok(false);
        }
        if let Some((day, group_key)) = self.todo.last().copied() {
            self.note(stores, day, group_key, now)?;
            return Ok(false);
        }
        if self.delete_counters(stores)? {
            return Ok(false);
        }
        stores.db.write_blocking(|tx| self.end(tx)).map(|()| true)
    }

    /// Rows that are noted as removed go. Returns whether there were any.
    fn remove_noted(&self, stores: &Stores) -> Result<bool, StoreError> {
        let rows: Vec<(Day, [u8; 16])> = stores.db.read_blocking(|tx| {
            let sql = "SELECT day, event_id FROM issue_deletion_event WHERE issue_id = $1 ORDER BY day LIMIT $2";
            Ok::<_, StoreError>(tx.query(sql, &[Val::Int(self.issue_id), Val::Int(EVENTS_AT_ONCE as i64)])?)
        })?;
        let Some((day, _)) = rows.first().copied() else { return Ok(false) };
        let ids: Vec<[u8; 16]> = rows.iter().filter(|(of, _)| *of == day).map(|(_, id)| *id).collect();
        // A day that was ended meanwhile has taken its rows along.
        if let Some(open) = stores.db.read_blocking(|tx| days::find_open(tx, day))? {
            stores.events.remove_events(&open, self.project_id, &ids)?;
        }
        stores.db.write_blocking(|tx| {
            tx.execute_many(
                "DELETE FROM issue_deletion_event WHERE issue_id = $1 AND day = $2 AND event_id = $3",
                ids.iter().map(|id| [Val::Int(self.issue_id), Val::from(day), Val::Blob(id)]),
            )?;
            Ok::<_, StoreError>(())
        })?;
        Ok(true)
    }

    /// Notes the next rows of a group as removed, with their attachments; `remove_noted` takes them away.
    fn note(&mut self, stores: &Stores, day: Day, group_key: i64, now: Timestamp) -> Result<(), StoreError> {
        let Some(open) = stores.db.read_blocking(|tx| days::find_open(tx, day))? else {
            return self.leave(stores, group_key);
        };
        let query = GroupQuery { project_id: self.project_id, group_key, until: self.deleted_at, after: self.bound };
        let found = stores.events.of_group(&open, &query, EVENTS_AT_ONCE)?;
        let ids: Vec<[u8; 16]> = found.iter().map(|place| place.event_id).collect();
        if !ids.is_empty() {
            stores.db.write_blocking(|tx| self.note_counted(tx, &open, &ids, now))?;
        }
        match found.last() {
            Some(last) if found.len() == EVENTS_AT_ONCE => self.bound = Some((last.received_at, last.seq)),
            _ => self.leave(stores, group_key)?,
        }
        Ok(())
    }

    /// A group was looked through on a day. One that was on all of them needs no more looks, whoever carries on; what is
    /// counted of it from now on was not found here, so it need not be told from what goes.
    fn leave(&mut self, stores: &Stores, group_key: i64) -> Result<(), StoreError> {
        self.todo.pop();
        self.bound = None;
        if self.todo.last().is_some_and(|(_, next)| *next == group_key) {
            return Ok(());
        }
        let group = [Val::Int(self.project_id), Val::Int(group_key), Val::Int(self.issue_id)];
        stores.db.write_blocking(|tx| {
            let sql = "DELETE FROM issue_deletion_group WHERE project_id = $1 AND group_key = $2 AND issue_id = $3";
            Ok::<_, StoreError>(tx.execute(sql, &group).map(drop)?)
        })
    }

    /// Those that are not counted are on their way: they will be of another issue.
    fn note_counted(&self, tx: &mut Tx<'_>, day: &OpenDay, ids: &[[u8; 16]], now: Timestamp) -> Result<(), StoreError> {
        if !days::is_current(tx, day)? {
            return Ok(());
        }
        let mut noted = 0;
        for id in ids {
            noted += tx.execute(
                "INSERT INTO issue_deletion_event (issue_id, day, project_id, event_id)
                 SELECT $1, $2, $3, $4
                 WHERE EXISTS (SELECT 1 FROM digested WHERE day = $2 AND project_id = $3 AND event_id = $4)
                   AND NOT EXISTS (SELECT 1 FROM issue_deletion_kept WHERE day = $2 AND project_id = $3 AND event_id = $4)
                 ON CONFLICT DO NOTHING",
                &[Val::Int(self.issue_id), Val::from(day.day), Val::Int(self.project_id), Val::Blob(id)],
            )?;
        }
        if noted > 0 {
            removals::note(tx, day.day, self.project_id, noted as i64, now)?;
        }
        tx.execute(
            "DELETE FROM attachment WHERE id IN (
                 SELECT a.id FROM issue_deletion_event e
                 JOIN attachment a ON a.project_id = e.project_id AND a.event_id = e.event_id AND a.day = e.day
                 WHERE e.issue_id = $1 AND e.day = $2)",
            &[Val::Int(self.issue_id), Val::from(day.day)],
        )?;
        Ok(())
    }

    /// Returns whether there were any.
    fn delete_counters(&self, stores: &Stores) -> Result<bool, StoreError> {
        for table in COUNTERS {
            for id in &self.counters {
                let deleted = stores.db.write_blocking(|tx| delete_rows(tx, table, *id))?;
                if deleted > 0 {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    fn end(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        let issue = [Val::Int(self.issue_id)];
        tx.execute("DELETE FROM issue_deletion_group WHERE issue_id = $1", &issue)?;
        tx.execute("DELETE FROM issue_deletion WHERE issue_id = $1", &issue)?;
        // Others of the project may still need what was noted.
        tx.execute(
            "DELETE FROM issue_deletion_kept WHERE project_id = $1
               AND NOT EXISTS (SELECT 1 FROM issue_deletion WHERE project_id = $1)",
            &[Val::Int(self.project_id)],
        )?;
        Ok(())
    }
}

fn delete_rows(tx: &mut Tx<'_>, table: &str, id: i64) -> Result<usize, StoreError> {
    let key = match table {
        "issue_tag_key" => "issue_id, key",
        "issue_tag" => "issue_id, key, value",
        "issue_hour" => "issue_id, hour, environment",
        "issue_environment" => "issue_id, environment",
        "issue_user" => "issue_id, user_hash",
        _ => "issue_id, id",
    };
    let sql = format!("DELETE FROM {table} WHERE ({key}) IN (SELECT {key} FROM {table} WHERE issue_id = $1 LIMIT $2)");
    Ok(tx.execute(&sql, &[Val::Int(id), Val::Int(ROWS_AT_ONCE)])?)
}

fn as_json(ids: &[i64]) -> String {
    let texts: Vec<String> = ids.iter().map(ToString::to_string).collect();
    format!("[{}]", texts.join(","))
}

/// Reads a list as `begin` writes it.
///
/// # Errors
/// `Damaged` for anything else.
pub fn of_json(text: &str) -> Result<Vec<i64>, StoreError> {
    let damaged = || StoreError::Damaged { what: "read the ids of a deletion".to_owned() };
    let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).ok_or_else(damaged)?;
    let ids = inner.split(',').filter(|id| !id.is_empty());
    ids.map(|id| id.parse().map_err(|_| damaged())).collect()
}
