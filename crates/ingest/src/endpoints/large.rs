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
use queue::Broker;
use std::fs::File;
use std::io::{BufReader, Seek, Write};
use std::sync::Arc;
use store::Stores;
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
    pub(super) async fn keep(&self, file: NamedTempFile, examined: &Examined) -> Result<TakenBody, Refusal> {
        if !examined.is_kept {
            return Ok(TakenBody::Inline(Bytes::new()));
        }
        put(self.broker.clone(), self.stores.clone(), file).await
    }
}

/// A broker may be another machine that does not answer: it is asked where the file is written, off the runtime's threads.
async fn put(broker: Arc<dyn Broker>, stores: Arc<Stores>, mut file: NamedTempFile) -> Result<TakenBody, Refusal> {
    let kept = tokio::task::spawn_blocking(move || {
        // A body that will be refused must not take the disk that the refusal protects.
        broker.accepting().map_err(|error| super::publish::refusal_of(&error))?;
        file.as_file_mut().rewind().map_err(|error| not_written(&error))?;
        stores.blobs.put_own(file.as_file_mut()).map_err(|error| not_written(&error))
    });
    let (key, bytes) = kept.await.map_err(|_| Refusal::Internal)??;
    Ok(TakenBody::Blob { key, bytes })
}

pub(super) fn not_written(error: &dyn std::error::Error) -> Refusal {
    tracing::error!(error = %error, "large body not kept");
    Refusal::Unwritable
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

#[cfg(test)]
mod tests {
    use super::*;
    use queue::{BoxFuture, ClaimRequest, Claimed, Finish, JobId, JobState, LeaseId, NewJob, Published};
    use queue::{QueueDepth, QueueError};
    use std::sync::Mutex;
    use std::sync::mpsc::{Receiver, channel};
    use std::time::Duration;
    use tokio::sync::Notify;

    /// A broker that says that it is asked whether it accepts, answers once somebody lets it, and does nothing else.
    struct Slow(Arc<Notify>, Mutex<Receiver<()>>);

    impl Broker for Slow {
        fn accepting(&self) -> Result<(), QueueError> {
            self.0.notify_one();
            let answers = self.1.lock().expect("one asks");
            answers.recv_timeout(Duration::from_secs(2)).map_err(|_| QueueError::Closed)
        }

        fn publish(&self, _: Vec<NewJob>) -> BoxFuture<'_, Result<Vec<Published>, QueueError>> {
            Box::pin(async { Err(QueueError::Closed) })
        }

        fn claim(&self, _: &ClaimRequest) -> Result<Vec<Claimed>, QueueError> {
            Err(QueueError::Closed)
        }

        fn extend(&self, _: &[LeaseId], _: Duration) -> Result<Vec<LeaseId>, QueueError> {
            Err(QueueError::Closed)
        }

        fn finish(&self, _: Vec<(LeaseId, Finish)>) -> Result<Vec<LeaseId>, QueueError> {
            Err(QueueError::Closed)
        }

        fn declare(&self, _: &str) -> Result<(), QueueError> {
            Err(QueueError::Closed)
        }

        fn depths(&self) -> Result<Vec<QueueDepth>, QueueError> {
            Err(QueueError::Closed)
        }

        fn locate(&self, _: &JobId) -> Result<Option<JobState>, QueueError> {
            Err(QueueError::Closed)
        }

        fn upkeep(&self) -> Result<(), QueueError> {
            Err(QueueError::Closed)
        }
    }

    /// The runtime has one thread: if it waited for the broker, nobody could let it answer.
    #[tokio::test]
    async fn a_broker_that_is_slow_to_answer_holds_no_other_request_up() {
        let folder = tempfile::tempdir().expect("a folder");
        let stores = Arc::new(Stores::open(folder.path(), stdx::Timestamp::EPOCH).expect("the stores open"));
        let mut file = NamedTempFile::new_in(folder.path()).expect("a file");
        file.write_all(b"a large body").expect("written");
        let (let_answer, answers) = channel();
        let asked = Arc::new(Notify::new());
        let broker = Arc::new(Slow(asked.clone(), Mutex::new(answers)));
        let other_request = async {
            asked.notified().await;
            let_answer.send(()).expect("it is asked");
        };
        let (kept, ()) = tokio::join!(put(broker, stores, file), other_request);
        assert!(matches!(kept, Ok(TakenBody::Blob { bytes: 12, .. })));
    }
}
