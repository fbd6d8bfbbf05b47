//! The consumers: one for each lane of a queue that somebody claims from, with a credit that follows what the claims ask for.
//! A consumer that nobody asks ends, and gives back what it had.

use super::acks::{LaneChannel, Ticket};
use super::connection::Open;
use super::desk::Entry;
use super::lanes::{Lane, Seat};
use super::link::{ANSWER_MAX, Fault, lock};
use super::wire::Message;
use super::{Shared, claim::SETTLE_SILENCE};
use crate::{QueueBounds, QueueError};
use futures_core::Stream;
use lapin::Consumer;
use lapin::message::Delivery;
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// Deliveries under way to one consumer at most: what is running counts too, so that there is something to claim while
/// a few threads hold as much as a claim may take.
const CREDIT_MAX: usize = 2_048;
/// The first credit, before it is known how large the messages are.
const CREDIT_FIRST: usize = 64;
/// Bytes in all buffers of a process; large messages get a small credit.
const BUFFER_BYTES_MAX: usize = 64 << 20;
/// Deliveries put on the desk at once, while others speak on the same thread.
const READY_MAX: usize = 64;
/// A consumer that nobody asked for so long ends.
const IDLE_AFTER: Duration = Duration::from_secs(1);

struct Running {
    channel: Arc<LaneChannel>,
    tag: String,
    credit: usize,
    is_ended: Arc<AtomicBool>,
}

/// One lane as this process consumes it.
struct LaneStream {
    lane: Lane,
    channel: Option<Arc<LaneChannel>>,
    running: Option<Running>,
    is_changing: bool,
    /// Messages that will come, as far as this process knows: published by it, or there when it began to consume.
    coming: u64,
    /// Nobody else consumes: what is to come comes to us.
    is_sole: bool,
    moved_at: Instant,
}

/// All lanes of the queues that this process claims from.
#[derive(Default)]
pub(super) struct Streams {
    lanes: HashMap<Arc<str>, LaneStream>,
    asked_at: HashMap<Arc<str>, Instant>,
    /// Of the messages that came lately.
    bytes_mean: usize,
}

impl Streams {
    /// Whether a lane of the queue has less than a claim asks for, and more is known to come.
    pub fn is_settling(&self, queue: &str, jobs_max: usize, buffered: impl Fn(&str) -> usize) -> bool {
        let of_queue = |stream: &&LaneStream| &*stream.lane.queue == queue;
        let is_coming = |stream: &LaneStream| {
            let is_known = stream.coming > 0 && stream.is_sole && stream.moved_at.elapsed() < SETTLE_SILENCE;
            (stream.is_changing || is_known) && buffered(&stream.lane.name) < jobs_max
        };
        self.lanes.values().filter(of_queue).any(is_coming)
    }

    /// Messages are being published to a lane.
    pub fn expect(&mut self, lane: &str, messages: u64) {
        let Some(stream) = self.lanes.get_mut(lane) else { return };
        let Some(running) = &stream.running else { return };
        // What is beyond the credit comes when something was acknowledged.
        let room = running.credit.saturating_sub(running.channel.unacked()) as u64;
        stream.coming = (stream.coming + messages).min(room);
        stream.moved_at = Instant::now();
    }

    /// They were not.
    pub fn expect_no_more(&mut self, lane: &str) {
        if let Some(stream) = self.lanes.get_mut(lane) {
            stream.coming = 0;
        }
    }

    /// The connection is a new one: nothing runs.
    pub fn clear(&mut self) {
        self.lanes.clear();
    }

    pub fn running(&self) -> Vec<Lane> {
        self.lanes.values().filter(|stream| stream.running.is_some()).map(|stream| stream.lane.clone()).collect()
    }

    pub fn channels(&self) -> Vec<Arc<LaneChannel>> {
        self.lanes.values().filter_map(|stream| stream.channel.clone()).collect()
    }

    pub fn note_consumers(&mut self, lane: &str, consumers: u64) {
        if let Some(stream) = self.lanes.get_mut(lane) {
            stream.is_sole = consumers <= 1;
        }
    }

