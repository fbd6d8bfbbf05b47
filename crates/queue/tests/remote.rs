//! Celery's tools at a worker, as they speak on the wire: what is asked is answered in Celery's words, what is revoked or
//! limited is, monitors hear of it, and nothing a stranger sends disturbs the worker.

use crate::support::{RedisServer, job, redis_is_here, wait_for};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use queue::brokers::redis::Redis;
use queue::{
    Broker, Claimed, JobId, JobOptions, JobResult, Ledger, NewJob, Outcome, Policy, RemoteConfig, RunContext, Task,
    Worker, WorkerConfig,
};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use stdx::Backoff;

const WITHIN: Duration = Duration::from_secs(20);
const SEPARATOR: &str = "\u{6}\u{16}";

/// Says when it begins; a job whose id begins with `long` goes on until it is told to end, `deaf` until the test ends.
struct Scripted {
    began: Mutex<Sender<(String, Instant)>>,
    is_over: Arc<AtomicBool>,
    batch_jobs_max: usize,
}

impl Task for Scripted {
    fn name(&self) -> &'static str {
        "t"
    }

    fn policy(&self) -> Policy {
        Policy {
            queue: "q",
            batch_jobs_max: self.batch_jobs_max,
            batch_bytes_max: 1 << 20,
            attempts_max: 3,
            backoff: Backoff::new(Duration::ZERO, Duration::ZERO),
            lease: Duration::from_secs(20),
            time_limit: Duration::from_secs(60),
        }
    }

    fn run(&self, jobs: &[Claimed], cx: &RunContext) -> Vec<Outcome> {
        let run = |job: &Claimed| {
            // A test that has seen enough does not listen any more.
            let _ = self.began.lock().expect("nobody panicked").send((job.id.to_string(), Instant::now()));
            let (is_long, is_deaf) = (job.id.as_str().starts_with("long"), job.id.as_str().starts_with("deaf"));
            while (is_long && !cx.is_over_time() || is_deaf) && !self.is_over.load(Ordering::SeqCst) {
                std::thread::park_timeout(Duration::from_millis(5));
            }
            if cx.is_over_time() {
                return Outcome::Retry { error: "told to end".to_owned() };
            }
            Outcome::Returned { value: json!("done") }
        };
        jobs.iter().map(run).collect()
    }
}

/// A server, a worker on it, and a tool of Celery's.
struct Rig {
    broker: Arc<Redis>,
    worker: Option<Worker>,
    began: Receiver<(String, Instant)>,
    is_over: Arc<AtomicBool>,
    stopped: Arc<AtomicBool>,
    tool: redis::Connection,
    server: RedisServer,
}

fn rig() -> Option<Rig> {
    rig_with(1, true)
}

/// Returns nothing where no server can be started.
fn rig_with(batch_jobs_max: usize, is_on: bool) -> Option<Rig> {
    if !redis_is_here() {
        return None;
    }
    let server = RedisServer::start(&[]);
    let broker = Arc::new(server.live_broker());
    let (tool, (sender, began)) = (server.raw(), channel());
    let (is_over, stopped) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let task = Scripted { began: Mutex::new(sender), is_over: is_over.clone(), batch_jobs_max };
    let stop = stopped.clone();
    let remote = RemoteConfig {
        is_on,
        conf: json!({"worker_concurrency": 1}).as_object().cloned().expect("an object"),
        stop: Some(Arc::new(move || stop.store(true, Ordering::SeqCst))),
        ..RemoteConfig::default()
    };
    let worker = start("w@here", &broker, task, remote);
    let mut rig = Rig { broker, worker: Some(worker), began, is_over, stopped, tool, server };
    if is_on {
        rig.until_heard(1);
    }
    Some(rig)
}

fn start(name: &str, broker: &Arc<Redis>, task: Scripted, remote: RemoteConfig) -> Worker {
    let config = WorkerConfig { remote, ..WorkerConfig::new(name, 1, Arc::new(stdx::SystemClock)) };
    Worker::start(broker.clone(), vec![Arc::new(task)], config)
}

