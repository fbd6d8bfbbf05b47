//! Opens an accepted job: decodes its body and sorts its items into the event, attachments and what is not kept.
//! Attachments are put into the blob store here: a blob is written before anything refers to it.

use protocol::accepted::{AcceptedBody, AcceptedJob, Endpoint};
use protocol::encoding::{self, EncodingError};
use protocol::envelope::stream::{EnvelopeReader, StreamError};
use protocol::envelope::{Envelope, EnvelopeError, ItemHeader};
use protocol::item::attachment::{CONTENT_TYPE_DEFAULT, FILENAME_DEFAULT};
use protocol::legacy::{self, LegacyError};
use protocol::{ItemKind, limits};
use std::io::BufReader;
use store::digest::{DigestAttachment, NotKept};
use store::{StoreError, Stores};

/// Decoded size of a body that travels in its job; ingest examined it within the same bound.
const INLINE_DECODED_BYTES_MAX: u64 = 4 << 20;
/// Characters of an attachment's name and types that are kept.
const NAME_CHARS_MAX: usize = 255;

/// A job's content.
#[derive(Debug, Default)]
pub struct Opened {
    pub event: Option<Vec<u8>>,
    pub attachments: Vec<DigestAttachment>,
    pub not_kept: Vec<NotKept>,
}

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("decode the accepted body")]
    Encoding(#[from] EncodingError),
    #[error("read the accepted store body")]
    Legacy(#[from] LegacyError),
    #[error("read the accepted envelope")]
    Envelope(#[from] EnvelopeError),
    #[error("read the accepted envelope from its blob")]
    Stream(#[from] StreamError),
    #[error("use the blob store")]
    Store(#[from] StoreError),
    #[error("read the accepted body from its blob")]
    Read(#[from] std::io::Error),
}

impl OpenError {
    /// Tells whether the blob store cannot be used now, so that the same job may be opened later.
    pub fn is_unwritable(&self) -> bool {
        match self {
            OpenError::Store(error) => error.is_unwritable(),
            OpenError::Read(_) => true,
            OpenError::Stream(error) => matches!(error, StreamError::Write(_)),
            OpenError::Encoding(_) | OpenError::Legacy(_) | OpenError::Envelope(_) => false,
        }
    }
}

/// Opens a job.
///
/// # Errors
/// `Store` if blobs cannot be read or written now; the others mean that the job's bytes are not what ingest examined.
pub fn open(stores: &Stores, job: &AcceptedJob<'_>) -> Result<Opened, OpenError> {
    match &job.body {
        AcceptedBody::Inline(bytes) => {
            let decoded = encoding::decode(job.content_encoding, bytes, INLINE_DECODED_BYTES_MAX)?;
            match job.endpoint {
                Endpoint::Envelope => open_envelope(stores, &decoded),
                Endpoint::Store => {
                    let event = legacy::store_body(&decoded, limits::EVENT_BYTES_MAX)?.into_owned();
                    Ok(Opened { event: Some(event), ..Opened::default() })
                }
            }
        }
        AcceptedBody::Blob { key, .. } => open_blob(stores, job, key),
    }
}

fn open_envelope(stores: &Stores, decoded: &[u8]) -> Result<Opened, OpenError> {
    let mut opened = Opened::default();
    for item in Envelope::parse(decoded)?.items {
        match item.header.kind {
            ItemKind::Event if opened.event.is_none() => opened.event = Some(item.payload.to_vec()),
            ItemKind::Attachment => {
                let key = stores.blobs.put_bytes(item.payload)?;
                opened.attachments.push(attachment(&item.header, key, item.payload.len() as u64));
            }
            _ => opened.note_not_kept(&item.header, item.payload.len() as u64),
        }
    }
    Ok(opened)
}

/// Large bodies are read as a stream: only an event item is ever held in memory.
fn open_blob(stores: &Stores, job: &AcceptedJob<'_>, key: &str) -> Result<Opened, OpenError> {
    let raw = BufReader::new(stores.blobs.open_read(key)?);
    let decoded = encoding::decoder(job.content_encoding, raw, limits::ENVELOPE_BYTES_MAX)?;
    let mut reader = EnvelopeReader::new(BufReader::new(decoded))?;
    let mut opened = Opened::default();
    while let Some(header) = reader.next_item()? {
        match header.kind {
            ItemKind::Event if opened.event.is_none() => {
                opened.event = Some(reader.read_payload(limits::EVENT_BYTES_MAX)?);
            }
            ItemKind::Attachment => {
                let mut blob = stores.blobs.writer()?;
                reader.copy_payload(&mut blob, limits::ATTACHMENT_BYTES_MAX)?;
                let (key, size_bytes) = blob.finish()?;
                opened.attachments.push(attachment(&header, key, size_bytes));
            }
            _ => {
                let bytes = reader.skip_payload()?;
                opened.note_not_kept(&header, bytes);
            }
        }
    }
    Ok(opened)
}

impl Opened {
    fn note_not_kept(&mut self, header: &ItemHeader<'_>, bytes: u64) {
        let (category, quantity) = header.counted_as(bytes);
        self.not_kept.push(NotKept { category, reason: header.kind.label().to_owned(), quantity });
    }
}

fn attachment(header: &ItemHeader<'_>, blob_key: String, size_bytes: u64) -> DigestAttachment {
    let cut = |text: Option<&str>, default: &str| text.unwrap_or(default).chars().take(NAME_CHARS_MAX).collect();
    DigestAttachment {
        name: cut(header.filename.as_deref(), FILENAME_DEFAULT),
        content_type: cut(header.content_type.as_deref(), CONTENT_TYPE_DEFAULT),
        attachment_type: cut(header.attachment_type.as_deref(), "event.attachment"),
        size_bytes,
        blob_key,
    }
}
