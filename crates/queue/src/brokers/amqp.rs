//! The RabbitMQ broker: what is ready travels as messages, everything else stands in the ledger's tables (decisions 0022 and
//! 0023). A row for each job that lives says what the server cannot: whether it is there already, who runs it, how often it
//! was tried and how its workers ended.
//!
//! `link` is the way to the server, `connection` what is there while it answers, `installation` whose virtual host it is,
//! `queues` how one of its queues is declared, `lanes` and `registry` which queues of the server carry ours, `wire` the messages, `publish` the
//! thread that publishes, `streams` the consumers, `desk` what they brought and `acks` what the server is told of it, `claim`
//! and `leases` what is taken and held, `finish` how it ends, `leave` what is taken out by hand, `tables` the ledger, `watch`
//! what is looked at each second, `room` how much more fits, `missing` what RabbitMQ lost, `copy` what a backup takes,
//! `broadcast` what Celery's tools say and hear, `replies` what Python workers answer.

mod acks;
mod broadcast;
mod claim;
mod config;
mod connection;
mod copy;
mod desk;
mod finish;
mod installation;
mod lanes;
mod leases;
mod leave;
mod ledger;
mod link;
mod missing;
mod post;
mod publish;
mod publisher;
mod queues;
mod registry;
mod replies;
mod room;
mod streams;
mod tables;
mod watch;
mod wire;

pub use config::{AmqpConfig, LaneKind, Server, Tls};
pub use copy::LedgerCopy;
pub use lanes::Naming;
pub use watch::About;

use super::suspects::Turn;
use crate::broadcast::Broadcast;
use crate::broker::{BoxFuture, Broker, ClaimRequest};
use crate::{Claimed, Finish, JobId, JobState, LeaseId, NewJob, Published, QueueDepth, QueueError, tend};
use connection::Open;
use desk::Desk;
use leases::Leases;
use link::{Link, lock};
use missing::Missing;
use publisher::Publisher;
use registry::Registry;
use room::Sizes;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, Weak};
use std::thread::JoinHandle;
use std::time::Duration;
use stdx::Clock;
use streams::Streams;
use tables::Tables;
use watch::Watched;

/// Deaths of its worker while a job ran alone, after which it stops.
const POISON_DEATHS: u32 = 3;

/// What callers and threads share.
///
/// Locks are taken in the order in which they stand here.
struct Shared {
    own: Weak<Shared>,
    config: AmqpConfig,
    clock: Arc<dyn Clock>,
    link: Link,
    tables: Tables,
    /// Who the virtual host belongs to.
    installation: Arc<str>,
    /// This process among the holders of leases.
    session: Arc<str>,
    /// Names the process in messages, as Celery's clients do.
    origin: String,
    next_lease: AtomicU64,
    /// The connection whose deliveries are on the desk.
    epoch: Mutex<u64>,
    leases: Mutex<Leases>,
    claims: Mutex<Turn>,
    desk: Mutex<Desk>,
    streams: Mutex<Streams>,
    /// Signalled when something is delivered, or when claims should look again.
    arrived: Condvar,
    registry: Mutex<Registry>,
    watched: Mutex<Watched>,
    sizes: Mutex<Sizes>,
    missing: Mutex<Missing>,
    is_closed: AtomicBool,
}

pub struct Amqp {
    shared: Arc<Shared>,
    publisher: Publisher,
    threads: Vec<JoinHandle<()>>,
}

