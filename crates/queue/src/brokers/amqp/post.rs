//! Messages on their way to the server: sent in the order in which they were handed over, many under way at once; whoever
//! handed them over is told what the server said of each.

use super::link::ANSWER_MAX;
use super::wire::Message;
use lapin::options::BasicPublishOptions;
use lapin::{Channel, Confirmation, PublisherConfirm};
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};

/// Messages sent and not confirmed. A server that is busy confirms each within its deadline, which counts from its sending.
const UNDER_WAY_MAX: usize = 256;

/// What a server says of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    Kept,
    /// It takes no more of them.
    Refused,
    /// There is no such queue.
    Unroutable,
}

impl Said {
    fn of(confirmation: Confirmation) -> Said {
        match confirmation {
            Confirmation::Ack(None) => Said::Kept,
            Confirmation::Ack(Some(_)) => Said::Unroutable,
            Confirmation::Nack(_) | Confirmation::NotRequested => Said::Refused,
        }
    }
}

/// Is told of each message in turn: `None` where nothing was heard before the deadline or the end of the connection.
type Told = Box<dyn FnOnce(Vec<Option<Said>>) + Send>;

struct Parcel {
    messages: Vec<(Arc<str>, Message)>,
    told: Told,
}

/// The way out of one connection. Those who hand over bound how much that is.
pub(super) struct Post {
    parcels: UnboundedSender<Parcel>,
    handle: Handle,
}

impl Post {
    /// On a channel with confirms; the task that sends on it ends with the connection's last user.
    pub fn on(channel: Channel, handle: &Handle) -> Post {
        let (parcels, handed_over) = unbounded_channel();
        handle.spawn(carry(channel, handed_over));
        Post { parcels, handle: handle.clone() }
    }

    /// `told` is dropped without a word where the runtime ends before it is known.
    pub fn send(&self, messages: Vec<(Arc<str>, Message)>, told: impl FnOnce(Vec<Option<Said>>) + Send + 'static) {
        if let Err(unsent) = self.parcels.send(Parcel { messages, told: Box::new(told) }) {
            let Parcel { messages, told } = unsent.0;
            self.handle.spawn(async move { told(vec![None; messages.len()]) });
        }
    }
}

/// A message that was sent, until when an answer is waited for, and its place among those under way.
type Sent = (PublisherConfirm, Instant, OwnedSemaphorePermit);

async fn carry(channel: Channel, mut parcels: UnboundedReceiver<Parcel>) {
    let room = Arc::new(Semaphore::new(UNDER_WAY_MAX));
    while let Some(Parcel { messages, told }) = parcels.recv().await {
        let (sent, hearing) = unbounded_channel();
        tokio::spawn(hear(hearing, messages.len(), told));
        for (queue, message) in messages {
            let Some(one) = send_one(&channel, &queue, message, room.clone()).await else { break };
            // Nobody hears any more: one before it was lost.
            if sent.send(one).is_err() {
                break;
            }
        }
    }
}

async fn send_one(channel: &Channel, queue: &str, message: Message, room: Arc<Semaphore>) -> Option<Sent> {
    let place = room.acquire_owned().await.ok()?;
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let published = channel.basic_publish("".into(), queue.into(), options, &message.body, message.properties);
    let confirm = timeout(ANSWER_MAX, published).await.ok()?.ok()?;
    Some((confirm, Instant::now() + ANSWER_MAX, place))
}

/// Stops at the first of which nothing is heard in time.
async fn hear(mut sent: UnboundedReceiver<Sent>, count: usize, told: Told) {
    let mut said = Vec::with_capacity(count);
    while let Some((confirm, until, place)) = sent.recv().await {
        let Ok(Ok(confirmation)) = timeout_at(until, confirm).await else { break };
        drop(place);
        said.push(Some(Said::of(confirmation)));
    }
    said.resize(count, None);
    told(said);
}
