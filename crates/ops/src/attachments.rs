//! Attachments of an event: list and download.

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

/// Returns one attachment with its bytes.
///
/// # Errors
/// `NotFound` if it is not the event's, or its content is gone.
pub async fn download(
    cx: &Ops,
    actor: &Actor,
    input: &EventRef,
    attachment_id: i64,
) -> Result<AttachmentContent, ApiError> {
    let all = list(cx, actor, input).await?;
    let attachment = all.into_iter().find(|attachment| attachment.id == attachment_id).ok_or(ApiError::NotFound)?;
    cx.blocking("read an attachment", move |stores| match stores.blobs.read(&attachment.sha256, DOWNLOAD_BYTES_MAX) {
        Ok(bytes) => Ok(AttachmentContent { attachment, bytes }),
        Err(StoreError::Missing { .. }) => Err(ApiError::NotFound.into()),
        Err(error) => Err(error.into()),
    })
    .await
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
