//! What stands in Redis is what Celery's clients and workers read, and what they write is understood in all its forms.

use crate::support::{LEASE, RedisServer, claim_from, job, redis_is_here, wait_for};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use queue::brokers::redis::Redis;
use queue::call::{Call, Embed};
use queue::{Broker, Claimed, DeadReason, Finish, JobId, JobOptions, JobResult, Ledger, NewJob};
use serde_json::{Value, json};
use std::time::Duration;
use stdx::{ManualClock, Timestamp};

struct Rig {
    clock: ManualClock,
    broker: Redis,
    raw: redis::Connection,
    _server: RedisServer,
}

/// Returns nothing where no server can be started.
fn rig() -> Option<Rig> {
    if !redis_is_here() {
        return None;
    }
    let server = RedisServer::start(&[]);
    let clock = ManualClock::at(Timestamp::from_seconds(1_000_000));
    let broker = server.broker(&clock, 1_000_000);
    let raw = server.raw();
    Some(Rig { clock, broker, raw, _server: server })
}

impl Rig {
    fn ask<T: redis::FromRedisValue>(&mut self, words: &[&str]) -> T {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]).query(&mut self.raw).expect("the server answers")
    }

    fn push(&mut self, list: &str, message: &str) {
        let _: i64 = self.ask(&["LPUSH", list, message]);
    }

    fn claim(&self) -> Vec<Claimed> {
        claim_from(&self.broker, &["celery"], 10)
    }

    fn finish(&self, job: &Claimed, finish: Finish) {
        assert!(self.broker.finish(vec![(job.lease, finish)]).expect("finished").is_empty());
    }

    fn meta(&mut self, id: &str) -> Value {
        let text: String = self.ask(&["GET", &format!("celery-task-meta-{id}")]);
        serde_json::from_str(&text).expect("a document")
    }
}

/// A message as a Celery 5.7 client writes it.
fn message(id: &str, headers: &Value, body: &Value) -> Value {
    let mut all = json!({
        "lang": "py", "task": "app.add", "id": id, "shadow": null, "eta": null, "expires": null, "group": null,
        "group_index": null, "retries": 0, "timelimit": [null, null], "root_id": id, "parent_id": null,
        "argsrepr": "(1, 2)", "kwargsrepr": "{}", "origin": "gen1@host", "ignore_result": false,
        "replaced_task_nesting": 0, "stamped_headers": null, "stamps": {},
    });
    for (name, value) in headers.as_object().expect("an object") {
        all[name.as_str()] = value.clone();
    }
    json!({
        "body": STANDARD.encode(body.to_string()), "content-encoding": "utf-8", "content-type": "application/json",
        "headers": all,
        "properties": {
            "correlation_id": id, "reply_to": "reply", "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": "celery"}, "priority": 0, "body_encoding": "base64",
            "delivery_tag": format!("tag-{id}"),
        },
    })
}

fn args(args: &Value) -> Value {
    json!([args, {}, {"callbacks": null, "errbacks": null, "chain": null, "chord": null}])
}

fn call(id: &str, embed: Embed) -> NewJob {
    let payload = Call { args: vec![json!(1), json!("it's")], embed, ..Call::default() }.to_payload();
    let options = JobOptions { is_call: true, keeps_result: true, ..JobOptions::default() };
    NewJob { options, ..NewJob::new(JobId::new(id), "app.add", "celery", payload) }
}

