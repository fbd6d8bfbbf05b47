//! A broker with a clock that stands still: embedded in a temporary folder, a guest of such a one, on a Redis server of its
//! own, or in a place of its own on a RabbitMQ server.

mod proxy;
mod rabbit_server;
mod redis_server;
mod stranger;

pub use proxy::Proxy;
pub use rabbit_server::{RabbitPlace, RabbitServer, rabbit_is_here};
pub use redis_server::{RedisServer, redis_is_here};
pub use stranger::Stranger;

use bytes::Bytes;
use queue::brokers::embedded::{Config, Durability, Embedded};
use queue::brokers::member::{self, Member};
use queue::{Broker, ClaimRequest, Claimed, Finish, JobId, Ledger, NewJob, Published, QueueBounds, QueueError};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use stdx::{ManualClock, Timestamp};

pub const LEASE: Duration = Duration::from_secs(20);

pub struct Rig {
    pub clock: ManualClock,
    pub free: Arc<AtomicU64>,
    pub folder: tempfile::TempDir,
    pub broker: Embedded,
    jobs_max: u64,
}

impl Rig {
    pub fn new() -> Rig {
        Rig::with_jobs_max(1_000_000)
    }

    pub fn with_jobs_max(jobs_max: u64) -> Rig {
        let clock = ManualClock::at(Timestamp::from_seconds(1_000_000));
        let free = Arc::new(AtomicU64::new(u64::MAX));
        let folder = tempfile::tempdir().expect("a temporary folder");
        let broker = open(folder.path(), &clock, &free, jobs_max).expect("the broker opens");
        Rig { clock, free, folder, broker, jobs_max }
    }

    /// Opens a folder that is there already.
    pub fn over(folder: tempfile::TempDir, clock: ManualClock, free: Arc<AtomicU64>) -> Rig {
        let broker = open(folder.path(), &clock, &free, 1_000_000).expect("the broker opens");
        Rig { clock, free, folder, broker, jobs_max: 1_000_000 }
    }

    /// Closes the broker as a killed process would (nothing is given back) and opens the folder again.
    pub fn restart(self) -> Rig {
        let Rig { clock, free, folder, broker, jobs_max } = self;
        drop(broker);
        let broker = open(folder.path(), &clock, &free, jobs_max).expect("the broker opens again");
        Rig { clock, free, folder, broker, jobs_max }
    }

    pub fn publish(&self, jobs: Vec<NewJob>) -> Result<Vec<Published>, QueueError> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(self.broker.publish(jobs))
    }

    pub fn publish_ids(&self, ids: &[&str]) {
        self.publish(ids.iter().map(|id| job(id)).collect()).expect("jobs are kept");
    }

    pub fn claim(&self, jobs_max: usize) -> Vec<Claimed> {
        self.claim_from(&["q"], jobs_max)
    }

    pub fn claim_from(&self, queues: &[&str], jobs_max: usize) -> Vec<Claimed> {
        let bounds =
            |queue: &&str| QueueBounds { queue: (*queue).to_owned(), jobs_max, bytes_max: usize::MAX, lease: LEASE };
        self.broker.claim(&ClaimRequest { queues: queues.iter().map(bounds).collect() }).expect("jobs are claimed")
    }

    pub fn claim_ids(&self, jobs_max: usize) -> Vec<String> {
        self.claim(jobs_max).iter().map(|job| job.id.to_string()).collect()
    }

    pub fn finish(&self, job: &Claimed, finish: Finish) {
        let lost = self.broker.finish(vec![(job.lease, finish)]).expect("a run is ended");
        assert!(lost.is_empty(), "the lease was lost");
    }

    pub fn waiting(&self) -> u64 {
        self.broker
            .depths()
            .expect("depths")
            .iter()
            .map(|depth| depth.ready + depth.delayed + depth.leased + depth.parked)
            .sum()
    }
}

/// Bounds that no test reaches.
pub fn config(folder: &Path) -> Config {
    Config {
        folder: folder.to_owned(),
        durability: Durability::Power,
        jobs_max: 1_000_000,
        bytes_max: 1 << 30,
        free_min: 1_000,
        free_space: Arc::new(|| Ok(u64::MAX)),
        reassert_grace: Duration::ZERO,
    }
}

pub fn open(folder: &Path, clock: &ManualClock, free: &Arc<AtomicU64>, jobs_max: u64) -> Result<Embedded, QueueError> {
    let free = free.clone();
    let config = Config {
        folder: folder.to_owned(),
        durability: Durability::Power,
        jobs_max,
        bytes_max: 1 << 30,
        free_min: 1_000,
        free_space: Arc::new(move || Ok(free.load(Ordering::SeqCst))),
        reassert_grace: Duration::ZERO,
    };
    Embedded::open(config, Arc::new(clock.clone()))
}

pub fn job(id: &str) -> NewJob {
    NewJob {
        id: JobId::new(id),
        task: "t".into(),
        queue: "q".into(),
        fairness_key: 1,
        priority: 5,
        delay: Duration::ZERO,
        enqueued_at: None,
        payload: Bytes::from(format!("payload of {id}")),
        options: queue::JobOptions::default(),
    }
}

/// Accounts for nothing, for tests of what goes.
pub fn unaccounted(_: &[queue::Leaving]) -> Result<(), QueueError> {
    Ok(())
}

