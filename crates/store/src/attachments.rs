//! Attachments of events: names and sizes; the bytes are blobs.

use crate::StoreError;
use db::{FromRow, Row, Tx, Val};
use stdx::{Day, Timestamp};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachmentRow {
    pub id: i64,
    pub day: Day,
    pub project_id: i64,
    pub event_id: [u8; 16],
    pub name: String,
    pub content_type: String,
    pub attachment_type: String,
    pub size_bytes: i64,
    pub blob_key: String,
    pub created_at: Timestamp,
}

impl FromRow for AttachmentRow {
    fn from_row(row: &Row<'_>) -> Result<Self, db::DbError> {
        Ok(AttachmentRow {
            id: row.get(0)?,
            day: row.get(1)?,
            project_id: row.get(2)?,
            event_id: row.get(3)?,
            name: row.get(4)?,
            content_type: row.get(5)?,
            attachment_type: row.get(6)?,
            size_bytes: row.get(7)?,
            blob_key: row.get(8)?,
            created_at: row.get(9)?,
        })
    }
}

/// Tells whether a project has any.
///
/// # Errors
/// If the database fails.
pub fn has_any(tx: &mut Tx<'_>, project_id: i64) -> Result<bool, StoreError> {
    let row: Option<(i64,)> =
        tx.query_opt("SELECT 1 FROM attachment WHERE project_id = $1 LIMIT 1", &[Val::Int(project_id)])?;
    Ok(row.is_some())
}

/// Returns an event's attachments in the order they came. Uses the unique index (project_id, event_id, …).
///
/// # Errors
/// If the database fails.
pub fn list(tx: &mut Tx<'_>, project_id: i64, event_id: &[u8; 16]) -> Result<Vec<AttachmentRow>, StoreError> {
    Ok(tx.query(
        "SELECT id, day, project_id, event_id, name, content_type, attachment_type, size_bytes, blob_key, created_at
         FROM attachment WHERE project_id = $1 AND event_id = $2 ORDER BY id",
        &[Val::Int(project_id), Val::Blob(event_id)],
    )?)
}

/// Returns one attachment of an event.
///
/// # Errors
/// If the database fails.
pub fn get(
    tx: &mut Tx<'_>,
    project_id: i64,
    event_id: &[u8; 16],
    id: i64,
) -> Result<Option<AttachmentRow>, StoreError> {
    Ok(list(tx, project_id, event_id)?.into_iter().find(|row| row.id == id))
}

/// Returns how many attachments were received before `before`, by project and day.
///
/// # Errors
/// If the database fails.
pub fn count_by_day(tx: &mut Tx<'_>, before: Day) -> Result<Vec<(i64, Day, i64)>, StoreError> {
    Ok(tx.query(
        "SELECT project_id, day, COUNT(*) FROM attachment WHERE day < $1 GROUP BY day, project_id ORDER BY day, project_id",
        &[Val::from(before)],
    )?)
}

/// Returns the bytes of all attachments, each as often as it was sent.
///
/// # Errors
/// If the database fails.
pub fn bytes_total(tx: &mut Tx<'_>) -> Result<u64, StoreError> {
    let (bytes,): (i64,) = tx.query_one("SELECT COALESCE(SUM(size_bytes), 0) FROM attachment", &[])?;
    Ok(bytes.unsigned_abs())
}

/// Returns the blobs that only attachments of the project from before `before` refer to.
///
/// # Errors
/// If the database fails.
pub fn blobs_only_before(tx: &mut Tx<'_>, project_id: i64, before: Day) -> Result<Vec<String>, StoreError> {
    let rows: Vec<(String,)> = tx.query(
        "SELECT DISTINCT a.blob_key FROM attachment a
         WHERE a.day < $2 AND a.project_id = $1
           AND NOT EXISTS (SELECT 1 FROM attachment b
                           WHERE b.blob_key = a.blob_key AND NOT (b.project_id = $1 AND b.day < $2))",
        &[Val::Int(project_id), Val::from(before)],
    )?;
    Ok(rows.into_iter().map(|(key,)| key).collect())
}

/// Deletes up to `limit` attachments of the project from before `before`. Returns their blobs, one for each.
///
/// # Errors
/// If the database fails.
pub fn delete_before(tx: &mut Tx<'_>, project_id: i64, before: Day, limit: usize) -> Result<Vec<String>, StoreError> {
    let rows: Vec<(String,)> = tx.query(
        "DELETE FROM attachment WHERE id IN (
             SELECT id FROM attachment WHERE day < $2 AND project_id = $1 LIMIT $3)
         RETURNING blob_key",
        &[Val::Int(project_id), Val::from(before), Val::Int(limit as i64)],
    )?;
    Ok(rows.into_iter().map(|(key,)| key).collect())
}

/// Returns which of the blobs nothing refers to.
///
/// # Errors
/// If the database fails.
pub fn unreferenced(tx: &mut Tx<'_>, keys: &[String]) -> Result<Vec<String>, StoreError> {
    let mut found = Vec::new();
    for key in keys {
        let row: Option<(i64,)> =
            tx.query_opt("SELECT 1 FROM attachment WHERE blob_key = $1 LIMIT 1", &[Val::Text(key)])?;
        if row.is_none() && !found.contains(key) {
            found.push(key.clone());
        }
    }
    Ok(found)
}
