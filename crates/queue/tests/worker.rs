//! The worker: what it does with outcomes, panics and unknown tasks.

use crate::support::{Rig, job};
use queue::{Broker, Claimed, Ledger, NewJob, Outcome, Policy, RunContext, Task, Worker, WorkerConfig};
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
    let worker = Worker::start(broker.clone(), tasks, &WorkerConfig { threads: 1, on_thread_start: || {} });
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
        running.broker.dead_letters().into_iter().map(|letter| (letter.id, letter.reason)).collect();
    assert!(reasons.contains(&("fails".to_owned(), "attempts".to_owned())), "{reasons:?}");
    assert!(reasons.contains(&("rejected".to_owned(), "rejected".to_owned())), "{reasons:?}");
}

#[test]
fn a_panic_is_an_error_of_its_job_and_the_thread_goes_on() {
    let running = run(vec![job("panics")]);
    assert_eq!(next(&running), ["panics"]);
    assert_eq!(next(&running), ["panics"]);
    running.worker.join();
    let dead = running.broker.dead_letters();
    assert!(dead[0].error.contains("on purpose"), "{}", dead[0].error);
}

#[test]
fn a_job_of_an_unknown_task_is_parked() {
    let running = run(vec![NewJob { task: "unknown".into(), ..job("strange") }, job("fine")]);
    assert_eq!(next(&running), ["fine"]);
    running.worker.join();
    assert_eq!(running.broker.depths()[0].parked, 1);
}