/// Which broker a claim of conformance runs on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Embedded,
    /// A guest of the process that owns the folder, over its socket.
    Member,
    Redis,
    RabbitMq,
}

/// Both seams.
pub trait Both: Broker + Ledger {}

impl<T: Broker + Ledger> Both for T {}

/// What a broker lies in.
enum Place {
    Folder(tempfile::TempDir),
    Redis(RedisServer),
    RabbitMq(RabbitPlace),
}

/// Any broker with a clock that stands still.
pub struct AnyRig {
    pub kind: Kind,
    pub clock: ManualClock,
    pub broker: Box<dyn Both>,
    /// Whose guest the broker is; it goes after its guest.
    owner: Option<Member>,
    place: Place,
    jobs_max: u64,
}

impl AnyRig {
    pub fn new(kind: Kind) -> AnyRig {
        AnyRig::with_jobs_max(kind, 1_000_000)
    }

    pub fn with_jobs_max(kind: Kind, jobs_max: u64) -> AnyRig {
        let clock = ManualClock::at(Timestamp::from_seconds(1_000_000));
        let place = match kind {
            Kind::Embedded | Kind::Member => Place::Folder(tempfile::tempdir().expect("a temporary folder")),
            Kind::Redis => Place::Redis(RedisServer::start(&[])),
            Kind::RabbitMq => Place::RabbitMq(RabbitPlace::shared()),
        };
        AnyRig::over(kind, clock, place, jobs_max)
    }

    fn over(kind: Kind, clock: ManualClock, place: Place, jobs_max: u64) -> AnyRig {
        let mut owner = None;
        let broker: Box<dyn Both> = match &place {
            Place::Folder(folder) if kind == Kind::Member => {
                let guest;
                (owner, guest) = owner_and_guest(folder.path(), &clock, jobs_max);
                Box::new(guest)
            }
            Place::Folder(folder) => {
                let free = Arc::new(AtomicU64::new(u64::MAX));
                Box::new(open(folder.path(), &clock, &free, jobs_max).expect("the broker opens"))
            }
            Place::Redis(server) => Box::new(server.broker(&clock, jobs_max)),
            Place::RabbitMq(place) => Box::new(place.broker(&clock, jobs_max)),
        };
        AnyRig { kind, clock, broker, owner, place, jobs_max }
    }

    /// Closes the broker as a killed process would (nothing is given back) and opens it again.
    pub fn restart(self) -> AnyRig {
        let AnyRig { kind, clock, broker, owner, place, jobs_max } = self;
        drop(broker);
        drop(owner);
        AnyRig::over(kind, clock, place, jobs_max)
    }

    pub fn publish(&self, jobs: Vec<NewJob>) -> Result<Vec<Published>, QueueError> {
        wait_for(self.broker.publish(jobs))
    }

    pub fn publish_ids(&self, ids: &[&str]) {
        self.publish(ids.iter().map(|id| job(id)).collect()).expect("jobs are kept");
    }

    pub fn claim(&self, jobs_max: usize) -> Vec<Claimed> {
        self.claim_from(&["q"], jobs_max)
    }

    pub fn claim_from(&self, queues: &[&str], jobs_max: usize) -> Vec<Claimed> {
        claim_from(&*self.broker, queues, jobs_max)
    }

    pub fn claim_ids(&self, jobs_max: usize) -> Vec<String> {
        self.claim(jobs_max).iter().map(|job| job.id.to_string()).collect()
    }

    pub fn finish(&self, job: &Claimed, finish: Finish) {
        let lost = self.broker.finish(vec![(job.lease, finish)]).expect("a run is ended");
        assert!(lost.is_empty(), "the lease of {} was lost", job.id);
    }

    pub fn clock_now(&self) -> Timestamp {
        stdx::Clock::now(&self.clock)
    }

    /// Jobs that live, whatever their state.
    pub fn waiting(&self) -> u64 {
        let depths = self.broker.depths().expect("depths");
        depths.iter().map(|depth| depth.ready + depth.delayed + depth.leased + depth.parked).sum()
    }
}

/// Two processes' places at one queue, in this process.
fn owner_and_guest(folder: &Path, clock: &ManualClock, jobs_max: u64) -> (Option<Member>, Member) {
    let open = |name: &str, prefers_to_own| {
        let embedded = Config { folder: folder.join("queue"), jobs_max, ..config(folder) };
        let socket = folder.join("queue.sock");
        let config = member::Config { embedded, socket, name: name.to_owned(), prefers_to_own };
        Member::open(config, Arc::new(clock.clone())).expect("a place at the queue")
    };
    let (owner, guest) = (open("web", true), open("worker", false));
    assert!(owner.is_owner() && !guest.is_owner());
    (Some(owner), guest)
}

pub fn wait_for<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(future)
}

pub fn claim_from(broker: &(impl Broker + ?Sized), queues: &[&str], jobs_max: usize) -> Vec<Claimed> {
    let bounds =
        |queue: &&str| QueueBounds { queue: (*queue).to_owned(), jobs_max, bytes_max: usize::MAX, lease: LEASE };
    broker.claim(&ClaimRequest { queues: queues.iter().map(bounds).collect() }).expect("jobs are claimed")
}
