//! What the spool must do while a real Redis is gone: keep in order, within its bound, over restarts; and let go only of what
//! the broker has.

use crate::support::{Proxy, RedisServer, claim_from, job, redis_is_here, wait_for};
use crate::tend::Trapped;
use queue::brokers::embedded::{Config, Durability, Embedded};
use queue::brokers::redis::{Redis, RedisConfig};
use queue::{Broker, Finish, JobId, JobOptions, JobState, NewJob, Published, Queue, QueueError, Spool};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use stdx::SystemClock;

const BYTES_MAX: u64 = 1 << 30;
const DURABLE: [&str; 4] = ["--appendonly", "yes", "--appendfsync", "always"];

fn open(folder: &Path, server: &RedisServer, jobs_max: u64) -> Spool {
    open_over(folder, Arc::new(server.live_broker()), jobs_max)
}

fn open_over(folder: &Path, far: Arc<dyn Queue>, jobs_max: u64) -> Spool {
    let config = Config { jobs_max, ..config(folder) };
    Spool::open(config, far, Arc::new(SystemClock)).expect("a spool opens")
}

fn config(folder: &Path) -> Config {
    Config {
        folder: folder.to_owned(),
        durability: Durability::Power,
        jobs_max: 1_000,
        bytes_max: BYTES_MAX,
        free_min: 0,
        free_space: Arc::new(|| Ok(u64::MAX)),
        reassert_grace: Duration::ZERO,
    }
}

fn publish(spool: &Spool, numbers: std::ops::Range<u32>) {
    for number in numbers {
        let published = wait_for(spool.publish(vec![job(&format!("{number:04}"))]));
        assert_eq!(published.expect("accepted"), [Published::Accepted], "{number}");
    }
}

fn wait_until_forwarded(spool: &Spool) {
    wait_until(spool, "not forwarded", || spool.state().jobs == 0);
}

