//! Notices over RabbitMQ: kombu's exchanges, and queues that die with whoever listens. Nothing here is kept for the absent,
//! so nothing is confirmed either.
//!
//! Source: kombu 5.7 `pidbox.py`, celery 5.7 `app/events.py`, and what `rabbitmqctl` shows of a real worker.

use super::Shared;
use super::connection::Open;
use super::link::{ANSWER_MAX, Fault, lost};
use super::tables::{jobs, revoked};
use super::wire::{self, Message};
use crate::QueueError;
use crate::broadcast::{
    Broadcast, CONTROL_EXCHANGE, EVENT_EXCHANGE, Notice, REPLY_EXCHANGE, REPLY_KEPT, REVOKED_KEPT, REVOKED_MAX,
    Scheduled,
};
use crate::broker::POLL_MAX;
use lapin::options::{
    BasicConsumeOptions, BasicPublishOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, Consumer, ExchangeKind};
use serde_json::{Value, json};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

/// Requests and replies that were heard and are not looked at yet; further ones are lost, as for whoever is absent.
const HEARD_MAX: usize = 1_000;
/// A request is for those who are there now. Celery's queues for requests keep them for so long.
const REQUEST_KEPT: Duration = Duration::from_secs(300);
/// A queue without anybody who listens goes away after so long, if the server did not notice before.
const UNHEARD_MAX: Duration = Duration::from_secs(10);

/// An exchange as kombu declares it.
struct Exchange {
    name: &'static str,
    kind: ExchangeKind,
    is_durable: bool,
}

const CONTROL: Exchange = Exchange { name: CONTROL_EXCHANGE, kind: ExchangeKind::Fanout, is_durable: false };
const REPLIES: Exchange = Exchange { name: REPLY_EXCHANGE, kind: ExchangeKind::Direct, is_durable: false };
const EVENTS: Exchange = Exchange { name: EVENT_EXCHANGE, kind: ExchangeKind::Topic, is_durable: true };

impl Exchange {
    /// Sees to it that it is there: a message to one that is not would cost the channel.
    async fn declare(&self, channel: &Channel) -> lapin::Result<()> {
        let options = ExchangeDeclareOptions { durable: self.is_durable, ..ExchangeDeclareOptions::default() };
        channel.exchange_declare(self.name.into(), self.kind.clone(), options, FieldTable::default()).await
    }
}

pub(super) struct AmqpBroadcast(pub Arc<Shared>);

impl Broadcast for AmqpBroadcast {
    fn listen(&self, node: &str, hear: &mut dyn FnMut(Option<Notice>) -> bool) -> Result<(), QueueError> {
        let open = self.0.open()?;
        // A name of its own each time: an earlier connection may not have let go of its queue yet.
        let node = &node[..node.floor_char_boundary(NODE_BYTES_MAX)];
        let queue = format!("{node}.{}.{CONTROL_EXCHANGE}", stdx::random::hex::<4>());
        let ear = self.ear(&open, CONTROL, "", &queue, REQUEST_KEPT)?;
        loop {
            let notice = match ear.heard.recv_timeout(POLL_MAX) {
                Ok(notice) => Some(notice),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) if self.0.is_closed() => return Ok(()),
                Err(RecvTimeoutError::Disconnected) => return Err(lost(self.0.link.name())),
            };
            if !hear(notice) || self.0.is_closed() {
                return Ok(());
            }
        }
    }

    /// Nobody can tell how many will answer, so it takes all of the time.
    fn ask(&self, key: &str, request: &Notice, within: Duration) -> Result<Vec<Notice>, QueueError> {
        let open = self.0.open()?;
        let ear = self.ear(&open, REPLIES, key, &format!("{key}.{REPLY_EXCHANGE}"), REPLY_KEPT)?;
        self.cast(&open, CONTROL, "", request)?;
        let until = Instant::now() + within;
        let mut replies = Vec::new();
        while replies.len() < HEARD_MAX {
            match ear.heard.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(reply) => replies.push(reply),
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => return Err(lost(self.0.link.name())),
            }
        }
        Ok(replies)
    }

    fn reply(&self, key: &str, reply: &Notice) -> Result<(), QueueError> {
        self.cast(&self.0.open()?, REPLIES, key, reply)
    }

    fn tell(&self, key: &str, events: &Notice) -> Result<(), QueueError> {
        self.cast(&self.0.open()?, EVENTS, key, events)
    }

    fn scheduled(&self, queues: &[String], at_most: usize) -> Result<Vec<Scheduled>, QueueError> {
        let mut all = self.0.tables.read(|tx| {
            let mut all = Vec::new();
            for queue in queues {
                all.extend(jobs::scheduled(tx, queue, at_most)?);
            }
            Ok(all)
        })?;
        all.sort_by_key(|job| job.due);
        all.truncate(at_most);
        Ok(all)
    }

    fn keep_revoked(&self, ids: &[String]) -> Result<(), QueueError> {
        let now = self.0.clock.now();
        self.0.tables.write(|tx| {
            revoked::keep(tx, ids, now)?;
            revoked::forget(tx, now.minus(REVOKED_KEPT), REVOKED_MAX)
        })
    }

    fn kept_revoked(&self) -> Result<Vec<String>, QueueError> {
        let since = self.0.clock.now().minus(REVOKED_KEPT);
        self.0.tables.read(|tx| revoked::all(tx, since))
    }

    fn about(&self) -> Value {
        let Some(server) = self.0.config.servers.first() else { return Value::Null };
        json!({
            "hostname": server.host, "userid": server.user, "virtual_host": self.0.config.virtual_host,
            "port": server.port, "insist": false, "ssl": server.tls.is_some(), "transport": "amqp",
            "connect_timeout": 5, "transport_options": {}, "login_method": "PLAIN", "uri_prefix": null,
            "heartbeat": self.0.config.heartbeat.as_secs(), "failover_strategy": "round-robin",
            "alternates": self.0.config.servers[1..].iter().map(|server| server.host.as_str()).collect::<Vec<_>>(),
        })
    }
}

