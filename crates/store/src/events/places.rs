//! A day's index file: where each event is, by id, by group and by project. Small pages, because ids are random: each
//! event of a batch dirties a page of its own, and what is dirty is written twice (log and file).
//!
//! Everything here can be derived from the rows again (`name`), so its commits need not wait for the disk.

use super::{EventRow, GroupQuery, ListQuery};
use db::{DbError, Durability, FromRow, Row, SqliteConfig, Tx, Val};
use stdx::Timestamp;

pub(super) const SCHEMA: &str = "
    CREATE TABLE event_place (
        project_id BIGINT NOT NULL,
        event_id   BLOB   NOT NULL CHECK (length(event_id) = 16),
        seq        BIGINT NOT NULL,
        PRIMARY KEY (project_id, event_id)
    ) WITHOUT ROWID;
    CREATE TABLE group_place (
        project_id  BIGINT NOT NULL,
        group_key   BIGINT NOT NULL,
        received_at BIGINT NOT NULL,
        seq         BIGINT NOT NULL,
        PRIMARY KEY (project_id, group_key, received_at, seq)
    ) WITHOUT ROWID;
    CREATE TABLE project_place (
        project_id BIGINT NOT NULL,
        seq        BIGINT NOT NULL,
        PRIMARY KEY (project_id, seq)
    ) WITHOUT ROWID;
    CREATE TABLE named (seq BIGINT NOT NULL);      -- one row: rows up to this place are named above
    INSERT INTO named (seq) VALUES (0);";

/// The writer's cache holds the index of about 100,000 events; beyond, pages come from the system's cache.
pub(super) const CONFIG: SqliteConfig = SqliteConfig {
    readers: 2,
    page_bytes: 4 << 10,
    writer_cache_bytes: 8 << 20,
    reader_cache_bytes: 1 << 20,
    checkpoint_pages: 4_000,
    durability: Durability::Process,
};

/// What the index knows of a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub seq: i64,
    project_id: i64,
    event_id: [u8; 16],
    group_key: i64,
    received_at: Timestamp,
}

impl FromRow for Entry {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Entry {
            seq: row.get(0)?,
            project_id: row.get(1)?,
            event_id: row.get(2)?,
            group_key: row.get(3)?,
            received_at: row.get(4)?,
        })
    }
}

/// Returns the last place that is named.
pub(super) fn named_last(tx: &mut Tx<'_>) -> Result<i64, DbError> {
    let (seq,): (i64,) = tx.query_one("SELECT seq FROM named", &[])?;
    Ok(seq)
}

/// Gives each event that is not there the next place after `seq_last`. Returns the place of each, `None` = was there.
pub(super) fn take(tx: &mut Tx<'_>, rows: &[EventRow<'_>], seq_last: i64) -> Result<Vec<Option<i64>>, DbError> {
    let mut seq = seq_last;
    let (mut places, mut fresh) = (Vec::with_capacity(rows.len()), Vec::new());
    for row in rows {
        let EventRow { project_id, event_id, group_key, received_at, .. } = *row;
        let entry = Entry { seq: seq + 1, project_id, event_id, group_key, received_at };
        if take_id(tx, &entry)? {
            seq += 1;
            fresh.push(entry);
            places.push(Some(seq));
        } else {
            places.push(None);
        }
    }
    add(tx, &fresh)?;
    Ok(places)
}

/// Names rows that are there already, in order of place. Of two rows of one event the first is named.
pub(super) fn name(tx: &mut Tx<'_>, entries: &[Entry]) -> Result<(), DbError> {
    let mut fresh = Vec::with_capacity(entries.len());
    for entry in entries {
        if take_id(tx, entry)? {
            fresh.push(*entry);
        }
    }
    add(tx, &fresh)?;
    let last = entries.last().map_or(0, |entry| entry.seq);
    tx.execute("UPDATE named SET seq = MAX(seq, $1)", &[Val::Int(last)])?;
    Ok(())
}

fn take_id(tx: &mut Tx<'_>, entry: &Entry) -> Result<bool, DbError> {
    let taken = tx.execute(
        "INSERT INTO event_place (project_id, event_id, seq) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        &[Val::Int(entry.project_id), Val::Blob(&entry.event_id), Val::Int(entry.seq)],
    )?;
    Ok(taken == 1)
}

/// Adds entries whose ids were taken to the lists.
fn add(tx: &mut Tx<'_>, fresh: &[Entry]) -> Result<(), DbError> {
    let Some(last) = fresh.last() else { return Ok(()) };
    tx.execute_many(
        "INSERT INTO group_place (project_id, group_key, received_at, seq) VALUES ($1, $2, $3, $4)",
        fresh.iter().map(|entry| {
            [Val::Int(entry.project_id), Val::Int(entry.group_key), Val::from(entry.received_at), Val::Int(entry.seq)]
        }),
    )?;
    tx.execute_many(
        "INSERT INTO project_place (project_id, seq) VALUES ($1, $2)",
        fresh.iter().map(|entry| [Val::Int(entry.project_id), Val::Int(entry.seq)]),
    )?;
    tx.execute("UPDATE named SET seq = $1", &[Val::Int(last.seq)])?;
    Ok(())
}

pub(super) fn of_event(tx: &mut Tx<'_>, project_id: i64, event_id: &[u8; 16]) -> Result<Option<i64>, DbError> {
    let row: Option<(i64,)> = tx.query_opt(
        "SELECT seq FROM event_place WHERE project_id = $1 AND event_id = $2",
        &[Val::Int(project_id), Val::Blob(event_id)],
    )?;
    Ok(row.map(|(seq,)| seq))
}

