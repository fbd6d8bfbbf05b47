//! Stored events: written once, in partitions by day of receipt, gone with their day. Rows are immutable and hold a
//! group key, never an issue id.

mod day_file;
mod places;
mod rows;
mod sqlite;

pub use sqlite::SqliteEvents;
pub(crate) use sqlite::{day_of_name as day_of_file, day_paths};

use crate::StoreError;
use crate::days::OpenDay;
use stdx::Timestamp;

/// An event to be stored. The body is compressed already (`Dictionaries::compress`).
#[derive(Clone, Copy, Debug)]
pub struct EventRow<'a> {
    pub project_id: i64,
    pub event_id: [u8; 16],
    pub group_key: i64,
    pub received_at: Timestamp,
    /// 0 = compressed without a dictionary.
    pub dictionary_id: i64,
    pub body: &'a [u8],
}

/// A stored event, its body still compressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEvent {
    /// Order of arrival within the day.
    pub seq: i64,
    pub project_id: i64,
    pub event_id: [u8; 16],
    pub group_key: i64,
    pub received_at: Timestamp,
    pub dictionary_id: i64,
    pub body: Vec<u8>,
}

/// Which events of a day, in order of receipt.
#[derive(Clone, Copy, Debug)]
pub struct ListQuery<'a> {
    pub project_id: i64,
    /// `None` = all groups of the project.
    pub group_keys: Option<&'a [i64]>,
    /// Only events strictly behind this place, in the direction of reading.
    pub bound: Option<(Timestamp, i64)>,
    pub newest_first: bool,
    pub limit: usize,
}

/// Which events of one group of a day, in order of receipt.
#[derive(Clone, Copy, Debug)]
pub struct GroupQuery {
    pub project_id: i64,
    pub group_key: i64,
    /// Only events received until then.
    pub until: Timestamp,
    /// Only events strictly behind this place.
    pub after: Option<(Timestamp, i64)>,
}

/// Where an event stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventPlace {
    pub seq: i64,
    pub event_id: [u8; 16],
    pub received_at: Timestamp,
}

/// A stored event as removals see it: what its body weighs, and no body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventWeight {
    pub seq: i64,
    pub event_id: [u8; 16],
    pub group_key: i64,
    pub body_bytes: u64,
}

/// What a step of compaction did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compacted {
    pub has_more: bool,
    /// Bytes that the day's files became smaller by, without their logs.
    pub returned_bytes: u64,
}

/// Where events are kept. One conformance suite for all engines.
pub trait EventStore: Send + Sync + 'static {
    /// Stores each event unless its (project, id) is there. Durable on return; tells which were new.
    ///
    /// # Errors
    /// If the day cannot be written; nothing of the batch is stored then.
    fn insert(&self, day: &OpenDay, rows: &[EventRow<'_>]) -> Result<Vec<bool>, StoreError>;

    /// # Errors
    /// If the day cannot be read.
    fn get(&self, day: &OpenDay, project_id: i64, event_id: &[u8; 16]) -> Result<Option<StoredEvent>, StoreError>;

    /// # Errors
    /// If the day cannot be read.
    fn list(&self, day: &OpenDay, query: &ListQuery<'_>) -> Result<Vec<StoredEvent>, StoreError>;

    /// Returns every (project, event id) of a day; for checks.
    ///
    /// # Errors
    /// If the day cannot be read.
    fn ids(&self, day: &OpenDay) -> Result<Vec<(i64, [u8; 16])>, StoreError>;

    /// Gives the day's disk back and returns how many bytes that are. The day must have been ended in metadata before.
    ///
    /// # Errors
    /// If the files cannot be deleted.
    fn drop_day(&self, day: &OpenDay) -> Result<u64, StoreError>;

    /// Closes days that another process dropped: their disk comes back when nobody holds them. To be called every second.
    fn close_dropped(&self);

    /// Returns every day and generation that has files, whatever metadata says of them.
    ///
    /// # Errors
    /// If the folder cannot be read.
    fn days_on_disk(&self) -> Result<Vec<OpenDay>, StoreError>;

    /// Returns how many bytes of bodies the project has on the day, and how many all projects have.
    ///
    /// # Errors
    /// If the day cannot be read.
    fn body_bytes(&self, day: &OpenDay, project_id: i64) -> Result<(u64, u64), StoreError>;

    /// Returns what `list` would, without reading any body.
    ///
    /// # Errors
    /// If the day cannot be read.
    fn weigh(&self, day: &OpenDay, query: &ListQuery<'_>) -> Result<Vec<EventWeight>, StoreError>;

    /// Returns up to `limit` events of a group.
    ///
    /// # Errors
    /// If the day cannot be read.
    fn of_group(&self, day: &OpenDay, query: &GroupQuery, limit: usize) -> Result<Vec<EventPlace>, StoreError>;

    /// Removes the rows of these events of a project; durable on return. Those that are not there are fine.
    ///
    /// # Errors
    /// If the day cannot be written.
    fn remove_events(&self, day: &OpenDay, project_id: i64, event_ids: &[[u8; 16]]) -> Result<(), StoreError>;

    /// Does a step of giving the disk of removed rows back.
    ///
    /// # Errors
    /// If the day cannot be written.
    fn compact_step(&self, day: &OpenDay) -> Result<Compacted, StoreError>;

    /// Returns the bytes the day takes on disk.
    ///
    /// # Errors
    /// If the files cannot be looked at.
    fn size_bytes(&self, day: &OpenDay) -> Result<u64, StoreError>;

    /// Folds write-ahead logs into their files; for quiet times.
    ///
    /// # Errors
    /// If a log cannot be folded.
    fn checkpoint_truncate(&self) -> Result<(), StoreError>;
}