impl Amqp {
    /// Opens a broker. A server that does not answer now is no error: calls fail until it does.
    ///
    /// # Errors
    /// `Refused` if the server answers and does not let us in, or its virtual host is another installation's; if the ledger
    /// cannot be opened.
    pub fn open(config: AmqpConfig, clock: Arc<dyn Clock>) -> Result<Amqp, QueueError> {
        let tables = Tables::open(&config.ledger, clock.now())?;
        let installation = installation::id_of(&tables)?;
        let shared = Arc::new_cyclic(|own| Shared {
            own: own.clone(),
            link: Link::new(config.clone(), Some(installation.clone())),
            installation,
            config,
            clock,
            tables,
            session: stdx::random::hex::<8>().into(),
            origin: format!("gen{}@{}", std::process::id(), host_name()),
            // Numbers of an earlier process are not met again.
            next_lease: AtomicU64::new(stdx::random::u64() >> 2),
            leases: Mutex::default(),
            claims: Mutex::default(),
            desk: Mutex::default(),
            streams: Mutex::default(),
            arrived: Condvar::new(),
            registry: Mutex::default(),
            watched: Mutex::default(),
            sizes: Mutex::default(),
            missing: Mutex::default(),
            epoch: Mutex::new(0),
            is_closed: AtomicBool::new(false),
        });
        shared.look_at_names()?;
        if let Err(error @ QueueError::Refused { .. }) = shared.open().and_then(|_| shared.look()) {
            shared.link.close();
            return Err(error);
        }
        let publisher = Publisher::start(shared.clone());
        let spawn = |name, work: fn(&Shared)| {
            let (working, over) = (shared.clone(), shared.clone());
            tend::spawn(name, move || over.is_closed(), move || work(&working))
        };
        let threads = vec![spawn("amqp-watch", Shared::watch), spawn("amqp-alive", Shared::stay_alive)];
        Ok(Amqp { shared, publisher, threads })
    }

    /// Asks the server of a configuration what it is, without becoming a broker.
    ///
    /// # Errors
    /// If it does not answer or does not let us in, or its virtual host is another installation's.
    pub fn probe(config: AmqpConfig) -> Result<About, QueueError> {
        let id = Tables::installation_of(&config.ledger)?;
        let link = Link::new(config, None);
        let about = watch::about(&link, id.as_deref());
        link.close();
        about
    }
}

impl Drop for Amqp {
    /// Stops the threads. Leases that are still held end by themselves, as those of a killed process do; what was only
    /// delivered goes back at once.
    fn drop(&mut self) {
        self.shared.is_closed.store(true, Ordering::SeqCst);
        self.shared.arrived.notify_all();
        self.publisher.stop();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the amqp broker was lost");
            }
        }
        self.shared.say_all();
        self.shared.link.close();
    }
}

fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "localhost".to_owned() } else { name.to_owned() }
}

impl Shared {
    /// Returns the connection. With a new one everything that an old one delivered is forgotten: it comes again.
    fn open(&self) -> Result<Arc<Open>, QueueError> {
        let open = self.link.open()?;
        let mut epoch = lock(&self.epoch);
        if *epoch < open.epoch {
            *epoch = open.epoch;
            lock(&self.desk).clear_before(open.epoch);
            lock(&self.streams).clear();
        }
        Ok(open)
    }

    fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::SeqCst)
    }
}

impl Broker for Amqp {
    fn publish(&self, jobs: Vec<NewJob>) -> BoxFuture<'_, Result<Vec<Published>, QueueError>> {
        Box::pin(self.publisher.publish(jobs))
    }

    fn claim(&self, request: &ClaimRequest) -> Result<Vec<Claimed>, QueueError> {
        self.shared.claim(request)
    }

    fn extend(&self, leases: &[LeaseId], lease: Duration) -> Result<Vec<LeaseId>, QueueError> {
        self.shared.extend(leases, lease)
    }

    fn finish(&self, finished: Vec<(LeaseId, Finish)>) -> Result<Vec<LeaseId>, QueueError> {
        self.shared.finish(finished)
    }

    fn declare(&self, queue: &str) -> Result<(), QueueError> {
        self.shared.declare(queue)
    }

    fn depths(&self) -> Result<Vec<QueueDepth>, QueueError> {
        self.shared.depths()
    }

    fn locate(&self, id: &JobId) -> Result<Option<JobState>, QueueError> {
        self.shared.locate(id)
    }

    fn upkeep(&self) -> Result<(), QueueError> {
        self.shared.upkeep()
    }

    fn accepting(&self) -> Result<(), QueueError> {
        if !self.publisher.is_alive() {
            return Err(QueueError::Closed);
        }
        self.shared.accepting()
    }

    fn troubles(&self) -> Result<Vec<String>, QueueError> {
        self.shared.troubles()
    }

    fn write_off(&self) -> Result<bool, QueueError> {
        self.shared.write_off()
    }

    fn broadcast(&self) -> Option<Arc<dyn Broadcast>> {
        Some(Arc::new(broadcast::AmqpBroadcast(self.shared.clone())))
    }
}