impl Rig {
    fn ask<T: redis::FromRedisValue>(&mut self, words: &[&str]) -> T {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]).query(&mut self.tool).expect("the server answers")
    }

    fn until_heard(&mut self, workers: i64) {
        until("workers listen", || {
            let (_, count): (String, i64) = self.ask(&["PUBSUB", "NUMSUB", "/0.celery.pidbox"]);
            count == workers
        });
    }

    /// Publishes a request as kombu does.
    fn broadcast(&mut self, body: &Value, headers: &Value) {
        let message = json!({
            "body": STANDARD.encode(body.to_string()), "content-encoding": "utf-8",
            "content-type": "application/json", "headers": headers,
            "properties": {
                "delivery_mode": 2, "delivery_info": {"exchange": "celery.pidbox", "routing_key": ""},
                "priority": 0, "body_encoding": "base64", "delivery_tag": "tag",
            },
        });
        let _: i64 = self.ask(&["PUBLISH", "/0.celery.pidbox", &message.to_string()]);
    }

    /// Asks and returns what one worker says within the time.
    fn request(&mut self, method: &str, arguments: &Value, destination: &Value, seconds: &str) -> Option<Value> {
        let key = stdx::random::uuid();
        let queue = format!("{key}.reply.celery.pidbox");
        let bindings = "_kombu.binding.reply.celery.pidbox";
        let binding = format!("{key}{SEPARATOR}{SEPARATOR}{queue}");
        let _: i64 = self.ask(&["SADD", bindings, &binding]);
        let body = json!({
            "method": method, "arguments": arguments, "destination": destination, "pattern": null, "matcher": null,
            "ticket": "the ticket", "reply_to": {"exchange": "reply.celery.pidbox", "routing_key": key},
        });
        self.broadcast(&body, &json!({"clock": 41}));
        let popped: Option<(String, String)> = self.ask(&["BRPOP", &queue, seconds]);
        let _: i64 = self.ask(&["SREM", bindings, &binding]);
        let message: Value = serde_json::from_str(&popped?.1).expect("a message");
        assert_eq!(message["headers"]["ticket"], "the ticket");
        assert!(message["headers"]["clock"].as_u64().expect("a clock") > 41, "it has met the asker's clock");
        let body = STANDARD.decode(message["body"].as_str().expect("a body")).expect("base64");
        let mut body: Value = serde_json::from_slice(&body).expect("JSON");
        Some(body["w@here"].take())
    }

    fn call(&mut self, method: &str, arguments: &Value) -> Value {
        self.request(method, arguments, &Value::Null, "20").expect("the worker answers")
    }

    fn publish(&self, ids: &[&str]) {
        let keeps_result = |id: &&str| NewJob {
            fairness_key: 0,
            options: JobOptions { keeps_result: true, ..JobOptions::default() },
            ..job(id)
        };
        wait_for(self.broker.publish(ids.iter().map(keeps_result).collect())).expect("kept");
    }

    fn next(&self) -> (String, Instant) {
        self.began.recv_timeout(WITHIN).expect("a run begins")
    }

    fn ended_as(&self, id: &str) -> String {
        let mut error = String::new();
        until("it is revoked", || match self.broker.result(&JobId::new(id)).expect("asked") {
            Some(JobResult::Failure { error: text }) => {
                error = text;
                true
            }
            Some(JobResult::Success { .. } | JobResult::Retry { .. }) | None => false,
        });
        error
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        if let Some(worker) = self.worker.take() {
            worker.join_within(WITHIN);
        }
    }
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < WITHIN, "{what}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

#[test]
fn a_worker_answers_whom_it_means() {
    let Some(mut rig) = rig() else { return };
    assert_eq!(rig.call("ping", &json!({})), json!({"ok": "pong"}));
    assert!(rig.request("ping", &json!({}), &json!(["v@here"]), "0.3").is_none(), "another was meant");
    assert_eq!(rig.request("ping", &json!({}), &json!(["w@here"]), "20"), Some(json!({"ok": "pong"})));
    assert_eq!(rig.call("registered", &json!({})), json!(["t"]));
    assert_eq!(rig.call("active_queues", &json!({}))[0]["name"], "q");
    assert_eq!(rig.call("conf", &json!({}))["worker_concurrency"], 1);
    assert_eq!(rig.call("stats", &json!({}))["pool"]["max-concurrency"], 1);
    assert_eq!(rig.call("hello", &json!({"from_node": "w@here"})), Value::Null);
    for method in ["active", "reserved", "scheduled", "revoked"] {
        assert_eq!(rig.call(method, &json!({})), json!([]), "{method}");
    }
    assert_eq!(rig.call("nope", &json!({})), json!({"error": "KeyError('nope')"}));
    assert!(rig.call("pool_grow", &json!({"n": 1}))["error"].is_string());
    let left: Vec<String> = rig.ask(&["KEYS", "*pidbox*"]);
    assert!(left.is_empty(), "nothing is left of it: {left:?}");
    assert_eq!(rig.call("shutdown", &json!({}))["error"], Value::Null);
    assert!(rig.stopped.load(Ordering::SeqCst));
}

