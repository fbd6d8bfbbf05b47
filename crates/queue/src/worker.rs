//! Runs tasks: threads that claim, run and finish, and a keeper that extends their leases, gives back what waits behind a
//! long run, ends runs that take too long, and says that the worker lives. A panic in a task is an error of its jobs, not
//! the end of the thread; a broker that does not answer is waited for.

mod credit;
mod keeper;
mod leases;
mod place;
mod remote;
mod run;
mod seat;
mod suspects;

use crate::pool::{Children, ChildrenConfig, PoolRow};
use crate::{Claimed, Queue, QueueBounds, Task, tend};
use credit::Credit;
use leases::Leases;
pub use remote::RemoteConfig;
pub(crate) use run::{panic_text, run_jobs};
use seat::Seat;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use stdx::{Clock, Timestamp};

/// Pause after a claim that failed, so that a broken broker is not hammered.
const FAILED_PAUSE: Duration = Duration::from_millis(500);
/// Jobs of a queue that is served and has no task of ours: they are parked, a few at a time.
const STRANGE_JOBS_MAX: usize = 16;
/// Bytes of one claim of such a queue.
const STRANGE_BYTES_MAX: usize = 16 << 20;
const STRANGE_LEASE: Duration = Duration::from_secs(20);
/// Queues whose finished jobs are counted apart.
const QUEUES_MAX: usize = 1_000;

/// How a worker is set up.
pub struct WorkerConfig {
    /// `name@host`, of one living worker at a time.
    pub name: String,
    pub host: String,
    pub version: String,
    /// Served in turns; empty = the queues of its tasks.
    pub queues: Vec<String>,
    pub threads: usize,
    /// Called first on each thread, for example to lower its priority.
    pub on_thread_start: fn(),
    /// Each thread runs its jobs in a process of its own; `None`: in the thread.
    pub children: Option<ChildrenConfig>,
    /// Told of every run when it has ended, on the thread that ran it; it should be quick.
    pub on_run: Arc<dyn Fn(&RunEnd<'_>) + Send + Sync>,
    /// For Celery's tools.
    pub remote: RemoteConfig,
    pub clock: Arc<dyn Clock>,
}

/// A run that has ended.
#[derive(Clone, Copy)]
pub struct RunEnd<'a> {
    pub task: &'a str,
    pub jobs: &'a [Claimed],
    /// Of the jobs, those that are to be tried again or became dead letters.
    pub failed: usize,
    pub took: Duration,
    pub time_limit: Duration,
}

impl WorkerConfig {
    /// A worker of so many threads that serves the queues of its tasks.
    pub fn new(name: &str, threads: usize, clock: Arc<dyn Clock>) -> WorkerConfig {
        WorkerConfig {
            name: name.to_owned(),
            host: String::new(),
            version: String::new(),
            queues: Vec::new(),
            threads,
            on_thread_start: || {},
            children: None,
            on_run: Arc::new(|_| {}),
            remote: RemoteConfig::default(),
            clock,
        }
    }
}

/// Counts that health and metrics read.
#[derive(Default)]
pub struct WorkerProgress {
    /// Jobs whose run ended, whatever its outcome.
    pub finished: AtomicU64,
    /// Of them, those to be tried again.
    pub failed: AtomicU64,
    /// Of them, those that became dead letters.
    pub dead: AtomicU64,
    /// Jobs claimed now.
    pub running: AtomicU64,
    /// Jobs whose run ended, by queue.
    by_queue: Mutex<BTreeMap<String, u64>>,
}

impl WorkerProgress {
    /// Queues beyond those that are remembered are not counted apart.
    fn note_ended(&self, queue: &str) {
        let mut by_queue = lock(&self.by_queue);
        if let Some(count) = by_queue.get_mut(queue) {
            *count += 1;
        } else if by_queue.len() < QUEUES_MAX {
            by_queue.insert(queue.to_owned(), 1);
        }
    }
}

/// Threads that run the tasks of a table.
pub struct Worker {
    shared: Arc<Shared>,
    keeper: JoinHandle<()>,
    remote: Vec<JoinHandle<()>>,
}

/// What each thread works with.
struct Shared {
    config: WorkerConfig,
    children: Option<Arc<Children>>,
    queue: Arc<dyn Queue>,
    tasks: Vec<Arc<dyn Task>>,
    progress: Arc<WorkerProgress>,
    leases: Leases,
    credit: Credit,
    is_stopping: Arc<AtomicBool>,
    /// Runs are still waited for; after that their jobs go back.
    is_waited_for: AtomicBool,
    seats: Mutex<Vec<Arc<Seat>>>,
    /// What threads had in hand that were left alone: the keeper gives it back.
    left: Seat,
    suspects: suspects::Suspects,
    /// Threads that may still run something: leases are kept for them.
    working: AtomicUsize,
    /// Threads left alone with a task that did not end at its time limit.
    hanging: AtomicUsize,
    /// Unknown tasks that were said, and when.
    unknown: Mutex<HashMap<String, Instant>>,
    last_error: Mutex<Option<String>>,
    /// Under which it is listed, once another worker of its name was there first.
    other_name: OnceLock<String>,
    remote: remote::Remote,
    started_at: Timestamp,
}

