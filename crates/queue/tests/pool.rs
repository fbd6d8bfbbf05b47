//! Runs in processes: what a child does to itself costs its own run. The children are this test program again.

use crate::support::{Rig, job};
use crate::worker::until;
use queue::brokers::embedded::Embedded;
use queue::pool::{self, Child, ChildrenConfig};
use queue::{Broker, Claimed, DeadLetter, Ledger, NewJob, Outcome, Policy, RunContext, Task, Worker, WorkerConfig};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;
use stdx::Backoff;

/// Tells this program that it is a child: no test has such a name, so the harness does not mind it.
const CHILD: [&str; 2] = ["--skip", "as a child"];
const MEMORY_MAX: u64 = 256 << 20;

/// Does what its job's payload says.
struct Hostile {
    name: &'static str,
    batch_jobs_max: usize,
}

const ONE: Hostile = Hostile { name: "one", batch_jobs_max: 1 };
const MANY: Hostile = Hostile { name: "many", batch_jobs_max: 100 };
/// The child does not know it: it ends when it is given one, before the run begins.
const UNREAD: Hostile = Hostile { name: "unread", batch_jobs_max: 100 };

impl Task for Hostile {
    fn name(&self) -> &'static str {
        self.name
    }

    fn policy(&self) -> Policy {
        Policy {
            queue: "q",
            batch_jobs_max: self.batch_jobs_max,
            batch_bytes_max: 1 << 20,
            attempts_max: 1,
            backoff: Backoff::new(Duration::ZERO, Duration::ZERO),
            lease: Duration::from_secs(20),
            time_limit: if self.batch_jobs_max == 1 { Duration::from_millis(500) } else { Duration::from_secs(20) },
        }
    }

    fn needs_process(&self) -> bool {
        true
    }

    fn run(&self, jobs: &[Claimed], cx: &RunContext) -> Vec<Outcome> {
        jobs.iter().map(|job| act(&job.payload, cx)).collect()
    }
}

fn act(payload: &[u8], cx: &RunContext) -> Outcome {
    match payload {
        b"abort" => std::process::abort(),
        b"exit" => std::process::exit(3),
        b"hog" => loop {
            std::mem::forget(std::hint::black_box(vec![1u8; 8 << 20]));
            std::thread::park_timeout(Duration::from_millis(1));
        },
        b"hang" => loop {
            std::thread::park();
        },
        b"obey" => {
            while !cx.is_over_time() {
                std::thread::park_timeout(Duration::from_millis(5));
            }
            Outcome::Retry { error: "it was told".to_owned() }
        }
        // More than a child can say to its worker.
        b"large" => Outcome::Returned { value: "x".repeat(33 << 20).into() },
        _ => Outcome::Done,
    }
}

#[test]
fn the_child() {
    if !std::env::args().any(|word| word == CHILD[1]) {
        return;
    }
    let socket = std::io::stdin().as_fd().try_clone_to_owned().expect("the socket");
    let child = Child {
        socket: UnixStream::from(socket),
        tasks: vec![Arc::new(ONE), Arc::new(MANY)],
        memory_max: Some(MEMORY_MAX),
        report: Box::new(Vec::new),
    };
    pool::serve(child).expect("served to the end");
}

fn children(jobs_max: Option<u64>) -> ChildrenConfig {
    let command = || {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.args(["--exact", "pool::the_child", "--quiet"]).args(CHILD).stdout(std::process::Stdio::null());
        command
    };
    ChildrenConfig { command: Box::new(command), jobs_max, memory_max: Some(MEMORY_MAX), on_report: |_| {} }
}

struct Running {
    broker: Arc<Embedded>,
    worker: Worker,
    _folder: tempfile::TempDir,
}

fn start(jobs: Vec<NewJob>, jobs_max: Option<u64>) -> Running {
    let rig = Rig::new();
    rig.publish(jobs).expect("kept");
    let Rig { folder, broker, .. } = rig;
    let broker = Arc::new(broker);
    let config = WorkerConfig {
        children: Some(children(jobs_max)),
        ..WorkerConfig::new("worker@here", 2, Arc::new(stdx::SystemClock))
    };
    let worker = Worker::start(broker.clone(), vec![Arc::new(ONE), Arc::new(MANY), Arc::new(UNREAD)], config);
    Running { broker, worker, _folder: folder }
}

