//! What the spool must do while a real Redis is gone: keep in order, within its bound, over restarts; and let go only of what
//! the broker has.

use crate::support::{Proxy, RedisServer, claim_from, job, redis_is_here, wait_for};
use queue::brokers::embedded::{Config, Durability};
use queue::brokers::redis::{Redis, RedisConfig};
use queue::{Broker, JobId, JobState, Published, QueueError, Spool};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use stdx::SystemClock;

const DURABLE: [&str; 4] = ["--appendonly", "yes", "--appendfsync", "always"];

fn open(folder: &Path, server: &RedisServer, jobs_max: u64) -> Spool {
    open_over(folder, Arc::new(server.live_broker()), jobs_max)
}

fn open_over(folder: &Path, far: Arc<Redis>, jobs_max: u64) -> Spool {
    let config = Config {
        folder: folder.to_owned(),
        durability: Durability::Power,
        jobs_max,
        bytes_max: 1 << 30,
        free_min: 0,
        free_space: Arc::new(|| Ok(u64::MAX)),
        reassert_grace: Duration::ZERO,
    };
    Spool::open(config, far, Arc::new(SystemClock)).expect("a spool opens")
}

fn publish(spool: &Spool, numbers: std::ops::Range<u32>) {
    for number in numbers {
        let published = wait_for(spool.publish(vec![job(&format!("{number:04}"))]));
        assert_eq!(published.expect("accepted"), [Published::Accepted], "{number}");
    }
}

fn wait_until_forwarded(spool: &Spool) {
    let began = Instant::now();
    while spool.state().jobs > 0 {
        assert!(began.elapsed() < Duration::from_secs(30), "not forwarded: {:?}", spool.state());
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

fn claimed_ids(server: &RedisServer) -> Vec<String> {
    let broker = server.live_broker();
    claim_from(&broker, &["q"], 10_000).iter().map(|job| job.id.to_string()).collect()
}

fn numbered(numbers: std::ops::Range<u32>) -> Vec<String> {
    numbers.map(|number| format!("{number:04}")).collect()
}

#[test]
fn what_is_accepted_while_the_broker_is_away_reaches_it_in_order() {
    if !redis_is_here() {
        return;
    }
    let (server, folder) = (RedisServer::start(&DURABLE), tempfile::tempdir().expect("a folder"));
    let spool = open(folder.path(), &server, 1_000_000);
    publish(&spool, 0..3);
    assert_eq!(spool.state().jobs, 0, "a broker that answers is used directly");
    server.kill();
    publish(&spool, 3..300);
    let state = spool.state();
    assert_eq!(state.jobs, 297);
    assert!(state.away_since.is_some() && state.why.is_some() && state.bytes > 0, "{state:?}");
    assert_eq!(spool.locate(&JobId::new("0200")).expect("answered"), Some(JobState::Ready));
    spool.accepting().expect("events are accepted all the while");
    server.start_again();
    wait_until_forwarded(&spool);
    let state = spool.state();
    assert_eq!((state.forwarded, state.refused, state.away_since), (297, 0, None));
    assert_eq!(claimed_ids(&server), numbered(0..300));
}

#[test]
fn a_broker_that_says_nothing_keeps_nobody_waiting() {
    if !redis_is_here() {
        return;
    }
    let (server, folder) = (RedisServer::start(&DURABLE), tempfile::tempdir().expect("a folder"));
    let proxy = Proxy::to(server.port);
    let far = RedisConfig::parse(&format!("redis://127.0.0.1:{}/0", proxy.port)).expect("an address");
    let far = Redis::open(far, Arc::new(SystemClock)).expect("the broker opens");
    let spool = open_over(folder.path(), Arc::new(far), 1_000);
    publish(&spool, 0..1);
    proxy.swallow_answers();
    publish(&spool, 1..2);
    assert!(
        spool.state().why.is_some_and(|why| why.contains("no answer within")),
        "the broker's own deadline is longer"
    );
    publish(&spool, 2..50);
    assert_eq!(spool.state().jobs, 49);
    proxy.cut();
    wait_until_forwarded(&spool);
    assert_eq!(claimed_ids(&server), numbered(0..50));
}

#[test]
fn beyond_its_bound_it_refuses_and_says_why() {
    if !redis_is_here() {
        return;
    }
    let (server, folder) = (RedisServer::start(&DURABLE), tempfile::tempdir().expect("a folder"));
    let spool = open(folder.path(), &server, 5);
    server.kill();
    publish(&spool, 0..5);
    let refused = wait_for(spool.publish(vec![job("one-more")])).expect_err("refused");
    assert!(matches!(&refused, QueueError::Full { bound } if *bound == queue::SPOOL_BOUND), "{refused}");
    assert_eq!((spool.state().jobs, spool.state().refused), (5, 1));
    server.start_again();
    wait_until_forwarded(&spool);
    assert_eq!(claimed_ids(&server), numbered(0..5));
}

#[test]
fn what_processes_left_behind_is_forwarded_by_the_next() {
    if !redis_is_here() {
        return;
    }
    let (server, folder) = (RedisServer::start(&DURABLE), tempfile::tempdir().expect("a folder"));
    let (first, second) = (open(folder.path(), &server, 1_000), open(folder.path(), &server, 1_000));
    server.kill();
    publish(&first, 0..10);
    publish(&second, 10..20);
    drop((first, second));
    let next = open(folder.path(), &server, 1_000);
    assert_eq!(next.state().jobs, 20);
    server.start_again();
    wait_until_forwarded(&next);
    let mut ids = claimed_ids(&server);
    ids.sort_unstable();
    assert_eq!(ids, numbered(0..20));
}

#[test]
fn an_id_that_waits_is_kept_once() {
    if !redis_is_here() {
        return;
    }
    let (server, folder) = (RedisServer::start(&DURABLE), tempfile::tempdir().expect("a folder"));
    let spool = open(folder.path(), &server, 1_000);
    server.kill();
    publish(&spool, 0..1);
    assert_eq!(wait_for(spool.publish(vec![job("0000")])).expect("answered"), [Published::AlreadyThere]);
    server.start_again();
    wait_until_forwarded(&spool);
    assert_eq!(claimed_ids(&server), numbered(0..1));
}
