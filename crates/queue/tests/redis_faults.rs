//! What the Redis broker must survive: a server that goes, a network that swallows everything, other hands on its keys, and
//! processes that die while they hold jobs.

use crate::support::{LEASE, RedisServer, claim_from, job, redis_is_here, wait_for};
use queue::brokers::redis::{Redis, RedisConfig, TimeSource};
use queue::{Broker, Claimed, Finish, JobId, JobState, Ledger, NewJob, Published, QueueError, WORKER_DEAD_AFTER};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use stdx::{ManualClock, SystemClock, Timestamp};

struct Rig {
    broker: Redis,
    clock: ManualClock,
    server: RedisServer,
}

fn rig_with(arguments: &[&str]) -> Option<Rig> {
    if !redis_is_here() {
        return None;
    }
    let server = RedisServer::start(arguments);
    let clock = ManualClock::at(Timestamp::from_seconds(1_000_000));
    Some(Rig { broker: server.broker(&clock, 1_000_000), clock, server })
}

impl Rig {
    fn publish(&self, ids: &[&str]) {
        wait_for(self.broker.publish(ids.iter().map(|id| job(id)).collect())).expect("kept");
    }

    fn claim(&self) -> Vec<Claimed> {
        claim_from(&self.broker, &["q"], 10)
    }

    /// A second process on the same server.
    fn other(&self) -> Redis {
        self.server.broker(&self.clock, 1_000_000)
    }
}

fn ids(claimed: &[Claimed]) -> Vec<&str> {
    claimed.iter().map(|job| job.id.as_str()).collect()
}

fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

#[test]
fn a_server_that_was_killed_comes_back_with_everything() {
    let Some(rig) = rig_with(&["--appendonly", "yes", "--appendfsync", "always"]) else { return };
    rig.publish(&["ready", "running"]);
    wait_for(rig.broker.publish(vec![NewJob { delay: Duration::from_secs(60), ..job("later") }])).expect("kept");
    assert!(rig.broker.about().expect("answers").is_durable);
    let claimed = rig.claim();
    rig.broker.finish(vec![(claimed[0].lease, Finish::GiveBack { after: Duration::ZERO })]).expect("given back");
    rig.server.kill();
    let refused = wait_for(rig.broker.publish(vec![job("refused")]));
    assert!(matches!(refused, Err(QueueError::Unreachable { .. })), "{refused:?}");
    assert!(rig.broker.accepting().is_err() || rig.broker.depths().is_err());
    rig.server.start_again();
    eventually("it is found again", || rig.broker.depths().is_ok());
    assert_eq!(rig.broker.locate(&JobId::new("later")).expect("answers"), Some(JobState::Delayed));
    assert!(rig.broker.finish(vec![(claimed[1].lease, Finish::Done)]).expect("finished").is_empty());
    assert_eq!(ids(&rig.claim()), ["ready"]);
}

#[test]
fn connections_that_were_killed_are_made_again_unseen() {
    let Some(rig) = rig_with(&[]) else { return };
    rig.publish(&["a"]);
    let mut raw = rig.server.raw();
    for id in ["b", "c"] {
        redis::cmd("CLIENT").arg("KILL").arg("SKIPME").arg("yes").exec(&mut raw).expect("killed");
        rig.publish(&[id]);
    }
    redis::cmd("CLIENT").arg("KILL").arg("SKIPME").arg("yes").exec(&mut raw).expect("killed");
    let claimed = rig.claim();
    assert_eq!(ids(&claimed), ["a", "b", "c"]);
    redis::cmd("SCRIPT").arg("FLUSH").exec(&mut raw).expect("forgotten");
    assert!(
        rig.broker.finish(claimed.iter().map(|job| (job.lease, Finish::Done)).collect()).expect("ended").is_empty()
    );
}

/// Forwards between a port and the server until it is told to swallow everything.
fn proxy(to: u16) -> (u16, Arc<AtomicBool>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let is_black_hole = Arc::new(AtomicBool::new(false));
    let hole = is_black_hole.clone();
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let Ok(server) = TcpStream::connect(("127.0.0.1", to)) else { return };
            let back = (server.try_clone().expect("a handle"), client.try_clone().expect("a handle"));
            for (mut from, mut into) in [(client, server), back] {
                let hole = hole.clone();
                std::thread::spawn(move || {
                    let mut bytes = [0; 16 << 10];
                    while let Ok(count @ 1..) = from.read(&mut bytes) {
                        if !hole.load(Ordering::SeqCst) && into.write_all(&bytes[..count]).is_err() {
                            return;
                        }
                    }
                });
            }
        }
    });
    (port, is_black_hole)
}

