//! The consumers: one for each lane of a queue that somebody claims from, with a credit that follows what the claims ask for,
//! and the acknowledgements of what they delivered. A consumer that nobody asks ends, and gives back what it had.

use super::desk::Entry;
use super::lanes::{Lane, Seat};
use super::link::{ANSWER_MAX, Fault, Open, lock};
use super::wire::Message;
use super::{Shared, claim::SETTLE_SILENCE};
use crate::{QueueBounds, QueueError};
use futures_core::Stream;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Consumer};
use std::collections::{BTreeSet, HashMap};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Deliveries under way to one consumer at most: what is running counts too, so that there is something to claim while
/// a few threads hold as much as a claim may take.
const CREDIT_MAX: usize = 4_000;
/// The first credit, before it is known how large the messages are.
const CREDIT_FIRST: usize = 64;
/// Bytes in all buffers of a process; large messages get a small credit.
const BUFFER_BYTES_MAX: usize = 64 << 20;
/// A consumer that nobody asked for so long ends.
const IDLE_AFTER: Duration = Duration::from_secs(1);

/// A delivery's channel, and what is not acknowledged there.
pub(super) struct LaneChannel {
    epoch: u64,
    channel: Channel,
    unacked: Mutex<Unacked>,
    /// To the task that speaks on the channel; sent to while `unacked` is locked.
    words: UnboundedSender<Word>,
}

/// The numbers of a channel's deliveries, which the server counts from 1. They may come out of turn here: a consumer that
/// was replaced still has some that its successor's have overtaken.
#[derive(Default)]
struct Unacked {
    open: BTreeSet<u64>,
    /// All up to this one have come.
    whole: u64,
    /// What came beyond a gap.
    early: BTreeSet<u64>,
}

impl Unacked {
    fn arrive(&mut self, number: u64) {
        self.open.insert(number);
        self.early.insert(number);
        while self.early.remove(&(self.whole + 1)) {
            self.whole += 1;
        }
    }

    /// Notes that deliveries are done. Returns up to which all are, and which others. What has not come yet is not done: an
    /// acknowledgement of many that took it along would lose it.
    fn done(&mut self, mut numbers: BTreeSet<u64>) -> (Option<u64>, BTreeSet<u64>) {
        for number in &numbers {
            self.open.remove(number);
        }
        let first_open = self.open.first().map_or(u64::MAX, |number| *number).min(self.whole + 1);
        let single = numbers.split_off(&first_open);
        (numbers.last().copied(), single)
    }
}

/// What is said of deliveries. It is said in the order in which it was decided: if an acknowledgement of many overtook
/// what gives one of them back, that one would be lost; one that is overtaken costs the channel.
enum Word {
    DoneUpTo(u64),
    Done(u64),
    Back(u64),
}

/// What must be shown to acknowledge a delivery.
#[derive(Clone)]
pub(super) struct Ticket {
    channel: Arc<LaneChannel>,
    number: u64,
}

impl Ticket {
    pub fn epoch(&self) -> u64 {
        self.channel.epoch
    }
}

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
        let room = running.credit.saturating_sub(lock(&running.channel.unacked).open.len()) as u64;
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

    pub fn note_consumers(&mut self, lane: &str, consumers: u64) {
        if let Some(stream) = self.lanes.get_mut(lane) {
            stream.is_sole = consumers <= 1;
        }
    }

    fn credit_for(&self, wanted: usize) -> usize {
        if self.bytes_mean == 0 {
            return wanted.clamp(1, CREDIT_FIRST);
        }
        let fitting = (BUFFER_BYTES_MAX / self.bytes_mean).max(1);
        wanted.next_power_of_two().min(CREDIT_MAX).min(fitting)
    }
}