/// Of a node's name in that of its queue, which AMQP bounds.
const NODE_BYTES_MAX: usize = 200;

/// A queue that somebody listens to; it goes away with this.
struct Ear {
    heard: Receiver<Notice>,
    channel: Channel,
    runtime: tokio::runtime::Handle,
}

impl Drop for Ear {
    fn drop(&mut self) {
        let channel = self.channel.clone();
        // A channel that is broken is closed already.
        self.runtime.spawn(async move { drop(channel.close(200, "bye".into()).await) });
    }
}

impl AmqpBroadcast {
    /// Binds a queue of our own to an exchange and hears what comes.
    fn ear(
        &self,
        open: &Arc<Open>,
        exchange: Exchange,
        key: &str,
        queue: &str,
        kept: Duration,
    ) -> Result<Ear, QueueError> {
        let (key, queue) = (key_of(key, self)?, key_of(queue, self)?);
        let opened = open.clone();
        let (channel, consumer) = self
            .0
            .link
            .run(ANSWER_MAX, async move {
                let channel = opened.connection.create_channel().await?;
                let consumer = bound(&channel, exchange, key, queue, kept).await?;
                Ok((channel, consumer))
            })
            .map_err(|fault| self.failed(open, &fault))?;
        let (sender, heard) = sync_channel(HEARD_MAX);
        self.0.link.handle().spawn(read(consumer, sender));
        Ok(Ear { heard, channel, runtime: self.0.link.handle().clone() })
    }

    fn cast(&self, open: &Arc<Open>, exchange: Exchange, key: &str, notice: &Notice) -> Result<(), QueueError> {
        let key = key_of(key, self)?;
        let Message { properties, body } = wire::message_of_notice(notice);
        self.0.link.tell(open, |channel| async move {
            exchange.declare(&channel).await?;
            let options = BasicPublishOptions::default();
            channel.basic_publish(exchange.name.into(), key, options, &body, properties).await?.await.map(drop)
        })
    }

    /// What a server refuses closes a channel of ours; what it does not answer ends the connection.
    fn failed(&self, open: &Open, fault: &Fault) -> QueueError {
        if fault.is_refusal() { self.0.link.error(fault) } else { self.0.link.failed(open, fault) }
    }
}

fn key_of(text: &str, broadcast: &AmqpBroadcast) -> Result<ShortString, QueueError> {
    let why = || QueueError::Refused {
        broker: broadcast.0.link.name().to_owned(),
        why: "a name is longer than AMQP allows".to_owned(),
    };
    wire::short(text).ok_or_else(why)
}

async fn bound(
    channel: &Channel,
    exchange: Exchange,
    key: ShortString,
    queue: ShortString,
    kept: Duration,
) -> lapin::Result<Consumer> {
    exchange.declare(channel).await?;
    let mut arguments = FieldTable::default();
    let milliseconds = |time: Duration| AMQPValue::LongLongInt(i64::try_from(time.as_millis()).unwrap_or(i64::MAX));
    arguments.insert("x-expires".into(), milliseconds(UNHEARD_MAX));
    arguments.insert("x-message-ttl".into(), milliseconds(kept));
    let options = QueueDeclareOptions { exclusive: true, auto_delete: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(queue.clone(), options, arguments).await?;
    let nothing = FieldTable::default;
    channel.queue_bind(queue.clone(), exchange.name.into(), key, QueueBindOptions::default(), nothing()).await?;
    let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
    channel.basic_consume(queue, "".into(), options, nothing()).await
}

/// Ends with the channel, or when nobody wants to know any more.
async fn read(mut consumer: Consumer, heard: SyncSender<Notice>) {
    use futures_core::Stream;
    while let Some(Ok(delivery)) = std::future::poll_fn(|cx| Pin::new(&mut consumer).poll_next(cx)).await {
        let message = Message { properties: delivery.properties, body: delivery.data.into() };
        match wire::notice_of_message(message).map(|notice| heard.try_send(notice)) {
            Ok(Ok(())) => {}
            Ok(Err(TrySendError::Full(_))) => tracing::debug!("a notice was passed over, too many wait"),
            Ok(Err(TrySendError::Disconnected(_))) => return,
            Err(why) => tracing::debug!(why, "a notice was passed over"),
        }
    }
}
