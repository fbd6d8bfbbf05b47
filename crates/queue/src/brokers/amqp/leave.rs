//! What operators take out by hand: messages are taken from the server without being acknowledged, and rows read from the
//! ledger; both are shown, and end once they were accounted for. If this process dies before, the server has the messages
//! again, and the rows are what they were.

use super::Shared;
use super::connection::Open;
use super::desk::Entry;
use super::link::{ANSWER_MAX, Fault, NOT_FOUND, lock};
use super::tables::jobs::{self, State};
use super::tables::leaving;
use super::wire::Message;
use crate::broker::{Account, LEAVING_BYTES_MAX, LEAVING_JOBS_MAX, Leaving};
use crate::celery::{self, Received, Undecodable};
use crate::{JobId, QueueError};
use lapin::Channel;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicGetOptions};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use stdx::Timestamp;

/// Messages are taken one by one for so long. Well below what is waited for an answer, which the last one may take.
const TAKE_MAX: Duration = Duration::from_secs(2);

/// What a message says, and the name that we gave it.
struct Shown<'a> {
    job: Result<&'a Received, &'a Undecodable>,
    tag: Option<&'a str>,
}

impl Shared {
    pub(super) fn purge(&self, queue: &str, account: Account<'_>) -> Result<u64, QueueError> {
        let lanes = self.lanes_of(queue);
        if lanes.is_empty() {
            return Ok(0);
        }
        let open = self.open()?;
        let mut removed = 0;
        for lane in &lanes {
            let most = self.link.count(&open, &lane.name)?.map_or(0, |(messages, _)| messages);
            let mut taken = 0;
            while taken < most {
                let Some((channel, deliveries)) = self.take_messages(&open, &lane.name, LEAVING_JOBS_MAX)? else {
                    break;
                };
                taken += deliveries.len() as u64;
                if deliveries.is_empty() {
                    break;
                }
                removed += self.purge_deliveries(channel, deliveries, account)?;
            }
        }
        removed += self.purge_desk(queue, account)?;
        Ok(removed + self.purge_rows(queue, account)?)
    }

    /// Takes some messages, and the channel on which they are to be acknowledged: when it closes, what was not comes again.
    /// `None` if there is no such queue. On a slow line there are fewer: that a round takes long is no fault, and what
    /// goes wrong here costs the channel, not the connection on which everything else is under way.
    pub(super) fn take_messages(
        &self,
        open: &Arc<Open>,
        queue: &str,
        most: usize,
    ) -> Result<Option<(Channel, Vec<Delivery>)>, QueueError> {
        let (connection, name) = (open.clone(), queue.to_owned());
        let taken = self.link.run(ANSWER_MAX, async move {
            let channel = connection.connection.create_channel().await?;
            let (mut deliveries, mut bytes, began) = (Vec::new(), 0, Instant::now());
            while deliveries.len() < most && bytes < LEAVING_BYTES_MAX && began.elapsed() < TAKE_MAX {
                let got = channel.basic_get(name.as_str().into(), BasicGetOptions { no_ack: false }).await?;
                let Some(got) = got else { break };
                bytes += got.delivery.data.len();
                deliveries.push(got.delivery);
            }
            Ok((channel, deliveries))
        });
        match taken {
            Ok(taken) => Ok(Some(taken)),
            Err(fault) if fault.code() == Some(NOT_FOUND) => Ok(None),
            Err(fault) => Err(self.link.error(&fault)),
        }
    }

    /// Acknowledges what was taken, if it is done with, and closes its channel.
    pub(super) fn let_go(&self, channel: Channel, done: Option<u64>) -> Result<(), Fault> {
        self.link.run(ANSWER_MAX, async move {
            if let Some(last) = done {
                channel.basic_ack(last, BasicAckOptions { multiple: true }).await?;
            }
            Ok(channel.close(200, "done".into()).await?)
        })
    }

    fn purge_deliveries(
        &self,
        channel: Channel,
        deliveries: Vec<Delivery>,
        account: Account<'_>,
    ) -> Result<u64, QueueError> {
        let last = deliveries.last().map(|delivery| delivery.delivery_tag);
        let messages: Vec<Message> = deliveries
            .into_iter()
            .map(|delivery| Message { properties: delivery.properties, body: delivery.data.into() })
            .collect();
        let jobs: Vec<Result<Received, Undecodable>> = messages.iter().map(Message::decode).collect();
        let shown = jobs.iter().zip(&messages).map(|(job, message)| Shown { job: job.as_ref(), tag: message.tag() });
        let removed = self.purge_shown(&shown.collect::<Vec<_>>(), account);
        let done = last.filter(|_| removed.is_ok());
        if let Err(fault) = self.let_go(channel, done) {
            // They come again, and have ended.
            tracing::warn!(error = %self.link.error(&fault), "messages that were purged not acknowledged");
        }
        removed
    }

