//! The way to the server: one `connection` for a process, with a deadline behind every wait. Whatever fails on it ends it, and
//! the next call makes a new one; nothing of the old one is used again (`epoch`). While the server is away calls fail at
//! once, and it is tried again with growing pauses, for ever.

use super::config::{AmqpConfig, Server};
use super::connection::{For, Making, Open, answers, say_nothing, tls_of, uri_of};
use super::post::Said;
use super::wire::Message;
use crate::QueueError;
use lapin::{Channel, ErrorKind};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Handle, Runtime};

/// For a connection to be made, TLS included, whichever server of the address answers.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// For an answer. A network that swallows everything is noticed after this.
pub(super) const ANSWER_MAX: Duration = Duration::from_secs(10);
/// For a farewell.
const CLOSE_MAX: Duration = Duration::from_secs(2);
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);
pub(super) const NOT_FOUND: u16 = 404;
/// It is there and was declared otherwise.
pub(super) const PRECONDITION_FAILED: u16 = 406;
/// Answers that will be the same the next time: what we ask is not allowed.
const REFUSALS: [u16; 2] = [403, 530];

/// What came of a call.
#[derive(Debug)]
pub(super) enum Fault {
    Client(lapin::Error),
    Late,
    /// The virtual host belongs to another installation; the words say what to do.
    NotOurs(String),
}

impl From<lapin::Error> for Fault {
    fn from(error: lapin::Error) -> Self {
        Fault::Client(error)
    }
}

impl Fault {
    pub fn code(&self) -> Option<u16> {
        match self {
            Fault::Client(error) => match error.kind() {
                ErrorKind::ProtocolError(error) => Some(error.get_id()),
                _ => None,
            },
            Fault::Late | Fault::NotOurs(_) => None,
        }
    }

    /// Whether the server answered, and said no.
    pub fn is_refusal(&self) -> bool {
        self.code().is_some()
    }

    fn why(&self) -> Why {
        let is_lasting = matches!(self, Fault::NotOurs(_)) || self.code().is_some_and(|code| REFUSALS.contains(&code));
        Why { is_lasting, text: self.text() }
    }

    pub fn text(&self) -> String {
        match self {
            Fault::Client(error) => match error.kind() {
                ErrorKind::ProtocolError(error) => format!("{} {}", error.get_id(), error.get_message().as_str()),
                _ => stdx::causes::on_one_line(error),
            },
            Fault::Late => "no answer in time".to_owned(),
            Fault::NotOurs(why) => why.clone(),
        }
    }
}

/// What is said of a fault.
#[derive(Clone)]
struct Why {
    /// It will be the same the next time, until somebody changes something.
    is_lasting: bool,
    text: String,
}

#[derive(Default)]
struct Away {
    /// Why, and when it is tried again.
    until: Option<(Why, Instant)>,
    pause: Duration,
}

pub(super) struct Link {
    pub(super) config: AmqpConfig,
    /// Who the virtual host is to belong to; `None` for whoever only looks.
    installation: Option<Arc<str>>,
    name: String,
    handle: Handle,
    runtime: Mutex<Option<Runtime>>,
    /// Held for moments only: our runtime's one thread takes it too.
    open: Mutex<Option<Arc<Open>>>,
    /// Held while a connection is made.
    connecting: Mutex<()>,
    away: Mutex<Away>,
    /// Of the servers the one that answered last.
    first: AtomicUsize,
    /// Servers that said nothing when they were tried last.
    silent: Mutex<BTreeSet<usize>>,
    epochs: AtomicU64,
    /// The epoch of the connection that is there, 0 for none: asked without waiting for one that is being made.
    live: AtomicU64,
}