impl Worker {
    /// Starts the threads.
    ///
    /// # Panics
    /// If the operating system gives no threads, or two tasks have one name.
    pub fn start(queue: Arc<dyn Queue>, mut tasks: Vec<Arc<dyn Task>>, mut config: WorkerConfig) -> Worker {
        for (index, task) in tasks.iter().enumerate() {
            assert!(tasks[..index].iter().all(|other| other.name() != task.name()), "task names are unique");
        }
        let children = config.children.take().map(|children| Arc::new(Children::new(children)));
        if children.is_none() {
            tasks.retain(|task| !task.needs_process());
        }
        let threads = config.threads;
        let shared = Arc::new(Shared {
            started_at: config.clock.now(),
            config,
            children,
            queue,
            tasks,
            progress: Arc::default(),
            leases: Leases::default(),
            credit: Credit::default(),
            is_stopping: Arc::default(),
            is_waited_for: AtomicBool::new(true),
            seats: Mutex::default(),
            left: Seat::default(),
            suspects: suspects::Suspects::default(),
            working: AtomicUsize::new(0),
            hanging: AtomicUsize::new(0),
            unknown: Mutex::default(),
            last_error: Mutex::default(),
            other_name: OnceLock::new(),
            remote: remote::Remote::default(),
        });
        let remote = shared.start_remote();
        for number in 0..threads {
            shared.seat(number);
        }
        let kept = shared.clone();
        let keeper = spawn("worker-keeper", move || {
            tend::tend("worker-keeper", || kept.is_over(), || kept.keep());
            kept.part();
        });
        Worker { shared, keeper, remote }
    }

    pub fn progress(&self) -> Arc<WorkerProgress> {
        self.shared.progress.clone()
    }

    /// Returns how long the longest run has been going on, `None` if nothing runs.
    pub fn longest_run(&self) -> Option<Duration> {
        self.shared.leases.longest_run()
    }

    /// Returns where its runs happen, with its children as they are now.
    pub fn pool(&self) -> PoolRow {
        self.shared.pool()
    }

    /// Asks the threads to end after what they run; `join` waits for them. What was claimed and not started goes back.
    pub fn stop(&self) {
        self.shared.is_stopping.store(true, Ordering::SeqCst);
    }

    /// Stops and waits for what runs.
    pub fn join(self) {
        self.join_within(Duration::MAX);
    }

    /// Stops and waits at most so long for what runs; the jobs of runs that go on go back and spend no attempt. Returns
    /// whether everything was finished.
    pub fn join_within(self, grace: Duration) -> bool {
        self.stop();
        let started = Instant::now();
        while self.shared.working.load(Ordering::SeqCst) > 0 && started.elapsed() < grace {
            std::thread::sleep(keeper::LOOK_EVERY / 4);
        }
        let is_finished = self.shared.working.load(Ordering::SeqCst) == 0;
        self.shared.is_waited_for.store(false, Ordering::SeqCst);
        if self.keeper.join().is_err() {
            tracing::error!("the worker's keeper was lost");
        }
        self.shared.remote.end();
        remote::join(self.remote);
        is_finished
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run);
    thread.expect("a process can start its first threads")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Relaxed)
    }

    /// Starts a thread at a seat of its own. The thread is not waited for by its handle: one that hangs in a task must
    /// not hold the others up.
    fn seat(self: &Arc<Self>, number: usize) {
        let seat = Arc::new(Seat::default());
        lock(&self.seats).push(seat.clone());
        self.working.fetch_add(1, Ordering::SeqCst);
        let shared = self.clone();
        drop(spawn(&format!("worker-{number}"), move || {
            (shared.config.on_thread_start)();
            shared.remote.wait_until_synced();
            let is_over = || shared.is_stopping() || seat.is_abandoned();
            tend::tend("worker-seat", is_over, || {
                let mut place = shared.place();
                shared.work(&seat, &mut place, number);
                // A child is gone before the worker says that it ends.
                drop(place);
            });
            shared.leave(&seat);
        }));
    }

    /// An abandoned seat has been counted out already.
    fn leave(&self, seat: &Arc<Seat>) {
        if seat.is_abandoned() {
            self.hanging.fetch_sub(1, Ordering::SeqCst);
            return;
        }
        lock(&self.seats).retain(|other| !Arc::ptr_eq(other, seat));
        self.working.fetch_sub(1, Ordering::SeqCst);
    }

    fn find(&self, task: &str) -> Option<&Arc<dyn Task>> {
        self.tasks.iter().find(|known| known.name() == task)
    }

    /// The queues it serves.
    fn served(&self) -> Vec<String> {
        if !self.config.queues.is_empty() {
            return self.config.queues.clone();
        }
        let mut queues: Vec<String> = self.tasks.iter().map(|task| task.policy().queue.to_owned()).collect();
        queues.sort();
        queues.dedup();
        queues
    }

    /// The widest bounds of a queue's tasks; jobs of different tasks are told apart after the claim.
    fn bounds_of(&self, queue: String) -> QueueBounds {
        let policies: Vec<crate::Policy> =
            self.tasks.iter().map(|task| task.policy()).filter(|policy| policy.queue == queue).collect();
        let batch = policies.iter().map(|policy| policy.batch_jobs_max).max().unwrap_or(1);
        let strange = if policies.is_empty() { STRANGE_JOBS_MAX } else { 1 };
        QueueBounds {
            jobs_max: self.credit.jobs(&queue).max(batch).max(strange),
            bytes_max: policies.iter().map(|policy| policy.batch_bytes_max).max().unwrap_or(STRANGE_BYTES_MAX),
            lease: policies.iter().map(|policy| policy.lease).max().unwrap_or(STRANGE_LEASE),
            queue,
        }
    }

    fn pool(&self) -> PoolRow {
        self.children.as_ref().map(|children| children.row()).unwrap_or_default()
    }

    /// What went wrong last, for whoever asks about the worker.
    fn note_error(&self, error: Option<String>) {
        *lock(&self.last_error) = error;
    }
}
