//! The worker: what it does with outcomes, panics and unknown tasks.

use crate::support::{Rig, job};
use queue::{
    Broker, ClaimRequest, Claimed, Ledger, NewJob, Outcome, Policy, QueueBounds, RunContext, Task, Worker, WorkerConfig,
};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use stdx::Backoff;

struct Scripted {
    ran: Mutex<Sender<Vec<String>>>,
}

impl Task for Scripted {
    fn name(&self) -> &'static str {
        "t"
    }

    fn policy(&self) -> Policy {
        Policy {
            queue: "q",
            batch_jobs_max: 10,
            batch_bytes_max: 1 << 20,
            attempts_max: 2,
            backoff: Backoff::new(Duration::ZERO, Duration::ZERO),
            lease: Duration::from_secs(20),
            time_limit: Duration::from_secs(20),
        }
    }

    fn run(&self, jobs: &[Claimed], _cx: &RunContext) -> Vec<Outcome> {
        let ids: Vec<String> = jobs.iter().map(|job| job.id.to_string()).collect();
        self.ran.lock().expect("one run at a time").send(ids).expect("the test listens");
        let outcome = |job: &Claimed| match job.id.as_str() {
            "panics" => panic!("on purpose"),
            "fails" => Outcome::Retry { error: "no".to_owned() },
            "rejected" => Outcome::Dead { error: "never".to_owned() },
            _ => Outcome::Done,
        };
        jobs.iter().map(outcome).collect()
    }
}

pub(crate) fn one_thread() -> WorkerConfig {
    WorkerConfig::new("worker@here", 1, Arc::new(stdx::SystemClock))
}

struct Running {
    broker: Arc<queue::brokers::embedded::Embedded>,
    worker: Worker,
    ran: Receiver<Vec<String>>,
    _folder: tempfile::TempDir,
}

fn run(jobs: Vec<NewJob>) -> Running {
    let rig = Rig::new();
    rig.publish(jobs).expect("kept");
    let Rig { folder, broker, .. } = rig;
    let broker = Arc::new(broker);
    let (sender, ran) = channel();
    let tasks: Vec<Arc<dyn Task>> = vec![Arc::new(Scripted { ran: Mutex::new(sender) })];
    let worker = Worker::start(broker.clone(), tasks, one_thread());
    Running { broker, worker, ran, _folder: folder }
}

fn next(running: &Running) -> Vec<String> {
    running.ran.recv_timeout(Duration::from_secs(10)).expect("the task runs")
}

#[test]
fn outcomes_end_jobs_and_failures_end_among_the_dead_letters() {
    let running = run(vec![job("fine"), job("fails"), job("rejected")]);
    assert_eq!(next(&running), ["fine", "fails", "rejected"]);
    assert_eq!(next(&running), ["fails"]);
    running.worker.join();
    let reasons: Vec<(String, String)> =
        running.broker.dead_letters().expect("letters").into_iter().map(|letter| (letter.id, letter.reason)).collect();
    assert!(reasons.contains(&("fails".to_owned(), "attempts".to_owned())), "{reasons:?}");
    assert!(reasons.contains(&("rejected".to_owned(), "rejected".to_owned())), "{reasons:?}");
}

#[test]
fn a_panic_is_an_error_of_its_job_and_the_thread_goes_on() {
    let running = run(vec![job("panics")]);
    assert_eq!(next(&running), ["panics"]);
    assert_eq!(next(&running), ["panics"]);
    running.worker.join();
    let dead = running.broker.dead_letters().expect("letters");
    assert!(dead[0].error.contains("on purpose"), "{}", dead[0].error);
}

#[test]
fn a_job_of_an_unknown_task_is_parked() {
    let running = run(vec![NewJob { task: "unknown".into(), ..job("strange") }, job("fine")]);
    assert_eq!(next(&running), ["fine"]);
    running.worker.join();
    assert_eq!(running.broker.depths().expect("depths")[0].parked, 1);
}

/// A task that says what it was given and waits until it is let go.
struct Gated {
    name: &'static str,
    queue: &'static str,
    batch_jobs_max: usize,
    ran: Mutex<Sender<Vec<String>>>,
    gate: Mutex<Receiver<()>>,
}

