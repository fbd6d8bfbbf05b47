//! The SDK endpoints: which path is whose, who may post, and the way of an accepted request into the queue.

mod examine;
mod head;
mod large;
mod minidump;
mod publish;
mod route;
mod security;

use crate::accounting::{Accounting, Owner, Received};
use crate::answer;
use crate::body::{self, BodyError, RawBody};
use crate::budget::Budget;
use crate::keyring::{KeyEntry, Keyring};
use crate::metrics;
use crate::server::Body;
use bytes::Bytes;
use examine::Examined;
use head::Head;
use http::{Method, Request, Response};
use hyper::body::Incoming;
use protocol::auth::{self, Auth};
use protocol::encoding::{self, Encoding, EncodingError};
use protocol::response::Refusal;
use queue::Broker;
use route::Endpoint;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;
use stdx::Clock;
use store::Stores;

pub(crate) use publish::{EVENT_PRIORITY, event_job_id};
pub use route::{ENDPOINTS, is_ingest_path};

/// Decoded bodies up to this size are examined in memory; beyond it the body is a file. At most one for each runtime
/// thread exists at a time: decoding never waits.
const DECODED_BYTES_MAX: u64 = 4 << 20;

/// Everything the endpoints need; one for the process, shared.
pub struct Ingest {
    pub stores: Arc<Stores>,
    pub broker: Arc<dyn Broker>,
    pub keyring: Arc<Keyring>,
    pub accounting: Arc<Accounting>,
    pub clock: Arc<dyn Clock>,
    pub budget: Budget,
    /// Takes bodies that are too large for memory, until they are blobs.
    pub incoming_dir: PathBuf,
    pub envelope_bytes_max: u64,
    /// Task and queue of the digest; ingest does not know what it does.
    pub task: Arc<str>,
    pub queue: Arc<str>,
}

/// A request whose body was examined: all that is left is to keep it.
struct Taken {
    key: KeyEntry,
    auth: Auth,
    examined: Examined,
    body: TakenBody,
    /// The body's, which is no longer the request's if the body was rewritten.
    encoding: Encoding,
}

enum TakenBody {
    Inline(Bytes),
    Blob { key: String, bytes: u64 },
}

impl Ingest {
    /// Answers one request of the SDK endpoints.
    pub async fn answer(self: Arc<Self>, request: Request<Incoming>, peer: SocketAddr) -> Response<Body> {
        let started = Instant::now();
        if request.method() == Method::OPTIONS {
            return answer::preflight(head::text(request.headers(), "access-control-request-headers"));
        }
        let head = match Head::read(&request, peer, self.clock.now()) {
            Ok(head) => head,
            Err(refusal) => return self.refuse(None, &refusal),
        };
        let key = match &head.auth {
            None => None,
            Some(auth) => match self.find_key(auth, head.project_id).await {
                Ok(key) => Some(key),
                Err(refusal) => return self.refuse(None, &refusal),
            },
        };
        if let (Endpoint::Security, Some(key), Some(auth)) = (head.endpoint, key, &head.auth) {
            return self.answer_reports(request, &head, key, auth).await;
        }
        let received = key.map(|key| self.receive(key));
        let taken = match self.take(request, &head, key).await {
            Ok(taken) => taken,
            Err(refusal) => return self.refuse(received, &head.endpoint.kindly(refusal)),
        };
        let received = received.unwrap_or_else(|| self.receive(taken.key));
        let response = self.publish(&head, taken, received).await;
        metrics::record_accept(started.elapsed());
        response
    }

    fn receive(&self, key: KeyEntry) -> Received {
        self.accounting.receive(Owner { project_id: key.project_id, key_id: key.key_id })
    }

    fn refuse(&self, received: Option<Received>, refusal: &Refusal) -> Response<Body> {
        match received {
            Some(received) => received.refuse(refusal.reason()),
            None => self.accounting.refuse_unknown(refusal.reason()),
        }
        answer::refused(refusal)
    }

    /// Finds the key and checks that it may post to the project.
    async fn find_key(&self, auth: &Auth, project_id: Option<i64>) -> Result<KeyEntry, Refusal> {
        let found = self.keyring.find_or_ask(auth.public_key.as_str(), self.clock.now()).await;
        let key = found.filter(|key| key.is_active).ok_or(Refusal::UnknownProject)?;
        match project_id {
            Some(project_id) if project_id != key.project_id => Err(Refusal::UnknownProject),
            Some(_) | None => Ok(key),
        }
    }

    /// Reads, decodes and examines the body.
    async fn take(&self, request: Request<Incoming>, head: &Head, key: Option<KeyEntry>) -> Result<Taken, Refusal> {
        if let Some(data) = head.query_event() {
            return self.take_inline(head, key, Bytes::from(data.into_bytes())).await;
        }
        let read = body::read(
            request.into_body(),
            head.content_length,
            self.envelope_bytes_max,
            &self.budget,
            &self.incoming_dir,
        );
        let body = read.await.map_err(refusal_of_body)?;
        if let (Endpoint::Minidump, Some(key)) = (head.endpoint, key) {
            return self.take_minidump(head, key, body).await;
        }
        match body {
            RawBody::Inline { bytes, reservation } => {
                let taken = self.take_inline(head, key, bytes).await;
                drop(reservation);
                taken
            }
            RawBody::File(file) => self.take_large(head, key, file).await,
        }
    }

    async fn take_inline(&self, head: &Head, key: Option<KeyEntry>, bytes: Bytes) -> Result<Taken, Refusal> {
        let decoded = match encoding::decode(head.encoding, &bytes, DECODED_BYTES_MAX) {
            Ok(decoded) => decoded,
            Err(EncodingError::TooLarge { .. }) => return self.spill(head, key, bytes).await,
            Err(error) => return Err(error.into()),
        };
        let auth = match &head.auth {
            Some(auth) => auth.clone(),
            None => auth::from_envelope(&decoded)?,
        };
        let examined = examine::examine(head, &auth, &decoded)?;
        drop(decoded);
        let key = match key {
            Some(key) => key,
            None => self.find_key(&auth, head.project_id).await?,
        };
        Ok(Taken { key, auth, examined, body: TakenBody::Inline(bytes), encoding: head.encoding })
    }
}

fn refusal_of_body(error: BodyError) -> Refusal {
    match error {
        BodyError::TooLarge { limit } => Refusal::BodyTooLarge { limit },
        BodyError::Slow => Refusal::BodyTimeout,
        BodyError::Broken => Refusal::InvalidBody { causes: vec![error.to_string()] },
        BodyError::NoRoom => Refusal::QueueFull,
        BodyError::Spill(source) => {
            tracing::error!(error = %source, "large body not written");
            Refusal::Unwritable
        }
    }
}