fn asked(task: &str, id: &str, what: &'static str) -> NewJob {
    NewJob { task: task.into(), payload: what.into(), ..job(id) }
}

impl Running {
    /// Waits until nothing is left to do.
    fn drained(&self) {
        let started = std::time::Instant::now();
        loop {
            let depth = self.broker.depths().expect("depths").remove(0);
            if depth.ready + depth.leased + depth.delayed == 0 {
                return;
            }
            assert!(started.elapsed() < Duration::from_secs(60), "not drained: {depth:?}");
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    fn dead(&self, id: &str) -> DeadLetter {
        self.broker.dead_letter(id).expect("asked").unwrap_or_else(|| panic!("{id} is no dead letter"))
    }
}

#[test]
fn each_way_to_end_badly_is_a_dead_letter_with_its_reason_and_the_others_are_done() {
    let ends = ["abort", "exit", "hog", "hang", "obey"];
    let mut jobs: Vec<NewJob> = ends.iter().map(|end| asked("one", end, end)).collect();
    jobs.extend((0..20).map(|number| asked("one", &format!("fine-{number}"), "")));
    let running = start(jobs, None);
    running.drained();
    let check = |id: &str, reason: &str, error: &str, deaths: u32| {
        let letter = running.dead(id);
        assert_eq!((letter.reason.as_str(), letter.deaths), (reason, deaths), "{letter:?}");
        assert!(letter.error.starts_with(error), "{letter:?}");
    };
    check("abort", "crashed", "crashed: signal 6 SIGABRT", 3);
    check("exit", "crashed", "crashed: exit code 3", 3);
    check("hog", "memory limit", "memory limit: ", 3);
    check("hang", "time limit", "TimeLimitExceeded: one ran for longer than", 0);
    check("obey", "time limit", "it was told", 0);
    assert_eq!(running.broker.dead_letters().expect("letters").len(), ends.len());
    let row = running.worker.pool();
    assert_eq!((row.kind.as_str(), row.died), ("processes", 10), "three deaths each, one killed at its time: {row:?}");
    running.worker.join();
}

#[test]
fn a_result_that_is_too_large_for_its_child_is_a_dead_letter_at_once_and_the_others_are_done() {
    let mut jobs: Vec<NewJob> = (0..10).map(|number| asked("many", &format!("fine-{number}"), "")).collect();
    jobs.insert(5, asked("many", "large", "large"));
    let running = start(jobs, None);
    running.drained();
    let letters = running.broker.dead_letters().expect("letters");
    assert_eq!((letters.len(), letters[0].id.as_str(), letters[0].deaths), (1, "large", 0), "{letters:?}");
    assert_eq!(letters[0].reason, "rejected");
    let error = &letters[0].error;
    assert!(error.starts_with("ValueError: its result: message of 346030"), "{error}");
    assert!(error.contains(" bytes is larger than "), "{error}");
    assert_eq!(running.worker.pool().died, 0);
    running.worker.join();
}

#[test]
fn a_death_in_company_is_nobodys_but_the_killers() {
    let mut jobs: Vec<NewJob> = (0..40).map(|number| asked("many", &format!("fine-{number}"), "")).collect();
    // The first of them is in every half that dies.
    jobs.insert(0, asked("many", "killer", "abort"));
    only_the_killer_dies(jobs);
}

fn only_the_killer_dies(jobs: Vec<NewJob>) {
    let running = start(jobs, None);
    running.drained();
    let letters = running.broker.dead_letters().expect("letters");
    assert_eq!((letters.len(), letters[0].id.as_str(), letters[0].deaths), (1, "killer", 3), "{letters:?}");
    assert_eq!(letters[0].reason, "crashed");
    running.worker.join();
}

#[test]
fn a_job_that_ends_its_child_before_it_begins_is_a_dead_letter() {
    let mut jobs: Vec<NewJob> = (0..10).map(|number| asked("one", &format!("fine-{number}"), "")).collect();
    jobs.insert(0, asked("unread", "killer", ""));
    only_the_killer_dies(jobs);
}

#[test]
fn jobs_in_hand_do_not_wait_for_a_child_that_is_slow_to_start() {
    let rig = Rig::new();
    rig.publish((0..10).map(|number| asked("one", &format!("fine-{number}"), "")).collect()).expect("kept");
    let Rig { folder: _folder, broker, .. } = rig;
    let broker = Arc::new(broker);
    let (first, slow) = (children(Some(1)), AtomicBool::new(false));
    let command = move || match slow.swap(true, Ordering::SeqCst) {
        false => (first.command)(),
        true => {
            let mut command = Command::new("sleep");
            command.arg("60");
            command
        }
    };
    let children = ChildrenConfig { command: Box::new(command), ..children(Some(1)) };
    let config =
        WorkerConfig { children: Some(children), ..WorkerConfig::new("worker@here", 1, Arc::new(stdx::SystemClock)) };
    // Claims as many as the larger batch of the two.
    let worker = Worker::start(broker.clone(), vec![Arc::new(ONE), Arc::new(MANY)], config);
    until("the first does not run", || worker.progress().finished.load(Ordering::Relaxed) == 1);
    assert_eq!(worker.pool().replaced, 1);
    until("the others wait for a child", || broker.depths().expect("depths")[0].ready == 9);
    let others = crate::support::claim_from(&*broker, &["q"], 20);
    assert!(others.len() == 9 && others.iter().all(|job| job.attempt == 1), "{others:?}");
    worker.join();
}

#[test]
fn a_child_is_replaced_after_its_jobs_and_none_is_lost() {
    let jobs = (0..30).map(|number| asked("one", &format!("fine-{number}"), "")).collect();
    let running = start(jobs, Some(5));
    running.drained();
    let progress = running.worker.progress();
    assert_eq!(progress.finished.load(Ordering::Relaxed), 30);
    let row = running.worker.pool();
    assert!(row.replaced >= 5 && row.died == 0 && row.children.len() <= 2, "{row:?}");
    assert!(running.broker.dead_letters().expect("letters").is_empty());
    running.worker.join();
}

#[test]
fn a_worker_of_threads_leaves_what_needs_a_process_to_others() {
    let rig = Rig::new();
    rig.publish(vec![asked("one", "a", "abort")]).expect("kept");
    let Rig { folder: _folder, broker, .. } = rig;
    let broker = Arc::new(broker);
    let config = WorkerConfig {
        queues: vec!["q".to_owned()],
        ..WorkerConfig::new("threads@here", 1, Arc::new(stdx::SystemClock))
    };
    let worker = Worker::start(broker.clone(), vec![Arc::new(ONE)], config);
    let started = std::time::Instant::now();
    while broker.depths().expect("depths")[0].parked == 0 {
        assert!(started.elapsed() < Duration::from_secs(20), "it was not left alone");
        std::thread::park_timeout(Duration::from_millis(20));
    }
    worker.join();
}

#[test]
fn a_child_that_cannot_start_is_said_and_no_job_is_spent_on_it() {
    let rig = Rig::new();
    rig.publish(vec![asked("one", "a", "")]).expect("kept");
    let Rig { folder: _folder, broker, .. } = rig;
    let broker = Arc::new(broker);
    let no_child = ChildrenConfig { command: Box::new(|| Command::new("false")), ..children(None) };
    let config =
        WorkerConfig { children: Some(no_child), ..WorkerConfig::new("worker@here", 1, Arc::new(stdx::SystemClock)) };
    let worker = Worker::start(broker.clone(), vec![Arc::new(ONE)], config);
    until("it is not said", || {
        let rows = broker.workers().expect("asked");
        let said = rows.first().and_then(|row| row.last_error.as_deref()).unwrap_or_default();
        said.contains("a child process did not become ready: crashed: exit code 1")
    });
    assert!(worker.pool().died >= 2, "it is tried again");
    assert_eq!(broker.depths().expect("depths")[0].ready, 1, "nothing is claimed without a child");
    worker.join();
    let (sender, ran) = channel();
    let config = WorkerConfig {
        children: Some(children(None)),
        on_run: Arc::new(move |run| sender.send(run.jobs[0].attempt).expect("the test listens")),
        ..WorkerConfig::new("worker@here", 1, Arc::new(stdx::SystemClock))
    };
    let worker = Worker::start(broker, vec![Arc::new(ONE)], config);
    assert_eq!(ran.recv_timeout(Duration::from_secs(20)).expect("it runs"), 1, "no attempt was spent");
    worker.join();
}