#[test]
fn a_network_that_swallows_everything_is_noticed_and_left() {
    let Some(rig) = rig_with(&[]) else { return };
    let (port, is_black_hole) = proxy(rig.server.port);
    let config = RedisConfig::parse(&format!("redis://127.0.0.1:{port}/0")).expect("an address");
    let broker = Redis::open(config, Arc::new(SystemClock)).expect("opened");
    wait_for(broker.publish(vec![job("a")])).expect("kept");
    is_black_hole.store(true, Ordering::SeqCst);
    let began = Instant::now();
    let refused = wait_for(broker.publish(vec![job("b")]));
    assert!(matches!(refused, Err(QueueError::Unreachable { .. })), "{refused:?}");
    assert!(began.elapsed() < Duration::from_secs(12), "{:?}", began.elapsed());
    is_black_hole.store(false, Ordering::SeqCst);
    let mut published = None;
    eventually("it goes on", || {
        published = wait_for(broker.publish(vec![job("b")])).ok();
        published.is_some()
    });
    assert_eq!(ids(&claim_from(&broker, &["q"], 10)), ["a", "b"], "once each, whatever was sent twice");
}

#[test]
fn errors_name_the_server_and_not_the_password() {
    if !redis_is_here() {
        return;
    }
    let server = RedisServer::start(&["--requirepass", "right"]);
    let open = |word: &str| {
        let address = format!("redis://:{word}@127.0.0.1:{}/0", server.port);
        Redis::open(RedisConfig::parse(&address).expect("an address"), Arc::new(SystemClock))
    };
    let text = format!("{:?}", open("hunter2").err().expect("refused"));
    assert!(text.contains(&server.port.to_string()) && !text.contains("hunter2"), "{text}");
    let mut raw = redis::Client::open(format!("redis://:right@127.0.0.1:{}/0", server.port))
        .and_then(|client| client.get_connection())
        .expect("the server answers");
    redis::cmd("ACL").arg(&["SETUSER", "app", "on", ">w@rd", "~*", "&*", "+@all"]).exec(&mut raw).expect("a user");
    let address = format!("redis://app:w%40rd@127.0.0.1:{}/0", server.port);
    assert!(Redis::probe(RedisConfig::parse(&address).expect("an address")).is_ok());
    let broker = open("right").expect("opened");
    assert_eq!(wait_for(broker.publish(vec![job("a")])).expect("kept"), [Published::Accepted]);
}

#[test]
fn what_another_hand_took_back_cannot_be_ended_by_us() {
    let Some(rig) = rig_with(&[]) else { return };
    rig.publish(&["a"]);
    let claimed = rig.claim();
    // As a Python worker's sweep restores it and takes it again: the same tag with another time.
    let mut raw = rig.server.raw();
    let tags: Vec<String> = redis::cmd("HKEYS").arg("unacked").query(&mut raw).expect("answered");
    redis::cmd("ZADD").arg("unacked_index").arg("1000000.5").arg(&tags[0]).exec(&mut raw).expect("taken");
    let lease = claimed[0].lease;
    assert_eq!(rig.broker.finish(vec![(lease, Finish::Done)]).expect("answered"), [lease]);
    assert_eq!(redis::cmd("HLEN").arg("unacked").query::<u64>(&mut raw).expect("answered"), 1, "it is theirs");
    rig.clock.advance(LEASE * 2);
    assert!(rig.claim().is_empty(), "and stays theirs");
    rig.clock.advance(Duration::from_secs(3_600));
    rig.broker.upkeep().expect("kept up");
    let again = rig.claim();
    assert_eq!((ids(&again), again[0].attempt), (vec!["a"], 1), "until their time is over");
}

