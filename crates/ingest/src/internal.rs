//! Events that this process made itself: they take no way over HTTP, and are then like any other.

use crate::endpoints::{EVENT_PRIORITY, event_job_id};
use crate::keyring::KeyEntry;
use bytes::Bytes;
use protocol::accepted::{AcceptedBody, AcceptedJob, Endpoint};
use protocol::{Encoding, EventId};
use queue::{JobOptions, NewJob};
use std::borrow::Cow;
use std::time::Duration;
use stdx::Timestamp;

/// Returns the digest's job for an envelope with an event.
pub fn job(
    owner: KeyEntry,
    event_id: EventId,
    envelope: &[u8],
    received_at: Timestamp,
    (task, queue): (&str, &str),
) -> NewJob {
    let accepted = AcceptedJob {
        org_id: owner.org_id,
        project_id: owner.project_id,
        key_id: owner.key_id,
        event_id,
        received_at,
        sent_at: None,
        client_ip: None,
        auth_client: Some(Cow::Borrowed(concat!("vigie/", env!("CARGO_PKG_VERSION")))),
        user_agent: None,
        endpoint: Endpoint::Envelope,
        content_encoding: Encoding::Identity,
        body: AcceptedBody::Inline(envelope),
    };
    NewJob {
        id: event_job_id(owner.project_id, event_id),
        task: task.into(),
        queue: queue.into(),
        fairness_key: owner.project_id.unsigned_abs(),
        priority: EVENT_PRIORITY,
        delay: Duration::ZERO,
        enqueued_at: Some(received_at),
        payload: Bytes::from(accepted.encode()),
        options: JobOptions::default(),
    }
}
