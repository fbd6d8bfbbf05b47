//! Runs tasks: threads that claim, run and finish, and one that keeps their leases alive. A panic in a task is an error
//! of its jobs, not the end of the thread.

mod leases;
mod run;

use crate::{Broker, QueueError, RunContext, Task};
use leases::Leases;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
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
    pub finished: AtomicU64,
    pub failed: AtomicU64,
    pub running: AtomicU64,
}

/// Threads that run the tasks of a table.
pub struct Worker {
    progress: Arc<WorkerProgress>,
    stopping: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

/// What each thread works with.
struct Shared {
    broker: Arc<dyn Broker>,
    tasks: Vec<Arc<dyn Task>>,
    progress: Arc<WorkerProgress>,
    leases: Leases,
    context: RunContext,
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
        let progress = Arc::new(WorkerProgress::default());
        let stopping = Arc::new(AtomicBool::new(false));
        let shared = Arc::new(Shared {
            leases: Leases::default(),
            context: RunContext { stopping: stopping.clone() },
            progress: progress.clone(),
            broker,
            tasks,
        });
        let on_start = config.on_thread_start;
        let mut threads = Vec::new();
        for number in 0..config.threads {
            let shared = shared.clone();
            threads.push(spawn(&format!("worker-{number}"), move || {
                on_start();
                shared.work();
            }));
        }
        threads.push(spawn("worker-leases", move || shared.keep_leases()));
        Worker { progress, stopping, threads }
    }

    pub fn progress(&self) -> Arc<WorkerProgress> {
        self.progress.clone()
    }

    /// Asks the threads to end after what they run; `join` waits for them.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
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
    fn work(&self) {
        let mut queues: Vec<&'static str> = self.tasks.iter().map(|task| task.policy().queue).collect();
        queues.sort_unstable();
        queues.dedup();
        while !self.context.is_stopping() {
            for queue in &queues {
                if let Err(error) = self.serve(queue) {
                    tracing::error!(error = %error, queue, "queue not served");
                    self.progress.failed.fetch_add(1, Ordering::Relaxed);
                    std::thread::sleep(FAILED_PAUSE);
                }
            }
        }
    }

    fn serve(&self, queue: &str) -> Result<(), QueueError> {
        let claimed = self.broker.claim(&self.claim_request(queue))?;
        if claimed.is_empty() {
            return Ok(());
        }
        self.progress.running.fetch_add(claimed.len() as u64, Ordering::Relaxed);
        let count = claimed.len() as u64;
        let result = self.run_claimed(claimed);
        self.progress.running.fetch_sub(count, Ordering::Relaxed);
        result
    }
}