#[test]
fn a_call_stands_in_its_list_as_celerys_client_writes_it() {
    let Some(mut rig) = rig() else { return };
    let mut new = NewJob { priority: 9, ..call("id-1", Embed::default()) };
    new.options.time_limit_s = Some(30);
    new.options.expires_at = Some(Timestamp::from_seconds(1_000_060));
    new.options.headers = Some(r#"{"traceparent":"00-ab","retries":9}"#.to_owned());
    wait_for(rig.broker.publish(vec![new])).expect("kept");
    let text: String = rig.ask(&["LINDEX", "celery", "0"]);
    let mut written: Value = serde_json::from_str(&text).expect("JSON");
    let body = STANDARD.decode(written["body"].as_str().expect("text")).expect("base64");
    assert_eq!(serde_json::from_slice::<Value>(&body).expect("JSON"), args(&json!([1, "it's"])));
    let tag = written["properties"]["delivery_tag"].take();
    assert_eq!(tag.as_str().map(str::len), Some(36));
    let origin = written["headers"]["origin"].take();
    assert!(origin.as_str().is_some_and(|origin| origin.starts_with("gen") && origin.contains('@')), "{origin}");
    written["body"].take();
    let expected = json!({
        "body": null, "content-encoding": "utf-8", "content-type": "application/json",
        "headers": {
            "lang": "rust", "task": "app.add", "id": "id-1", "shadow": null, "eta": null,
            "expires": "1970-01-12T13:47:40.000000+00:00", "group": null, "group_index": null, "retries": 0,
            "timelimit": [30, null], "root_id": "id-1", "parent_id": null, "argsrepr": "(1, \"it's\")",
            "kwargsrepr": "{}", "origin": null, "ignore_result": false, "replaced_task_nesting": 0,
            "stamped_headers": null, "stamps": {}, "traceparent": "00-ab", "vigie_at": 1_000_000_000_000_i64,
        },
        "properties": {
            "correlation_id": "id-1", "reply_to": "", "delivery_mode": 2, "priority": 0, "body_encoding": "base64",
            "delivery_info": {"exchange": "", "routing_key": "celery"}, "delivery_tag": null, "expiration": "60000",
        },
    });
    assert_eq!(written, expected);
}

#[test]
fn our_priorities_stand_at_kombus_steps() {
    let Some(mut rig) = rig() else { return };
    for priority in 0..10 {
        let new = NewJob { priority, ..call(&format!("p{priority}"), Embed::default()) };
        wait_for(rig.broker.publish(vec![new])).expect("kept");
    }
    for (step, count) in [("", 3), ("\u{6}\u{16}3", 3), ("\u{6}\u{16}6", 3), ("\u{6}\u{16}9", 1)] {
        assert_eq!(rig.ask::<u64>(&["LLEN", &format!("celery{step}")]), count, "{step:?}");
    }
    let order: Vec<String> = rig.claim().iter().map(|job| job.id.to_string()).collect();
    assert_eq!(order, ["p7", "p8", "p9", "p4", "p5", "p6", "p1", "p2", "p3", "p0"]);
}

#[test]
fn what_is_held_stands_in_kombus_books_and_leaves_them_at_the_end() {
    let Some(mut rig) = rig() else { return };
    let text = message("a", &json!({}), &args(&json!([1, 2]))).to_string();
    rig.push("celery", &text);
    let claimed = rig.claim();
    assert_eq!(rig.ask::<String>(&["HGET", "unacked", "tag-a"]), format!(r#"[{text}, "", "celery"]"#));
    assert_eq!(rig.ask::<f64>(&["ZSCORE", "unacked_index", "tag-a"]), 1_000_000.0);
    rig.clock.advance(Duration::from_millis(1_500));
    assert!(rig.broker.extend(&[claimed[0].lease], LEASE).expect("extended").is_empty());
    assert_eq!(rig.ask::<f64>(&["ZSCORE", "unacked_index", "tag-a"]), 1_000_001.5);
    rig.finish(&claimed[0], Finish::Returned { value: json!(3) });
    assert_eq!(rig.ask::<u64>(&["EXISTS", "unacked", "unacked_index"]), 0);
    let meta = rig.meta("a");
    assert_eq!((&meta["status"], &meta["result"], &meta["task_id"]), (&json!("SUCCESS"), &json!(3), &json!("a")));
    let done = meta["date_done"].as_str().expect("a date");
    assert!(done.ends_with("+00:00"), "{done}");
    assert_eq!(rig.ask::<i64>(&["TTL", "celery-task-meta-a"]), 86_400);
}

#[test]
fn messages_of_python_are_read_in_all_their_forms() {
    let Some(mut rig) = rig() else { return };
    let rich = json!([{"__type__": "datetime", "__value__": "2026-11-21T08:00:00"}, "é\u{1f600}"]);
    rig.push("celery", &message("plain", &json!({}), &args(&rich)).to_string());
    let old = json!({"task": "app.old", "id": "v1", "args": [1], "kwargs": {"a": 2}, "retries": 2, "eta": null});
    let mut v1 = message("v1", &json!({}), &old);
    v1["headers"] = json!({});
    rig.push("celery", &v1.to_string());
    rig.push("celery", &message("hybrid", &json!({}), &old).to_string());
    let mut text = message("text", &json!({}), &json!(null));
    text["body"] = Value::from(args(&json!([7])).to_string());
    text["properties"]["body_encoding"] = Value::from("utf-8");
    rig.push("celery", &text.to_string());
    text["headers"]["id"] = Value::from("absent");
    text["properties"]["delivery_tag"] = Value::from("tag-absent");
    text["properties"].as_object_mut().expect("an object").remove("body_encoding");
    rig.push("celery", &text.to_string());
    let mut zstd = message("zstd", &json!({"compression": "application/zstd"}), &json!(null));
    let packed = zstd::encode_all(args(&json!([9])).to_string().as_bytes(), 1).expect("packed");
    zstd["body"] = Value::from(STANDARD.encode(packed));
    rig.push("celery", &zstd.to_string());
    // What kombu calls gzip.
    let mut zlib = message("zlib", &json!({"compression": "application/x-gzip"}), &json!(null));
    let mut packer = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packer, args(&json!([8])).to_string().as_bytes()).expect("packed");
    zlib["body"] = Value::from(STANDARD.encode(packer.finish().expect("packed")));
    rig.push("celery", &zlib.to_string());
    let claimed = rig.claim();
    let seen: Vec<(&str, &str, u32)> = claimed.iter().map(|job| (job.id.as_str(), &*job.task, job.attempt)).collect();
    let add = "app.add";
    assert_eq!(
        seen,
        [
            ("plain", add, 1),
            ("v1", "app.old", 3),
            ("hybrid", add, 1),
            ("text", add, 1),
            ("absent", add, 1),
            ("zstd", add, 1),
            ("zlib", add, 1)
        ]
    );
    let calls: Vec<Call> = claimed.iter().map(|job| Call::parse(&job.payload).expect("a call")).collect();
    assert_eq!(Value::from(calls[0].args.clone()), rich, "values with a type are kept as they came");
    assert_eq!((&calls[1].args[0], &calls[1].kwargs["a"]), (&json!(1), &json!(2)));
    assert_eq!((&calls[3].args[0], &calls[4].args[0], &calls[5].args[0]), (&json!(7), &json!(7), &json!(9)));
    assert_eq!(calls[6].args[0], 8);
}

#[test]
fn eta_expiry_retries_and_limits_are_taken_from_the_headers() {
    let Some(mut rig) = rig() else { return };
    let at = |seconds| Timestamp::from_seconds(seconds).to_rfc3339().replace('Z', "+00:00");
    rig.push("celery", &message("later", &json!({"eta": at(1_000_030)}), &args(&json!([]))).to_string());
    rig.push("celery", &message("late", &json!({"expires": at(999_000)}), &args(&json!([]))).to_string());
    let headers = json!({"retries": 3, "timelimit": [60, 50], "ignore_result": true, "group": "g"});
    rig.push("celery", &message("now", &headers, &args(&json!([]))).to_string());
    let claimed = rig.claim();
    assert_eq!(claimed.len(), 1);
    let options = &claimed[0].options;
    assert_eq!((claimed[0].attempt, options.time_limit_s, options.keeps_result), (4, Some(60), false));
    assert_eq!(options.headers.as_deref(), Some(r#"{"group":"g","replaced_task_nesting":0,"root_id":"now"}"#));
    rig.finish(&claimed[0], Finish::Done);
    assert_eq!(rig.ask::<u64>(&["EXISTS", "celery-task-meta-now"]), 0);
    assert_eq!(rig.meta("late")["status"], "REVOKED");
    assert_eq!(rig.broker.dead_letter("late").expect("asked").map(|letter| letter.reason), Some("expired".to_owned()));
    assert_eq!(rig.ask::<u64>(&["EXISTS", "unacked"]), 0, "the one for later is not held meanwhile");
    rig.clock.advance(Duration::from_secs(30));
    assert_eq!(rig.claim()[0].attempt, 1);
}

#[test]
fn a_retry_keeps_its_id_and_counts_on_the_wire() {
    let Some(mut rig) = rig() else { return };
    rig.push("celery", &message("a", &json!({"x": 1.50}), &args(&json!([]))).to_string());
    let claimed = rig.claim();
    rig.finish(&claimed[0], Finish::Retry { after: Duration::ZERO, error: "OSError: no".to_owned() });
    let text: String = rig.ask(&["LINDEX", "celery", "0"]);
    let again: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((&again["headers"]["id"], &again["headers"]["retries"]), (&json!("a"), &json!(1)));
    assert!(text.contains("1.5"), "what we do not know stays");
    assert_eq!(rig.meta("a")["status"], "RETRY");
    let dead = Finish::Dead { reason: DeadReason::Attempts, error: "ValueError: boom".to_owned() };
    rig.finish(&rig.claim()[0], dead);
    let meta = rig.meta("a");
    let class = json!({"exc_type": "ValueError", "exc_message": ["boom"], "exc_module": "builtins"});
    assert_eq!((&meta["status"], &meta["result"]), (&json!("FAILURE"), &class));
    let result = rig.broker.result(&JobId::new("a")).expect("asked");
    assert_eq!(result, Some(JobResult::Failure { error: "ValueError: boom".to_owned() }));
}

#[test]
fn hostile_messages_become_dead_letters_and_stop_nothing() {
    let Some(mut rig) = rig() else { return };
    let good = message("good", &json!({}), &args(&json!([])));
    let mut pickle = message("pickle", &json!({}), &json!(null));
    pickle["content-type"] = Value::from("application/x-python-serialize");
    let mut bomb = message("bomb", &json!({"compression": "application/x-gzip"}), &json!(null));
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packer, &vec![0; 40 << 20]).expect("packed");
    bomb["body"] = Value::from(STANDARD.encode(packer.finish().expect("packed")));
    let no_call = message("no-call", &json!({}), &json!("text"));
    let mut no_task = message("no-task", &json!({}), &args(&json!([])));
    no_task["headers"]["task"] = Value::Null;
    let deep =
        format!(r#"{{"body": {}1{}, "properties": {{"delivery_tag": "deep"}}}}"#, "[".repeat(5_000), "]".repeat(5_000));
    let texts = [
        "not JSON".to_owned(),
        "{".to_owned(),
        r#"{"properties": {"delivery_tag": "cut"#.to_owned(),
        r#"{"body": 7, "properties": {"delivery_tag": "number"}}"#.to_owned(),
        "\u{0}\"".to_owned(),
        String::new(),
        deep,
        pickle.to_string(),
        bomb.to_string(),
        no_call.to_string(),
        no_task.to_string(),
        // The same tag twice.
        good.to_string(),
        good.to_string(),
    ];
    for text in &texts {
        rig.push("celery", text);
    }
    let _: i64 = redis::cmd("LPUSH").arg("celery").arg(&[0xff_u8, 0xfe, 0x22][..]).query(&mut rig.raw).expect("pushed");
    let mut ids = Vec::new();
    for _ in 0..4 {
        for job in rig.claim() {
            ids.push(job.id.to_string());
            rig.finish(&job, Finish::Done);
        }
    }
    assert_eq!(ids, ["good", "good"]);
    let letters = rig.broker.dead_letters().expect("letters");
    assert_eq!(letters.len(), texts.len() - 2 + 1);
    let why =
        |id: &str| letters.iter().find(|letter| letter.id == id).map(|letter| letter.error.as_str()).unwrap_or("");
    assert!(why("pickle").contains("application/x-python-serialize"), "{letters:?}");
    assert!(why("bomb").contains("more than"), "{letters:?}");
    assert!(why("no-task").contains("no task"), "{letters:?}");
    assert!(!rig.broker.retry_dead("pickle").expect("asked"), "what was not understood cannot go back");
    assert_eq!(rig.ask::<u64>(&["EXISTS", "unacked", "unacked_index", "celery"]), 0);
}

#[test]
fn callbacks_and_the_next_step_of_a_chain_follow_in_the_same_step() {
    let Some(mut rig) = rig() else { return };
    let sig = |task: &str, id: &str, immutable: bool| json!({"task": task, "args": [10], "kwargs": {}, "options": {"task_id": id}, "subtask_type": null, "immutable": immutable});
    let embed = Embed {
        callbacks: Some(vec![sig("app.log", "cb", true)]),
        errbacks: Some(vec![sig("app.on_error", "eb", false)]),
        chain: Some(vec![sig("app.last", "s3", false), sig("app.next", "s2", false)]),
        chord: None,
    };
    wait_for(rig.broker.publish(vec![call("s1", embed)])).expect("kept");
    rig.finish(&rig.claim()[0], Finish::Returned { value: json!(5) });
    let claimed = rig.claim();
    let calls: Vec<(String, Call)> =
        claimed.iter().map(|job| (job.id.to_string(), Call::parse(&job.payload).expect("a call"))).collect();
    assert_eq!((calls[0].0.as_str(), &calls[0].1.args), ("cb", &vec![json!(10)]));
    assert_eq!((calls[1].0.as_str(), &calls[1].1.args), ("s2", &vec![json!(5), json!(10)]));
    assert_eq!(calls[1].1.embed.chain.as_ref().map(Vec::len), Some(1));
    let headers: Value = serde_json::from_str(claimed[1].options.headers.as_deref().expect("headers")).expect("JSON");
    assert_eq!((&headers["root_id"], &headers["parent_id"]), (&json!("s1"), &json!("s1")));
    rig.finish(&claimed[1], Finish::Dead { reason: DeadReason::Rejected, error: "ValueError: no".to_owned() });
    assert_eq!(rig.meta("s3")["status"], "FAILURE", "the rest of the chain has failed too");
}

#[test]
fn the_last_part_of_a_chord_sends_its_body() {
    let Some(mut rig) = rig() else { return };
    let body = |id: &str| json!({"task": "app.sum", "args": [], "kwargs": {}, "options": {"task_id": id}, "chord_size": 2, "immutable": false});
    let part = |id: &str, group: &str, index: u32, body: &Value| {
        let headers = json!({"group": group, "group_index": index});
        let call = json!([[index], {}, {"callbacks": null, "errbacks": null, "chain": null, "chord": body}]);
        message(id, &headers, &call).to_string()
    };
    rig.push("celery", &part("p1", "g", 1, &body("sum")));
    let first = rig.claim();
    rig.finish(&first[0], Finish::Returned { value: json!("one") });
    assert!(rig.claim().is_empty());
    rig.push("celery", &part("p0", "g", 0, &body("sum")));
    let _: String = rig.ask(&["SET", "celery-taskset-meta-g.s", "2"]);
    rig.finish(&rig.claim()[0], Finish::Returned { value: json!("zero") });
    let sum = rig.claim();
    assert_eq!(sum[0].id.as_str(), "sum");
    assert_eq!(Call::parse(&sum[0].payload).expect("a call").args, [json!(["zero", "one"])]);
    assert_eq!(rig.ask::<u64>(&["EXISTS", "celery-taskset-meta-g.j", "vigie:chords"]), 0);
    rig.finish(&sum[0], Finish::Done);
    let mut never = body("never");
    never["chord_size"] = json!(2);
    rig.push("celery", &part("f0", "h", 0, &never));
    rig.push("celery", &part("f1", "h", 1, &never));
    let parts = rig.claim();
    rig.finish(&parts[0], Finish::Dead { reason: DeadReason::Rejected, error: "KeyError: k".to_owned() });
    rig.finish(&parts[1], Finish::Done);
    assert!(rig.claim().is_empty());
    assert_eq!(rig.meta("never")["result"]["exc_type"], "ChordError");
}

#[test]
fn a_prefix_stands_before_every_key() {
    if !redis_is_here() {
        return;
    }
    let server = RedisServer::start(&[]);
    let address = format!("redis://127.0.0.1:{}/3?global_keyprefix=app:", server.port);
    let config = queue::brokers::redis::RedisConfig::parse(&address).expect("an address");
    let broker = Redis::open(config, std::sync::Arc::new(stdx::SystemClock)).expect("opened");
    wait_for(broker.publish(vec![job("a"), call("b", Embed::default())])).expect("kept");
    for job in claim_from(&broker, &["celery"], 10) {
        broker
            .finish(vec![(job.lease, Finish::Retry { after: Duration::from_secs(60), error: "no".to_owned() })])
            .expect("ended");
    }
    assert_eq!(claim_from(&broker, &["q"], 10).len(), 1);
    let mut raw = server.raw();
    let zero: u64 = redis::cmd("DBSIZE").query(&mut raw).expect("answered");
    assert_eq!(zero, 0);
    redis::cmd("SELECT").arg(3).exec(&mut raw).expect("selected");
    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut raw).expect("answered");
    assert!(keys.len() > 5 && keys.iter().all(|key| key.starts_with("app:")), "{keys:?}");
}
