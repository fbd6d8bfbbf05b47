//! The Redis broker: kombu's lists with what they lack. A pop and its lease are one script; leases are kept alive in kombu's
//! own index, so that Celery's workers beside us leave our jobs alone; an end is fenced by what the lease wrote there last.
//!
//! `scripts` is what runs in the server, `link` the connections, `publish` the thread that publishes, `claim` and `leases`
//! what is taken and held, `finish` how it ends, `restore` what becomes of jobs of dead workers, `wake` how claims wait,
//! `broadcast` what Celery's tools ask and hear.
//! Keys are kombu's and Celery's where those have a meaning for them; ours stand under `vigie:` (decision 0020).

mod broadcast;
mod claim;
mod config;
mod finish;
mod leases;
mod ledger;
mod letters;
mod link;
mod marker;
mod publish;
mod renew;
mod restore;
mod scripts;
mod wake;
mod watch;

pub use config::{Place, RedisConfig, Server, TimeSource, Tls};
pub use watch::About;

pub(super) use publish::{check_lengths, lane_number, new_tag};

use crate::broadcast::Broadcast;
use crate::broker::{BoxFuture, Broker, ClaimRequest};
use crate::{Claimed, Finish, JobId, JobState, LeaseId, NewJob, Published, QueueDepth, QueueError};
use claim::Claims;
use leases::Leases;
use link::{Link, lock};
use marker::Marker;
use publish::Publisher;
use scripts::Script;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;
use stdx::{Clock, Timestamp};
use wake::Waker;
use watch::Watched;

/// Names of queues; a bound against names made of data.
const QUEUES_MAX: usize = 1_024;
/// So long a job's id and unique key are known, and renewed while the job lives (`renew`). They go when we end the job; one
/// that a Python worker ran leaves them behind for this long.
const ID_KEPT: Duration = Duration::from_secs(24 * 3_600);

/// What callers and threads share.
struct Shared {
    config: RedisConfig,
    clock: Arc<dyn Clock>,
    link: Link,
    /// This broker among the holders of leases.
    session: String,
    /// Names the process in messages, as Celery's clients do.
    origin: String,
    leases: Mutex<Leases>,
    claims: Mutex<Claims>,
    /// Signalled when a run of ours ends: a suspect may wait for it.
    ended: Condvar,
    watched: Mutex<Watched>,
    marker: Mutex<Marker>,
    walk: Mutex<renew::Walk>,
    waker: Waker,
    is_closed: AtomicBool,
}

pub struct Redis {
    shared: Arc<Shared>,
    publisher: Publisher,
    threads: Vec<JoinHandle<()>>,
}

impl Redis {
    /// Opens a broker. A server that does not answer now is no error: calls fail until it does.
    ///
    /// # Errors
    /// `Refused` if the server answers and does not let us in.
    pub fn open(config: RedisConfig, clock: Arc<dyn Clock>) -> Result<Redis, QueueError> {
        let session = stdx::random::hex::<8>();
        let shared = Arc::new(Shared {
            link: Link::new(config.clone()),
            origin: format!("gen{}@{}", std::process::id(), host_name()),
            leases: Mutex::new(Leases::new(clock.now())),
            clock,
            config,
            session,
            claims: Mutex::default(),
            ended: Condvar::new(),
            watched: Mutex::default(),
            marker: Mutex::default(),
            walk: Mutex::default(),
            waker: Waker::default(),
            is_closed: AtomicBool::new(false),
        });
        match shared.look() {
            // Away, or a replica that will be the master: calls say so until it changes.
            Ok(()) | Err(QueueError::Unreachable { .. } | QueueError::Unwritable { .. }) => {}
            Err(error) => return Err(error),
        }
        let publisher = Publisher::start(shared.clone());
        let threads =
            vec![shared.tended("redis-watch", Shared::watch), shared.tended("redis-wake", Shared::wake_claims)];
        Ok(Redis { shared, publisher, threads })
    }

    /// Asks the server what it is, for whoever checks a configuration.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn about(&self) -> Result<About, QueueError> {
        self.shared.about()
    }

    /// Asks the server of a configuration what it is, without becoming a broker.
    ///
    /// # Errors
    /// If it does not answer or does not let us in.
    pub fn probe(config: RedisConfig) -> Result<About, QueueError> {
        watch::about(&Link::new(config))
    }
}

impl Drop for Redis {
    /// Stops the threads. Leases that are still held end by themselves, as those of a killed process do.
    fn drop(&mut self) {
        self.shared.is_closed.store(true, Ordering::SeqCst);
        self.shared.waker.stop();
        self.shared.ended.notify_all();
        self.publisher.stop();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the redis broker was lost");
            }
        }
    }
}

fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "localhost".to_owned() } else { name.to_owned() }
}

/// Words of a script's call.
struct Words(Vec<Vec<u8>>);

impl Words {
    fn push(&mut self, word: impl Into<Vec<u8>>) {
        self.0.push(word.into());
    }

    fn with(mut self, word: impl Into<Vec<u8>>) -> Words {
        self.push(word);
        self
    }
}

impl Shared {
    /// Starts a thread that begins anew after a panic, until the broker is closed.
    fn tended(self: &Arc<Self>, name: &'static str, run: fn(&Shared)) -> JoinHandle<()> {
        let (here, over) = (self.clone(), self.clone());
        crate::tend::spawn(name, move || over.is_closed(), move || run(&here))
    }

    /// The words that every script begins with: the prefix and the time, empty if the server's own is meant.
    fn words(&self) -> Words {
        let now = match self.config.time {
            TimeSource::Server => String::new(),
            TimeSource::Clock => seconds(self.clock.now()),
        };
        Words(vec![self.config.prefix.clone().into(), now.into()])
    }

    /// A key of ours.
    fn key(&self, name: &str) -> String {
        format!("{}vigie:{name}", self.config.prefix)
    }

    fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::SeqCst)
    }

    fn depths(&self) -> Result<Vec<QueueDepth>, QueueError> {
        type Row = (String, u64, u64, u64, u64, bool, u64, Vec<String>);
        let (now, held, rows): (String, Vec<String>, Vec<Row>) = self.link.with(|open| {
            let mut answer: Vec<redis::Value> = open.run(Script::Depths, &self.words().0)?;
            let rows = answer.split_off(2);
            let held = answer.pop().unwrap_or_default();
            let now = answer.pop().unwrap_or_default();
            let rows: Result<Vec<Row>, _> = rows.into_iter().map(redis::from_redis_value).collect();
            Ok((redis::from_redis_value(now)?, redis::from_redis_value(held)?, rows?))
        })?;
        let mut leased: HashMap<&str, u64> = HashMap::new();
        for member in &held {
            if let Some((_tag, queue)) = member.split_once(leases::SEPARATOR) {
                *leased.entry(queue).or_default() += 1;
            }
        }
        let now = time(&now);
        let mut depths: Vec<QueueDepth> = rows
            .into_iter()
            .map(|(queue, ready, delayed, parked, dead, paused, bytes, oldest)| {
                let oldest = oldest.iter().filter_map(|micros| micros.parse().ok()).min();
                QueueDepth {
                    leased: leased.get(queue.as_str()).copied().unwrap_or(0),
                    queue,
                    ready,
                    delayed,
                    dead,
                    parked,
                    oldest_age: oldest.map(|micros| now.since(Timestamp::from_micros(micros))),
                    paused,
                    bytes,
                }
            })
            .collect();
        depths.sort_by(|left, right| left.queue.cmp(&right.queue));
        Ok(depths)
    }
}

/// A time as the scripts and kombu write it.
fn seconds(time: Timestamp) -> String {
    let micros = time.micros().max(0);
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

fn time(text: &str) -> Timestamp {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let part = format!("{part:0<6.6}");
    let micros = whole.parse::<i64>().unwrap_or(0).saturating_mul(1_000_000) + part.parse::<i64>().unwrap_or(0);
    Timestamp::from_micros(micros)
}

impl Broker for Redis {
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
        let mut command = redis::cmd("SADD");
        command.arg(self.shared.key("queues")).arg(queue);
        lock(&self.shared.marker).note_declared(queue);
        self.shared.link.with(|open| command.exec(&mut open.connection))
    }

    fn depths(&self) -> Result<Vec<QueueDepth>, QueueError> {
        self.shared.depths()
    }

    fn locate(&self, id: &JobId) -> Result<Option<JobState>, QueueError> {
        let words = self.shared.words().with(id.as_str());
        let state: String = self.shared.link.run(Script::Locate, &words.0)?;
        Ok(match state.as_str() {
            "ready" => Some(JobState::Ready),
            "delayed" => Some(JobState::Delayed),
            "leased" => Some(JobState::Leased),
            "parked" => Some(JobState::Parked),
            "dead" => Some(JobState::Dead),
            _ => None,
        })
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
        Ok(self.shared.troubles())
    }

    fn remarks(&self) -> Vec<String> {
        self.shared.remarks()
    }

    fn write_off(&self) -> Result<bool, QueueError> {
        self.shared.write_off()
    }

    fn broadcast(&self) -> Option<Arc<dyn Broadcast>> {
        Some(Arc::new(broadcast::RedisBroadcast(self.shared.clone())))
    }
}