#[test]
fn what_a_dead_process_held_is_freed_for_anybody() {
    let Some(rig) = rig_with(&[]) else { return };
    let mut early = job("early");
    early.fairness_key = 0;
    early.priority = 9;
    early.queue = "celery".into();
    wait_for(rig.broker.publish(vec![early])).expect("kept");
    let claimed = claim_from(&rig.broker, &["celery"], 10);
    assert_eq!(ids(&claimed), ["early"]);
    let Rig { broker, clock, server } = rig;
    let other = server.broker(&clock, 1_000_000);
    drop(broker);
    clock.advance(WORKER_DEAD_AFTER - Duration::from_secs(1));
    other.upkeep().expect("kept up");
    let mut raw = server.raw();
    assert_eq!(redis::cmd("LLEN").arg("celery").query::<u64>(&mut raw).expect("answered"), 0);
    clock.advance(Duration::from_secs(1));
    other.upkeep().expect("kept up");
    let text: String = redis::cmd("LINDEX").arg("celery").arg(-1).query(&mut raw).expect("it stands where kombu looks");
    let restored: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(restored["headers"]["redelivered"], true);
    assert_eq!(restored["properties"]["delivery_info"]["redelivered"], true);
    assert_eq!((&restored["headers"]["retries"], &restored["headers"]["vigie_deaths"]), (&1.into(), &1.into()));
}

#[test]
fn a_suspect_is_blamed_and_its_neighbours_are_not() {
    let Some(mut rig) = rig_with(&[]) else { return };
    rig.publish(&["killer", "innocent"]);
    assert_eq!(rig.claim().len(), 2);
    for deaths in 1..=3 {
        // The process dies; another takes over and meets the first of the two by itself.
        let other = rig.other();
        drop(std::mem::replace(&mut rig.broker, other));
        rig.clock.advance(WORKER_DEAD_AFTER);
        rig.broker.upkeep().expect("kept up");
        let alone = rig.claim();
        assert_eq!(ids(&alone), ["killer"], "after {deaths} deaths");
    }
    let other = rig.other();
    drop(std::mem::replace(&mut rig.broker, other));
    rig.clock.advance(WORKER_DEAD_AFTER);
    rig.broker.upkeep().expect("kept up");
    let letters = rig.broker.dead_letters().expect("letters");
    assert_eq!((letters[0].id.as_str(), letters[0].reason.as_str(), letters[0].deaths), ("killer", "poison", 3));
    let innocent = rig.claim();
    assert_eq!(ids(&innocent), ["innocent"]);
    assert!(rig.broker.finish(vec![(innocent[0].lease, Finish::Done)]).expect("ended").is_empty());
    assert_eq!(rig.broker.dead_letters().expect("letters").len(), 1);
}

#[test]
fn a_full_server_refuses_publishers_and_still_gives_out_its_jobs() {
    let Some(rig) = rig_with(&[]) else { return };
    rig.publish(&["a", "b"]);
    let mut raw = rig.server.raw();
    redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg("100kb").exec(&mut raw).expect("set");
    let refused = wait_for(rig.broker.publish(vec![job("c")]));
    assert!(matches!(refused, Err(QueueError::Full { .. })), "{refused:?}");
    let claimed = rig.claim();
    assert_eq!(ids(&claimed), ["a", "b"]);
    let retry = Finish::Retry { after: Duration::ZERO, error: "no".to_owned() };
    let lost = rig.broker.finish(vec![(claimed[0].lease, Finish::Done), (claimed[1].lease, retry)]).expect("ended");
    assert!(lost.is_empty());
    assert_eq!(rig.claim()[0].attempt, 2);
}

