//! The connection to the server: one for a process, with a deadline behind every wait. Whatever fails on it ends it, and the
//! next call makes a new one; nothing of the old one is used again (`epoch`). While the server is away calls fail at once,
//! and it is tried again with growing pauses, for ever.

use super::config::{AmqpConfig, LaneKind, Server, Tls};
use super::lanes::Lane;
use super::post::{Post, Said};
use super::wire::Message;
use crate::QueueError;
use lapin::options::{ConfirmSelectOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::tcp::{OwnedIdentity, OwnedTLSConfig};
use lapin::types::{AMQPValue, FieldTable};
use lapin::uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo};
use lapin::{Channel, Connection, ConnectionProperties, ErrorKind, ExchangeKind};
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Handle, Runtime};

/// For a connection to be made, TLS included.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// For an answer. A network that swallows everything is noticed after this.
pub(super) const ANSWER_MAX: Duration = Duration::from_secs(10);
/// For a farewell.
const CLOSE_MAX: Duration = Duration::from_secs(2);
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);
pub(super) const NOT_FOUND: u16 = 404;
/// It is there and was declared otherwise.
const PRECONDITION_FAILED: u16 = 406;
/// How often a message may come back is for the ledger to count, not for a server that drops it then: release 4 does so
/// after 20 times unless told otherwise. "No limit" (-1) is not it: release 3.10 takes that and drops at the first return.
const DELIVERIES_MAX: i64 = 1_000_000_000;
/// Answers that will be the same the next time: what we ask is not allowed.
const REFUSALS: [u16; 2] = [403, 530];

/// What came of a call.
#[derive(Debug)]
pub(super) enum Fault {
    Client(lapin::Error),
    Late,
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
            Fault::Late => None,
        }
    }

    /// Whether the server answered, and said no.
    pub fn is_refusal(&self) -> bool {
        self.code().is_some()
    }

    fn text(&self) -> String {
        match self {
            Fault::Client(error) => match error.kind() {
                ErrorKind::ProtocolError(error) => format!("{} {}", error.get_id(), error.get_message().as_str()),
                _ => stdx::causes::on_one_line(error),
            },
            Fault::Late => "no answer in time".to_owned(),
        }
    }
}

/// A connection with the channels that all share.
pub(super) struct Open {
    pub epoch: u64,
    pub connection: Connection,
    pub post: Post,
    /// For declarations; the server closes a channel to say that a queue is not there.
    asking: Mutex<Option<Channel>>,
    declared: Mutex<HashSet<Arc<str>>>,
    is_broken: AtomicBool,
}

impl Open {
    fn is_usable(&self) -> bool {
        !self.is_broken.load(Ordering::SeqCst) && self.connection.status().connected()
    }
}

#[derive(Default)]
struct Away {
    /// Why, and when it is tried again.
    until: Option<(String, Instant)>,
    pause: Duration,
}

pub(super) struct Link {
    config: AmqpConfig,
    name: String,
    handle: Handle,
    runtime: Mutex<Option<Runtime>>,
    /// Held for moments only: our runtime's one thread takes it too.
    open: Mutex<Option<Arc<Open>>>,
    /// Held while a connection is made.
    connecting: Mutex<()>,
    away: Mutex<Away>,
    epochs: AtomicU64,
    /// The epoch of the connection that is there, 0 for none: asked without waiting for one that is being made.
    live: AtomicU64,
}

