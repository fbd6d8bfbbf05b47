//! Opens an accepted job: decodes its body and sorts its items into the event, attachments and what is not kept.
//! Attachments are put into the blob store here, scrubbed: a blob is written before anything refers to it, and not
//! before its event was let through.

use processing::scrub::{AttachmentFate, AttachmentKind, Scrubber};
use protocol::accepted::{AcceptedBody, AcceptedJob, Endpoint};
use protocol::encoding::{self, EncodingError};
use protocol::envelope::stream::{EnvelopeReader, StreamError};
use protocol::envelope::{Envelope, EnvelopeError, ItemHeader};
use protocol::item::attachment::{CONTENT_TYPE_DEFAULT, FILENAME_DEFAULT};
use protocol::legacy::{self, LegacyError};
use protocol::{ItemKind, limits};
use std::io::{BufRead, BufReader};
use store::digest::{DigestAttachment, NotKept};
use store::{StoreError, Stores};

/// Decoded size of a body that travels in its job; ingest examined it within the same bound.
const INLINE_DECODED_BYTES_MAX: u64 = 4 << 20;
/// Reasons in the receipt of attachments that are not kept.
const OF_FILTERED: &str = "attachment of a filtered event";
const SCRUBBED: &str = "attachment removed by scrubbing";
/// Characters of an attachment's name and types that are kept.
const NAME_CHARS_MAX: usize = 255;

/// What is kept of a job beside its event.
#[derive(Debug, Default)]
pub struct Companions {
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
    /// Tells whether a blob is not there.
    pub fn is_missing(&self) -> bool {
        matches!(self, OpenError::Store(StoreError::Missing { .. }))
    }

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

/// A job whose body is decoded, or still in its blob.
pub struct Opened<'j> {
    job: &'j AcceptedJob<'j>,
    /// None for a body that is read as a stream, of which only the event is ever held in memory.
    decoded: Option<Vec<u8>>,
}

/// What becomes of attachments.
#[derive(Clone, Copy)]
pub enum Attachments<'s> {
    /// Kept, but for what the rules take from them.
    Scrubbed(&'s Scrubber),
    /// Their event is filtered, and they with it.
    Dropped,
}

/// Opens a job.
///
/// # Errors
/// If the job's bytes are not what ingest examined.
pub fn open<'j>(job: &'j AcceptedJob<'j>) -> Result<Opened<'j>, OpenError> {
    let decoded = match &job.body {
        AcceptedBody::Inline(bytes) => {
            Some(encoding::decode(job.content_encoding, bytes, INLINE_DECODED_BYTES_MAX)?.into_owned())
        }
        AcceptedBody::Blob { .. } => None,
    };
    Ok(Opened { job, decoded })
}

impl Opened<'_> {
    /// Returns the event's payload, if there is an event.
    ///
    /// # Errors
    /// `Store` if blobs cannot be read now; the others mean that the job's bytes are not what ingest examined.
    pub fn event(&self, stores: &Stores) -> Result<Option<Vec<u8>>, OpenError> {
        let Some(decoded) = &self.decoded else {
            let mut reader = self.reader(stores)?;
            while let Some(header) = reader.next_item()? {
                if header.kind == ItemKind::Event {
                    return Ok(Some(reader.read_payload(limits::EVENT_BYTES_MAX)?));
                }
            }
            return Ok(None);
        };
        match self.job.endpoint {
            Endpoint::Store => Ok(Some(legacy::store_body(decoded, limits::EVENT_BYTES_MAX)?.into_owned())),
            Endpoint::Envelope => {
                let items = Envelope::parse(decoded)?.items;
                let event = items.into_iter().find(|item| item.header.kind == ItemKind::Event);
                Ok(event.map(|item| item.payload.to_vec()))
            }
        }
    }

    /// Puts the attachments into the blob store and notes what is not kept.
    ///
    /// # Errors
    /// `Store` if blobs cannot be read or written now; the others as for `event`.
    pub fn companions(&self, stores: &Stores, fate: Attachments<'_>) -> Result<Companions, OpenError> {
        match (&self.decoded, self.job.endpoint) {
            (Some(_), Endpoint::Store) => Ok(Companions::default()),
            (Some(decoded), Endpoint::Envelope) => companions_of_envelope(stores, decoded, fate),
            (None, _) => self.companions_of_blob(stores, fate),
        }
    }

    fn reader(&self, stores: &Stores) -> Result<EnvelopeReader<impl BufRead>, OpenError> {
        let key = match &self.job.body {
            AcceptedBody::Blob { key, .. } => key.as_ref(),
            AcceptedBody::Inline(_) => "",
        };
        let raw = BufReader::new(stores.blobs.open_read(key)?);
        let decoded = encoding::decoder(self.job.content_encoding, raw, limits::ENVELOPE_BYTES_MAX)?;
        Ok(EnvelopeReader::new(BufReader::new(decoded))?)
    }

    fn companions_of_blob(&self, stores: &Stores, fate: Attachments<'_>) -> Result<Companions, OpenError> {
        let mut reader = self.reader(stores)?;
        let mut companions = Companions::default();
        let mut has_event = false;
        while let Some(header) = reader.next_item()? {
            match (&header.kind, fate) {
                (ItemKind::Event, _) if !has_event => has_event = true,
                (ItemKind::Attachment, Attachments::Scrubbed(scrubber)) => {
                    if scrubber.names_attachments(kind_of(&header)) {
                        let bytes = reader.read_payload(limits::ATTACHMENT_BYTES_MAX)?;
                        companions.keep_scrubbed(stores, &header, bytes, scrubber)?;
                    } else {
                        let mut blob = stores.blobs.writer()?;
                        reader.copy_payload(&mut blob, limits::ATTACHMENT_BYTES_MAX)?;
                        let (key, size_bytes) = blob.finish()?;
                        companions.attachments.push(attachment(scrubber, &header, key, size_bytes));
                    }
                }
                (ItemKind::Attachment, Attachments::Dropped) => {
                    companions.drop_filtered(&header, reader.skip_payload()?)
                }
                _ => {
                    let bytes = reader.skip_payload()?;
                    companions.note_not_kept(&header, bytes);
                }
            }
        }
        Ok(companions)
    }
}