#[test]
fn a_waiting_claim_is_woken_by_a_publisher_and_by_a_delay() {
    if !redis_is_here() {
        return;
    }
    let server = RedisServer::start(&[]);
    let (worker, publisher) = (server.live_broker(), server.live_broker());
    assert!(claim_from(&worker, &["q"], 1).is_empty(), "lists are watched from now on");
    let mut waits = Vec::new();
    for number in 0..20 {
        let id = number.to_string();
        let claimed = std::thread::scope(|scope| {
            let waiting = scope.spawn(|| (claim_from(&worker, &["q"], 1), Instant::now()));
            std::thread::park_timeout(Duration::from_millis(20));
            let began = Instant::now();
            wait_for(publisher.publish(vec![job(&id)])).expect("kept");
            let (claimed, at) = waiting.join().expect("claimed");
            waits.push(at.saturating_duration_since(began));
            claimed
        });
        assert_eq!(ids(&claimed), [id.as_str()]);
        assert!(worker.finish(vec![(claimed[0].lease, Finish::Done)]).expect("ended").is_empty());
    }
    waits.sort();
    println!("from publish to claimed: p50 {:?}, most {:?}", waits[10], waits[19]);
    assert!(waits[10] < Duration::from_millis(100), "{waits:?}");
    wait_for(publisher.publish(vec![NewJob { delay: Duration::from_millis(100), ..job("later") }])).expect("kept");
    let began = Instant::now();
    assert_eq!(ids(&claim_from(&worker, &["q"], 1)), ["later"]);
    assert!((50..400).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
}

#[test]
fn nothing_is_lost_or_doubled_while_connections_break() {
    if !redis_is_here() {
        return;
    }
    let server = RedisServer::start(&[]);
    let broker = Redis::open(RedisConfig { time: TimeSource::Server, ..server.config() }, Arc::new(SystemClock));
    let broker = broker.expect("opened");
    let is_over = AtomicBool::new(false);
    let mut seen = std::collections::HashMap::<String, u32>::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut raw = server.raw();
            // Not for ever: as long as a server is lost again and again, no lease is judged to have ended.
            let began = Instant::now();
            while !is_over.load(Ordering::SeqCst) && began.elapsed() < Duration::from_secs(5) {
                redis::cmd("CLIENT").arg("KILL").arg("SKIPME").arg("yes").exec(&mut raw).expect("killed");
                std::thread::park_timeout(Duration::from_millis(7));
            }
        });
        scope.spawn(|| {
            for number in 0..300 {
                let new = job(&number.to_string());
                eventually("it is kept", || wait_for(broker.publish(vec![new.clone()])).is_ok());
            }
        });
        let began = Instant::now();
        let request = |lease| queue::QueueBounds { queue: "q".to_owned(), jobs_max: 7, bytes_max: usize::MAX, lease };
        let request = queue::ClaimRequest { queues: vec![request(Duration::from_secs(1))] };
        while seen.len() < 300 && began.elapsed() < Duration::from_secs(60) {
            let Ok(claimed) = broker.claim(&request) else { continue };
            let leases: Vec<_> = claimed.iter().map(|job| (job.lease, Finish::Done)).collect();
            for job in &claimed {
                *seen.entry(job.id.to_string()).or_default() += 1;
            }
            eventually("they end", || broker.finish(leases.clone()).is_ok());
        }
        is_over.store(true, Ordering::SeqCst);
    });
    assert_eq!(seen.len(), 300, "nothing is lost");
    assert!(seen.values().all(|runs| *runs == 1), "what was handed out was ended in time: {seen:?}");
}

fn run(program: &str, arguments: &[&str], folder: &std::path::Path) -> bool {
    let quiet = std::process::Stdio::null;
    let mut command = std::process::Command::new(program);
    let ended = command.args(arguments).current_dir(folder).stdout(quiet()).stderr(quiet()).status();
    ended.is_ok_and(|status| status.success())
}

/// Makes an authority and a certificate for the name `localhost`.
pub fn certificates(folder: &std::path::Path) -> bool {
    let key = ["-newkey", "rsa:2048", "-nodes", "-days", "2"];
    let authority = [&["req", "-x509", "-subj", "/CN=ours", "-keyout", "ca.key", "-out", "ca.pem"][..], &key].concat();
    let request = [&["req", "-subj", "/CN=localhost", "-keyout", "s.key", "-out", "s.csr"][..], &key[..3]].concat();
    std::fs::write(folder.join("names"), "subjectAltName=DNS:localhost").expect("written");
    let sign = "x509 -req -in s.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out s.pem";
    let sign: Vec<&str> = sign.split(' ').collect();
    [&authority[..], &request, &sign].iter().all(|arguments| run("openssl", arguments, folder))
}

#[test]
fn tls_is_checked_against_an_authority_of_ones_own() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    if !redis_is_here() || !certificates(folder.path()) {
        println!("skipped: openssl is not installed");
        return;
    }
    let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (certificate, key, authority) = (path("s.pem"), path("s.key"), path("ca.pem"));
    let _server = RedisServer::start(&[
        "--tls-port",
        &port.to_string(),
        "--tls-cert-file",
        &certificate,
        "--tls-key-file",
        &key,
        "--tls-ca-cert-file",
        &authority,
    ]);
    let about = |host: &str, options: &str| {
        let address = format!("rediss://{host}:{port}/0?{options}");
        Redis::probe(RedisConfig::parse(&address).expect("an address"))
    };
    let client = format!("ssl_certfile={certificate}&ssl_keyfile={key}");
    let ours = format!("ssl_ca_certs={authority}&{client}");
    assert_eq!(about("localhost", &ours).expect("it is trusted").role, "master");
    assert!(about("localhost", &client).is_err(), "the machine's authorities do not know it");
    assert!(about("127.0.0.1", &ours).is_err(), "the name is another");
    assert!(about("127.0.0.1", &format!("{ours}&ssl_check_hostname=false")).is_ok());
    assert!(about("localhost", &format!("ssl_cert_reqs=none&{client}")).is_ok());
    assert!(about("localhost", &format!("ssl_ca_certs={authority}")).is_err(), "the server wants to see ours");
}

