//! A panic in a thread beside the runs: it is told at once, and the thread's duties go on.

use crate::support::{RedisServer, Rig, job, redis_is_here, wait_for};
use queue::brokers::embedded::{Config, Durability, Embedded};
use queue::brokers::redis::{Redis, RedisConfig, TimeSource};
use queue::cron::{Cron, Entry, Missed, Overlap, Scheduler, When};
use queue::{
    Account, BoxFuture, Broker, ClaimRequest, Claimed, Cursor, DeadLetter, Finish, JobId, JobResult, JobState, LeaseId,
    Ledger, NewJob, Parked, Published, QueueDepth, QueueError, Spool, Worker, WorkerConfig, WorkerRow,
};
use queue::{DeadNames, LetterPage, Letters};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use stdx::{Clock, ManualClock, SystemClock, Timestamp};

/// A queue of which a call panics or fails so many times more.
pub(crate) struct Trapped {
    inner: Embedded,
    traps: Mutex<HashMap<&'static str, u32>>,
}

impl Trapped {
    pub(crate) fn with(inner: Embedded, call: &'static str) -> Arc<Trapped> {
        Arc::new(Trapped { inner, traps: Mutex::new([(call, 2)].into()) })
    }

    pub(crate) fn set(&self, call: &'static str, times: u32) {
        self.traps.lock().expect("nobody panics with it").insert(call, times);
    }

    fn step_on(&self, call: &'static str) {
        assert!(!self.takes(call), "stepped on a trap in {call}");
    }

    fn takes(&self, call: &str) -> bool {
        let mut traps = self.traps.lock().expect("nobody panics with it");
        let left = traps.get_mut(call).filter(|left| **left > 0);
        left.map(|left| *left -= 1).is_some()
    }
}

impl Broker for Trapped {
    fn publish(&self, jobs: Vec<NewJob>) -> BoxFuture<'_, Result<Vec<Published>, QueueError>> {
        if self.takes("away") {
            let away = QueueError::Unreachable { broker: "it".to_owned(), why: "on purpose".to_owned() };
            return Box::pin(async { Err(away) });
        }
        self.step_on("publish");
        self.inner.publish(jobs)
    }

    fn claim(&self, request: &ClaimRequest) -> Result<Vec<Claimed>, QueueError> {
        self.inner.claim(request)
    }

    fn extend(&self, leases: &[LeaseId], lease: Duration) -> Result<Vec<LeaseId>, QueueError> {
        self.inner.extend(leases, lease)
    }

    fn finish(&self, finished: Vec<(LeaseId, Finish)>) -> Result<Vec<LeaseId>, QueueError> {
        let refused = || QueueError::Refused { broker: "it".to_owned(), why: "on purpose".to_owned() };
        for (_, finish) in &finished {
            let call = match finish {
                Finish::GiveBack { .. } => "give back",
                Finish::Park => "park",
                _ => continue,
            };
            if self.takes(call) {
                return Err(refused());
            }
        }
        self.inner.finish(finished)
    }

    fn declare(&self, queue: &str) -> Result<(), QueueError> {
        self.inner.declare(queue)
    }

    fn depths(&self) -> Result<Vec<QueueDepth>, QueueError> {
        self.inner.depths()
    }

    fn locate(&self, id: &JobId) -> Result<Option<JobState>, QueueError> {
        self.inner.locate(id)
    }

    fn upkeep(&self) -> Result<(), QueueError> {
        self.step_on("upkeep");
        self.inner.upkeep()
    }

    fn accepting(&self) -> Result<(), QueueError> {
        self.inner.accepting()
    }
}

impl Ledger for Trapped {
    fn letters(&self, page: &LetterPage) -> Result<Letters, QueueError> {
        self.inner.letters(page)
    }

    fn dead_names(&self, since: Timestamp, from: Option<&str>) -> Result<DeadNames, QueueError> {
        self.inner.dead_names(since, from)
    }

    fn dead_letter(&self, id: &str) -> Result<Option<DeadLetter>, QueueError> {
        self.inner.dead_letter(id)
    }

    fn retry_dead(&self, id: &str) -> Result<bool, QueueError> {
        self.inner.retry_dead(id)
    }

    fn discard_letters(&self, ids: &[String], account: Account<'_>) -> Result<u64, QueueError> {
        self.inner.discard_letters(ids, account)
    }

    fn pause(&self, queue: &str) -> Result<(), QueueError> {
        self.inner.pause(queue)
    }

    fn resume(&self, queue: &str) -> Result<(), QueueError> {
        self.inner.resume(queue)
    }

    fn purge(&self, queue: &str, account: Account<'_>) -> Result<u64, QueueError> {
        self.inner.purge(queue, account)
    }

    fn parked(&self) -> Result<Vec<Parked>, QueueError> {
        self.inner.parked()
    }

    fn unpark(&self, tasks: &[&str]) -> Result<u64, QueueError> {
        self.inner.unpark(tasks)
    }

    fn result(&self, id: &JobId) -> Result<Option<JobResult>, QueueError> {
        self.inner.result(id)
    }

    fn beat(&self, worker: &WorkerRow) -> Result<(), QueueError> {
        self.inner.beat(worker)
    }