impl Link {
    pub fn new(config: AmqpConfig, installation: Option<Arc<str>>) -> Link {
        // One provider of ciphers for the whole process; whoever came first has chosen the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("amqp").enable_all().build();
        let runtime = runtime.expect("a process can start its first threads");
        Link {
            name: config.name(),
            config,
            installation,
            handle: runtime.handle().clone(),
            runtime: Mutex::new(Some(runtime)),
            open: Mutex::default(),
            connecting: Mutex::default(),
            away: Mutex::default(),
            first: AtomicUsize::new(0),
            silent: Mutex::default(),
            epochs: AtomicU64::new(0),
            live: AtomicU64::new(0),
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Runs a future on our runtime and waits for it on this thread, which may belong to another runtime.
    pub fn run<T: Send + 'static>(
        &self,
        within: Duration,
        future: impl Future<Output = Result<T, Fault>> + Send + 'static,
    ) -> Result<T, Fault> {
        let (sender, receiver) = sync_channel(1);
        self.handle.spawn(async move {
            let done = tokio::time::timeout(within, future).await.unwrap_or(Err(Fault::Late));
            // Nobody waits any more only if the deadline passed twice.
            let _ = sender.send(done);
        });
        receiver.recv_timeout(within + Duration::from_secs(1)).unwrap_or(Err(Fault::Late))
    }

    /// Returns the connection, made anew if there is none.
    pub fn open(&self) -> Result<Arc<Open>, QueueError> {
        if let Some(open) = self.if_open() {
            return Ok(open);
        }
        let _one_at_a_time = lock(&self.connecting);
        if let Some(open) = self.if_open() {
            return Ok(open);
        }
        self.live.store(0, Ordering::SeqCst);
        // Half of it may live.
        let broken = lock(&self.open).as_ref().map(|open| open.epoch);
        broken.into_iter().for_each(|epoch| self.end(epoch));
        if let Some((why, until)) = &lock(&self.away).until
            && Instant::now() < *until
        {
            return Err(self.error_of(why.clone()));
        }
        match self.connect_to_any() {
            Ok(new) => {
                *lock(&self.away) = Away::default();
                *lock(&self.open) = Some(new.clone());
                self.live.store(new.epoch, Ordering::SeqCst);
                Ok(new)
            }
            Err(fault) => {
                let mut away = lock(&self.away);
                away.pause = (away.pause * 2).clamp(PAUSE_MIN, PAUSE_MAX);
                away.until = Some((fault.why(), Instant::now() + away.pause));
                Err(self.error(&fault))
            }
        }
    }

    /// Tries the servers in turn, first the one that answered last. All together have the time of one: each a part of what
    /// those before it left.
    fn connect_to_any(&self) -> Result<Arc<Open>, Fault> {
        let (servers, first) = (&self.config.servers, self.first.load(Ordering::SeqCst));
        let until = Instant::now() + CONNECT_MAX;
        let mut last = Fault::Late;
        for step in 0..servers.len() {
            let index = (first + step) % servers.len();
            let left = until.saturating_duration_since(Instant::now());
            match self.connect(index, left / (servers.len() - step) as u32) {
                Ok(open) => {
                    self.first.store(index, Ordering::SeqCst);
                    return Ok(open);
                }
                // All of them are one cluster.
                Err(fault @ Fault::NotOurs(_)) => return Err(fault),
                Err(fault) => last = fault,
            }
        }
        Err(last)
    }

    /// The connection if there is one; for what is only worth doing then.
    pub fn if_open(&self) -> Option<Arc<Open>> {
        lock(&self.open).as_ref().filter(|open| open.is_usable()).cloned()
    }

    pub fn is_live(&self, epoch: u64) -> bool {
        self.live.load(Ordering::SeqCst) == epoch
    }

    fn connect(&self, index: usize, within: Duration) -> Result<Arc<Open>, Fault> {
        let (server, until) = (&self.config.servers[index], Instant::now() + within);
        if lock(&self.silent).contains(&index) {
            self.run(within, answers(server.host.clone(), server.port))?;
        }
        let connected = self.connect_until(server, until);
        match &connected {
            Err(Fault::Late) => lock(&self.silent).insert(index),
            Ok(_) | Err(_) => lock(&self.silent).remove(&index),
        };
        connected
    }

    fn connect_until(&self, server: &Server, until: Instant) -> Result<Arc<Open>, Fault> {
        let left = || until.saturating_duration_since(Instant::now());
        let making = Making {
            epoch: self.epochs.fetch_add(1, Ordering::SeqCst) + 1,
            uri: uri_of(server, &self.config.virtual_host, self.config.heartbeat, left()),
            tls: server.tls.as_ref().map(tls_of).transpose()?.unwrap_or_default(),
            prefix: self.config.naming.prefix.clone(),
            handle: self.handle.clone(),
        };
        let open = Arc::new(self.run(left(), making.make())?);
        if let Some(id) = &self.installation {
            self.claim_host(&open, id, left())?;
        }
        Ok(open)
    }

    /// Ends a connection: the next call makes a new one. Its deliveries go back to their queues.
    pub fn end(&self, epoch: u64) {
        let Some(old) = lock(&self.open).take_if(|open| open.epoch == epoch) else { return };
        old.is_broken.store(true, Ordering::SeqCst);
        self.live.store(0, Ordering::SeqCst);
        self.handle.spawn(async move {
            // It is broken or will not be used: whether the server hears of it does not matter.
            let _ = tokio::time::timeout(CLOSE_MAX, old.close()).await;
        });
    }

    /// Ends the connection and the threads, and waits until the server has taken back what we held.
    pub fn close(&self) {
        let open = lock(&self.open).take();
        if let Some(open) = open {
            open.is_broken.store(true, Ordering::SeqCst);
            let closed = self.run(CLOSE_MAX, async move { Ok(open.close().await?) });
            if let Err(fault) = closed {
                tracing::debug!(error = fault.text(), "the broker did not hear our farewell");
            }
        }
        let runtime = lock(&self.runtime).take();
        if let Some(runtime) = runtime {
            runtime.shutdown_background();
        }
    }

    pub fn error(&self, fault: &Fault) -> QueueError {
        self.error_of(fault.why())
    }

    fn error_of(&self, Why { is_lasting, text: why }: Why) -> QueueError {
        let broker = self.name.clone();
        if is_lasting { QueueError::Refused { broker, why } } else { QueueError::Unreachable { broker, why } }
    }

    /// Fails with the server's own reason while an alarm of it is on.
    pub fn check_alarm(&self, open: &Open) -> Result<(), QueueError> {
        match self.alarm_of(open) {
            Some(why) => Err(QueueError::Unwritable { why }),
            None => Ok(()),
        }
    }

    /// Says that an alarm is on, if one is.
    pub fn alarm_of(&self, open: &Open) -> Option<String> {
        let reason = open.alarm()?;
        Some(format!("RabbitMQ at {} takes no more: alarm of its memory or disk: {reason}", self.name))
    }

    /// As `error`, for a call on a connection, which ends with it.
    pub fn failed(&self, open: &Open, fault: &Fault) -> QueueError {
        self.end(open.epoch);
        self.error(fault)
    }

    /// Asks something of the server that is answered at once. A refusal closes the channel, not the connection.
    pub fn ask<T, F>(&self, open: &Arc<Open>, question: impl FnOnce(Channel) -> F) -> Result<T, Fault>
    where
        T: Send + 'static,
        F: Future<Output = lapin::Result<T>> + Send + 'static,
    {
        self.ask_within(ANSWER_MAX, open, question)
    }

    pub fn ask_within<T, F>(
        &self,
        within: Duration,
        open: &Arc<Open>,
        question: impl FnOnce(Channel) -> F,
    ) -> Result<T, Fault>
    where
        T: Send + 'static,
        F: Future<Output = lapin::Result<T>> + Send + 'static,
    {
        self.on_channel(within, open, For::Asking, question)
    }

    /// Publishes what nobody confirms. The same, on the connection for it.
    pub fn tell<F>(&self, open: &Arc<Open>, words: impl FnOnce(Channel) -> F) -> Result<(), QueueError>
    where
        F: Future<Output = lapin::Result<()>> + Send + 'static,
    {
        self.check_alarm(open)?;
        let told = self.on_channel(ANSWER_MAX, open, For::Telling, words);
        told.map_err(|fault| self.error(&fault))
    }

    /// Publishes nothing, to whom the server says whether an alarm is on.
    pub fn ask_for_alarm(&self, open: &Arc<Open>) -> Result<(), QueueError> {
        let prefix = self.config.naming.prefix.clone();
        self.tell(open, |channel| async move { say_nothing(&channel, &prefix).await.map(drop) })
    }

    fn on_channel<T, F>(
        &self,
        within: Duration,
        open: &Arc<Open>,
        purpose: For,
        question: impl FnOnce(Channel) -> F,
    ) -> Result<T, Fault>
    where
        T: Send + 'static,
        F: Future<Output = lapin::Result<T>> + Send + 'static,
    {
        let place = open.place(purpose);
        let kept = lock(place).take().filter(|channel| channel.status().connected());
        let channel = match kept {
            Some(channel) => channel,
            None => {
                let open = open.clone();
                self.run(within, async move { Ok(open.connection_for(purpose).create_channel().await?) })?
            }
        };
        let asked = question(channel.clone());
        let answer = self.run(within, async move { Ok(asked.await?) });
        match &answer {
            Ok(_) => *lock(place) = Some(channel),
            Err(fault) if fault.code().is_none() => self.end(open.epoch),
            Err(_) => {}
        }
        answer
    }

    /// Sends messages and waits until it is known what the server says of each.
    pub fn send(&self, open: &Arc<Open>, messages: Vec<(Arc<str>, Message)>) -> Vec<Option<Said>> {
        let count = messages.len();
        let (sender, receiver) = sync_channel(1);
        // Nobody waits any more only if the broker is closed.
        open.post.send(messages, move |said| drop(sender.send(said)));
        // Each message has its own deadline, and the first that passes ends the wait.
        let mut said = receiver.recv().unwrap_or_default();
        said.resize(count, None);
        // While an alarm is on nothing is confirmed, and what waits to be sent is sent after it.
        if said.contains(&None) && open.alarm().is_none() {
            self.end(open.epoch);
        }
        said
    }
}

/// The error of whoever waited for a connection that ended.
pub(super) fn lost(name: &str) -> QueueError {
    QueueError::Unreachable { broker: name.to_owned(), why: "the connection was lost".to_owned() }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is behind these locks is whole between any two statements.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