impl Task for Gated {
    fn name(&self) -> &'static str {
        self.name
    }

    fn policy(&self) -> Policy {
        Policy {
            queue: self.queue,
            batch_jobs_max: self.batch_jobs_max,
            batch_bytes_max: 1 << 20,
            attempts_max: 1,
            backoff: Backoff::new(Duration::ZERO, Duration::ZERO),
            lease: Duration::from_secs(20),
            time_limit: Duration::from_secs(20),
        }
    }

    fn run(&self, jobs: &[Claimed], _cx: &RunContext) -> Vec<Outcome> {
        let ids: Vec<String> = jobs.iter().map(|job| job.id.to_string()).collect();
        self.ran.lock().expect("one run at a time").send(ids).expect("the test listens");
        // A test that has ended lets everything go.
        let _ = self.gate.lock().expect("one run at a time").recv();
        vec![Outcome::Done; jobs.len()]
    }
}

/// A gated task with what it tells and what lets it go.
pub(crate) fn gated(
    name: &'static str,
    queue: &'static str,
    batch_jobs_max: usize,
) -> (Arc<dyn Task>, Receiver<Vec<String>>, Sender<()>) {
    let ((sender, ran), (open, gate)) = (channel(), channel());
    let task = Gated { name, queue, batch_jobs_max, ran: Mutex::new(sender), gate: Mutex::new(gate) };
    (Arc::new(task), ran, open)
}

pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

#[test]
fn a_panic_in_a_batch_costs_only_the_job_that_panics() {
    let running = run(vec![job("a"), job("b"), job("panics"), job("c")]);
    assert_eq!(next(&running).len(), 4);
    let mut runs = Vec::new();
    while runs.last().is_none_or(|ids| ids != &["c"]) {
        runs.push(next(&running));
    }
    assert_eq!(runs, [vec!["a", "b"], vec!["panics", "c"], vec!["panics"], vec!["c"]]);
    assert_eq!(next(&running), ["panics"], "its second attempt");
    running.worker.join();
    let dead: Vec<String> =
        running.broker.dead_letters().expect("letters").into_iter().map(|letter| letter.id).collect();
    assert_eq!(dead, ["panics"]);
}

#[test]
fn each_task_gets_batches_of_its_own_size_and_what_has_not_started_goes_back() {
    let rig = Rig::new();
    let (one, ran_one, go_one) = gated("one", "q", 1);
    let (many, ran_many, _go_many) = gated("many", "q", 10);
    let of_one = |id: &str| NewJob { task: "one".into(), ..job(id) };
    let of_many = |id: &str| NewJob { task: "many".into(), ..job(id) };
    rig.publish(vec![of_one("a"), of_many("b"), of_one("c"), of_many("d")]).expect("kept");
    let Rig { folder: _folder, broker, .. } = rig;
    let broker = Arc::new(broker);
    let worker = Worker::start(broker.clone(), vec![one, many], one_thread());
    assert_eq!(ran_one.recv_timeout(PATIENCE).expect("runs"), ["a"]);
    go_one.send(()).expect("the task waits");
    assert_eq!(ran_one.recv_timeout(PATIENCE).expect("runs"), ["c"]);
    worker.stop();
    go_one.send(()).expect("the task waits");
    worker.join();
    assert!(ran_many.try_recv().is_err(), "not started after the stop");
    assert_eq!(broker.depths().expect("depths")[0].ready, 2);
    let bounds = QueueBounds { queue: "q".to_owned(), jobs_max: 10, bytes_max: 1 << 20, lease: PATIENCE };
    let back = broker.claim(&ClaimRequest { queues: vec![bounds] }).expect("claimed");
    let back: Vec<(&str, u32)> = back.iter().map(|job| (job.id.as_str(), job.attempt)).collect();
    assert_eq!(back, [("b", 1), ("d", 1)], "in their order, with no attempt spent");
}

#[test]
fn an_empty_queue_does_not_hold_up_another() {
    let rig = Rig::new();
    let (busy, ran, go) = gated("busy", "q", 1);
    let (idle, _ran, _go) = gated("idle", "idle", 1);
    let ids: Vec<String> = (0..40).map(|number| number.to_string()).collect();
    rig.publish(ids.iter().map(|id| NewJob { task: "busy".into(), ..job(id) }).collect()).expect("kept");
    let Rig { folder: _folder, broker, .. } = rig;
    let config = one_thread();
    drop(go);
    let started = std::time::Instant::now();
    let worker = Worker::start(Arc::new(broker), vec![busy, idle], config);
    for id in &ids {
        assert_eq!(ran.recv_timeout(PATIENCE).expect("runs"), std::slice::from_ref(id));
    }
    worker.join();
    assert!(started.elapsed() < Duration::from_secs(5), "half a second for each look at an empty queue is 20 s");
}

