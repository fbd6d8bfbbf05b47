//! Attachments of an event: list and download.

use crate::events::EventRef;
use crate::{Actor, ApiError, Ops};
use stdx::Timestamp;

#[derive(Clone, Debug)]
pub struct Attachment {
    pub id: i64,
    pub event_id: String,
    pub name: String,
    pub content_type: String,
    /// event.attachment, event.minidump …
    pub attachment_type: String,
    pub size_bytes: u64,
    pub sha256: String,
    pub created_at: Timestamp,
}

pub async fn list(_cx: &Ops, _actor: &Actor, _input: &EventRef) -> Result<Vec<Attachment>, ApiError> {
    Err(ApiError::NotFound)
}

/// One attachment's metadata and bytes.
pub struct AttachmentContent {
    pub attachment: Attachment,
    pub bytes: Vec<u8>,
}

pub async fn download(
    _cx: &Ops,
    _actor: &Actor,
    _input: &EventRef,
    _attachment_id: i64,
) -> Result<AttachmentContent, ApiError> {
    Err(ApiError::NotFound)
}
