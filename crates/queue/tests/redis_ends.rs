//! What ends on Redis must not cost others: leases that are renewed while they are freed, keys that somebody else uses.

use crate::support::{LEASE, Proxy, RedisServer, claim_from, job, redis_is_here, wait_for};
use queue::brokers::redis::{Redis, RedisConfig, TimeSource};
use queue::{Broker, Claimed, Finish, NewJob, QueueError};
use std::sync::Arc;
use std::time::Duration;
use stdx::{ManualClock, Timestamp};

fn clock() -> ManualClock {
    ManualClock::at(Timestamp::from_seconds(1_000_000))
}

fn back(job: &Claimed) -> (queue::LeaseId, Finish) {
    (job.lease, Finish::GiveBack { after: Duration::ZERO })
}

#[test]
fn a_lease_that_is_renewed_while_it_is_freed_goes_on() {
    if !redis_is_here() {
        return;
    }
    let (server, clock) = (RedisServer::start(&[]), clock());
    let proxy = Proxy::to(server.port);
    let config = RedisConfig::parse(&format!("redis://127.0.0.1:{}/0", proxy.port)).expect("an address");
    let config = RedisConfig { time: TimeSource::Clock, ..config };
    let other = Redis::open(config, Arc::new(clock.clone())).expect("the broker opens");
    let holder = Arc::new(server.broker(&clock, 1_000));
    wait_for(holder.publish(vec![job("a")])).expect("kept");
    let lease = claim_from(&*holder, &["q"], 1)[0].lease;
    clock.advance(LEASE);
    let renewing = holder.clone();
    proxy.before(b"RPUSH", move || assert!(renewing.extend(&[lease], LEASE).expect("extended").is_empty()));
    other.upkeep().expect("kept up");
    assert!(proxy.has_met(), "it was to be freed");
    assert!(claim_from(&other, &["q"], 1).is_empty(), "its lease holds");
    // Its holder falls silent: the lease stands in the books still, and is freed when it ends.
    clock.advance(LEASE);
    other.upkeep().expect("kept up");
    let again = claim_from(&other, &["q"], 1);
    assert_eq!((again[0].id.as_str(), again[0].attempt), ("a", 2));
}

#[test]
fn a_key_of_another_type_keeps_its_own_jobs_and_multiplies_none() {
    if !redis_is_here() {
        return;
    }
    let (server, clock) = (RedisServer::start(&[]), clock());
    let broker = server.broker(&clock, 1_000);
    let plain = |id: &str, queue: &str| NewJob { queue: queue.into(), fairness_key: 0, priority: 9, ..job(id) };
    wait_for(broker.publish(vec![plain("a", "q"), plain("b", "q"), plain("f", "fouled")])).expect("kept");
    let (fine, fouled) = (claim_from(&broker, &["q"], 2), claim_from(&broker, &["fouled"], 1));
    let client = redis::Client::open(format!("redis://127.0.0.1:{}/0", server.port)).expect("an address");
    let mut connection = client.get_connection().expect("a connection");
    redis::cmd("SET").arg("fouled").arg("a text").exec(&mut connection).expect("set");
    for _ in 0..2 {
        let ends = vec![back(&fine[1]), back(&fouled[0]), back(&fine[0])];
        let refused = broker.finish(ends).expect_err("one of them has nowhere to go");
        assert!(matches!(refused, QueueError::Refused { .. }), "{refused}");
    }
    let again: Vec<String> = claim_from(&broker, &["q"], 10).iter().map(|job| job.id.to_string()).collect();
    assert_eq!(again, ["a", "b"], "each once");
    redis::cmd("DEL").arg("fouled").exec(&mut connection).expect("removed");
    assert!(broker.finish(vec![back(&fouled[0])]).expect("ended").is_empty(), "it waited for its place");
    assert_eq!(claim_from(&broker, &["fouled"], 10).len(), 1);
}