    fn leave(&self, name: &str) -> Result<(), QueueError> {
        self.inner.leave(name)
    }

    fn workers(&self) -> Result<Vec<WorkerRow>, QueueError> {
        self.inner.workers()
    }

    fn fire(&self, entry: &str, scheduled_at: Timestamp, job: NewJob) -> Result<bool, QueueError> {
        self.inner.fire(entry, scheduled_at, job)
    }

    fn cursors(&self) -> Result<Vec<Cursor>, QueueError> {
        self.step_on("cursors");
        self.inner.cursors()
    }
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

fn is_told(thread: &str) -> bool {
    queue::fallen().iter().any(|fallen| fallen.thread == thread && !fallen.is_for_good)
}

#[test]
fn a_workers_keeper_that_panics_is_told_in_its_row_and_goes_on() {
    let Rig { broker, folder: _folder, .. } = Rig::new();
    let queue = Trapped::with(broker, "upkeep");
    let worker = Worker::start(queue.clone(), Vec::new(), WorkerConfig::new("w@here", 1, Arc::new(SystemClock)));
    wait_until("its row does not tell", || {
        let rows = queue.workers().expect("answered");
        rows.iter().any(|row| row.fallen.iter().any(|text| text.contains("worker-keeper") && text.contains("a trap")))
    });
    assert!(is_told("worker-keeper"));
    wait_until("upkeep does not go on", || queue.traps.lock().expect("nobody panics with it")["upkeep"] == 0);
    worker.join();
    assert!(queue.workers().expect("answered").is_empty(), "it said that it ends");
}

#[test]
fn a_scheduler_that_panics_goes_on_to_fire() {
    let Rig { broker, folder: _folder, .. } = Rig::new();
    let queue = Trapped::with(broker, "cursors");
    let entry = Entry {
        name: "e",
        when: When::every(Duration::from_secs(1)).expect("an interval"),
        task: "t",
        queue: "q",
        missed: Missed::Skip,
        overlap: Overlap::Allow,
        expires: None,
    };
    let cron = Arc::new(Cron::new(queue.clone(), vec![entry], Arc::new(SystemClock)));
    let scheduler = Scheduler::start(cron, "cron".to_owned(), String::new(), String::new());
    wait_until("nothing is fired", || queue.depths().expect("answered").iter().any(|depth| depth.ready > 0));
    assert!(is_told("cron"));
    scheduler.stop();
}

#[test]
fn a_spools_forwarder_that_panics_loses_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = |name: &str| Config {
        folder: folder.path().join(name),
        durability: Durability::Power,
        jobs_max: 1_000,
        bytes_max: 1 << 30,
        free_min: 0,
        free_space: Arc::new(|| Ok(u64::MAX)),
        reassert_grace: Duration::ZERO,
    };
    let far = Trapped::with(Embedded::open(config("far"), Arc::new(SystemClock)).expect("it opens"), "publish");
    far.set("away", 1);
    let spool = Spool::open(config("spool"), far.clone(), Arc::new(SystemClock)).expect("a spool opens");
    for id in ["a", "b"] {
        wait_for(spool.publish(vec![job(id)])).expect("it is kept");
    }
    wait_until("nothing is forwarded any more", || spool.state().jobs == 0);
    assert!(is_told("spool-forward"));
    let ids: Vec<String> = crate::support::claim_from(&*far, &["q"], 10).iter().map(|job| job.id.to_string()).collect();
    assert_eq!(ids, ["a", "b"]);
}

/// The time, except on one thread that panics when it first asks.
struct TrappedClock {
    clock: ManualClock,
    traps: Mutex<HashMap<&'static str, u32>>,
}

impl Clock for TrappedClock {
    fn now(&self) -> Timestamp {
        let is_trap = {
            let mut traps = self.traps.lock().expect("nobody panics with it");
            let name = std::thread::current().name().unwrap_or_default().to_owned();
            let left = traps.get_mut(name.as_str()).filter(|left| **left > 0);
            left.map(|left| *left -= 1).is_some()
        };
        assert!(!is_trap, "stepped on a trap in the clock");
        self.clock.now()
    }
}

#[test]
fn threads_of_a_redis_broker_that_panic_begin_anew() {
    if !redis_is_here() {
        return;
    }
    let server = RedisServer::start(&[]);
    let clock = TrappedClock {
        clock: ManualClock::at(Timestamp::from_seconds(1_000_000)),
        traps: Mutex::new([("redis-watch", 1), ("redis-publish", 1)].into()),
    };
    let config = RedisConfig { time: TimeSource::Clock, ..server.config() };
    let broker = Redis::open(config, Arc::new(clock)).expect("the broker opens");
    wait_until("the watcher's panic is not told", || is_told("redis-watch"));
    let refused = wait_for(broker.publish(vec![job("a")]));
    assert!(matches!(refused, Err(QueueError::Closed)), "{refused:?}");
    wait_until("the publisher's panic is not told", || is_told("redis-publish"));
    wait_until("nothing is published any more", || wait_for(broker.publish(vec![job("a")])).is_ok());
    assert!(broker.accepting().is_ok());
}
