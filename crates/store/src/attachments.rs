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
