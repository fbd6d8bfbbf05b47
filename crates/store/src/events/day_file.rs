//! One day's two SQLite files: the rows, and the index that says where they are. Their shape is fixed at creation and
//! never migrated in place.
//!
//! Rows are committed first and durably, inside the index's open transaction, so that what the index names is there.
//! What a crash takes from the index is named again when the day is opened or written next. The index's write lock also
//! keeps other processes from taking the same places.

use super::{EventPlace, EventRow, EventWeight, GroupQuery, ListQuery, StoredEvent, places, rows};
use db::{Db, DbError, Tx};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// "VIGE" in the file's header: tells our files from any other SQLite file.
const APPLICATION_ID: i64 = 0x5649_4745;
/// Version of both files' shapes.
const SHAPE: i64 = 1;

/// Rows named in one step after a crash.
const NAMED_AT_ONCE_MAX: usize = 10_000;

/// A day's files, opened.
#[derive(Clone)]
pub(super) struct DayFiles {
    index: Db,
    rows: Db,
}

/// Pages given back in one step: a few milliseconds of the day's write lock.
const VACUUM_PAGES: u32 = 128;

/// Returns the paths of a day's index and rows.
pub(super) fn paths(folder: &Path, name: &str) -> [PathBuf; 2] {
    [folder.join(format!("{name}.index.sqlite")), folder.join(format!("{name}.sqlite"))]
}

impl DayFiles {
    /// Opens a day, creating its files. Several may do so at once.
    pub(super) fn open(folder: &Path, name: &str) -> Result<DayFiles, DbError> {
        let [index, rows] = paths(folder, name);
        // The index last: where it is, the rows are.
        let rows = with_shape(Db::open_sqlite(&rows, rows::CONFIG)?, rows::SCHEMA)?;
        let index = with_shape(Db::open_sqlite(&index, places::CONFIG)?, places::SCHEMA)?;
        DayFiles { index, rows }.whole()
    }

    /// Opens a day that was written; `None` if it was not, or is gone.
    pub(super) fn open_existing(folder: &Path, name: &str) -> Result<Option<DayFiles>, DbError> {
        let [index, rows] = paths(folder, name);
        let Some(index) = Db::open_existing_sqlite(&index, places::CONFIG)? else { return Ok(None) };
        let Some(rows) = Db::open_existing_sqlite(&rows, rows::CONFIG)? else { return Ok(None) };
        let files = DayFiles { index: with_shape(index, places::SCHEMA)?, rows: with_shape(rows, rows::SCHEMA)? };
        files.whole().map(Some)
    }

    /// Names what a crash left without a place.
    fn whole(self) -> Result<DayFiles, DbError> {
        let seq_last = self.rows.read_blocking(rows::seq_last)?;
        if self.index.read_blocking(places::named_last)? < seq_last {
            self.index.write_blocking(|tx| self.name_rest(tx))?;
        }
        Ok(self)
    }

    /// Names the rows that a crash left without a place. Returns the last place, also if its row was removed since: a
    /// place is never given twice.
    fn name_rest(&self, tx: &mut Tx<'_>) -> Result<i64, DbError> {
        let seq_last = self.rows.read_blocking(rows::seq_last)?;
        let mut seq = places::named_last(tx)?;
        while seq < seq_last {
            let rest = self.rows.read_blocking(|tx| rows::entries_after(tx, seq, NAMED_AT_ONCE_MAX))?;
            let Some(last) = rest.last() else { break };
            seq = last.seq;
            places::name(tx, &rest)?;
        }
        Ok(seq_last.max(seq))
    }

