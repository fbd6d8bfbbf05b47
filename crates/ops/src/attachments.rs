//! Attachments of an event: list and download.

use crate::context::Failure;
use crate::events::EventRef;
use crate::events::locate::parse_event_id;
use crate::{Actor, ApiError, Ops, Scope, lookup};
use stdx::Timestamp;
use store::StoreError;
use store::attachments::AttachmentRow;

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

/// One attachment's metadata and bytes.
pub struct AttachmentContent {
    pub attachment: Attachment,
    pub bytes: Vec<u8>,
}

/// One attachment's metadata and its content to be read piece by piece.
pub struct OpenAttachment {
    pub attachment: Attachment,
    pub file: std::fs::File,
}

/// Largest attachment that is served; ingest takes no larger one.
const DOWNLOAD_BYTES_MAX: u64 = 200 << 20;

/// Returns an event's attachments in the order they came; none for an event that is not there, since attachments may
/// arrive before their event.
///
/// # Errors
/// `NotFound` if the project is not there or not the actor's, or the text is no event id.
pub async fn list(cx: &Ops, actor: &Actor, input: &EventRef) -> Result<Vec<Attachment>, ApiError> {
    let (actor, input) = (actor.clone(), input.clone());
    cx.read("list attachments", move |tx| {
        let project = lookup::project(tx, &actor, &input.project.org, &input.project.project, Scope::EventRead)?;
        let event_id = parse_event_id(&input.event_id)?;
        Ok(store::attachments::list(tx, project.id, &event_id)?.into_iter().map(attachment).collect())
    })
    .await
}

/// Returns one attachment with its bytes, for small ones; `open` holds no more than a piece in memory.
///
/// # Errors
/// `NotFound` if it is not the event's, or its content is gone.
pub async fn download(
    cx: &Ops,
    actor: &Actor,
    input: &EventRef,
    attachment_id: i64,
) -> Result<AttachmentContent, ApiError> {
    let attachment = find(cx, actor, input, attachment_id).await?;
    cx.blocking("read an attachment", move |stores| {
        let bytes = stores.blobs.read(&attachment.sha256, DOWNLOAD_BYTES_MAX).map_err(or_not_found)?;
        Ok(AttachmentContent { attachment, bytes })
    })
    .await
}

/// Returns one attachment, opened.
///
/// # Errors
/// As `download`.
pub async fn open(cx: &Ops, actor: &Actor, input: &EventRef, attachment_id: i64) -> Result<OpenAttachment, ApiError> {
    let attachment = find(cx, actor, input, attachment_id).await?;
    cx.blocking("open an attachment", move |stores| {
        let file = stores.blobs.open_read(&attachment.sha256).map_err(or_not_found)?;
        Ok(OpenAttachment { attachment, file })
    })
    .await
}

async fn find(cx: &Ops, actor: &Actor, input: &EventRef, attachment_id: i64) -> Result<Attachment, ApiError> {
    let all = list(cx, actor, input).await?;
    all.into_iter().find(|attachment| attachment.id == attachment_id).ok_or(ApiError::NotFound)
}

fn or_not_found(error: StoreError) -> Failure {
    match error {
        StoreError::Missing { .. } => ApiError::NotFound.into(),
        other => other.into(),
    }
}

fn attachment(row: AttachmentRow) -> Attachment {
    Attachment {
        id: row.id,
        event_id: stdx::hex::encode(&row.event_id),
        name: row.name,
        content_type: row.content_type,
        attachment_type: row.attachment_type,
        size_bytes: u64::try_from(row.size_bytes).unwrap_or_default(),
        sha256: row.blob_key,
        created_at: row.created_at,
    }
}
