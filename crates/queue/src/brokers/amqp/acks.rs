//! What the server is told of deliveries. It looks through all that it has not been told of for each one that is told apart,
//! so runs that end out of turn wait a moment for those before them, and many are acknowledged by one word.

use super::Shared;
use super::link::lock;
use lapin::Channel;
use lapin::options::{BasicAckOptions, BasicNackOptions};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::Instant;

/// So long what is done waits for what came before it. A connection that ends meanwhile brings it again, and it is run twice.
const STRAGGLE_MAX: Duration = Duration::from_millis(100);
/// For all that waits when the broker is closed.
const SAY_MAX: Duration = Duration::from_secs(2);
/// This part of the credit may wait; more would keep the server from delivering.
const WAITING_SHARE: usize = 3;

/// A channel on which deliveries come.
pub(super) struct LaneChannel {
    pub epoch: u64,
    pub channel: Channel,
    unacked: Arc<Mutex<Unacked>>,
    /// To the task that speaks on the channel; sent to while `unacked` is locked.
    orders: UnboundedSender<Order>,
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

/// What is said of deliveries. It is said in the order in which it was decided: if an acknowledgement of many overtook
/// what gives one of them back, that one would be lost; one that is overtaken costs the channel.
#[derive(Debug, PartialEq, Eq)]
enum Word {
    DoneUpTo(u64),
    Done(u64),
    Back(u64),
    /// Nothing yet: something is done and waits.
    Wait,
}

/// To the task that speaks on a channel.
enum Order {
    Say(Word),
    /// Answered when all before it has been said.
    Answer(SyncSender<()>),
}

/// The numbers of a channel's deliveries, which the server counts from 1. They may come out of turn here: a consumer that
/// was replaced still has some that its successor's have overtaken.
#[derive(Default)]
struct Unacked {
    /// Of which nothing is decided.
    open: BTreeSet<u64>,
    /// What is done and not said, since when.
    waiting: BTreeMap<u64, Instant>,
    /// All up to this one have come.
    whole: u64,
    /// What came beyond a gap.
    early: BTreeSet<u64>,
    credit: usize,
    is_waited_for: bool,
}

impl Unacked {
    fn arrive(&mut self, number: u64) {
        self.open.insert(number);
        self.early.insert(number);
        while self.early.remove(&(self.whole + 1)) {
            self.whole += 1;
        }
    }

    /// Notes that deliveries are done. What has not come yet is not: an acknowledgement of many that took it along would
    /// lose it.
    fn done(&mut self, numbers: BTreeSet<u64>, now: Instant) -> Vec<Word> {
        for number in numbers {
            self.open.remove(&number);
            self.waiting.insert(number, now);
        }
        let mut words: Vec<Word> = self.up_to().into_iter().collect();
        if self.waiting.len() * WAITING_SHARE >= self.credit {
            words.extend(std::mem::take(&mut self.waiting).into_keys().map(Word::Done));
        }
        if !self.waiting.is_empty() && !self.is_waited_for {
            self.is_waited_for = true;
            words.push(Word::Wait);
        }
        words
    }

    fn back(&mut self, numbers: &BTreeSet<u64>) -> Vec<Word> {
        for number in numbers {
            self.open.remove(number);
        }
        // What they were before may be said now, after them.
        numbers.iter().map(|number| Word::Back(*number)).chain(self.up_to()).collect()
    }

    fn up_to(&mut self) -> Option<Word> {
        let first_open = self.open.first().map_or(u64::MAX, |number| *number).min(self.whole + 1);
        let later = self.waiting.split_off(&first_open);
        let done = std::mem::replace(&mut self.waiting, later);
        done.last_key_value().map(|(number, _)| Word::DoneUpTo(*number))
    }