#[test]
fn the_longest_run_is_told_and_ends() {
    let rig = Rig::new();
    let (task, ran, go) = gated("t", "q", 1);
    rig.publish_ids(&["a"]);
    let Rig { folder: _folder, broker, .. } = rig;
    let worker = Worker::start(Arc::new(broker), vec![task], one_thread());
    ran.recv_timeout(PATIENCE).expect("runs");
    assert!(worker.longest_run().is_some());
    assert_eq!(worker.progress().running.load(Ordering::Relaxed), 1);
    drop(go);
    let progress = worker.progress();
    worker.join();
    assert_eq!(progress.finished.load(Ordering::Relaxed), 1);
    assert_eq!(progress.running.load(Ordering::Relaxed), 0);
}

/// Sleeps for as long as its job's payload says, in milliseconds; the second run of a job is quick.
struct Sleeper {
    limit: Duration,
}

impl Task for Sleeper {
    fn name(&self) -> &'static str {
        "t"
    }

    fn policy(&self) -> Policy {
        Policy {
            queue: "q",
            batch_jobs_max: 1,
            batch_bytes_max: 1 << 20,
            attempts_max: 2,
            backoff: Backoff::new(Duration::ZERO, Duration::ZERO),
            lease: Duration::from_secs(20),
            time_limit: self.limit,
        }
    }

    fn run(&self, jobs: &[Claimed], _cx: &RunContext) -> Vec<Outcome> {
        let text = std::str::from_utf8(&jobs[0].payload).expect("a number");
        if jobs[0].attempt == 1 {
            let length = Duration::from_millis(text.parse().expect("a number"));
            let started = std::time::Instant::now();
            while started.elapsed() < length {
                std::thread::park_timeout(length);
            }
        }
        vec![Outcome::Done]
    }
}

fn sleeping(limit: Duration, jobs: Vec<NewJob>, threads: usize) -> (Arc<queue::brokers::embedded::Embedded>, Worker) {
    let rig = Rig::new();
    rig.publish(jobs).expect("kept");
    let Rig { folder, broker, .. } = rig;
    std::mem::forget(folder);
    let broker = Arc::new(broker);
    let config = WorkerConfig { threads, ..one_thread() };
    let worker = Worker::start(broker.clone(), vec![Arc::new(Sleeper { limit })], config);
    (broker, worker)
}