    fn note_arrived(&mut self, lane: &str, entries: &[Entry]) {
        for entry in entries {
            let size = entry.message.body.len();
            self.bytes_mean = if self.bytes_mean == 0 { size.max(1) } else { (self.bytes_mean * 15 + size) / 16 + 1 };
        }
        if let Some(stream) = self.lanes.get_mut(lane) {
            stream.coming = stream.coming.saturating_sub(entries.len() as u64);
            stream.moved_at = Instant::now();
        }
    }

    /// The credit of each of so many lanes. They share the bound of bytes with all that run.
    fn credit_for(&self, wanted: usize, lanes: usize) -> usize {
        if self.bytes_mean == 0 {
            return wanted.clamp(1, CREDIT_FIRST);
        }
        let running = self.lanes.values().filter(|stream| stream.running.is_some()).count();
        let fitting = (BUFFER_BYTES_MAX / self.bytes_mean / running.max(lanes).max(1)).max(1);
        wanted.next_power_of_two().min(CREDIT_MAX).min(fitting)
    }
}

impl Shared {
    /// Sees to it that all lanes of a queue are consumed, with a credit for what is asked.
    pub(super) fn consume(&self, open: &Arc<Open>, bounds: &QueueBounds) -> Result<(), QueueError> {
        let lanes = self.lanes_of(&bounds.queue);
        let held = lock(&self.leases).count(&bounds.queue);
        let mut starts = Vec::new();
        let is_full = lock(&self.desk).bytes >= BUFFER_BYTES_MAX;
        {
            let mut streams = lock(&self.streams);
            let wanted = streams.credit_for(held + bounds.jobs_max, lanes.len());
            for lane in &lanes {
                streams.asked_at.insert(lane.queue.clone(), Instant::now());
                let stream = streams.lanes.entry(lane.name.clone()).or_insert_with(|| LaneStream {
                    lane: lane.clone(),
                    channel: None,
                    running: None,
                    is_changing: false,
                    coming: 0,
                    is_sole: true,
                    moved_at: Instant::now(),
                });
                if stream.running.as_ref().is_some_and(|running| running.is_ended.load(Ordering::SeqCst)) {
                    stream.running = None;
                }
                let is_enough = stream.running.as_ref().is_some_and(|running| running.credit >= wanted || is_full);
                if !is_enough && !stream.is_changing {
                    stream.is_changing = true;
                    starts.push((lane.clone(), wanted, stream.channel.clone(), stream.running.take()));
                }
            }
        }
        let mut result = Ok(());
        for (lane, credit, channel, before) in starts {
            // The server counts a cancelled consumer for a while.
            let is_again = before.is_some() || channel.is_some();
            let started = self.start(open, &lane, credit, channel, before);
            let mut streams = lock(&self.streams);
            let Some(stream) = streams.lanes.get_mut(&lane.name) else { continue };
            stream.is_changing = false;
            match started {
                Ok((running, waiting, consumers)) => {
                    stream.channel = Some(running.channel.clone());
                    stream.coming += waiting.min(credit as u64);
                    stream.is_sole &= is_again || consumers == 0;
                    stream.moved_at = Instant::now();
                    stream.running = Some(running);
                }
                Err(error) => result = Err(error),
            }
        }
        self.arrived.notify_all();
        result
    }

