//! What a Redis broker notices of its server by itself: that it was emptied, that its policy changed, that somebody else
//! uses a queue's name.

use crate::support::{RedisServer, claim_from, job, redis_is_here, unaccounted, wait_for};
use queue::brokers::redis::{Redis, RedisConfig, TimeSource};
use queue::{Broker, Finish, Ledger, NewJob, QueueError};
use std::sync::Arc;
use std::time::{Duration, Instant};
use stdx::{ManualClock, SystemClock, Timestamp};

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

fn failing(broker: &Redis) -> Vec<String> {
    broker.troubles().expect("from memory")
}

fn other(id: &str) -> NewJob {
    NewJob { queue: "other".into(), ..job(id) }
}

#[test]
fn a_server_that_was_emptied_is_told_to_all_until_somebody_writes_it_off() {
    if !redis_is_here() {
        return;
    }
    let server = RedisServer::start(&[]);
    let open = |process: &str| {
        let marker_file = Some(server.folder.path().join(process));
        let config = RedisConfig { marker_file, ..server.config() };
        Redis::open(config, Arc::new(SystemClock)).expect("the broker opens")
    };
    let (first, second) = (open("a"), open("b"));
    first.declare("q").expect("declared");
    wait_for(first.publish(vec![job("a")])).expect("kept");
    assert!(failing(&first).is_empty(), "a new server was not emptied");
    drop(second);
    redis::cmd("FLUSHALL").exec(&mut server.raw()).expect("emptied");
    let second = open("b");
    assert_eq!(failing(&second).len(), 1, "noticed over a restart too");
    wait_until("the first does not notice", || failing(&first).len() == 1);
    assert!(failing(&open("new"))[0].contains("emptied"), "a process that never knew it is told");
    let queues: Vec<String> = second.depths().expect("answered").into_iter().map(|depth| depth.queue).collect();
    assert!(queues.is_empty() || queues == ["q"], "{queues:?}");
    wait_until("q is not declared again", || first.depths().expect("answered").iter().any(|depth| depth.queue == "q"));
    assert!(second.write_off().expect("answered"));
    wait_until("the first does not hear of it", || failing(&first).is_empty());
    assert!(!second.write_off().expect("answered"), "once");
    assert!(failing(&open("b")).is_empty());
}

#[test]
fn a_server_that_lost_its_memory_at_a_restart_was_emptied() {
    if !redis_is_here() {
        return;
    }
    let server = RedisServer::start(&[]);
    let broker = server.live_broker();
    server.kill();
    server.start_again();
    wait_until("it is not noticed", || failing(&broker).len() == 1);
}

#[test]
fn a_changed_policy_is_noticed_within_a_minute() {
    if !redis_is_here() {
        return;
    }
    let server = RedisServer::start(&["--appendonly", "yes"]);
    let clock = ManualClock::at(Timestamp::from_seconds(1_000_000));
    let config = RedisConfig { time: TimeSource::Clock, ..server.config() };
    let broker = Redis::open(config, Arc::new(clock.clone())).expect("the broker opens");
    assert!(broker.remarks().is_empty(), "{:?}", broker.remarks());
    let set = |name: &str, value: &str| {
        redis::cmd("CONFIG").arg("SET").arg(name).arg(value).exec(&mut server.raw()).expect("set");
    };
    set("maxmemory-policy", "allkeys-lru");
    set("appendonly", "no");
    clock.advance(Duration::from_secs(61));
    wait_until("it is not noticed", || broker.remarks().len() == 2);
    let texts = broker.remarks();
    assert!(texts[0].contains("appendonly is off") && texts[1].contains("allkeys-lru"), "{texts:?}");
    set("maxmemory-policy", "noeviction");
    set("appendonly", "yes");
    clock.advance(Duration::from_secs(61));
    wait_until("its mending is not noticed", || broker.remarks().is_empty());
}

#[test]
fn a_key_of_another_kind_at_one_queues_name_is_named_and_stops_no_other() {
    if !redis_is_here() {
        return;
    }
    let server = RedisServer::start(&[]);
    let broker = server.live_broker();
    let late = NewJob { delay: Duration::from_millis(1), ..job("late") };
    wait_for(broker.publish(vec![late, other("a")])).expect("kept");
    redis::cmd("HSET").arg("q\x06\x16f1\x06\x163").arg("a").arg("b").exec(&mut server.raw()).expect("set");
    redis::cmd("HSET").arg("q").arg("a").arg("b").exec(&mut server.raw()).expect("set");
    let refused = wait_for(broker.publish(vec![NewJob { fairness_key: 0, priority: 9, ..job("b") }]));
    let Err(QueueError::Refused { why, .. }) = refused else { panic!("{refused:?}") };
    assert!(why.contains("the key 'q' holds a hash"), "{why}");
    wait_for(broker.publish(vec![other("c")])).expect("the other queue is served");
    broker.upkeep().expect("kept up");
    assert_eq!(broker.depths().expect("counted").iter().map(|depth| depth.ready).sum::<u64>(), 2);
    let claimed = claim_from(&broker, &["q", "other"], 10);
    let ids: Vec<&str> = claimed.iter().map(|job| job.id.as_str()).collect();
    assert_eq!(ids, ["a", "c"]);
    broker.finish(claimed.iter().map(|job| (job.lease, Finish::Done)).collect()).expect("ended");
    wait_until("the key is not named", || failing(&broker).iter().any(|text| text.contains("the key 'q' holds")));
    assert_eq!(broker.purge("other", &mut unaccounted).expect("purged"), 0);
    redis::cmd("DEL").arg("q").arg("q\x06\x16f1\x06\x163").exec(&mut server.raw()).expect("deleted");
    wait_until("it is still named", || failing(&broker).is_empty());
    broker.upkeep().expect("kept up");
    let ids: Vec<String> = claim_from(&broker, &["q"], 10).iter().map(|job| job.id.to_string()).collect();
    assert_eq!(ids, ["late"], "what waited for its time was kept");
}