impl Link {
    pub fn new(config: AmqpConfig) -> Link {
        // One provider of ciphers for the whole process; whoever came first has chosen the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("amqp").enable_all().build();
        let runtime = runtime.expect("a process can start its first threads");
        Link {
            name: config.name(),
            config,
            handle: runtime.handle().clone(),
            runtime: Mutex::new(Some(runtime)),
            open: Mutex::default(),
            connecting: Mutex::default(),
            away: Mutex::default(),
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
        if let Some((why, until)) = &lock(&self.away).until
            && Instant::now() < *until
        {
            return Err(self.unreachable(why.clone()));
        }
        let mut last = None;
        for server in &self.config.servers {
            match self.connect(server) {
                Ok(new) => {
                    *lock(&self.away) = Away::default();
                    let new = Arc::new(new);
                    *lock(&self.open) = Some(new.clone());
                    self.live.store(new.epoch, Ordering::SeqCst);
                    return Ok(new);
                }
                Err(fault) => last = Some(fault),
            }
        }
        let fault = last.expect("an address names a server");
        let mut away = lock(&self.away);
        away.pause = (away.pause * 2).clamp(PAUSE_MIN, PAUSE_MAX);
        away.until = Some((fault.text(), Instant::now() + away.pause));
        Err(self.error(&fault))
    }

    /// The connection if there is one; for what is only worth doing then.
    pub fn if_open(&self) -> Option<Arc<Open>> {
        lock(&self.open).as_ref().filter(|open| open.is_usable()).cloned()
    }

    pub fn is_live(&self, epoch: u64) -> bool {
        self.live.load(Ordering::SeqCst) == epoch
    }

    fn connect(&self, server: &Server) -> Result<Open, Fault> {
        let uri = self.uri_of(server);
        let tls = server.tls.as_ref().map(tls_of).transpose()?.unwrap_or_default();
        let epoch = self.epochs.fetch_add(1, Ordering::SeqCst) + 1;
        let name = format!("vigie {}", std::process::id());
        let (connection, publishing) = self.run(CONNECT_MAX, async move {
            let properties = ConnectionProperties::default().with_connection_name(name.as_str().into());
            // The one that this runs on: ours.
            let runtime = lapin::runtime::default_runtime()?;
            let connection = Connection::connect_uri_with_config(uri, properties, tls, runtime).await?;
            let publishing = connection.create_channel().await?;
            publishing.confirm_select(ConfirmSelectOptions::default()).await?;
            Ok((connection, publishing))
        })?;
        Ok(Open {
            epoch,
            connection,
            post: Post::on(publishing, &self.handle),
            asking: Mutex::default(),
            declared: Mutex::default(),
            is_broken: AtomicBool::new(false),
        })
    }

    fn uri_of(&self, server: &Server) -> AMQPUri {
        AMQPUri {
            scheme: if server.tls.is_some() { AMQPScheme::AMQPS } else { AMQPScheme::AMQP },
            authority: AMQPAuthority {
                userinfo: AMQPUserInfo { username: server.user.clone(), password: server.password.clone() },
                host: server.host.clone(),
                port: server.port,
            },
            vhost: self.config.virtual_host.clone(),
            query: AMQPQueryString {
                heartbeat: u16::try_from(self.config.heartbeat.as_secs()).ok(),
                connection_timeout: u64::try_from(CONNECT_MAX.as_millis()).ok(),
                ..AMQPQueryString::default()
            },
        }
    }

    /// Ends a connection: the next call makes a new one. Its deliveries go back to their queues.
    pub fn end(&self, epoch: u64) {
        let Some(old) = lock(&self.open).take_if(|open| open.epoch == epoch) else { return };
        old.is_broken.store(true, Ordering::SeqCst);
        self.live.store(0, Ordering::SeqCst);
        self.handle.spawn(async move {
            // It is broken or will not be used: whether the server hears of it does not matter.
            let _ = tokio::time::timeout(CLOSE_MAX, old.connection.close(200, "bye".into())).await;
        });
    }

    /// Ends the connection and the threads, and waits until the server has taken back what we held.
    pub fn close(&self) {
        let open = lock(&self.open).take();
        if let Some(open) = open {
            open.is_broken.store(true, Ordering::SeqCst);
            let closed = self.run(CLOSE_MAX, async move { Ok(open.connection.close(200, "bye".into()).await?) });
            if let Err(fault) = closed {
                tracing::debug!(error = fault.text(), "the broker did not hear our farewell");
            }
        }
        let runtime = lock(&self.runtime).take();
        if let Some(runtime) = runtime {
            runtime.shutdown_background();
        }
    }

    fn unreachable(&self, why: String) -> QueueError {
        QueueError::Unreachable { broker: self.name.clone(), why }
    }

    pub fn error(&self, fault: &Fault) -> QueueError {
        match fault.code() {
            Some(code) if REFUSALS.contains(&code) => {
                QueueError::Refused { broker: self.name.clone(), why: fault.text() }
            }
            _ => self.unreachable(fault.text()),
        }
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
        let kept = lock(&open.asking).take().filter(|channel| channel.status().connected());
        let channel = match kept {
            Some(channel) => channel,
            None => {
                let open = open.clone();
                self.run(ANSWER_MAX, async move { Ok(open.connection.create_channel().await?) })?
            }
        };
        let asked = question(channel.clone());
        let answer = self.run(ANSWER_MAX, async move { Ok(asked.await?) });
        match &answer {
            Ok(_) => *lock(&open.asking) = Some(channel),
            Err(fault) if fault.code().is_none() => self.end(open.epoch),
            Err(_) => {}
        }
        answer
    }

    /// Messages that wait in a queue and how many consumers it has; `None` if there is no such queue.
    pub fn count(&self, open: &Arc<Open>, queue: &str) -> Result<Option<(u64, u64)>, QueueError> {
        let name = queue.to_owned();
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let answer = self.ask(open, |channel| async move {
            let queue = channel.queue_declare(name.as_str().into(), options, FieldTable::default()).await?;
            Ok((u64::from(queue.message_count()), u64::from(queue.consumer_count())))
        });
        match answer {
            Ok(counts) => Ok(Some(counts)),
            Err(fault) if fault.code() == Some(NOT_FOUND) => Ok(None),
            Err(fault) => Err(self.error(&fault)),
        }
    }

    /// Sees to it that a lane's queue is there. One that is there already is taken as it is.
    pub fn declare(&self, open: &Arc<Open>, lane: &Lane) -> Result<(), QueueError> {
        if lock(&open.declared).contains(&lane.name) {
            return Ok(());
        }
        let made = match lane.is_shared {
            true => self.declare_as_celery(open, &lane.name),
            false => self.declare_own(open, &lane.name),
        };
        let made = match made {
            Err(fault) if fault.code() == Some(PRECONDITION_FAILED) && self.count(open, &lane.name)?.is_some() => {
                Ok(())
            }
            made => made,
        };
        made.map_err(|fault| self.error(&fault))?;
        lock(&open.declared).insert(lane.name.clone());
        Ok(())
    }

    /// A queue was deleted behind our back.
    pub fn forget_declared(&self, open: &Open, lane: &str) {
        lock(&open.declared).remove(lane);
    }

    fn declare_own(&self, open: &Arc<Open>, name: &str) -> Result<(), Fault> {
        let mut arguments = FieldTable::default();
        match self.config.lane_kind {
            LaneKind::Classic => {
                arguments.insert("x-queue-type".into(), AMQPValue::LongString("classic".into()));
                // A backlog in the server's memory is copied whole by each of its collections of garbage.
                arguments.insert("x-queue-mode".into(), AMQPValue::LongString("lazy".into()));
            }
            LaneKind::Quorum => {
                arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
                arguments.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(DELIVERIES_MAX));
            }
        }
        let name = name.to_owned();
        let declared = self.ask(open, |channel| async move {
            let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
            channel.queue_declare(name.as_str().into(), options, arguments).await
        });
        declared.map(drop)
    }