    /// Takes what has waited for long enough. Returns also when to look again, if anything is left.
    fn stragglers(&mut self, now: Instant) -> (Vec<Word>, Option<Instant>) {
        let (old, young): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.waiting).into_iter().partition(|(_, since)| *since + STRAGGLE_MAX <= now);
        self.waiting = young.into_iter().collect();
        let next = self.waiting.values().min().map(|since| *since + STRAGGLE_MAX);
        self.is_waited_for = next.is_some();
        (old.into_iter().map(|(number, _)| Word::Done(number)).collect(), next)
    }
}

impl LaneChannel {
    /// Wraps a channel, and starts the task that speaks on it until nothing of it is left.
    pub fn on(shared: &Shared, epoch: u64, channel: Channel) -> LaneChannel {
        let (orders, heard) = unbounded_channel();
        let unacked = Arc::new(Mutex::new(Unacked::default()));
        let speaker = Speaker { shared: shared.own.clone(), epoch, channel: channel.clone(), unacked: unacked.clone() };
        shared.link.handle().spawn(speaker.speak(heard));
        LaneChannel { epoch, channel, unacked, orders }
    }

    pub fn set_credit(&self, credit: usize) {
        lock(&self.unacked).credit = credit;
    }

    /// How many deliveries count against the credit.
    pub fn unacked(&self) -> usize {
        let unacked = lock(&self.unacked);
        unacked.open.len() + unacked.waiting.len()
    }

    /// Notes a delivery.
    pub fn arrive(self: &Arc<Self>, number: u64) -> Ticket {
        lock(&self.unacked).arrive(number);
        Ticket { channel: self.clone(), number }
    }

    fn done(&self, numbers: BTreeSet<u64>) {
        let mut unacked = lock(&self.unacked);
        let words = unacked.done(numbers, Instant::now());
        self.say(words);
    }

    fn back(&self, numbers: &BTreeSet<u64>) {
        let mut unacked = lock(&self.unacked);
        let words = unacked.back(numbers);
        self.say(words);
    }

    /// Where nobody speaks any more the connection is over, and everything has gone back with it.
    fn say(&self, words: Vec<Word>) {
        words.into_iter().for_each(|word| drop(self.orders.send(Order::Say(word))));
    }

    /// Says what waits, and returns when it has been said, or nobody speaks any more.
    fn say_all(&self, until: Instant) {
        let (sender, said) = sync_channel(1);
        {
            let mut unacked = lock(&self.unacked);
            self.say(std::mem::take(&mut unacked.waiting).into_keys().map(Word::Done).collect());
            drop(self.orders.send(Order::Answer(sender)));
        }
        // Late or never: what was not said comes again.
        let _ = said.recv_timeout(until.saturating_duration_since(Instant::now()));
    }
}

/// The task that speaks on a channel.
struct Speaker {
    shared: Weak<Shared>,
    epoch: u64,
    channel: Channel,
    unacked: Arc<Mutex<Unacked>>,
}

impl Speaker {
    async fn speak(self, mut orders: UnboundedReceiver<Order>) {
        let mut look_at: Option<Instant> = None;
        loop {
            let heard = match look_at {
                Some(at) => tokio::time::timeout_at(at, orders.recv()).await.ok(),
                None => Some(orders.recv().await),
            };
            let now = Instant::now();
            let said = match heard {
                // Nobody is left who could have anything to say.
                Some(None) => return,
                Some(Some(Order::Answer(asker))) => {
                    // Whoever asked may have stopped waiting.
                    let _ = asker.send(());
                    Vec::new()
                }
                Some(Some(Order::Say(Word::Wait))) => {
                    look_at = Some(now + STRAGGLE_MAX);
                    Vec::new()
                }
                Some(Some(Order::Say(word))) => vec![word],
                None => {
                    let (late, next) = lock(&self.unacked).stragglers(now);
                    look_at = next;
                    late
                }
            };
            for word in said {
                if self.say(&word).await.is_err() {
                    if let Some(shared) = self.shared.upgrade() {
                        shared.link.end(self.epoch);
                    }
                    return;
                }
            }
        }
    }