    /// What lies on the desk of this process.
    fn purge_desk(&self, queue: &str, account: Account<'_>) -> Result<u64, QueueError> {
        let entries = lock(&self.desk).take_where(queue, |_| true);
        let removed = self.purge_shown(&entries.iter().map(shown).collect::<Vec<_>>(), account);
        match removed {
            Ok(_) => self.acknowledge(entries.into_iter().map(|entry| entry.ticket).collect()),
            Err(_) => {
                let mut desk = lock(&self.desk);
                entries.into_iter().for_each(|entry| desk.put(entry));
            }
        }
        removed
    }

    /// Accounts for the jobs of messages and ends their rows. A message whose job has ended, runs, or is in the ledger's
    /// keeping is of no use; one that has no row is a Python program's.
    fn purge_shown(&self, shown: &[Shown<'_>], account: Account<'_>) -> Result<u64, QueueError> {
        if shown.is_empty() {
            return Ok(0);
        }
        let ids: Vec<&str> = shown.iter().filter_map(|shown| Some(shown.job.ok()?.id.as_str())).collect();
        let rows = self.tables.read(|tx| jobs::find_many(tx, &ids))?;
        let rows: HashMap<&str, &jobs::JobRow> = rows.iter().map(|row| (row.id.as_str(), row)).collect();
        let now = self.clock.now();
        let mut leaving = Vec::with_capacity(shown.len());
        for Shown { job, tag } in shown {
            match job {
                Ok(job) => {
                    let is_living = rows.get(job.id.as_str()).is_none_or(|row| {
                        matches!(row.state, State::Sending | State::Ready) && tag.is_none_or(|tag| tag == row.tag)
                    });
                    if is_living {
                        leaving.push(leaving_job(job, now));
                    }
                }
                Err(rest) => leaving.push(unread(rest.id.as_deref().unwrap_or_default(), now)),
            }
        }
        account(&leaving)?;
        self.tables.write(|tx| leaving::leave(tx, &ids_of(&leaving), now))?;
        Ok(leaving.len() as u64)
    }

    /// What is left: jobs whose messages the ledger keeps, and those that lie in other processes' buffers. Of these only the
    /// name and the time are known; their messages are recognised when they are claimed.
    fn purge_rows(&self, queue: &str, account: Account<'_>) -> Result<u64, QueueError> {
        let (mut after, mut removed) = (String::new(), 0);
        loop {
            let rows = self.tables.read(|tx| leaving::waiting(tx, queue, &after, LEAVING_JOBS_MAX))?;
            let Some((last, ..)) = rows.last() else { return Ok(removed) };
            after = last.clone();
            let leaving: Vec<Leaving> =
                rows.iter().map(|(id, enqueued_at, body)| leaving_row(id, *enqueued_at, body.as_deref())).collect();
            account(&leaving)?;
            let now = self.clock.now();
            removed += self.tables.write(|tx| leaving::leave(tx, &ids_of(&leaving), now))? as u64;
        }
    }
}

fn shown(entry: &Entry) -> Shown<'_> {
    let job = entry.job.as_ref().map(|job| &**job).map_err(|rest| &**rest);
    Shown { job, tag: entry.message.tag() }
}

fn ids_of(leaving: &[Leaving]) -> Vec<&str> {
    leaving.iter().map(|leaving| leaving.id.as_str()).collect()
}

fn leaving_job(job: &Received, now: Timestamp) -> Leaving {
    Leaving { id: job.id.clone(), enqueued_at: job.published_at.unwrap_or(now), payload: Some(job.payload.clone()) }
}

fn unread(id: &str, at: Timestamp) -> Leaving {
    Leaving { id: JobId::new(id), enqueued_at: at, payload: None }
}

/// A job of which the ledger has a row, and perhaps the message.
fn leaving_row(id: &str, enqueued_at: Timestamp, body: Option<&[u8]>) -> Leaving {
    let payload = body.and_then(|body| celery::decode(body).ok()).map(|job| job.payload);
    Leaving { id: JobId::new(id), enqueued_at, payload }
}