    fn start(
        &self,
        open: &Arc<Open>,
        lane: &Lane,
        credit: usize,
        channel: Option<Arc<LaneChannel>>,
        before: Option<Running>,
    ) -> Result<(Running, u64, u64), QueueError> {
        if let Some(before) = before {
            self.cancel(&before).map_err(|fault| self.link.failed(open, &fault))?;
        }
        self.link.declare(open, lane)?;
        let (waiting, consumers) = self.link.count(open, &lane.name)?.unwrap_or((0, 0));
        let (opened, name, tag) = (open.clone(), lane.name.clone(), format!("vigie-{}", stdx::random::hex::<6>()));
        let shared = self.own.clone();
        let consumer_tag = tag.clone();
        let started = self.link.run(ANSWER_MAX, async move {
            let channel = match channel {
                Some(channel) => channel,
                None => {
                    let channel = opened.connection.create_channel().await?;
                    let shared = shared.upgrade().ok_or(Fault::Late)?;
                    Arc::new(LaneChannel::on(&shared, opened.epoch, channel))
                }
            };
            let credit = u16::try_from(credit).unwrap_or(u16::MAX);
            channel.channel.basic_qos(credit, BasicQosOptions::default()).await?;
            let (queue, tag, options) = ((&*name).into(), consumer_tag.as_str().into(), BasicConsumeOptions::default());
            let consumer = channel.channel.basic_consume(queue, tag, options, FieldTable::default()).await?;
            Ok((channel, consumer))
        });
        let (channel, consumer) = started.map_err(|fault| self.link.failed(open, &fault))?;
        channel.set_credit(credit);
        let is_ended = Arc::new(AtomicBool::new(false));
        let reader = Reader {
            shared: self.own.clone(),
            lane: lane.clone(),
            channel: channel.clone(),
            is_ended: is_ended.clone(),
        };
        self.link.handle().spawn(reader.read(consumer));
        Ok((Running { channel, tag, credit, is_ended }, waiting, consumers))
    }

    fn cancel(&self, running: &Running) -> Result<(), Fault> {
        running.is_ended.store(true, Ordering::SeqCst);
        let (channel, tag) = (running.channel.channel.clone(), running.tag.clone());
        self.link.run(ANSWER_MAX, async move {
            Ok(channel.basic_cancel(tag.as_str().into(), BasicCancelOptions::default()).await?)
        })
    }

    fn arrive(&self, lane: &Lane, channel: &Arc<LaneChannel>, deliveries: Vec<Delivery>) {
        let entries: Vec<Entry> = deliveries.into_iter().map(|delivery| entry_of(lane, channel, delivery)).collect();
        let mut desk = lock(&self.desk);
        // Under both locks: whoever sees that nothing more is coming must see it lie on the desk.
        lock(&self.streams).note_arrived(&lane.name, &entries);
        for entry in entries {
            let order = desk.next_order();
            desk.put(Entry { order, ..entry });
        }
        drop(desk);
        self.arrived.notify_all();
    }

    /// Whether the connection that brought a delivery is still there.
    pub(super) fn is_live(&self, ticket: &Ticket) -> bool {
        self.link.is_live(ticket.epoch())
    }

    /// Ends consumers that nobody asks, and gives back what waits in vain.
    pub(super) fn release_idle(&self) {
        let mut ended = Vec::new();
        let mut queues = Vec::new();
        {
            let mut streams = lock(&self.streams);
            let is_idle = |asked_at: &Instant| asked_at.elapsed() > IDLE_AFTER;
            queues.extend(streams.asked_at.iter().filter(|(_, at)| is_idle(at)).map(|(queue, _)| queue.clone()));
            streams.asked_at.retain(|_, at| !is_idle(at));
            for stream in streams.lanes.values_mut().filter(|stream| queues.contains(&stream.lane.queue)) {
                if !stream.is_changing {
                    ended.extend(stream.running.take());
                    stream.coming = 0;
                }
            }
        }
        for running in ended {
            if self.cancel(&running).is_err() {
                self.link.end(running.channel.epoch);
            }
        }
        let old = self.config.held_max / 2;
        let mut back = Vec::new();
        {
            let mut desk = lock(&self.desk);
            for queue in desk.queues() {
                let is_idle = queues.contains(&queue);
                back.extend(desk.take_where(&queue, |entry| is_idle || entry.arrived_at.elapsed() > old));
            }
        }
        // The last first: each goes to the head of its queue.
        back.sort_by_key(|entry| std::cmp::Reverse(entry.order));
        self.give_back(back.into_iter().map(|entry| entry.ticket).collect());
    }
}