fn wait_until(spool: &Spool, otherwise: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(30), "{otherwise}: {:?} {:?}", spool.state(), spool.folders());
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
fn a_file_of_the_spool_that_cannot_be_read_whole_is_told_of_like_one_of_the_queue() {
    if !redis_is_here() {
        return;
    }
    let (server, folder) = (RedisServer::start(&DURABLE), tempfile::tempdir().expect("a folder"));
    let spool = open(folder.path(), &server, 1_000);
    server.kill();
    publish(&spool, 0..3);
    drop(spool);
    let log = folder.path().join("0/00000001.log");
    let mut bytes = std::fs::read(&log).expect("what was accepted lies there");
    bytes[20] ^= 0xff;
    std::fs::write(&log, &bytes).expect("a part of it is damaged");
    server.start_again();
    let spool = open(folder.path(), &server, 1_000);
    wait_until(&spool, "not put aside", || !log.exists());
    let troubles = || spool.troubles().expect("the broker answers").join("; ");
    assert!(troubles().contains("00000001.damaged was put aside"), "{}", troubles());
    std::fs::remove_file(log.with_extension("damaged")).expect("people have looked at it");
    assert_eq!(troubles(), "");
    assert_eq!(claimed_ids(&server), numbered(1..3), "the others came through");
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
fn on_a_full_disk_it_refuses_and_says_that_the_spool_cannot_be_written() {
    if !redis_is_here() {
        return;
    }
    let (server, folder) = (RedisServer::start(&DURABLE), tempfile::tempdir().expect("a folder"));
    let full = Config { free_min: 1, free_space: Arc::new(|| Ok(0)), ..config(folder.path()) };
    let spool = Spool::open(full, Arc::new(server.live_broker()), Arc::new(SystemClock)).expect("a spool opens");
    server.kill();
    let refused = wait_for(spool.publish(vec![job("0")])).expect_err("refused");
    let QueueError::SpoolUnwritable { broker, why } = &refused else { panic!("{refused}") };
    assert!(broker.contains("does not answer") && why.contains("0 bytes are free on its disk"), "{refused}");
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

#[test]
fn what_a_process_left_is_taken_over_by_one_that_runs_and_by_no_second() {
    if !redis_is_here() {
        return;
    }
    let (server, folder) = (RedisServer::start(&DURABLE), tempfile::tempdir().expect("a folder"));
    let [first, second, ends] = [0; 3].map(|_| open(folder.path(), &server, 1_000));
    server.kill();
    publish(&second, 0..1);
    publish(&ends, 1..21);
    let left = ends.folders()[0].clone();
    assert_eq!((left.jobs, first.folders()[0].jobs), (20, 0));
    drop(ends);
    wait_until(&first, "nobody took it over", || first.state().jobs + second.state().jobs == 21);
    let of = |spool: &Spool| spool.folders().iter().filter(|one| one.id == left.id && one.jobs == 20).count();
    assert_eq!(of(&first) + of(&second), 1, "one of them has it, under the id that it had");
    server.start_again();
    wait_until_forwarded(&first);
    wait_until_forwarded(&second);
    let said = |spool: &Spool| spool.folders().iter().any(|one| one.id == left.id && one.jobs == 0);
    wait_until(&first, "nobody says that it is empty", || said(&first) || said(&second));
    let in_order: Vec<String> = claimed_ids(&server).into_iter().filter(|id| *id != "0000").collect();
    assert_eq!(in_order, numbered(1..21));
}

#[test]
fn a_folder_that_somebody_removes_is_named_and_another_begun() {
    if !redis_is_here() {
        return;
    }
    let (server, folder) = (RedisServer::start(&DURABLE), tempfile::tempdir().expect("a folder"));
    let spool = open(&folder.path().join("spool"), &server, 1_000);
    server.kill();
    publish(&spool, 0..3);
    std::fs::remove_dir_all(folder.path().join("spool")).expect("it goes");
    let mut refused = Vec::new();
    for number in 10..10_000 {
        match wait_for(spool.publish(vec![job(&format!("{number:04}"))])) {
            Ok(_) => break,
            Err(error) => refused.push(error.to_string()),
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
    assert!(
        refused.iter().all(|why| why.contains("somebody removed its folder") && why.contains("spool/0")),
        "{refused:?}"
    );
    let kept = spool.folders()[0].jobs;
    assert_eq!(kept, 1, "what is accepted is in the new one");
    server.start_again();
    wait_until_forwarded(&spool);
    // The forwarder may have had the first ones in hand.
    let ids = claimed_ids(&server);
    assert_eq!(ids.last().map(String::as_str), Some(format!("{:04}", 10 + refused.len()).as_str()), "{ids:?}");
}

#[test]
fn bytes_that_a_job_has_elsewhere_count_until_it_is_forwarded() {
    if !redis_is_here() {
        return;
    }
    let (server, folder) = (RedisServer::start(&DURABLE), tempfile::tempdir().expect("a folder"));
    let heavy =
        |id: &str| NewJob { options: JobOptions { outside_bytes: BYTES_MAX / 2, ..JobOptions::default() }, ..job(id) };
    let spool = open(folder.path(), &server, 1_000);
    server.kill();
    for id in ["0000", "0001"] {
        wait_for(spool.publish(vec![heavy(id)])).expect("there is room");
    }
    let is_full = |spool: &Spool| {
        let refused = wait_for(spool.publish(vec![heavy("0002")])).expect_err("it is full");
        let unready = spool.accepting().expect_err("it is full");
        [refused, unready]
            .iter()
            .all(|error| matches!(error, QueueError::Full { bound } if *bound == queue::SPOOL_BOUND))
    };
    assert!(is_full(&spool) && spool.state().bytes > BYTES_MAX, "{:?}", spool.state());
    drop(spool);
    let spool = open(folder.path(), &server, 1_000);
    assert!(is_full(&spool), "the next process knows");
    server.start_again();
    wait_until_forwarded(&spool);
    assert_eq!((spool.state().bytes, claimed_ids(&server)), (0, numbered(0..2)));
}

/// A broker in this process with room for so many jobs; a job of key 1 takes half of it at most.
fn narrow(folder: &Path, jobs_max: u64) -> Embedded {
    let config = Config { jobs_max, ..config(&folder.join("far")) };
    Embedded::open(config, Arc::new(SystemClock)).expect("the broker opens")
}

fn of_key(fairness_key: u64, id: &str) -> NewJob {
    NewJob { fairness_key, ..job(id) }
}

#[test]
fn a_full_queue_is_not_accepting_although_the_spool_has_room() {
    let folder = tempfile::tempdir().expect("a folder");
    let spool = open_over(&folder.path().join("spool"), Arc::new(narrow(folder.path(), 1)), 1_000);
    spool.accepting().expect("there is room");
    publish(&spool, 0..1);
    for refused in [wait_for(spool.publish(vec![job("0001")])).map(drop), spool.accepting()] {
        assert!(matches!(refused, Err(QueueError::Full { bound: "queue.max-jobs" })), "{refused:?}");
    }
    assert_eq!(spool.state().jobs, 0);
}

#[test]
fn what_one_key_has_too_much_of_waits_apart_and_holds_nobody_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let far = narrow(folder.path(), 10);
    let flood = (0..5).map(|number| of_key(1, &format!("flood-{number}")));
    wait_for(far.publish(flood.chain([of_key(2, "other-0")]).collect())).expect("there is room");
    let far = Trapped::with(far, "away");
    let spool = open_over(&folder.path().join("spool"), far.clone(), 1_000);
    let mixed = [(1, "flood-5"), (2, "other-1"), (1, "flood-6"), (2, "other-2")];
    wait_for(spool.publish(mixed.map(|(key, id)| of_key(key, id)).to_vec())).expect("it is spooled");
    wait_until(&spool, "the others wait for the flood", || spool.state().forwarded == 2);
    wait_until(&spool, "the broker is said to be away", || spool.state().away_since.is_none());
    assert_eq!(spool.state().jobs, 2);

    wait_for(spool.publish(vec![of_key(2, "other-3")])).expect("there is room");
    assert_eq!((spool.state().jobs, spool.state().forwarded), (2, 2), "it does not pass through the spool");
    spool.accepting().expect("there is room");
    let refused = wait_for(spool.publish(vec![of_key(1, "flood-7")]));
    assert!(matches!(refused, Err(QueueError::Full { .. })), "the flood is told: {refused:?}");

    let claimed = claim_from(&*far, &["q"], 20);
    let mut ids: Vec<&str> = claimed.iter().map(|job| job.id.as_str()).filter(|id| id.starts_with("other")).collect();
    ids.sort_unstable();
    assert_eq!(ids, ["other-0", "other-1", "other-2", "other-3"]);
    far.finish(claimed.iter().map(|job| (job.lease, Finish::Done)).collect()).expect("ended");
    wait_until_forwarded(&spool);
    let ids: Vec<String> = claim_from(&*far, &["q"], 20).iter().map(|job| job.id.to_string()).collect();
    assert_eq!(ids, ["flood-5", "flood-6"]);
}
