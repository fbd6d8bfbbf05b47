//! A day's row file: the events themselves, appended in order of arrival and read by their place.

use super::places::Entry;
use super::{EventPlace, EventRow, EventWeight, StoredEvent};
use db::{DbError, Durability, FromRow, Row, SqliteConfig, Tx, Val};
use stdx::Timestamp;

pub(super) const SCHEMA: &str = "
    CREATE TABLE event (
        seq           INTEGER PRIMARY KEY,
        project_id    BIGINT NOT NULL,
        event_id      BLOB   NOT NULL CHECK (length(event_id) = 16),
        group_key     BIGINT NOT NULL,
        received_at   BIGINT NOT NULL,
        dictionary_id BIGINT NOT NULL,
        body          BLOB   NOT NULL
    );";

/// Rows are appended, and bodies are read once: little is worth keeping.
pub(super) const CONFIG: SqliteConfig = SqliteConfig {
    readers: 2,
    page_bytes: 16 << 10, // ten bodies without overflow pages
    writer_cache_bytes: 2 << 20,
    reader_cache_bytes: 1 << 20,
    checkpoint_pages: 1_000,
    durability: Durability::Power,
};

pub(super) fn seq_last(tx: &mut Tx<'_>) -> Result<i64, DbError> {
    let (seq,): (Option<i64>,) = tx.query_one("SELECT MAX(seq) FROM event", &[])?;
    Ok(seq.unwrap_or(0))
}

/// Returns what the index must know of the rows after a place, in order.
pub(super) fn entries_after(tx: &mut Tx<'_>, seq: i64, limit: usize) -> Result<Vec<Entry>, DbError> {
    tx.query(
        "SELECT seq, project_id, event_id, group_key, received_at FROM event WHERE seq > $1 ORDER BY seq LIMIT $2",
        &[Val::Int(seq), Val::Int(limit as i64)],
    )
}

/// Appends the rows that have a place.
pub(super) fn append(tx: &mut Tx<'_>, rows: &[EventRow<'_>], places: &[Option<i64>]) -> Result<(), DbError> {
    let fresh = rows.iter().zip(places).filter_map(|(row, place)| Some((row, (*place)?)));
    tx.execute_many(
        "INSERT INTO event (seq, project_id, event_id, group_key, received_at, dictionary_id, body)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        fresh.map(|(row, seq)| {
            [
                Val::Int(seq),
                Val::Int(row.project_id),
                Val::Blob(&row.event_id),
                Val::Int(row.group_key),
                Val::from(row.received_at),
                Val::Int(row.dictionary_id),
                Val::Blob(row.body),
            ]
        }),
    )?;
    Ok(())
}

pub(super) fn seqs(tx: &mut Tx<'_>) -> Result<Vec<i64>, DbError> {
    let rows: Vec<(i64,)> = tx.query("SELECT seq FROM event", &[])?;
    Ok(rows.into_iter().map(|(seq,)| seq).collect())
}

pub(super) fn read(tx: &mut Tx<'_>, places: &[i64]) -> Result<Vec<StoredEvent>, DbError> {
    tx.query_many(
        "SELECT seq, project_id, event_id, group_key, received_at, dictionary_id, body FROM event WHERE seq = $1",
        places.iter().map(|seq| [Val::Int(*seq)]),
    )
}

/// Returns what stands at these places, without bodies.
pub(super) fn places(tx: &mut Tx<'_>, places: &[i64]) -> Result<Vec<EventPlace>, DbError> {
    let rows: Vec<(i64, [u8; 16], Timestamp)> = tx.query_many(
        "SELECT seq, event_id, received_at FROM event WHERE seq = $1",
        places.iter().map(|seq| [Val::Int(*seq)]),
    )?;
    let place = |(seq, event_id, received_at)| EventPlace { seq, event_id, received_at };
    Ok(rows.into_iter().map(place).collect())
}

/// Returns what stands at these places. A body's length is in the head of its row: what overflows is not read.
pub(super) fn weigh(tx: &mut Tx<'_>, places: &[i64]) -> Result<Vec<EventWeight>, DbError> {
    let rows: Vec<(i64, [u8; 16], i64, i64)> = tx.query_many(
        "SELECT seq, event_id, group_key, length(body) FROM event WHERE seq = $1",
        places.iter().map(|seq| [Val::Int(*seq)]),
    )?;
    let weight = |(seq, event_id, group_key, bytes): (i64, _, _, i64)| EventWeight {
        seq,
        event_id,
        group_key,
        body_bytes: u64::try_from(bytes).unwrap_or_default(),
    };
    Ok(rows.into_iter().map(weight).collect())
}

pub(super) fn body_bytes(tx: &mut Tx<'_>, places: &[i64]) -> Result<u64, DbError> {
    let lengths: Vec<(i64,)> =
        tx.query_many("SELECT length(body) FROM event WHERE seq = $1", places.iter().map(|seq| [Val::Int(*seq)]))?;
    Ok(lengths.iter().map(|(length,)| u64::try_from(*length).unwrap_or_default()).sum())
}

pub(super) fn body_bytes_all(tx: &mut Tx<'_>) -> Result<u64, DbError> {
    let (sum,): (i64,) = tx.query_one("SELECT COALESCE(SUM(length(body)), 0) FROM event", &[])?;
    Ok(u64::try_from(sum).unwrap_or_default())
}

/// Removes the rows of these places. Returns what the index must know to forget them.
pub(super) fn remove(tx: &mut Tx<'_>, places: &[i64]) -> Result<Vec<Entry>, DbError> {
    tx.query_many(
        "DELETE FROM event WHERE seq = $1 RETURNING seq, project_id, event_id, group_key, received_at",
        places.iter().map(|seq| [Val::Int(*seq)]),
    )
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
