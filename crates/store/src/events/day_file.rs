//! One day's two SQLite files: the rows, and the index that says where they are. Their shape is fixed at creation and
//! never migrated in place.
//!
//! Rows are committed first and durably, inside the index's open transaction, so that what the index names is there.
//! What a crash takes from the index is named again when the day is opened or written next. The index's write lock also
//! keeps other processes from taking the same places.

use super::{EventRow, ListQuery, StoredEvent, places, rows};
use db::{Db, DbError, SqliteConfig, Tx};
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

/// Returns the paths of a day's index and rows.
pub(super) fn paths(folder: &Path, name: &str) -> [PathBuf; 2] {
    [folder.join(format!("{name}.index.sqlite")), folder.join(format!("{name}.sqlite"))]
}

impl DayFiles {
    /// Opens a day, creating its files. Several may do so at once.
    pub(super) fn open(folder: &Path, name: &str) -> Result<DayFiles, DbError> {
        let [index, rows] = paths(folder, name);
        let files = DayFiles {
            rows: open(&rows, rows::CONFIG, rows::SCHEMA)?,
            index: open(&index, places::CONFIG, places::SCHEMA)?,
        };
        let seq_last = files.rows.read_blocking(rows::seq_last)?;
        if files.index.read_blocking(places::named_last)? < seq_last {
            files.index.write_blocking(|tx| files.name_rest(tx))?;
        }
        Ok(files)
    }

    /// Names the rows that a crash left without a place. Returns the last place.
    fn name_rest(&self, tx: &mut Tx<'_>) -> Result<i64, DbError> {
        let seq_last = self.rows.read_blocking(rows::seq_last)?;
        let mut seq = places::named_last(tx)?;
        while seq < seq_last {
            let rest = self.rows.read_blocking(|tx| rows::entries_after(tx, seq, NAMED_AT_ONCE_MAX))?;
            let Some(last) = rest.last() else { break };
            seq = last.seq;
            places::name(tx, &rest)?;
        }
        Ok(seq_last)
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

    pub(super) fn ids(&self) -> Result<Vec<(i64, [u8; 16])>, DbError> {
        self.index.read_blocking(places::ids)
    }

    pub(super) fn checkpoint_truncate(&self) -> Result<(), DbError> {
        self.rows.checkpoint_truncate()?;
        self.index.checkpoint_truncate()
    }
}

fn open(path: &Path, config: SqliteConfig, schema: &str) -> Result<Db, DbError> {
    let db = Db::open_sqlite(path, config)?;
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
