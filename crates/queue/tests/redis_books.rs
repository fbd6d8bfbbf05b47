//! What Redis' books must say after ends, extensions, strangers' messages and a long time.

use crate::support::{LEASE, RedisServer, claim_from, job, redis_is_here, wait_for};
use queue::brokers::redis::Redis;
use queue::{Broker, Claimed, DeadReason, Finish, JobOptions, Ledger, NewJob};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use stdx::{ManualClock, Timestamp};

struct Rig {
    broker: Redis,
    server: RedisServer,
}

fn rig() -> Option<Rig> {
    if !redis_is_here() {
        return None;
    }
    let server = RedisServer::start(&[]);
    let clock = ManualClock::at(Timestamp::from_seconds(1_000_000));
    Some(Rig { broker: server.broker(&clock, 1_000_000), server })
}

impl Rig {
    fn publish(&self, id: &str) {
        wait_for(self.broker.publish(vec![job(id)])).expect("kept");
    }

    fn claim(&self) -> Vec<Claimed> {
        claim_from(&self.broker, &["q"], 10)
    }
}

#[test]
fn an_end_and_an_extension_at_the_same_moment_leave_nothing_behind() {
    if !redis_is_here() {
        return;
    }
    let server = RedisServer::start(&[]);
    let broker = server.live_broker();
    let jobs: Vec<NewJob> = (0..4_000).map(|number| job(&format!("{number}"))).collect();
    wait_for(broker.publish(jobs)).expect("kept");
    let is_over = AtomicBool::new(false);
    let held = std::sync::Mutex::new(Vec::new());
    let lost = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                let leases = held.lock().expect("nobody panicked").clone();
                broker.extend(&leases, LEASE).expect("the server answers");
            }
        });
        let (mut ended, mut lost) = (0, 0);
        while ended < 4_000 {
            let claimed = claim_from(&broker, &["q"], 100);
            *held.lock().expect("nobody panicked") = claimed.iter().map(|job| job.lease).collect();
            for some in claimed.chunks(7) {
                let ends = some.iter().map(|job| (job.lease, Finish::Done)).collect();
                lost += broker.finish(ends).expect("the server answers").len();
            }
            ended += claimed.len();
        }
        is_over.store(true, Ordering::Relaxed);
        lost
    });
    assert_eq!(lost, 0, "nobody else has taken them");
    let left: u64 = redis::cmd("HLEN").arg("unacked").query(&mut server.raw()).expect("a number");
    assert_eq!(left, 0);
}

#[test]
fn a_tag_that_is_no_text_stops_nobody() {
    let Some(rig) = rig() else { return };
    rig.publish("a");
    let mut hostile = br#"{"properties":{"delivery_tag":""#.to_vec();
    hostile.extend_from_slice(&[0xff, 0xfe, b'x']);
    hostile.extend_from_slice(br#""},"headers":{}}"#);
    redis::cmd("LPUSH").arg("q").arg(hostile).exec(&mut rig.server.raw()).expect("pushed");
    rig.publish("b");
    let mut seen = Vec::new();
    while let claimed @ [_, ..] = &rig.claim()[..] {
        seen.extend(claimed.iter().map(|job| job.id.to_string()));
    }
    assert_eq!(seen, ["a", "b"]);
    assert_eq!(rig.broker.dead_letters().expect("answered").len(), 1, "it is set aside");
}

#[test]
fn names_of_jobs_that_wait_or_run_for_long_are_kept() {
    let Some(rig) = rig() else { return };
    let unique = |id: &str| JobOptions { unique_key: Some(format!("key of {id}")), ..JobOptions::default() };
    let ids = ["ready", "runs", "delayed \"\\ é", "parked"];
    for id in ["runs", "parked"] {
        wait_for(rig.broker.publish(vec![NewJob { options: unique(id), ..job(id) }])).expect("kept");
    }
    let claimed = rig.claim();
    let parked = claimed.iter().find(|job| job.id.as_str() == "parked").expect("claimed");
    rig.broker.finish(vec![(parked.lease, Finish::Park)]).expect("parked");
    let delayed = NewJob { delay: Duration::from_secs(60), options: unique(ids[2]), ..job(ids[2]) };
    let many = (0..50).map(|number| job(&format!("other {number}")));
    let jobs = many.chain([NewJob { options: unique("ready"), ..job("ready") }, delayed]).collect();
    wait_for(rig.broker.publish(jobs)).expect("kept");
    let mut raw = rig.server.raw();
    let names: Vec<String> =
        ids.iter().flat_map(|id| [format!("vigie:id:{id}"), format!("vigie:unique:key of {id}")]).collect();
    for name in &names {
        let set: u64 = redis::cmd("EXPIRE").arg(name).arg(1_000).query(&mut raw).expect("a number");
        assert_eq!(set, 1, "{name}");
    }
    redis::cmd("SET").arg("vigie:id:ended by a Python worker").arg("t q").arg("EX").arg(9).exec(&mut raw).expect("set");
    for _ in 0..3 {
        rig.broker.upkeep().expect("kept up");
    }
    for name in &names {
        let left: i64 = redis::cmd("TTL").arg(name).query(&mut raw).expect("a number");
        assert!(left > 86_000, "{name}: {left}");
    }
    let left: i64 = redis::cmd("TTL").arg("vigie:id:ended by a Python worker").query(&mut raw).expect("a number");
    assert!(left <= 9, "{left}");
}

/// A process of an earlier release knows letters, and not their names.
#[test]
fn letters_of_an_earlier_release_are_named() {
    let Some(rig) = rig() else { return };
    for id in ["old", "taken"] {
        rig.publish(id);
        let claimed = rig.claim();
        let dead = Finish::Dead { reason: DeadReason::Rejected, error: "no".to_owned() };
        rig.broker.finish(vec![(claimed[0].lease, dead)]).expect("ended");
    }
    let mut raw = rig.server.raw();
    let before = rig.broker.dead_names(stdx::Timestamp::EPOCH, None).expect("named");
    redis::cmd("HDEL").arg("vigie:dead:names").arg("old").exec(&mut raw).expect("forgotten");
    redis::cmd("ZREM").arg("vigie:dead").arg("taken").exec(&mut raw).expect("taken away");
    redis::cmd("HDEL").arg("vigie:letters").arg("taken").exec(&mut raw).expect("taken away");
    redis::cmd("HSET").arg("vigie:dead:names").arg("too many").arg("1 q").exec(&mut raw).expect("set");
    let named = rig.broker.dead_names(stdx::Timestamp::EPOCH, None).expect("named").names;
    assert_eq!(named, before.names.into_iter().filter(|name| name.id == "old").collect::<Vec<_>>());
}
