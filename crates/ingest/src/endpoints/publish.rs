//! The last step: the job is written durably, and only then the client is answered.

use super::examine::Examined;
use super::head::Head;
use super::route::Endpoint;
use super::{Ingest, Taken, TakenBody};
use crate::accounting::Received;
use crate::answer;
use crate::server::Body;
use bytes::Bytes;
use http::{Method, Response};
use protocol::accepted::{self, AcceptedBody, AcceptedJob};
use protocol::job_name::{Brings, JobName};
use protocol::response::Refusal;
use protocol::{Encoding, EventId};
use queue::{JobId, JobOptions, NewJob, Published, QueueError};
use std::borrow::Cow;
use std::time::Duration;

/// Events are neither urgent nor idle work.
pub(crate) const EVENT_PRIORITY: u8 = 5;

impl Ingest {
    pub(super) async fn publish(&self, head: &Head, taken: Taken, received: Received) -> Response<Body> {
        let Some(event_id) = taken.examined.event_id else {
            received.accept_not_kept(&taken.examined.not_kept);
            return answer::accepted(None);
        };
        let job = self.job(head, &taken, event_id);
        match self.enqueue(job, &taken, event_id).await {
            Ok(published) => {
                match published {
                    _ if !taken.examined.has_event => received.accept_loose(),
                    Published::AlreadyThere => received.accept_duplicate(head.received_at),
                    Published::Accepted => received.accept(head.received_at),
                }
                match (&head.method, head.endpoint) {
                    (&Method::GET, _) => answer::pixel(),
                    (_, Endpoint::Minidump) => answer::crash_accepted(event_id),
                    (_, Endpoint::Security) => answer::empty(),
                    (_, Endpoint::Envelope | Endpoint::Store) => answer::accepted(Some(event_id)),
                }
            }
            Err(error) => {
                let refusal = head.endpoint.kindly(refusal_of(&error));
                self.refuse(Some(received), &refusal)
            }
        }
    }

    /// Writes the job durably.
    ///
    /// A second copy of a large event gets a job of its own. Its body is a blob, which nothing but a digest takes away; and
    /// whether it is another's is not known here: a broker that was asked twice says of our own job that it is there.
    async fn enqueue(&self, job: NewJob, taken: &Taken, event_id: EventId) -> Result<Published, QueueError> {
        let published = self.publish_one(job.clone()).await?;
        match (published, &taken.body) {
            (Published::AlreadyThere, TakenBody::Blob { .. }) => {
                let id = job_id_of_its_own(taken.key.project_id, event_id, Brings::Copy);
                self.publish_one(NewJob { id, ..job }).await.map(|_| Published::Accepted)
            }
            (published, TakenBody::Blob { .. } | TakenBody::Inline(_)) => Ok(published),
        }
    }

    async fn publish_one(&self, job: NewJob) -> Result<Published, QueueError> {
        let published = self.broker.publish(vec![job]).await?;
        Ok(published.first().copied().unwrap_or(Published::Accepted))
    }