    /// Exchange, queue and binding, with the arguments that Celery would give: a worker that declares them again is content.
    fn declare_as_celery(&self, open: &Arc<Open>, name: &str) -> Result<(), Fault> {
        let name = name.to_owned();
        self.ask(open, |channel| async move {
            let nothing = FieldTable::default;
            let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
            channel.exchange_declare(name.as_str().into(), ExchangeKind::Direct, durable, nothing()).await?;
            let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
            channel.queue_declare(name.as_str().into(), durable, nothing()).await?;
            let (queue, exchange, key) = (name.as_str().into(), name.as_str().into(), name.as_str().into());
            channel.queue_bind(queue, exchange, key, QueueBindOptions::default(), nothing()).await
        })
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
        if said.contains(&None) {
            self.end(open.epoch);
        }
        said
    }
}

fn tls_of(tls: &Tls) -> Result<OwnedTLSConfig, Fault> {
    let read = |path: &std::path::Path| {
        let why =
            |error: std::io::Error| std::io::Error::new(error.kind(), format!("read {}: {error}", path.display()));
        std::fs::read(path).map_err(|error| Fault::Client(why(error).into()))
    };
    let authorities = tls.authorities.as_deref().map(read).transpose()?;
    let identity = match &tls.certificate {
        Some((certificate, key)) => Some(OwnedIdentity::PKCS8 { pem: read(certificate)?, key: read(key)? }),
        None => None,
    };
    Ok(OwnedTLSConfig { identity, cert_chain: authorities.map(|text| String::from_utf8_lossy(&text).into_owned()) })
}

/// The error of whoever waited for a connection that ended.
pub(super) fn lost(name: &str) -> QueueError {
    QueueError::Unreachable { broker: name.to_owned(), why: "the connection was lost".to_owned() }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is behind these locks is whole between any two statements.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
