//! Reads a request's body as it came, still encoded: small ones into memory, larger ones into a temporary file. Sizes
//! are enforced while reading, and a client that stops sending is cut off.

use crate::budget::{Budget, Reservation};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

/// Bodies up to this size stay in memory and travel in their job; larger ones become a file.
pub const INLINE_BYTES_MAX: usize = 1 << 20;
/// Longest wait for the next bytes of a body.
pub const FRAME_DEADLINE: Duration = Duration::from_secs(10);
/// Longest time for a body that stays in memory: a drip-fed megabyte must not hold its memory for hours.
pub const INLINE_DEADLINE: Duration = Duration::from_secs(60);
/// Longest time for a body of any size.
pub const BODY_DEADLINE: Duration = Duration::from_secs(600);
/// First reservation when the client does not say how long its body is.
const RESERVE_BYTES_MIN: usize = 16 << 10;

/// A complete body, as sent.
pub enum RawBody {
    Inline { bytes: Bytes, reservation: Reservation },
    File(tempfile::NamedTempFile),
}

#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    #[error("request body exceeds {limit} bytes")]
    TooLarge { limit: u64 },
    #[error("request body was not sent in time")]
    Slow,
    #[error("request body ended early or is malformed")]
    Broken,
    #[error("too many request bodies in memory")]
    NoRoom,
    #[error("write request body to a temporary file")]
    Spill(#[source] std::io::Error),
}

/// Reads the whole body of at most `bytes_max` bytes; `folder` takes the temporary file of a large one.
///
/// # Errors
/// See `BodyError`; whatever was read is thrown away.
pub async fn read(
    body: Incoming,
    announced: Option<u64>,
    bytes_max: u64,
    budget: &Budget,
    folder: &Path,
) -> Result<RawBody, BodyError> {
    if announced.is_some_and(|length| length > bytes_max) {
        return Err(BodyError::TooLarge { limit: bytes_max });
    }
    let reading = read_inline(body, announced, budget);
    let inline = tokio::time::timeout(INLINE_DEADLINE, reading).await.map_err(|_| BodyError::Slow)??;
    match inline {
        Inline::Whole { bytes, reservation } => Ok(RawBody::Inline { bytes, reservation }),
        Inline::Larger { head, rest } => {
            let spilling = spill(head, rest, bytes_max, folder);
            tokio::time::timeout(BODY_DEADLINE, spilling).await.map_err(|_| BodyError::Slow)?
        }
    }
}

enum Inline {
    Whole { bytes: Bytes, reservation: Reservation },
    Larger { head: Vec<Bytes>, rest: Incoming },
}

async fn read_inline(mut body: Incoming, announced: Option<u64>, budget: &Budget) -> Result<Inline, BodyError> {
    let announced = announced.and_then(|length| usize::try_from(length).ok());
    if announced.is_some_and(|length| length > INLINE_BYTES_MAX) {
        return Ok(Inline::Larger { head: Vec::new(), rest: body });
    }
    let first = announced.unwrap_or(RESERVE_BYTES_MIN);
    let mut reservation = budget.reserve(first).ok_or(BodyError::NoRoom)?;
    let mut reserved = first;
    let mut chunks: Vec<Bytes> = Vec::new();
    let mut length = 0;
    while let Some(chunk) = next_chunk(&mut body).await? {
        length += chunk.len();
        chunks.push(chunk);
        if length > INLINE_BYTES_MAX {
            return Ok(Inline::Larger { head: chunks, rest: body });
        }
        if length > reserved {
            let more = length.max(reserved);
            if !reservation.grow(more) {
                return Err(BodyError::NoRoom);
            }
            reserved += more;
        }
    }
    Ok(Inline::Whole { bytes: join(chunks, length), reservation })
}

fn join(mut chunks: Vec<Bytes>, length: usize) -> Bytes {
    if chunks.len() == 1 {
        return chunks.remove(0);
    }
    let mut bytes = BytesMut::with_capacity(length);
    for chunk in chunks {
        bytes.extend_from_slice(&chunk);
    }
    bytes.freeze()
}

async fn next_chunk(body: &mut Incoming) -> Result<Option<Bytes>, BodyError> {
    loop {
        match tokio::time::timeout(FRAME_DEADLINE, body.frame()).await {
            Err(_) => return Err(BodyError::Slow),
            Ok(None) => return Ok(None),
            Ok(Some(Err(_))) => return Err(BodyError::Broken),
            Ok(Some(Ok(frame))) => {
                // Trailers carry nothing we use.
                if let Ok(chunk) = frame.into_data() {
                    return Ok(Some(chunk));
                }
            }
        }
    }
}

/// Writes the body to a file in pieces; writing blocks, so it happens off the runtime's threads.
async fn spill(head: Vec<Bytes>, mut rest: Incoming, bytes_max: u64, folder: &Path) -> Result<RawBody, BodyError> {
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(BodyError::Spill)?;
    let mut length = 0;
    for chunk in head {
        length += chunk.len() as u64;
        file = write_chunk(file, chunk).await?;
    }
    while let Some(chunk) = next_chunk(&mut rest).await? {
        length += chunk.len() as u64;
        if length > bytes_max {
            return Err(BodyError::TooLarge { limit: bytes_max });
        }
        file = write_chunk(file, chunk).await?;
    }
    Ok(RawBody::File(file))
}

async fn write_chunk(mut file: tempfile::NamedTempFile, chunk: Bytes) -> Result<tempfile::NamedTempFile, BodyError> {
    let written = tokio::task::spawn_blocking(move || file.write_all(&chunk).map(|()| file)).await;
    written.map_err(|_| BodyError::Broken)?.map_err(BodyError::Spill)
}