/// What lies on the desk of a delivery; its place is given there.
fn entry_of(lane: &Lane, channel: &Arc<LaneChannel>, delivery: Delivery) -> Entry {
    let ticket = channel.arrive(delivery.delivery_tag);
    let message = Message { properties: delivery.properties, body: delivery.data.into() };
    let job = message.decode().map(Arc::new).map_err(Arc::new);
    let tag = message.tag().map_or_else(|| tag_of_stranger(&job, &message), Arc::from);
    let (mut deaths, mut seat) = (job.as_ref().map_or((0, 0), |job| (job.deaths, job.company_deaths)), lane.seat);
    if lane.is_shared {
        let priority = message.priority().unwrap_or(crate::PRIORITY_DEFAULT);
        seat = Seat { class: 9 - priority.min(9), lane: 0 };
    }
    if message.deliveries() >= u64::from(super::POISON_DEATHS) && deaths == (0, 0) {
        deaths = (0, 1);
    }
    Entry {
        order: 0,
        seat,
        lane: lane.name.clone(),
        queue: lane.queue.clone(),
        ticket,
        message: Arc::new(message),
        job,
        tag,
        deaths,
        is_unsure: delivery.redelivered,
        arrived_at: Instant::now(),
    }
}

/// Others' messages have no name of ours. What they say makes one, the same at each delivery.
fn tag_of_stranger(
    job: &Result<Arc<crate::celery::Received>, Arc<crate::celery::Undecodable>>,
    message: &Message,
) -> Arc<str> {
    match job {
        Ok(job) => format!("~{}~{}", job.id, job.attempt).into(),
        Err(_) => format!("~{:016x}", xxhash_rust::xxh3::xxh3_64(&message.body)).into(),
    }
}

/// The task that takes deliveries from one consumer.
struct Reader {
    shared: Weak<Shared>,
    lane: Lane,
    channel: Arc<LaneChannel>,
    is_ended: Arc<AtomicBool>,
}

impl Reader {
    async fn read(self, mut consumer: Consumer) {
        let was_broken = loop {
            let (deliveries, end) = std::future::poll_fn(|cx| take_ready(&mut consumer, cx)).await;
            match self.shared.upgrade() {
                Some(shared) => shared.arrive(&self.lane, &self.channel, deliveries),
                None => return,
            }
            if let Some(was_broken) = end {
                break was_broken;
            }
        };
        let was_wanted = self.is_ended.swap(true, Ordering::SeqCst);
        let Some(shared) = self.shared.upgrade() else { return };
        if was_broken {
            shared.link.end(self.channel.epoch);
        } else if !was_wanted {
            // The server ended it: the queue was deleted. The next claim declares it again.
            if let Some(open) = shared.link.if_open() {
                shared.link.forget_declared(&open, &self.lane.name);
            }
        }
        shared.arrived.notify_all();
    }
}

/// Takes what has come, so that it is put on the desk and told of at once; and whether the consumer has ended, and broken.
fn take_ready(consumer: &mut Consumer, cx: &mut Context<'_>) -> Poll<(Vec<Delivery>, Option<bool>)> {
    let mut deliveries = Vec::new();
    while deliveries.len() < READY_MAX {
        match Pin::new(&mut *consumer).poll_next(cx) {
            Poll::Ready(Some(Ok(delivery))) => deliveries.push(delivery),
            Poll::Ready(Some(Err(_))) => return Poll::Ready((deliveries, Some(true))),
            Poll::Ready(None) => return Poll::Ready((deliveries, Some(false))),
            Poll::Pending if deliveries.is_empty() => return Poll::Pending,
            Poll::Pending => break,
        }
    }
    Poll::Ready((deliveries, None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_share_the_bound_of_bytes() {
        let check = |bytes_mean, wanted, lanes, credit| {
            let streams = Streams { bytes_mean, ..Streams::default() };
            assert_eq!(streams.credit_for(wanted, lanes), credit, "{wanted} of {bytes_mean} bytes on {lanes} lanes");
        };
        check(0, 1_000, 8, CREDIT_FIRST);
        check(1_000, 1_000, 8, 1_024);
        check(1 << 20, 1_000, 1, 64);
        check(1 << 20, 1_000, 8, 8);
        check(64 << 20, 1_000, 80, 1);
    }
}