pub(crate) fn until(what: &str, is_so: impl Fn() -> bool) {
    let started = std::time::Instant::now();
    while !is_so() {
        assert!(started.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

fn sleeping_job(id: &str, ms: u64) -> NewJob {
    NewJob { payload: ms.to_string().into(), ..job(id) }
}

#[test]
fn whoever_watches_is_told_of_every_run_that_ended() {
    let rig = Rig::new();
    rig.publish(vec![job("fine"), job("fails")]).expect("kept");
    let Rig { folder: _folder, broker, .. } = rig;
    let (sender, _ran) = channel();
    let tasks: Vec<Arc<dyn Task>> = vec![Arc::new(Scripted { ran: Mutex::new(sender) })];
    let (told, ends) = channel();
    let told = Mutex::new(told);
    let on_run = move |run: &queue::RunEnd<'_>| {
        let end = (run.task.to_owned(), run.jobs.len(), run.failed);
        told.lock().expect("nobody panicked").send(end).expect("the test listens");
        assert!(run.took < run.time_limit);
    };
    let worker = Worker::start(Arc::new(broker), tasks, WorkerConfig { on_run: Arc::new(on_run), ..one_thread() });
    let mut jobs = (0, 0);
    while jobs.0 < 2 {
        let (_, ran, failed) = ends.recv_timeout(Duration::from_secs(10)).expect("a run ended");
        jobs = (jobs.0 + ran, jobs.1 + failed);
    }
    assert_eq!(jobs, (2, 1));
    worker.join();
}

#[test]
fn a_run_beyond_its_time_limit_fails_and_its_thread_is_replaced() {
    let (broker, worker) = sleeping(Duration::from_millis(100), vec![sleeping_job("hangs", 60_000)], 1);
    until("the job is tried again by another thread", || broker.depths().expect("depths")[0].leased == 0);
    assert!(broker.dead_letters().expect("letters").is_empty());
    until("nothing is left", || broker.depths().expect("depths")[0].ready == 0);
    worker.join();
}

#[test]
fn what_waits_behind_a_long_run_goes_to_others() {
    let jobs = ["a", "b", "c", "d", "e", "f"].map(|id| sleeping_job(id, 0));
    let (broker, worker) = sleeping(Duration::from_secs(60), jobs.to_vec(), 2);
    until("the first are done", || broker.depths().expect("depths")[0].ready == 0);
    // Credit has grown: one claim takes several.
    let mut more: Vec<NewJob> = vec![sleeping_job("long", 5_000)];
    more.extend((0..20).map(|number| sleeping_job(&format!("short{number}"), 0)));
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(broker.publish(more)).expect("kept");
    let started = std::time::Instant::now();
    until("only the long one is left", || {
        let depth = &broker.depths().expect("depths")[0];
        depth.ready == 0 && depth.leased <= 1
    });
    assert!(started.elapsed() < Duration::from_secs(4), "they did not wait for it");
    worker.join();
}

#[test]
fn a_stop_gives_back_what_does_not_end_in_time_and_spends_no_attempt() {
    let (broker, worker) = sleeping(Duration::from_secs(60), vec![sleeping_job("long", 30_000)], 1);
    until("it runs", || worker.longest_run().is_some());
    assert!(!worker.join_within(Duration::from_millis(100)));
    let bounds = QueueBounds { queue: "q".to_owned(), jobs_max: 1, bytes_max: 1 << 20, lease: Duration::from_secs(20) };
    let again = broker.claim(&ClaimRequest { queues: vec![bounds] }).expect("claimed");
    assert_eq!((again[0].id.as_str(), again[0].attempt), ("long", 1));
}

#[test]
fn a_worker_says_that_it_lives_and_takes_back_what_was_parked() {
    let rig = Rig::new();
    rig.publish(vec![sleeping_job("a", 0)]).expect("kept");
    rig.finish(&rig.claim(1)[0], queue::Finish::Park);
    let Rig { folder: _folder, broker, .. } = rig;
    let broker = Arc::new(broker);
    let task: Arc<dyn Task> = Arc::new(Sleeper { limit: Duration::from_secs(60) });
    let worker = Worker::start(broker.clone(), vec![task], one_thread());
    until("it is heard", || !broker.workers().expect("asked").is_empty());
    let row = broker.workers().expect("asked").remove(0);
    assert_eq!((row.name.as_str(), row.slots, row.queues), ("worker@here", 1, vec!["q".to_owned()]));
    until("what was parked has run", || broker.depths().expect("depths")[0].parked == 0);
    worker.join();
    assert!(broker.workers().expect("asked").is_empty(), "it has left");
}

#[test]
fn a_turn_that_fails_is_no_failed_job() {
    let rig = Rig::new();
    rig.publish_ids(&["a"]);
    let Rig { folder: _folder, broker, .. } = rig;
    let broker = Arc::new(broker);
    let children = queue::pool::ChildrenConfig {
        command: Box::new(|| std::process::Command::new("/nowhere/at-all")),
        jobs_max: None,
        memory_max: None,
        on_report: |_| {},
    };
    let config = WorkerConfig { children: Some(children), ..one_thread() };
    let task: Arc<dyn Task> = Arc::new(Sleeper { limit: Duration::from_secs(60) });
    let worker = Worker::start(broker.clone(), vec![task], config);
    until("it says what is wrong", || {
        broker.workers().expect("asked").first().is_some_and(|row| row.last_error.is_some())
    });
    let progress = worker.progress();
    worker.join();
    assert_eq!(progress.failed.load(Ordering::Relaxed), 0);
    assert_eq!(broker.depths().expect("depths")[0].ready, 1);
}

#[test]
fn two_workers_of_one_name_are_both_listed_and_it_is_said() {
    let Rig { folder: _folder, broker, .. } = Rig::new();
    let broker = Arc::new(broker);
    let task: Arc<dyn Task> = Arc::new(Sleeper { limit: Duration::from_secs(60) });
    let worker = Worker::start(broker.clone(), vec![task], one_thread());
    until("it is heard", || !broker.workers().expect("asked").is_empty());
    let row = broker.workers().expect("asked").remove(0);
    let started_at = row.started_at.minus(Duration::from_secs(60));
    let listed = || broker.workers().expect("asked");
    until("both are listed", || {
        let heard_at = stdx::Clock::now(&stdx::SystemClock);
        broker.beat(&queue::WorkerRow { pid: 1, started_at, heard_at, ..row.clone() }).expect("heard");
        listed().len() == 2
    });
    let younger = listed().into_iter().find(|other| other.pid == row.pid).expect("listed");
    assert_eq!(younger.name, format!("worker@here (pid {})", row.pid));
    assert!(younger.last_error.is_some_and(|error| error.contains("another worker is called worker@here")));
    worker.join();
    assert_eq!(listed().len(), 1, "only the younger has left");
}