#[test]
fn what_runs_and_what_waits_is_shown() {
    let Some(mut rig) = rig() else { return };
    rig.publish(&["long"]);
    rig.next();
    let delayed = NewJob { delay: Duration::from_secs(60), ..job("later") };
    wait_for(rig.broker.publish(vec![delayed])).expect("kept");
    let active = rig.call("active", &json!({"safe": true}));
    assert_eq!(
        (&active[0]["id"], &active[0]["name"], &active[0]["hostname"]),
        (&json!("long"), &json!("t"), &json!("w@here"))
    );
    assert_eq!(active[0]["delivery_info"]["routing_key"], "q");
    let scheduled = rig.call("scheduled", &json!({}));
    assert_eq!(scheduled[0]["request"]["id"], "later");
    assert!(scheduled[0]["eta"].is_string());
    assert_eq!(rig.call("query_task", &json!({"ids": ["long", "gone"]}))["long"][0], "active");
    assert_eq!(rig.call("stats", &json!({}))["total"], json!({"t": 1}));
}

#[test]
fn a_revoked_job_is_not_run_and_ends_visibly() {
    let Some(mut rig) = rig() else { return };
    let said = rig.call("revoke", &json!({"task_id": "unwanted"}));
    assert_eq!(said, json!({"ok": "tasks {'unwanted'} flagged as revoked"}));
    rig.publish(&["unwanted", "wanted"]);
    assert_eq!(rig.next().0, "wanted");
    assert_eq!(rig.ended_as("unwanted"), "TaskRevokedError: revoked");
    assert_eq!(rig.call("revoked", &json!({})), json!(["unwanted"]));
    let letters = rig.broker.dead_letters().expect("letters");
    assert_eq!((letters.len(), letters[0].reason.as_str()), (1, "revoked"));
    let meta: String = rig.ask(&["GET", "celery-task-meta-unwanted"]);
    assert!(meta.contains("\"REVOKED\""), "{meta}");
}

#[test]
fn a_terminated_run_ends_and_costs_its_company_nothing() {
    let Some(mut rig) = rig_with(10, true) else { return };
    rig.publish(&["first"]);
    assert_eq!(rig.next().0, "first");
    // The worker has no other thread: these wait, and are then claimed together.
    rig.publish(&["long", "company"]);
    assert_eq!(rig.next().0, "long");
    let said = rig.call("revoke", &json!({"task_id": ["long", "unknown"], "terminate": 1}));
    assert_eq!(said, json!({"ok": "terminate: long"}));
    assert_eq!(rig.ended_as("long"), "TaskRevokedError: terminated");
    let mut ran = rig.next();
    // In the run that was told to end it began too.
    if let Ok(again) = rig.began.recv_timeout(Duration::from_secs(2)) {
        ran = again;
    }
    assert_eq!(ran.0, "company");
    until("the company is done", || {
        matches!(rig.broker.result(&JobId::new("company")), Ok(Some(JobResult::Success { .. })))
    });
    assert_eq!(rig.broker.dead_letters().expect("letters").len(), 1);
}

#[test]
fn a_run_that_does_not_hear_is_ended_from_outside() {
    let Some(mut rig) = rig() else { return };
    rig.publish(&["deaf"]);
    assert_eq!(rig.next().0, "deaf");
    let said = rig.call("terminate", &json!({"task_id": "deaf", "signal": "SIGKILL"}));
    assert_eq!(said, json!({"ok": "terminate: deaf"}));
    assert_eq!(rig.ended_as("deaf"), "TaskRevokedError: terminated");
    rig.publish(&["next"]);
    assert_eq!(rig.next().0, "next", "another thread has taken its place");
    assert_eq!(rig.call("terminate", &json!({"task_id": "deaf"})), json!({"ok": "terminate: tasks unknown"}));
}

