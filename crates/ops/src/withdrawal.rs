//! What an operator takes out of the queue is accounted for before it goes: as `dead`, with the reason, under the project,
//! key and hour of its receipt, and in the receipt of its id. Accounting is one transaction of the store with a fence
//! (`store::digest::withdraw`), so an interrupted purge counts nothing twice and loses nothing: what was accounted for and
//! stayed has no effect any more, whether it is purged again or run.

use crate::{ApiError, Ops};
use protocol::accepted::{AcceptedBody, AcceptedJob};
use protocol::job_name::{Brings, JobName};
use queue::{Leaving, Queue, QueueError};
use stdx::Timestamp;
use store::digest::{self, Withdrawal};
use store::{StoreError, Stores};

/// Why jobs leave, as it stands among the outcomes and in receipts.
pub(crate) const PURGED: &str = "purged by an operator";
pub(crate) const DISCARDED: &str = "discarded by an operator";

/// Asks the queue to let jobs go, each once it was accounted for if it was in a queue of events.
pub(crate) async fn take_out<T, F>(
    cx: &Ops,
    what: &'static str,
    (queue_name, reason): (&str, &'static str),
    take: F,
) -> Result<T, ApiError>
where
    T: Send + 'static,
    F: FnOnce(&dyn Queue, queue::Account<'_>) -> Result<T, QueueError> + Send + 'static,
{
    let holds_events = cx.event_queues.iter().any(|name| name == queue_name);
    let (stores, clock) = (cx.stores.clone(), cx.clock.clone());
    cx.ask(what, move |queue| {
        take(queue, &mut |leaving| match holds_events {
            true => account(&stores, leaving, reason, clock.now())
                .map_err(|error| QueueError::Unaccounted { why: stdx::causes::on_one_line(&error) }),
            false => Ok(()),
        })
    })
    .await
}

fn account(stores: &Stores, leaving: &[Leaving], reason: &str, now: Timestamp) -> Result<(), StoreError> {
    let jobs: Vec<Withdrawal> = leaving.iter().filter_map(withdrawal_of).collect();
    let are_new = stores.db.write_blocking(|tx| digest::withdraw(tx, &jobs, reason, now))?;
    // Rows that a digest wrote which died before it counted them.
    let mut by_day: std::collections::BTreeMap<_, Vec<_>> = std::collections::BTreeMap::new();
    for (job, _) in jobs.iter().zip(are_new).filter(|(job, is_new)| job.is_event && *is_new) {
        by_day.entry(job.day()).or_default().push((job.project_id, job.event_id));
    }
    by_day.into_iter().try_for_each(|(day, ids)| digest::drop_uncounted(stores, day, &ids))
}

/// Returns what is known of a job: from its payload, else from its name and the time since when it waits, which is that
/// of receipt. `None` for what no endpoint accepted.
fn withdrawal_of(leaving: &Leaving) -> Option<Withdrawal> {
    let name = JobName::parse(leaving.id.as_str());
    let is_event = name.as_ref().is_some_and(|name| matches!(name.brings, Brings::Event | Brings::Copy));
    if let Some(job) = leaving.payload.as_deref().and_then(|payload| AcceptedJob::decode(payload).ok()) {
        return Some(Withdrawal {
            project_id: job.project_id,
            key_id: job.key_id,
            event_id: job.event_id.bytes(),
            received_at: job.received_at,
            is_event,
            body_blob: match job.body {
                AcceptedBody::Blob { key, .. } => Some(key.into_owned()),
                AcceptedBody::Inline(_) => None,
            },
        });
    }
    let unread = |project_id, event_id| Withdrawal {
        project_id,
        key_id: 0,
        event_id,
        received_at: leaving.enqueued_at,
        is_event,
        body_blob: None,
    };
    match (name, &leaving.payload) {
        (Some(name), _) => Some(unread(name.project_id, name.event_id.bytes())),
        // The disk has lost what it was, its name too: an event, of no project that anybody could tell.
        (None, None) => {
            let event_id = stdx::hex::decode(leaving.id.as_str())?;
            Some(Withdrawal { is_event: true, ..unread(0, event_id) })
        }
        (None, Some(_)) => None,
    }
}
