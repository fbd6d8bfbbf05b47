//! One day's SQLite file: its shape, fixed at creation and never migrated in place, and the statements on it.

use super::{EventRow, ListQuery, StoredEvent};
use db::{Db, DbError, FromRow, Row, SqliteConfig, Tx, Val};
use std::path::Path;

/// "VIGE" in the file's header: tells our files from any other SQLite file.
const APPLICATION_ID: i64 = 0x5649_4745;
/// Version of the shape below.
const SHAPE: i64 = 1;

/// Each index ends with `seq` by itself, as every index of SQLite does: naming it would store it twice.
const SCHEMA: &str = "
    CREATE TABLE event (
        seq           INTEGER PRIMARY KEY,
        project_id    BIGINT NOT NULL,
        event_id      BLOB   NOT NULL CHECK (length(event_id) = 16),
        group_key     BIGINT NOT NULL,
        received_at   BIGINT NOT NULL,
        dictionary_id BIGINT NOT NULL,
        body          BLOB   NOT NULL
    );
    CREATE UNIQUE INDEX event_by_id ON event (project_id, event_id);
    CREATE INDEX event_by_group ON event (project_id, group_key, received_at);
    CREATE INDEX event_by_project ON event (project_id);";

/// Caches are small: up to `DAYS_OPEN_MAX` files are open, rows are appended, and bodies are read once.
const CONFIG: SqliteConfig = SqliteConfig {
    readers: 2,
    page_bytes: 16 << 10, // ten bodies without overflow pages
    writer_cache_bytes: 12 << 20,
    reader_cache_bytes: 1 << 20,
    checkpoint_pages: 1_000,
};

/// Opens the file of a day, creating it with its shape. Several may do so at once.
pub(super) fn open(path: &Path) -> Result<Db, DbError> {
    let db = Db::open_sqlite(path, CONFIG)?;
    if !db.read_blocking(has_shape)? {
        db.write_blocking(create_shape)?;
    }
    Ok(db)
}

fn has_shape(tx: &mut Tx<'_>) -> Result<bool, DbError> {
    let (tables,): (i64,) = tx.query_one("SELECT COUNT(*) FROM sqlite_master WHERE name = 'event'", &[])?;
    Ok(tables != 0)
}

fn create_shape(tx: &mut Tx<'_>) -> Result<(), DbError> {
    if has_shape(tx)? {
        return Ok(());
    }
    tx.execute_script(SCHEMA)?;
    tx.execute_script(&format!("PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SHAPE};"))
}

pub(super) fn insert(tx: &mut Tx<'_>, rows: &[EventRow<'_>]) -> Result<Vec<bool>, DbError> {
    let insert_one = |row: &EventRow<'_>| {
        let inserted = tx.execute(
            "INSERT INTO event (project_id, event_id, group_key, received_at, dictionary_id, body)
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
            &[
                Val::Int(row.project_id),
                Val::Blob(&row.event_id),
                Val::Int(row.group_key),
                Val::from(row.received_at),
                Val::Int(row.dictionary_id),
                Val::Blob(row.body),
            ],
        )?;
        Ok(inserted == 1)
    };
    rows.iter().map(insert_one).collect()
}

impl FromRow for StoredEvent {
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(StoredEvent {
            seq: row.get(0)?,
            project_id: row.get(1)?,
            event_id: row.get(2)?,
            group_key: row.get(3)?,
            received_at: row.get(4)?,
            dictionary_id: row.get(5)?,
            body: row.get(6)?,
        })
    }
}

pub(super) fn get(tx: &mut Tx<'_>, project_id: i64, event_id: &[u8; 16]) -> Result<Option<StoredEvent>, DbError> {
    tx.query_opt(
        "SELECT seq, project_id, event_id, group_key, received_at, dictionary_id, body
         FROM event WHERE project_id = $1 AND event_id = $2",
        &[Val::Int(project_id), Val::Blob(event_id)],
    )
}

/// Lists by group through `event_by_group`, one range a group, merged; or the whole project in order of arrival.
pub(super) fn list(tx: &mut Tx<'_>, query: &ListQuery<'_>) -> Result<Vec<StoredEvent>, DbError> {
    let Some(keys) = query.group_keys else {
        return list_project(tx, query);
    };
    let mut found = Vec::new();
    for key in keys {
        found.extend(list_group(tx, query, *key)?);
    }
    found.sort_by_key(|event: &StoredEvent| (event.received_at, event.seq));
    if query.newest_first {
        found.reverse();
    }
    found.truncate(query.limit);
    Ok(found)
}

/// Reads one range of `event_by_group`.
fn list_group(tx: &mut Tx<'_>, query: &ListQuery<'_>, group_key: i64) -> Result<Vec<StoredEvent>, DbError> {
    let sql = if query.newest_first {
        "SELECT seq, project_id, event_id, group_key, received_at, dictionary_id, body FROM event
         WHERE project_id = $1 AND group_key = $2 AND (received_at, seq) < ($3, $4)
         ORDER BY received_at DESC, seq DESC LIMIT $5"
    } else {
        "SELECT seq, project_id, event_id, group_key, received_at, dictionary_id, body FROM event
         WHERE project_id = $1 AND group_key = $2 AND (received_at, seq) > ($3, $4)
         ORDER BY received_at, seq LIMIT $5"
    };
    let (at, seq) = bound_of(query);
    let limit = Val::Int(query.limit as i64);
    tx.query(sql, &[Val::Int(query.project_id), Val::Int(group_key), Val::Int(at), Val::Int(seq), limit])
}

/// Reads one range of `event_by_project`, in order of arrival.
fn list_project(tx: &mut Tx<'_>, query: &ListQuery<'_>) -> Result<Vec<StoredEvent>, DbError> {
    let sql = if query.newest_first {
        "SELECT seq, project_id, event_id, group_key, received_at, dictionary_id, body FROM event
         WHERE seq < $2 AND project_id = $1 ORDER BY seq DESC LIMIT $3"
    } else {
        "SELECT seq, project_id, event_id, group_key, received_at, dictionary_id, body FROM event
         WHERE seq > $2 AND project_id = $1 ORDER BY seq LIMIT $3"
    };
    let (_, seq) = bound_of(query);
    tx.query(sql, &[Val::Int(query.project_id), Val::Int(seq), Val::Int(query.limit as i64)])
}

fn bound_of(query: &ListQuery<'_>) -> (i64, i64) {
    match query.bound {
        Some((at, seq)) => (at.micros(), seq),
        None if query.newest_first => (i64::MAX, i64::MAX),
        None => (i64::MIN, i64::MIN),
    }
}

pub(super) fn ids(tx: &mut Tx<'_>) -> Result<Vec<(i64, [u8; 16])>, DbError> {
    tx.query("SELECT project_id, event_id FROM event", &[])
}