#[test]
fn starts_are_as_far_apart_as_the_rate_says() {
    let Some(mut rig) = rig() else { return };
    assert_eq!(
        rig.call("rate_limit", &json!({"task_name": "x", "rate_limit": "1/s"})),
        json!({"error": "unknown task"})
    );
    assert!(rig.call("rate_limit", &json!({"task_name": "t", "rate_limit": "1/d"}))["error"].is_string());
    rig.call("rate_limit", &json!({"task_name": "t", "rate_limit": "5/s"}));
    assert_eq!(rig.call("registered", &json!({})), json!(["t [rate_limit=5/s]"]));
    rig.publish(&["a", "b", "c", "d", "e", "f"]);
    let began: Vec<Instant> = (0..6).map(|_| rig.next().1).collect();
    for pair in began.windows(2) {
        assert!(pair[1] - pair[0] >= Duration::from_millis(190), "{:?}", pair[1] - pair[0]);
    }
    let said = rig.call("rate_limit", &json!({"task_name": "t", "rate_limit": 0}));
    assert_eq!(said, json!({"ok": "rate limit disabled successfully"}));
    assert!(rig.broker.dead_letters().expect("letters").is_empty());
}

#[test]
fn a_rate_that_holds_jobs_stands_in_the_workers_row() {
    let Some(mut rig) = rig() else { return };
    rig.call("rate_limit", &json!({"task_name": "t", "rate_limit": "1/h"}));
    rig.publish(&["a", "b"]);
    assert_eq!(rig.next().0, "a");
    let told =
        || rig.broker.workers().expect("listed").into_iter().flat_map(|row| row.rate_limits).find(|row| row.holds_jobs);
    let began = Instant::now();
    let row = loop {
        if let Some(row) = told() {
            break row;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "it is not told");
        std::thread::park_timeout(Duration::from_millis(20));
    };
    assert_eq!(row.said(), "rate limit of task t set by remote control, 1/h");
}

#[test]
fn what_strangers_send_disturbs_nobody() {
    let Some(mut rig) = rig() else { return };
    let garbage =
        ["", "garbage", "{}", "[]", "{\"body\":1}", "{\"body\":\"%\",\"properties\":{\"body_encoding\":\"base64\"}}"];
    for message in garbage {
        let _: i64 = rig.ask(&["PUBLISH", "/0.celery.pidbox", message]);
    }
    let pickle = json!({"body": "gASVBQAAAAAAAABLAS4=", "content-type": "application/x-python-serialize", "headers": {},
        "properties": {"body_encoding": "base64"}});
    let _: i64 = rig.ask(&["PUBLISH", "/0.celery.pidbox", &pickle.to_string()]);
    let _: i64 = rig.ask(&["PUBLISH", "/0.celery.pidbox", &"x".repeat(8 << 20)]);
    rig.broadcast(&json!({"method": "revoke", "arguments": {"task_id": ["x".repeat(900_000)]}}), &json!({}));
    rig.broadcast(&json!({"method": "ping", "reply_to": {"exchange": "celery", "routing_key": "q"}}), &json!({}));
    rig.broadcast(
        &json!({"method": "ping", "reply_to": {"exchange": "reply.celery.pidbox", "routing_key": "gone"}}),
        &json!({}),
    );
    rig.broadcast(&json!({"method": "shutdown"}), &json!({"expires": 1.5}));
    rig.broadcast(&json!({"method": "ping"}), &json!({"clock": u64::MAX}));
    assert_eq!(rig.call("ping", &json!({})), json!({"ok": "pong"}));
    assert!(!rig.stopped.load(Ordering::SeqCst), "the command had expired");
    assert_eq!(rig.call("revoked", &json!({})), json!([]), "no job has such an id");
    rig.publish(&["still"]);
    assert_eq!(rig.next().0, "still");
    let left: Vec<String> = rig.ask(&["KEYS", "*pidbox*"]);
    assert!(left.is_empty(), "replies to nobody are not kept: {left:?}");
}

#[test]
fn a_worker_is_heard_again_when_the_broker_is_back_and_silent_where_it_is_turned_off() {
    let Some(mut rig) = rig() else { return };
    rig.server.kill();
    rig.server.start_again();
    rig.tool = rig.server.raw();
    rig.until_heard(1);
    assert_eq!(rig.call("ping", &json!({})), json!({"ok": "pong"}));
    let Some(mut silent) = rig_with(1, false) else { return };
    silent.publish(&["a"]);
    assert_eq!(silent.next().0, "a");
    let (_, count): (String, i64) = silent.ask(&["PUBSUB", "NUMSUB", "/0.celery.pidbox"]);
    assert_eq!(count, 0, "it listens");
}