    async fn say(&self, word: &Word) -> lapin::Result<()> {
        match word {
            Word::DoneUpTo(number) => self.channel.basic_ack(*number, BasicAckOptions { multiple: true }).await,
            Word::Done(number) => self.channel.basic_ack(*number, BasicAckOptions::default()).await,
            Word::Back(number) => {
                let options = BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
                self.channel.basic_nack(*number, options).await
            }
            Word::Wait => Ok(()),
        }
    }
}

impl Shared {
    /// Acknowledges deliveries. An acknowledgement that is lost with its connection is a second run.
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

    /// Says what waits to be said, before the connection is closed.
    pub(super) fn say_all(&self) {
        let channels = lock(&self.streams).channels();
        let until = Instant::now() + SAY_MAX;
        channels.iter().for_each(|channel| channel.say_all(until));
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

#[cfg(test)]
mod tests {
    use super::*;
    use Word::{Back, Done, DoneUpTo, Wait};

    /// A channel with a large credit on which these have come.
    fn arrived(numbers: impl IntoIterator<Item = u64>) -> Unacked {
        let mut unacked = Unacked { credit: 100, ..Unacked::default() };
        numbers.into_iter().for_each(|number| unacked.arrive(number));
        unacked
    }

    #[test]
    fn what_is_done_out_of_turn_is_said_with_what_was_before_it() {
        let (mut unacked, now) = (arrived(1..=6), Instant::now());
        assert_eq!(unacked.done([4, 5].into(), now), [Wait]);
        assert_eq!(unacked.done([1, 6].into(), now), [DoneUpTo(1)]);
        assert_eq!(unacked.done([2, 3].into(), now), [DoneUpTo(6)]);
        assert_eq!(unacked.stragglers(now + STRAGGLE_MAX), (vec![], None));
    }

    #[test]
    fn what_has_not_come_is_not_acknowledged_with_others() {
        let (mut unacked, now) = (arrived([1, 2, 4, 5]), Instant::now());
        assert_eq!(unacked.done([1, 2, 4].into(), now), [DoneUpTo(2), Wait], "3 is on its way");
        unacked.arrive(3);
        assert_eq!(unacked.done([].into(), now), []);
        assert_eq!(unacked.done([3].into(), now), [DoneUpTo(4)]);
    }

    #[test]
    fn what_goes_back_is_said_before_what_is_done_behind_it() {
        let (mut unacked, now) = (arrived(1..=3), Instant::now());
        assert_eq!(unacked.done([2].into(), now), [Wait]);
        assert_eq!(unacked.back(&[1].into()), [Back(1), DoneUpTo(2)]);
    }

    #[test]
    fn a_long_run_holds_the_others_up_for_a_moment_only() {
        let (mut unacked, now) = (arrived(1..=9), Instant::now());
        assert_eq!(unacked.done([2].into(), now), [Wait]);
        let later = now + STRAGGLE_MAX / 2;
        assert_eq!(unacked.done([3].into(), later), []);
        assert_eq!(unacked.stragglers(now + STRAGGLE_MAX), (vec![Done(2)], Some(later + STRAGGLE_MAX)));
        assert_eq!(unacked.stragglers(later + STRAGGLE_MAX), (vec![Done(3)], None));
        assert_eq!(unacked.done([4].into(), later), [Wait]);
    }

    #[test]
    fn what_waits_takes_no_more_than_its_part_of_the_credit() {
        let (mut unacked, now) = (Unacked { credit: 6, ..arrived(1..=6) }, Instant::now());
        assert_eq!(unacked.done([3].into(), now), [Wait]);
        assert_eq!(unacked.done([5].into(), now), [Done(3), Done(5)]);
        assert_eq!(unacked.done([1, 2, 6].into(), now), [DoneUpTo(2)]);
    }
}