fn companions_of_envelope(stores: &Stores, decoded: &[u8], fate: Attachments<'_>) -> Result<Companions, OpenError> {
    let mut companions = Companions::default();
    let mut has_event = false;
    for item in Envelope::parse(decoded)?.items {
        match (&item.header.kind, fate) {
            (ItemKind::Event, _) if !has_event => has_event = true,
            (ItemKind::Attachment, Attachments::Scrubbed(scrubber)) => {
                if scrubber.names_attachments(kind_of(&item.header)) {
                    companions.keep_scrubbed(stores, &item.header, item.payload.to_vec(), scrubber)?;
                } else {
                    let key = stores.blobs.put_bytes(item.payload)?;
                    companions.attachments.push(attachment(scrubber, &item.header, key, item.payload.len() as u64));
                }
            }
            (ItemKind::Attachment, Attachments::Dropped) => {
                companions.drop_filtered(&item.header, item.payload.len() as u64);
            }
            _ => companions.note_not_kept(&item.header, item.payload.len() as u64),
        }
    }
    Ok(companions)
}

fn kind_of(header: &ItemHeader<'_>) -> AttachmentKind {
    match header.attachment_type.as_deref() {
        Some("event.minidump") => AttachmentKind::Minidump,
        Some(_) | None => AttachmentKind::Attachment,
    }
}

impl Companions {
    fn keep_scrubbed(
        &mut self,
        stores: &Stores,
        header: &ItemHeader<'_>,
        mut bytes: Vec<u8>,
        scrubber: &Scrubber,
    ) -> Result<(), OpenError> {
        let name = header.filename.as_deref().unwrap_or(FILENAME_DEFAULT);
        match scrubber.scrub_attachment(kind_of(header), name, &mut bytes) {
            AttachmentFate::Kept | AttachmentFate::Changed { .. } => {
                let key = stores.blobs.put_bytes(&bytes)?;
                self.attachments.push(attachment(scrubber, header, key, bytes.len() as u64));
            }
            AttachmentFate::Removed { .. } => self.note_attachment(header, bytes.len() as u64, SCRUBBED),
        }
        Ok(())
    }

    fn drop_filtered(&mut self, header: &ItemHeader<'_>, bytes: u64) {
        self.note_attachment(header, bytes, OF_FILTERED);
    }

    fn note_attachment(&mut self, header: &ItemHeader<'_>, bytes: u64, reason: &str) {
        let (category, quantity) = header.counted_as(bytes);
        self.add_not_kept(category, reason, quantity);
    }

    fn note_not_kept(&mut self, header: &ItemHeader<'_>, bytes: u64) {
        let (category, quantity) = header.counted_as(bytes);
        self.not_kept.push(NotKept { category, reason: header.kind.label().to_owned(), quantity });
    }

    /// Items of one reason are one row of the receipt.
    fn add_not_kept(&mut self, category: &'static str, reason: &str, quantity: i64) {
        let same = self.not_kept.iter_mut().find(|item| item.category == category && item.reason == reason);
        match same {
            Some(item) => item.quantity += quantity,
            None => self.not_kept.push(NotKept { category, reason: reason.to_owned(), quantity }),
        }
    }
}

fn attachment(scrubber: &Scrubber, header: &ItemHeader<'_>, blob_key: String, size_bytes: u64) -> DigestAttachment {
    let name = header.filename.as_deref().map(|name| scrubber.scrub_file_name(name));
    let cut = |text: Option<&str>, default: &str| text.unwrap_or(default).chars().take(NAME_CHARS_MAX).collect();
    DigestAttachment {
        name: cut(name.as_deref(), FILENAME_DEFAULT),
        content_type: cut(header.content_type.as_deref(), CONTENT_TYPE_DEFAULT),
        attachment_type: cut(header.attachment_type.as_deref(), "event.attachment"),
        size_bytes,
        blob_key,
    }
}