    pub(super) fn insert(&self, rows: &[EventRow<'_>]) -> Result<Vec<bool>, DbError> {
        self.index.write_blocking(|tx| {
            let seq_last = self.name_rest(tx)?;
            let places = places::take(tx, rows, seq_last)?;
            if places.iter().any(Option::is_some) {
                self.rows.write_blocking(|tx| rows::append(tx, rows, &places))?;
            }
            Ok(places.iter().map(Option::is_some).collect())
        })
    }

    pub(super) fn get(&self, project_id: i64, event_id: &[u8; 16]) -> Result<Option<StoredEvent>, DbError> {
        let Some(place) = self.index.read_blocking(|tx| places::of_event(tx, project_id, event_id))? else {
            return Ok(None);
        };
        Ok(self.rows.read_blocking(|tx| rows::read(tx, &[place]))?.pop())
    }

    pub(super) fn list(&self, query: &ListQuery<'_>) -> Result<Vec<StoredEvent>, DbError> {
        let places = self.index.read_blocking(|tx| places::list(tx, query))?;
        self.rows.read_blocking(|tx| rows::read(tx, &places))
    }

    pub(super) fn weigh(&self, query: &ListQuery<'_>) -> Result<Vec<EventWeight>, DbError> {
        let places = self.index.read_blocking(|tx| places::list(tx, query))?;
        self.rows.read_blocking(|tx| rows::weigh(tx, &places))
    }

    /// A place that lost its row, and outlived it through a crash, is none.
    pub(super) fn ids(&self) -> Result<Vec<(i64, [u8; 16])>, DbError> {
        let named = self.index.read_blocking(places::ids)?;
        let seqs: HashSet<i64> = self.rows.read_blocking(rows::seqs)?.into_iter().collect();
        Ok(named.into_iter().filter(|(seq, ..)| seqs.contains(seq)).map(|(_, project, id)| (project, id)).collect())
    }

    /// Bytes of the project's bodies, and of all.
    pub(super) fn body_bytes(&self, project_id: i64) -> Result<(u64, u64), DbError> {
        let places = self.index.read_blocking(|tx| places::of_project_all(tx, project_id))?;
        self.rows.read_blocking(|tx| Ok((rows::body_bytes(tx, &places)?, rows::body_bytes_all(tx)?)))
    }

    /// Rows first: a place without a row is passed over by readers and removed by the next run.
    fn remove_rows(&self, tx: &mut Tx<'_>, project_id: i64, places: &[i64]) -> Result<(), DbError> {
        if places.is_empty() {
            return Ok(());
        }
        let entries = self.rows.write_blocking(|tx| rows::remove(tx, places))?;
        places::remove(tx, project_id, places, &entries)
    }

    pub(super) fn of_group(&self, query: &GroupQuery, limit: usize) -> Result<Vec<EventPlace>, DbError> {
        let places = self.index.read_blocking(|tx| places::of_group_until(tx, query, limit))?;
        self.rows.read_blocking(|tx| rows::places(tx, &places))
    }

    pub(super) fn remove_events(&self, project_id: i64, event_ids: &[[u8; 16]]) -> Result<(), DbError> {
        self.index.write_blocking(|tx| {
            // What a crash left without a name must not be overlooked.
            self.name_rest(tx)?;
            let mut removed = Vec::with_capacity(event_ids.len());
            for event_id in event_ids {
                removed.extend(places::of_event(tx, project_id, event_id)?);
            }
            self.remove_rows(tx, project_id, &removed)
        })
    }

    /// Returns whether pages are left to be given back.
    pub(super) fn compact_step(&self) -> Result<bool, DbError> {
        let given = self.rows.vacuum_step(VACUUM_PAGES)? + self.index.vacuum_step(VACUUM_PAGES)?;
        Ok(given > 0)
    }

    pub(super) fn checkpoint_truncate(&self) -> Result<(), DbError> {
        self.rows.checkpoint_truncate()?;
        self.index.checkpoint_truncate()
    }
}

fn with_shape(db: Db, schema: &str) -> Result<Db, DbError> {
    if !db.read_blocking(has_shape)? {
        db.write_blocking(|tx| create_shape(tx, schema))?;
    }
    Ok(db)
}

fn has_shape(tx: &mut Tx<'_>) -> Result<bool, DbError> {
    let (tables,): (i64,) = tx.query_one("SELECT COUNT(*) FROM sqlite_master WHERE type = 'table'", &[])?;
    Ok(tables != 0)
}

fn create_shape(tx: &mut Tx<'_>, schema: &str) -> Result<(), DbError> {
    if has_shape(tx)? {
        return Ok(());
    }
    tx.execute_script(schema)?;
    tx.execute_script(&format!("PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SHAPE};"))
}
