//! Bodies that do not fit into memory: examined as a stream from a file, then kept as a blob that the job names.
//! Everything here blocks and runs off the runtime's threads.

use super::examine::{Examined, check_header};
use super::head::Head;
use super::route::Endpoint;
use super::{Ingest, Taken, TakenBody};
use crate::keyring::KeyEntry;
use bytes::Bytes;
use protocol::auth::{self, Auth};
use protocol::encoding;
use protocol::envelope::stream::{EnvelopeReader, StreamError};
use protocol::item::event::glimpse;
use protocol::limits::{self, LimitTally};
use protocol::response::Refusal;
use protocol::{Encoding, ItemKind};
use std::fs::File;
use std::io::{BufReader, Seek, Write};
use store::StoreError;
use tempfile::NamedTempFile;

/// What the file says, before it is kept.
pub(super) struct Seen {
    pub auth: Auth,
    pub examined: Examined,
    pub file: NamedTempFile,
}

impl Ingest {
    /// A small body that grows beyond memory when decoded goes the way of large ones.
    pub(super) async fn spill(&self, head: &Head, key: Option<KeyEntry>, bytes: Bytes) -> Result<Taken, Refusal> {
        let folder = self.incoming_dir.clone();
        let written = tokio::task::spawn_blocking(move || {
            let mut file = NamedTempFile::new_in(folder)?;
            file.write_all(&bytes)?;
            Ok::<_, std::io::Error>(file)
        });
        match written.await {
            Ok(Ok(file)) => self.take_large(head, key, file).await,
            Ok(Err(error)) => Err(not_written(&error)),
            Err(_) => Err(Refusal::Internal),
        }
    }

    pub(super) async fn take_large(
        &self,
        head: &Head,
        key: Option<KeyEntry>,
        file: NamedTempFile,
    ) -> Result<Taken, Refusal> {
        if head.endpoint == Endpoint::Store {
            return Err(Refusal::BodyTooLarge { limit: limits::EVENT_BYTES_MAX });
        }
        let (auth, project_id) = (head.auth.clone(), head.project_id);
        let (encoding, bytes_max) = (head.encoding, self.envelope_bytes_max);
        let seen = tokio::task::spawn_blocking(move || see(file, encoding, bytes_max, auth, project_id));
        let seen = seen.await.map_err(|_| Refusal::Internal)??;
        let key = match key {
            Some(key) => key,
            None => self.find_key(&seen.auth, head.project_id).await?,
        };
        let body = self.keep(seen.file, &seen.examined).await?;
        Ok(Taken { key, auth: seen.auth, examined: seen.examined, body, encoding: head.encoding })
    }

    /// Keeps the body, unless nothing in it is.
    pub(super) async fn keep(&self, mut file: NamedTempFile, examined: &Examined) -> Result<TakenBody, Refusal> {
        if !examined.is_kept {
            return Ok(TakenBody::Inline(Bytes::new()));
        }
        // A body that will be refused must not take the disk that the refusal protects.
        self.broker.accepting().map_err(|error| super::publish::refusal_of(&error))?;
        let stores = self.stores.clone();
        let kept = tokio::task::spawn_blocking(move || {
            let failed = |source| StoreError::File { what: "read a large body".to_owned(), source };
            file.as_file_mut().rewind().map_err(failed)?;
            stores.blobs.put_own(file.as_file_mut())
        });
        match kept.await {
            Ok(Ok((key, bytes))) => Ok(TakenBody::Blob { key, bytes }),
            Ok(Err(error)) => Err(not_written(&error)),
            Err(_) => Err(Refusal::Internal),
        }
    }
}

pub(super) fn not_written(error: &dyn std::error::Error) -> Refusal {
    tracing::error!(error = %error, "large body not kept");
    Refusal::NotQueued
}

pub(super) fn see(
    file: NamedTempFile,
    encoding: Encoding,
    bytes_max: u64,
    auth: Option<Auth>,
    project_id: Option<i64>,
) -> Result<Seen, Refusal> {
    let raw = File::open(file.path()).map_err(|error| not_written(&error))?;
    let decoded = encoding::decoder(encoding, BufReader::new(raw), bytes_max);
    let decoded = decoded.map_err(|error| refusal_of_io(error, encoding))?;
    let mut reader = EnvelopeReader::new(BufReader::new(decoded)).map_err(|error| refusal_of(error, encoding))?;
    let auth = match auth {
        Some(auth) => auth,
        None => auth::from_envelope_header(reader.header())?,
    };
    check_header(project_id, &auth, reader.header())?;
    let mut examined = Examined::of_header(reader.header());
    let mut tally = LimitTally::default();
    let mut is_event_bound = false;
    while let Some(header) = reader.next_item().map_err(|error| refusal_of(error, encoding))? {
        // An announced length beyond the limit is refused before its bytes are read.
        let bytes = if header.kind == ItemKind::Event && examined.event_id.is_none() {
            let limit = limits::EVENT_BYTES_MAX;
            let payload = reader.read_payload(limit).map_err(|error| refusal_of(error, encoding))?;
            examined.event_id = glimpse(&payload).ok().and_then(|seen| seen.event_id);
            payload.len() as u64
        } else {
            reader.skip_payload().map_err(|error| refusal_of(error, encoding))?
        };
        tally.add(&header, bytes)?;
        is_event_bound |= header.is_event_bound();
        examined.note(&header, bytes);
    }
    if is_event_bound {
        examined.need_event_id();
    }
    Ok(Seen { auth, examined, file })
}

fn refusal_of(error: StreamError, encoding: Encoding) -> Refusal {
    match error {
        StreamError::Envelope(error) => error.into(),
        StreamError::Read(error) => refusal_of_io(error, encoding),
        StreamError::Write(error) => not_written(&error),
        StreamError::PayloadTooLarge { limit } => Refusal::BodyTooLarge { limit },
    }
}

pub(super) fn refusal_of_io(error: std::io::Error, encoding: Encoding) -> Refusal {
    encoding::EncodingError::from_io(error, encoding).into()
}