    fn job(&self, head: &Head, taken: &Taken, event_id: EventId) -> NewJob {
        let stub;
        let (body, encoding) = match &taken.body {
            TakenBody::Blob { key, bytes } => {
                (AcceptedBody::Blob { key: Cow::Borrowed(key), raw_bytes: *bytes }, taken.encoding)
            }
            TakenBody::Inline(bytes) if taken.examined.is_kept => (AcceptedBody::Inline(bytes), taken.encoding),
            // Nothing of the body is kept: the job only has to say what was in it.
            TakenBody::Inline(_) => {
                stub = not_kept_envelope(&taken.examined);
                (AcceptedBody::Inline(&stub), Encoding::Identity)
            }
        };
        let outside_bytes = match &taken.body {
            TakenBody::Blob { bytes, .. } => *bytes,
            TakenBody::Inline(_) => 0,
        };
        let endpoint = match head.endpoint {
            // A security report is one event by now.
            Endpoint::Store | Endpoint::Security if taken.examined.is_kept => accepted::Endpoint::Store,
            Endpoint::Envelope | Endpoint::Store | Endpoint::Minidump | Endpoint::Security => {
                accepted::Endpoint::Envelope
            }
        };
        let accepted = AcceptedJob {
            org_id: taken.key.org_id,
            project_id: taken.key.project_id,
            key_id: taken.key.key_id,
            event_id,
            received_at: head.received_at,
            sent_at: taken.examined.sent_at,
            client_ip: Some(Cow::Owned(head.client_ip.to_string())),
            auth_client: taken.auth.client.as_deref().map(Cow::Borrowed),
            user_agent: head.user_agent.as_deref().map(Cow::Borrowed),
            endpoint,
            content_encoding: encoding,
            body,
        };
        NewJob {
            id: job_id(taken, event_id),
            task: self.task.clone(),
            queue: self.queue.clone(),
            fairness_key: taken.key.project_id.unsigned_abs(),
            priority: EVENT_PRIORITY,
            delay: Duration::ZERO,
            enqueued_at: Some(head.received_at),
            payload: Bytes::from(accepted.encode()),
            options: JobOptions { outside_bytes, ..JobOptions::default() },
        }
    }
}

/// The job of an event, whoever sent it.
pub(crate) fn event_job_id(project_id: i64, event_id: EventId) -> JobId {
    JobId::new(&JobName::of_event(project_id, event_id).to_string())
}

/// What comes for an event without being it (attachments alone, items not kept) has a name of its own, or it would be taken
/// for a second copy of the event.
fn job_id(taken: &Taken, event_id: EventId) -> JobId {
    let project_id = taken.key.project_id;
    match taken.examined.has_event {
        true => event_job_id(project_id, event_id),
        false => job_id_of_its_own(project_id, event_id, Brings::Loose),
    }
}

fn job_id_of_its_own(project_id: i64, event_id: EventId, brings: Brings) -> JobId {
    let name = JobName { brings, suffix: stdx::random::hex::<8>(), ..JobName::of_event(project_id, event_id) };
    JobId::new(&name.to_string())
}

/// An envelope with the same items and no payloads.
fn not_kept_envelope(examined: &Examined) -> Vec<u8> {
    let mut text = String::from("{}\n");
    for (_, kind, quantity) in &examined.not_kept {
        text.push_str(&format!("{{\"type\":\"{kind}\",\"length\":0,\"item_count\":{quantity}}}\n\n"));
    }
    text.into_bytes()
}

pub(super) fn refusal_of(error: &QueueError) -> Refusal {
    match error {
        QueueError::Full { bound } if *bound == queue::SPOOL_BOUND => Refusal::SpoolFull,
        QueueError::Full { bound } => {
            tracing::debug!(bound, "event refused, the queue is full");
            Refusal::QueueFull
        }
        QueueError::SpoolUnwritable { .. } => Refusal::SpoolUnwritable,
        QueueError::Unwritable { .. } => Refusal::Unwritable,
        QueueError::Files { .. }
        | QueueError::Owned { .. }
        | QueueError::Unreachable { .. }
        | QueueError::Refused { .. } => Refusal::NotQueued,
        QueueError::Closed => Refusal::ShuttingDown,
        QueueError::Newer { .. }
        | QueueError::IdTooLong { .. }
        | QueueError::Lives { .. }
        | QueueError::Unaccounted { .. } => Refusal::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_refused_is_told_what_cannot_be_written() {
        let why = || "No space left on device".to_owned();
        let spool = refusal_of(&QueueError::SpoolUnwritable { broker: "redis://h".to_owned(), why: why() });
        assert!(spool.to_string().contains("spool cannot be written (disk full"), "{spool}");
        assert_eq!((spool.status(), spool.reason()), (503, "spool_unwritable"));
        let queue = refusal_of(&QueueError::Unwritable { why: why() });
        assert!(queue.to_string().contains("cannot be written (disk full"), "{queue}");
        assert_eq!((queue.status(), queue.reason()), (503, "unwritable"));
    }
}
