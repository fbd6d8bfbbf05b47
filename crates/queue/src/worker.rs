//! Runs tasks: threads that claim, run and finish, and one that keeps their leases alive. A panic in a task is an error
//! of its jobs, not the end of the thread.

mod leases;
mod run;

use crate::{Broker, ClaimRequest, QueueBounds, QueueError, RunContext, Task};
use leases::Leases;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Pause after a claim that failed, so that a broken disk is not hammered.
const FAILED_PAUSE: Duration = Duration::from_millis(500);

/// How a worker is set up.
#[derive(Clone)]
pub struct WorkerConfig {
    pub threads: usize,
    /// Called first on each thread, for example to lower its priority.
    pub on_thread_start: fn(),
}

/// Counts that health and metrics read.
#[derive(Default)]
pub struct WorkerProgress {
    /// Jobs whose run ended, whatever its outcome.
    pub finished: AtomicU64,
    /// Of them, those to be tried again; also turns that failed as a whole.
    pub failed: AtomicU64,
    /// Of them, those that became dead letters.
    pub dead: AtomicU64,
    /// Jobs claimed now.
    pub running: AtomicU64,
}

/// Threads that run the tasks of a table.
pub struct Worker {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

/// What each thread works with.
struct Shared {
    broker: Arc<dyn Broker>,
    tasks: Vec<Arc<dyn Task>>,
    progress: Arc<WorkerProgress>,
    leases: Leases,
    context: RunContext,
    /// Threads that may still run something: leases are kept for them.
    working: AtomicUsize,
}

impl Worker {
    /// Starts the threads.
    ///
    /// # Panics
    /// If the operating system gives no threads, or two tasks have one name.
    pub fn start(broker: Arc<dyn Broker>, tasks: Vec<Arc<dyn Task>>, config: &WorkerConfig) -> Worker {
        for (index, task) in tasks.iter().enumerate() {
            assert!(tasks[..index].iter().all(|other| other.name() != task.name()), "task names are unique");
        }
        let shared = Arc::new(Shared {
            broker,
            tasks,
            progress: Arc::new(WorkerProgress::default()),
            leases: Leases::default(),
            context: RunContext { stopping: Arc::new(AtomicBool::new(false)) },
            working: AtomicUsize::new(config.threads),
        });
        let on_start = config.on_thread_start;
        let mut threads = Vec::new();
        for number in 0..config.threads {
            let shared = shared.clone();
            threads.push(spawn(&format!("worker-{number}"), move || {
                on_start();
                shared.work(number);
            }));
        }
        let keeper = shared.clone();
        threads.push(spawn("worker-leases", move || keeper.keep_leases()));
        Worker { shared, threads }
    }

    pub fn progress(&self) -> Arc<WorkerProgress> {
        self.shared.progress.clone()
    }

    /// Returns how long the longest run has been going on, `None` if nothing runs.
    pub fn longest_run(&self) -> Option<Duration> {
        self.shared.leases.longest_run()
    }

    /// Asks the threads to end after what they run; `join` waits for them. What was claimed and not started goes back.
    pub fn stop(&self) {
        self.shared.context.stopping.store(true, Ordering::SeqCst);
    }

    pub fn join(self) {
        self.stop();
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a worker thread had panicked");
            }
        }
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run);
    thread.expect("a process can start its first threads")
}

impl Shared {
    /// Serves the queues in turns until told to stop.
    fn work(&self, number: usize) {
        let mut queues = self.queue_bounds();
        let turns = number % queues.len().max(1);
        queues.rotate_left(turns);
        let mut request = ClaimRequest { queues };
        while !self.context.is_stopping() && !request.queues.is_empty() {
            // Jobs that were claimed in a turn that panics come back when their leases end.
            let served = catch_unwind(AssertUnwindSafe(|| self.serve(&request)));
            let failure = match served {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(format!("{error:?}")),
                Err(panic) => Some(run::panic_text(&*panic).to_owned()),
            };
            if let Some(error) = failure {
                tracing::error!(error, "queues not served");
                self.progress.failed.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(FAILED_PAUSE);
            }
            request.queues.rotate_left(1);
        }
        self.working.fetch_sub(1, Ordering::SeqCst);
    }

    /// For each queue the widest bounds of its tasks; jobs of different tasks are told apart after the claim.
    fn queue_bounds(&self) -> Vec<QueueBounds> {
        let mut bounds: Vec<QueueBounds> = Vec::new();
        for policy in self.tasks.iter().map(|task| task.policy()) {
            let (jobs_max, bytes_max, lease) = (policy.batch_jobs_max, policy.batch_bytes_max, policy.lease);
            match bounds.iter_mut().find(|bounds| bounds.queue == policy.queue) {
                Some(bounds) => {
                    bounds.jobs_max = bounds.jobs_max.max(jobs_max);
                    bounds.bytes_max = bounds.bytes_max.max(bytes_max);
                    bounds.lease = bounds.lease.max(lease);
                }
                None => bounds.push(QueueBounds { queue: policy.queue.to_owned(), jobs_max, bytes_max, lease }),
            }
        }
        bounds
    }

    fn serve(&self, request: &ClaimRequest) -> Result<(), QueueError> {
        let claimed = self.broker.claim(request)?;
        let count = claimed.len() as u64;
        self.progress.running.fetch_add(count, Ordering::Relaxed);
        let result = catch_unwind(AssertUnwindSafe(|| self.run_claimed(claimed)));
        self.progress.running.fetch_sub(count, Ordering::Relaxed);
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}