#[test]
fn a_worker_that_starts_learns_what_was_revoked() {
    let Some(mut rig) = rig() else { return };
    rig.call("revoke", &json!({"task_id": ["unwanted"]}));
    let (sender, began) = channel();
    let task = Scripted { began: Mutex::new(sender), is_over: rig.is_over.clone(), batch_jobs_max: 1 };
    let remote = RemoteConfig { is_on: true, ..RemoteConfig::default() };
    rig.publish(&["long"]);
    rig.next();
    // The first worker is busy, so the second one takes these.
    let second = start("v@here", &rig.broker, task, remote);
    rig.publish(&["unwanted", "wanted"]);
    assert_eq!(began.recv_timeout(WITHIN).expect("it runs").0, "wanted");
    assert_eq!(rig.ended_as("unwanted"), "TaskRevokedError: revoked");
    rig.is_over.store(true, Ordering::SeqCst);
    second.join();
}

#[test]
fn what_was_revoked_is_known_although_all_workers_were_away() {
    let Some(mut rig) = rig() else { return };
    rig.call("revoke", &json!({"task_id": ["unwanted", "x".repeat(200)]}));
    rig.worker.take().expect("it runs").join();
    let (sender, began) = channel();
    let task = Scripted { began: Mutex::new(sender), is_over: rig.is_over.clone(), batch_jobs_max: 1 };
    let remote = RemoteConfig { is_on: true, ..RemoteConfig::default() };
    rig.publish(&["unwanted", "wanted"]);
    rig.worker = Some(start("w@here", &rig.broker, task, remote));
    assert_eq!(began.recv_timeout(WITHIN).expect("it runs").0, "wanted");
    assert_eq!(rig.ended_as("unwanted"), "TaskRevokedError: revoked");
    assert_eq!(rig.call("revoked", &json!({})), json!(["unwanted"]));
    let kept: i64 = rig.ask(&["TTL", "vigie:revoked"]);
    assert!(kept > 3 * 3_600 - 60, "it is kept for {kept} s");
}

#[test]
fn monitors_hear_of_workers_and_once_they_ask_of_tasks() {
    let Some(mut rig) = rig() else { return };
    let mut monitor = rig.server.raw();
    monitor.set_read_timeout(Some(WITHIN)).expect("set");
    let mut heard = monitor.as_pubsub();
    heard.psubscribe("/0.celeryev/*").expect("subscribed");
    let mut next = |wanted: &str| -> Vec<Value> {
        loop {
            let message = heard.get_message().expect("an event");
            let parcel: Value = serde_json::from_slice(message.get_payload_bytes()).expect("a parcel");
            if message.get_channel_name() == format!("/0.celeryev/{wanted}") {
                assert_eq!(parcel["headers"]["hostname"], "w@here");
                let body = STANDARD.decode(parcel["body"].as_str().expect("a body")).expect("base64");
                return match serde_json::from_slice(&body).expect("JSON") {
                    Value::Array(events) => events,
                    event => vec![event],
                };
            }
        }
    };
    let beat = next("worker.heartbeat").remove(0);
    assert_eq!(
        (&beat["type"], &beat["freq"], &beat["sw_ident"]),
        (&json!("worker-heartbeat"), &json!(2.0), &json!("vigie"))
    );
    assert_eq!(rig.call("enable_events", &json!({})), json!({"ok": "task events enabled"}));
    assert_eq!(rig.call("enable_events", &json!({})), json!({"ok": "task events already enabled"}));
    rig.publish(&["a"]);
    let mut kinds = Vec::new();
    while kinds.len() < 3 {
        for event in next("task.multi") {
            assert_eq!(event["uuid"], "a");
            assert!(event["clock"].is_u64() && event["timestamp"].is_f64());
            kinds.push(event["type"].as_str().expect("a type").to_owned());
        }
    }
    assert_eq!(kinds, ["task-received", "task-started", "task-succeeded"]);
    rig.worker.take().expect("it runs").join();
    assert_eq!(next("worker.offline")[0]["type"], "worker-offline");
}
