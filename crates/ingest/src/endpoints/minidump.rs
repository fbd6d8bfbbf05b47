//! Crash reports: rewritten as an envelope in a temporary file, whatever their size, and from there on like any other
//! body. A dump is never held in memory as a whole.

use super::head::Head;
use super::large::{Seen, not_written, refusal_of_io, see};
use super::{Ingest, Taken, TakenBody};
use crate::body::{INLINE_BYTES_MAX, RawBody};
use crate::keyring::KeyEntry;
use bytes::Bytes;
use protocol::encoding::{self, Encoding};
use protocol::minidump::{self, MinidumpError};
use protocol::multipart::{self, MultipartError};
use protocol::response::Refusal;
use protocol::{EventId, limits};
use std::fs::File;
use std::io::{BufReader, BufWriter, Cursor, Read, Seek, Write};
use std::path::Path;
use tempfile::NamedTempFile;

impl Ingest {
    pub(super) async fn take_minidump(&self, head: &Head, key: KeyEntry, body: RawBody) -> Result<Taken, Refusal> {
        let auth = head.auth.clone().ok_or(Refusal::MissingAuth)?;
        let (encoding, bytes_max, project_id) = (head.encoding, self.envelope_bytes_max, head.project_id);
        let (content_type, folder) = (head.content_type.clone().unwrap_or_default(), self.incoming_dir.clone());
        let rewriting = tokio::task::spawn_blocking(move || {
            let form = Form { content_type: &content_type, encoding, bytes_max };
            let file = form.rewrite(body, &folder)?;
            let seen = see(file, Encoding::Identity, limits::ENVELOPE_BYTES_MAX, Some(auth), project_id)?;
            Ok::<_, Refusal>((small(&seen)?, seen))
        });
        let (small, seen) = rewriting.await.map_err(|_| Refusal::Internal)??;
        let Seen { auth, examined, file } = seen;
        let body = match small {
            Some(bytes) => TakenBody::Inline(bytes),
            None => self.keep(file, &examined).await?,
        };
        Ok(Taken { key, auth, examined, body, encoding: Encoding::Identity })
    }
}

/// How a crash report came.
struct Form<'a> {
    content_type: &'a str,
    encoding: Encoding,
    bytes_max: u64,
}

impl Form<'_> {
    /// Writes the report as an envelope.
    fn rewrite(&self, body: RawBody, folder: &Path) -> Result<NamedTempFile, Refusal> {
        let mut file = NamedTempFile::new_in(folder).map_err(|error| not_written(&error))?;
        let mut out = BufWriter::new(file.as_file_mut());
        match body {
            RawBody::Inline { bytes, reservation } => {
                self.read(Cursor::new(bytes), &mut out)?;
                drop(reservation);
            }
            RawBody::File(raw) => {
                let raw = File::open(raw.path()).map_err(|error| not_written(&error))?;
                self.read(BufReader::new(raw), &mut out)?;
            }
        }
        out.flush().map_err(|error| not_written(&error))?;
        drop(out);
        Ok(file)
    }

    fn read(&self, raw: impl std::io::BufRead, out: &mut (impl Write + Seek)) -> Result<EventId, Refusal> {
        let decoded = encoding::decoder(self.encoding, raw, self.bytes_max);
        let decoded = decoded.map_err(|error| refusal_of_io(error, self.encoding))?;
        let new_id = EventId::random(stdx::random::bytes());
        let written = match multipart::boundary(self.content_type) {
            Ok(boundary) => minidump::form_to_envelope(decoded, &boundary, new_id, out),
            // Anything else can only be the dump itself, and has to look like one.
            Err(_) => minidump::dump_to_envelope(decoded, new_id, out),
        };
        written.map_err(|error| self.refusal_of(error))
    }

    fn refusal_of(&self, error: MinidumpError) -> Refusal {
        match error {
            MinidumpError::Missing => Refusal::MissingMinidump,
            MinidumpError::Invalid => Refusal::InvalidMinidump,
            MinidumpError::Read(error) | MinidumpError::Form(MultipartError::Read(error)) => {
                refusal_of_io(error, self.encoding)
            }
            MinidumpError::Write(error) | MinidumpError::Form(MultipartError::Write(error)) => not_written(&error),
            MinidumpError::Form(MultipartError::PartTooLong { limit }) => Refusal::BodyTooLarge { limit },
            MinidumpError::Form(
                error @ (MultipartError::NoBoundary
                | MultipartError::Truncated
                | MultipartError::TooManyParts
                | MultipartError::HeadTooLong),
            ) => Refusal::InvalidMultipart { cause: error.to_string() },
        }
    }
}

/// Returns the envelope if it is small enough to travel in its job.
fn small(seen: &Seen) -> Result<Option<Bytes>, Refusal> {
    let mut bytes = Vec::new();
    let file = File::open(seen.file.path()).map_err(|error| not_written(&error))?;
    file.take(INLINE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(|error| not_written(&error))?;
    Ok((bytes.len() <= INLINE_BYTES_MAX).then(|| Bytes::from(bytes)))
}