impl Shared {
    /// Sees to it that all lanes of a queue are consumed, with a credit for what is asked. Returns whether all are.
    pub(super) fn consume(&self, open: &Arc<Open>, bounds: &QueueBounds) -> Result<(), QueueError> {
        let lanes = self.lanes_of(&bounds.queue);
        let held = lock(&self.leases).count(&bounds.queue);
        let mut starts = Vec::new();
        {
            let mut streams = lock(&self.streams);
            let wanted = streams.credit_for(held + bounds.jobs_max);
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
                let is_enough = stream.running.as_ref().is_some_and(|running| running.credit >= wanted);
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

    fn arrive(&self, lane: &Lane, channel: &Arc<LaneChannel>, delivery: Delivery) {
        lock(&channel.unacked).arrive(delivery.delivery_tag);
        let message = Message { properties: delivery.properties, body: delivery.data.into() };
        let ticket = Ticket { channel: channel.clone(), number: delivery.delivery_tag };
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
        let size = message.body.len();
        {
            let mut streams = lock(&self.streams);
            streams.bytes_mean =
                if streams.bytes_mean == 0 { size.max(1) } else { (streams.bytes_mean * 15 + size) / 16 + 1 };
            if let Some(stream) = streams.lanes.get_mut(&lane.name) {
                stream.coming = stream.coming.saturating_sub(1);
                stream.moved_at = Instant::now();
            }
        }
        let mut desk = lock(&self.desk);
        let order = desk.next_order();
        desk.put(Entry {
            order,
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
        });
        drop(desk);
        self.arrived.notify_all();
    }

    /// Acknowledges deliveries, several at once where all before them are done. A lost acknowledgement is a second delivery,
    /// which the ledger recognises.
    pub(super) fn acknowledge(&self, tickets: Vec<Ticket>) {
        for (channel, numbers) in by_channel(tickets) {
            channel.done(numbers);
        }
    }

    /// Gives deliveries back to their queues.
    pub(super) fn give_back(&self, tickets: Vec<Ticket>) {
        for (channel, numbers) in by_channel(tickets) {
            channel.back(&numbers);
        }
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

fn by_channel(tickets: Vec<Ticket>) -> Vec<(Arc<LaneChannel>, BTreeSet<u64>)> {
    let mut channels: Vec<(Arc<LaneChannel>, BTreeSet<u64>)> = Vec::new();
    for Ticket { channel, number } in tickets {
        match channels.iter_mut().find(|(known, _)| Arc::ptr_eq(known, &channel)) {
            Some((_, numbers)) => drop(numbers.insert(number)),
            None => channels.push((channel, BTreeSet::from([number]))),
        }
    }
    channels
}

impl LaneChannel {
    /// Wraps a channel, and starts the task that speaks on it until nothing of it is left.
    fn on(shared: &Shared, epoch: u64, channel: Channel) -> LaneChannel {
        let (words, heard) = unbounded_channel();
        shared.link.handle().spawn(speak(shared.own.clone(), epoch, channel.clone(), heard));
        LaneChannel { epoch, channel, unacked: Mutex::default(), words }
    }

    /// Acknowledges deliveries, several at once where all before them are done.
    fn done(&self, numbers: BTreeSet<u64>) {
        let mut unacked = lock(&self.unacked);
        let (up_to, single) = unacked.done(numbers);
        // Where nobody speaks any more the connection is over, and everything has gone back with it; so below.
        let words = up_to.map(Word::DoneUpTo).into_iter().chain(single.into_iter().map(Word::Done));
        words.for_each(|word| drop(self.words.send(word)));
    }

    fn back(&self, numbers: &BTreeSet<u64>) {
        let mut unacked = lock(&self.unacked);
        for number in numbers {
            unacked.open.remove(number);
            drop(self.words.send(Word::Back(*number)));
        }
    }
}

async fn speak(shared: Weak<Shared>, epoch: u64, channel: Channel, mut words: UnboundedReceiver<Word>) {
    while let Some(word) = words.recv().await {
        let said = match word {
            Word::DoneUpTo(number) => channel.basic_ack(number, BasicAckOptions { multiple: true }).await,
            Word::Done(number) => channel.basic_ack(number, BasicAckOptions::default()).await,
            Word::Back(number) => {
                let options = BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
                channel.basic_nack(number, options).await
            }
        };
        if said.is_err() {
            if let Some(shared) = shared.upgrade() {
                shared.link.end(epoch);
            }
            return;
        }
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
            match std::future::poll_fn(|cx| Pin::new(&mut consumer).poll_next(cx)).await {
                Some(Ok(delivery)) => match self.shared.upgrade() {
                    Some(shared) => shared.arrive(&self.lane, &self.channel, delivery),
                    None => return,
                },
                Some(Err(_)) => break true,
                None => break false,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_not_come_is_not_acknowledged_with_others() {
        let mut unacked = Unacked::default();
        [1, 2, 4, 5].into_iter().for_each(|number| unacked.arrive(number));
        assert_eq!(unacked.done([1, 4].into()), (Some(1), [4].into()), "2 runs and 3 is on its way");
        assert_eq!(unacked.done([2, 5].into()), (Some(2), [5].into()), "3 is on its way");
        unacked.arrive(3);
        unacked.arrive(6);
        assert_eq!(unacked.done([3, 6].into()), (Some(6), [].into()));
        assert_eq!(unacked.done([].into()), (None, [].into()));
    }
}