#[test]
fn sentinels_name_the_master() {
    let Some(rig) = rig_with(&[]) else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port();
    let config = format!("port {port}\nsentinel monitor main 127.0.0.1 {} 1\n", rig.server.port);
    std::fs::write(folder.path().join("s.conf"), config).expect("written");
    let mut command = std::process::Command::new("redis-server");
    command.args(["s.conf", "--sentinel"]).current_dir(folder.path()).stdout(std::process::Stdio::null());
    let mut sentinel = command.spawn().expect("a sentinel starts");
    // The first of them does not answer.
    let address = format!("sentinel://127.0.0.1:1;sentinel://127.0.0.1:{port}/0?master_name=main");
    let probe = || Redis::probe(RedisConfig::parse(&address).expect("an address"));
    eventually("it is found", || probe().is_ok());
    let unknown = address.replace("=main", "=other");
    let unknown = Redis::probe(RedisConfig::parse(&unknown).expect("an address"));
    sentinel.kill().expect("killed");
    sentinel.wait().expect("ended");
    assert!(matches!(unknown, Err(QueueError::Unreachable { .. } | QueueError::Refused { .. })), "{unknown:?}");
}

#[test]
fn a_claim_whose_answer_was_lost_blames_nobody() {
    let Some(rig) = rig_with(&[]) else { return };
    rig.publish(&["a"]);
    // Claimed, and then unknown to the process: as if the answer had never come.
    let claimed = rig.claim();
    let mut raw = rig.server.raw();
    let sessions: Vec<String> = redis::cmd("ZRANGE").arg("vigie:sessions").arg(0).arg(-1).query(&mut raw).expect("one");
    let held = format!("vigie:held:{}", sessions[0]);
    let members: Vec<String> = redis::cmd("ZRANGE").arg(&held).arg(0).arg(-1).query(&mut raw).expect("one");
    assert!(rig.broker.finish(vec![(claimed[0].lease, Finish::Done)]).expect("ended").is_empty());
    let (tag, _) = members[0].split_once('\u{6}').expect("a tag and a queue");
    let message = serde_json::json!({
        "body": "", "content-type": "application/octet-stream", "headers": {"task": "t", "id": "a", "retries": 0},
        "properties": {"delivery_tag": tag, "body_encoding": "base64", "priority": 4},
    });
    let record = serde_json::json!([message, "", "q"]).to_string();
    let mut pipeline = redis::pipe();
    pipeline.cmd("HSET").arg("unacked").arg(tag).arg(record).ignore();
    pipeline.cmd("ZADD").arg("unacked_index").arg("1000000").arg(tag).ignore();
    pipeline.cmd("ZADD").arg(&held).arg("1000001").arg(&members[0]).ignore();
    pipeline.exec(&mut raw).expect("written");
    rig.clock.advance(Duration::from_secs(2));
    let again = rig.claim();
    assert_eq!((ids(&again), again[0].attempt), (vec!["a"], 1));
}

#[test]
fn a_server_that_was_away_long_has_killed_nobody() {
    let Some(rig) = rig_with(&["--appendonly", "yes", "--appendfsync", "always"]) else { return };
    let other = rig.other();
    rig.publish(&["long"]);
    let claimed = rig.claim();
    rig.server.kill();
    assert!(other.upkeep().is_err() && rig.broker.depths().is_err(), "both have noticed");
    rig.clock.advance(LEASE * 3);
    rig.server.start_again();
    eventually("it is found again", || other.upkeep().is_ok() && rig.broker.depths().is_ok());
    assert!(claim_from(&other, &["q"], 1).is_empty());
    assert!(rig.broker.extend(&[claimed[0].lease], LEASE).expect("extended").is_empty());
    assert!(rig.broker.finish(vec![(claimed[0].lease, Finish::Done)]).expect("ended").is_empty());
}