/// Returns the places of a list, in its order.
pub(super) fn list(tx: &mut Tx<'_>, query: &ListQuery<'_>) -> Result<Vec<i64>, DbError> {
    let Some(keys) = query.group_keys else {
        return of_project(tx, query);
    };
    let mut found: Vec<(i64, i64)> = Vec::new();
    for key in keys {
        found.extend(of_group(tx, query, *key)?);
    }
    found.sort_unstable();
    // A group named twice is one group.
    found.dedup();
    if query.newest_first {
        found.reverse();
    }
    found.truncate(query.limit);
    Ok(found.into_iter().map(|(_, seq)| seq).collect())
}

/// Returns the places of a group until a time, in order of receipt.
pub(super) fn of_group_until(tx: &mut Tx<'_>, query: &GroupQuery, limit: usize) -> Result<Vec<i64>, DbError> {
    let (after_at, after_seq) = query.after.map_or((i64::MIN, i64::MIN), |(at, seq)| (at.micros(), seq));
    let rows: Vec<(i64,)> = tx.query(
        "SELECT seq FROM group_place
         WHERE project_id = $1 AND group_key = $2 AND (received_at, seq) > ($3, $4) AND received_at <= $5
         ORDER BY received_at, seq LIMIT $6",
        &[
            Val::Int(query.project_id),
            Val::Int(query.group_key),
            Val::Int(after_at),
            Val::Int(after_seq),
            Val::from(query.until),
            Val::Int(limit as i64),
        ],
    )?;
    Ok(rows.into_iter().map(|(seq,)| seq).collect())
}

/// Reads one range of a group's places: (received at, seq).
fn of_group(tx: &mut Tx<'_>, query: &ListQuery<'_>, group_key: i64) -> Result<Vec<(i64, i64)>, DbError> {
    let sql = if query.newest_first {
        "SELECT received_at, seq FROM group_place
         WHERE project_id = $1 AND group_key = $2 AND (received_at, seq) < ($3, $4)
         ORDER BY received_at DESC, seq DESC LIMIT $5"
    } else {
        "SELECT received_at, seq FROM group_place
         WHERE project_id = $1 AND group_key = $2 AND (received_at, seq) > ($3, $4)
         ORDER BY received_at, seq LIMIT $5"
    };
    let (at, seq) = bound_of(query);
    let limit = Val::Int(query.limit as i64);
    tx.query(sql, &[Val::Int(query.project_id), Val::Int(group_key), Val::Int(at), Val::Int(seq), limit])
}

/// Reads one range of a project's places, in order of arrival.
fn of_project(tx: &mut Tx<'_>, query: &ListQuery<'_>) -> Result<Vec<i64>, DbError> {
    let sql = if query.newest_first {
        "SELECT seq FROM project_place WHERE project_id = $1 AND seq < $2 ORDER BY seq DESC LIMIT $3"
    } else {
        "SELECT seq FROM project_place WHERE project_id = $1 AND seq > $2 ORDER BY seq LIMIT $3"
    };
    let (_, seq) = bound_of(query);
    let rows: Vec<(i64,)> =
        tx.query(sql, &[Val::Int(query.project_id), Val::Int(seq), Val::Int(query.limit as i64)])?;
    Ok(rows.into_iter().map(|(seq,)| seq).collect())
}

fn bound_of(query: &ListQuery<'_>) -> (i64, i64) {
    match query.bound {
        Some((at, seq)) => (at.micros(), seq),
        None if query.newest_first => (i64::MAX, i64::MAX),
        None => (i64::MIN, i64::MIN),
    }
}

/// Returns all places of a project.
pub(super) fn of_project_all(tx: &mut Tx<'_>, project_id: i64) -> Result<Vec<i64>, DbError> {
    let sql = "SELECT seq FROM project_place WHERE project_id = $1 ORDER BY seq";
    let rows: Vec<(i64,)> = tx.query(sql, &[Val::Int(project_id)])?;
    Ok(rows.into_iter().map(|(seq,)| seq).collect())
}

/// Forgets places whose rows were removed. `entries` are the rows that were there; a place without one lost it to a run
/// that died before this, and what else still names it is passed over by readers.
pub(super) fn remove(tx: &mut Tx<'_>, project_id: i64, places: &[i64], entries: &[Entry]) -> Result<(), DbError> {
    tx.execute_many(
        "DELETE FROM event_place WHERE project_id = $1 AND event_id = $2 AND seq = $3",
        entries.iter().map(|entry| [Val::Int(project_id), Val::Blob(&entry.event_id), Val::Int(entry.seq)]),
    )?;
    tx.execute_many(
        "DELETE FROM group_place WHERE project_id = $1 AND group_key = $2 AND received_at = $3 AND seq = $4",
        entries.iter().map(|entry| {
            [Val::Int(project_id), Val::Int(entry.group_key), Val::from(entry.received_at), Val::Int(entry.seq)]
        }),
    )?;
    tx.execute_many(
        "DELETE FROM project_place WHERE project_id = $1 AND seq = $2",
        places.iter().map(|seq| [Val::Int(project_id), Val::Int(*seq)]),
    )?;
    Ok(())
}

/// Returns every place with its project and event.
pub(super) fn ids(tx: &mut Tx<'_>) -> Result<Vec<(i64, i64, [u8; 16])>, DbError> {
    tx.query("SELECT seq, project_id, event_id FROM event_place", &[])
}
