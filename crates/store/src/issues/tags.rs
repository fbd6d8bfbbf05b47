//! Tags of an issue with their values and counts. Bounded by what the digest keeps: 1,000 values for each key.

use crate::StoreError;
use db::{Tx, Val};
use stdx::Timestamp;

/// Tag keys read for one issue; an event has far fewer, and SDK users set them by hand.
const TAG_KEYS_MAX: i64 = 200;

/// A tag of an issue.
#[derive(Clone, Debug)]
pub struct TagKeyRow {
    pub key: String,
    pub event_count: i64,
    pub value_count: i64,
    pub other_count: i64,
}

/// A value of a tag.
#[derive(Clone, Debug)]
pub struct TagValueRow {
    pub value: String,
    pub event_count: i64,
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
}

/// Returns the issue's tags by key, a range of the primary key.
///
/// # Errors
/// Any database error.
pub fn tag_keys(tx: &mut Tx<'_>, issue_id: i64) -> Result<Vec<TagKeyRow>, StoreError> {
    let rows: Vec<(String, i64, i64, i64)> = tx.query(
        "SELECT key, event_count, value_count, other_count
         FROM issue_tag_key
         WHERE issue_id = $1
         ORDER BY key
         LIMIT $2",
        &[Val::Int(issue_id), Val::Int(TAG_KEYS_MAX)],
    )?;
    Ok(rows.into_iter().map(tag_key_row).collect())
}

/// Returns one tag of the issue, by primary key.
///
/// # Errors
/// Any database error.
pub fn tag_key(tx: &mut Tx<'_>, issue_id: i64, key: &str) -> Result<Option<TagKeyRow>, StoreError> {
    let row: Option<(String, i64, i64, i64)> = tx.query_opt(
        "SELECT key, event_count, value_count, other_count FROM issue_tag_key WHERE issue_id = $1 AND key = $2",
        &[Val::Int(issue_id), Val::Text(key)],
    )?;
    Ok(row.map(tag_key_row))
}

fn tag_key_row((key, event_count, value_count, other_count): (String, i64, i64, i64)) -> TagKeyRow {
    TagKeyRow { key, event_count, value_count, other_count }
}

/// Returns the most frequent values of a tag, a sort of the at most 1,000 rows of one primary key range.
///
/// # Errors
/// Any database error.
pub fn tag_values(tx: &mut Tx<'_>, issue_id: i64, key: &str, limit: usize) -> Result<Vec<TagValueRow>, StoreError> {
    let rows: Vec<(String, i64, Timestamp, Timestamp)> = tx.query(
        "SELECT value, event_count, first_seen, last_seen
         FROM issue_tag
         WHERE issue_id = $1 AND key = $2
         ORDER BY event_count DESC, value
         LIMIT $3",
        &[Val::Int(issue_id), Val::Text(key), Val::Int(limit as i64)],
    )?;
    Ok(rows
        .into_iter()
        .map(|(value, event_count, first_seen, last_seen)| TagValueRow { value, event_count, first_seen, last_seen })
        .collect())
}
