//! One place that reports go to, with a thread and a bounded queue of its own: a destination that hangs holds up neither
//! the process nor the other destination.

use super::{metrics, own};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Reports that wait for one destination; more are dropped.
const WAITING_MAX: usize = 100;
/// How long a destination that asks for rest and does not say how long is left alone.
const REST: Duration = Duration::from_secs(60);
const REST_MAX: Duration = Duration::from_secs(3_600);

/// Takes envelopes somewhere. Called in the destination's own thread, and may wait.
pub trait Deliver: Send + 'static {
    fn deliver(&mut self, envelope: &[u8]) -> Answer;
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Status {
        status: u16,
        /// How long to send nothing, if it was said.
        rest: Option<Duration>,
    },
    /// Nobody answered.
    Unreachable,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    Upstream,
    Relay,
}

impl Name {
    fn as_str(self) -> &'static str {
        match self {
            Name::Upstream => "upstream",
            Name::Relay => "relay",
        }
    }
}

/// What became of reports: captured = sent + dropped + waiting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Tally {
    pub captured: u64,
    /// Answered, whatever the answer was.
    pub sent: u64,
    /// Of those, answered with a status other than 2xx.
    pub refused: u64,
    pub dropped: u64,
    pub waiting: u64,
    /// Kept from the destination before they were captured: they would have reported on a report, or were too many.
    pub uncaptured: u64,
    /// Of those: what was said of a report, and what was beyond ten a minute.
    pub uncaptured_self: u64,
    pub uncaptured_rate: u64,
}

/// Why a report is kept from a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It speaks of a report: it would come back as another.
    OfReport,
    /// There were too many.
    Rate,
}

pub struct Destination {
    name: Name,
    messages: SyncSender<Message>,
    tally: Arc<Mutex<Tally>>,
}

enum Message {
    Envelope(Vec<u8>),
    Flush(SyncSender<()>),
}

impl Destination {
    pub fn start(name: Name, deliver: Box<dyn Deliver>) -> Destination {
        let (messages, inbox) = sync_channel(WAITING_MAX);
        let tally: Arc<Mutex<Tally>> = Arc::default();
        let sender = Sender { name, deliver, tally: tally.clone(), resting_until: None };
        let spawned = std::thread::Builder::new().name(format!("report-{}", name.as_str())).spawn(|| sender.run(inbox));
        if let Err(error) = spawned {
            tracing::warn!(error = %error, destination = name.as_str(), "no thread for reports, none will be sent");
        }
        Destination { name, messages, tally }
    }

    pub fn name(&self) -> &'static str {
        self.name.as_str()
    }

    pub fn tally(&self) -> Tally {
        *lock(&self.tally)
    }

    /// Takes an envelope; never waits.
    pub fn offer(&self, envelope: Vec<u8>) {
        metrics::captured(self.name == Name::Upstream);
        let mut tally = lock(&self.tally);
        tally.captured += 1;
        tally.waiting += 1;
        let reason = match self.messages.try_send(Message::Envelope(envelope)) {
            Ok(()) => return,
            Err(TrySendError::Full(_)) => "full",
            Err(TrySendError::Disconnected(_)) => "stopped",
        };
        drop_one(&mut tally, self.name, reason);
    }

    /// Counts a report that is not offered.
    pub fn keep_from(&self, kept: Kept) {
        let mut tally = lock(&self.tally);
        tally.uncaptured += 1;
        let reason = match kept {
            Kept::OfReport => {
                tally.uncaptured_self += 1;
                "self"
            }
            Kept::Rate => {
                tally.uncaptured_rate += 1;
                "rate"
            }
        };
        metrics::uncaptured(self.name == Name::Upstream, reason);
    }

    /// Waits until everything offered before was sent or dropped; returns whether it was within the time.
    pub fn flush(&self, within: Duration) -> bool {
        let (done, wait) = sync_channel(1);
        let until = Instant::now() + within;
        let mut message = Message::Flush(done);
        // A full queue takes no mark yet; there is no call that waits for room and gives up.
        loop {
            match self.messages.try_send(message) {
                Ok(()) => break,
                Err(TrySendError::Full(back)) if Instant::now() < until => message = back,
                Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => return false,
            }
            std::thread::park_timeout(Duration::from_millis(10));
        }
        wait.recv_timeout(until.saturating_duration_since(Instant::now())).is_ok()
    }
}

fn drop_one(tally: &mut Tally, name: Name, reason: &'static str) {
    tally.waiting -= 1;
    tally.dropped += 1;
    metrics::dropped(name.as_str(), reason);
}

fn lock(tally: &Mutex<Tally>) -> std::sync::MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The thread's side.
struct Sender {
    name: Name,
    deliver: Box<dyn Deliver>,
    tally: Arc<Mutex<Tally>>,
    resting_until: Option<Instant>,
}

impl Sender {
    fn run(mut self, inbox: Receiver<Message>) {
        own::enter_reporting_thread();
        for message in inbox {
            match message {
                Message::Envelope(envelope) => self.send(&envelope),
                // Whoever waited may have given up.
                Message::Flush(done) => drop(done.try_send(())),
            }
        }
    }

    fn send(&mut self, envelope: &[u8]) {
        if self.resting_until.is_some_and(|until| Instant::now() < until) {
            return drop_one(&mut lock(&self.tally), self.name, "limited");
        }
        self.resting_until = None;
        match self.deliver.deliver(envelope) {
            Answer::Unreachable => drop_one(&mut lock(&self.tally), self.name, "unreachable"),
            Answer::Status { status, rest } => {
                let rest = rest.or((status == 429).then_some(REST)).map(|rest| rest.min(REST_MAX));
                self.resting_until = rest.map(|rest| Instant::now() + rest);
                let mut tally = lock(&self.tally);
                tally.waiting -= 1;
                tally.sent += 1;
                tally.refused += u64::from(!(200..300).contains(&status));
                metrics::sent(self.name == Name::Upstream, status);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    struct Scripted(Receiver<Answer>);

    impl Deliver for Scripted {
        fn deliver(&mut self, _envelope: &[u8]) -> Answer {
            self.0.recv().expect("an answer")
        }
    }

    const SOON: Duration = Duration::from_secs(20);

    #[test]
    fn captured_is_sent_and_dropped_and_waiting() {
        let (answers, script) = channel();
        let destination = Destination::start(Name::Upstream, Box::new(Scripted(script)));
        for _ in 0..WAITING_MAX + 10 {
            destination.offer(Vec::new());
        }
        let before = destination.tally();
        assert_eq!(before.captured, 110);
        assert!((9..=10).contains(&before.dropped), "the thread may hold one: {before:?}");
        answers.send(Answer::Unreachable).expect("heard");
        answers.send(Answer::Status { status: 400, rest: None }).expect("heard");
        answers.send(Answer::Status { status: 200, rest: None }).expect("heard");
        answers.send(Answer::Status { status: 429, rest: None }).expect("heard");
        assert!(destination.flush(SOON));
        let after = destination.tally();
        assert_eq!((after.sent, after.refused, after.waiting), (3, 2, 0));
        assert_eq!(after.captured, after.sent + after.dropped, "what came after the rest began was dropped");
    }

    #[test]
    fn a_destination_that_hangs_holds_up_nobody() {
        let (_answers, script) = channel();
        let destination = Destination::start(Name::Relay, Box::new(Scripted(script)));
        destination.offer(Vec::new());
        assert!(!destination.flush(Duration::from_millis(20)));
        assert_eq!(destination.tally().waiting, 1);
    }
}
