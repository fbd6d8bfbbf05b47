//! What the RabbitMQ broker must survive: its server killed, its connection cut at the worst moment, processes that die.

use crate::support::{LEASE, Proxy, RabbitPlace, RabbitServer, claim_from, job, rabbit_is_here, wait_for};
use queue::brokers::amqp::{Amqp, AmqpConfig, LedgerCopy};
use queue::{Broker, Claimed, Finish, JobId, JobState, Ledger, NewJob, Published, QueueError, WORKER_DEAD_AFTER};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use stdx::{Clock, ManualClock, SystemClock, Timestamp};

const WAIT_MAX: Duration = Duration::from_secs(60);
/// Claims after the last job was seen. Those that find nothing wait for half a second.
const CLAIMS_AFTER: usize = 5;

fn manual() -> ManualClock {
    ManualClock::at(Timestamp::from_seconds(1_000_000))
}

fn open(config: AmqpConfig, clock: &impl CloneClock) -> Amqp {
    Amqp::open(config, clock.shared()).expect("the broker opens")
}

trait CloneClock {
    fn shared(&self) -> Arc<dyn Clock>;
}

impl CloneClock for ManualClock {
    fn shared(&self) -> Arc<dyn Clock> {
        Arc::new(self.clone())
    }
}

fn publish(broker: &Amqp, ids: &[&str]) -> Result<Vec<Published>, QueueError> {
    wait_for(broker.publish(ids.iter().map(|id| job(id)).collect()))
}

/// A broker on a server of its own, through a network that can break, with one job kept.
struct Wired {
    broker: Amqp,
    clock: ManualClock,
    proxy: Proxy,
    _place: RabbitPlace,
    _server: RabbitServer,
}

impl Wired {
    fn with_a_job_before() -> Wired {
        let server = RabbitServer::start();
        let place = RabbitPlace::on(&server.url());
        let proxy = Proxy::to(server.port);
        let through = place.config_at(&format!("amqp://guest:guest@127.0.0.1:{}/?heartbeat=1", proxy.port));
        let clock = manual();
        let broker = open(through, &clock);
        publish(&broker, &["before"]).expect("kept");
        Wired { broker, clock, proxy, _place: place, _server: server }
    }
}

/// Publishes again and again until the server is there to say what became of it.
fn publish_when_back(broker: &Amqp, jobs: impl Fn() -> Vec<NewJob>) -> Vec<Published> {
    let began = Instant::now();
    loop {
        match wait_for(broker.publish(jobs())) {
            Ok(published) => return published,
            Err(error) => assert!(began.elapsed() < WAIT_MAX, "{error}"),
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// Claims until there is something; a broker that is away is asked again.
fn claim_some(broker: &Amqp, queues: &[&str], jobs_max: usize) -> Vec<Claimed> {
    let bounds =
        |queue: &&str| queue::QueueBounds { queue: (*queue).to_owned(), jobs_max, bytes_max: usize::MAX, lease: LEASE };
    let request = queue::ClaimRequest { queues: queues.iter().map(bounds).collect() };
    let began = Instant::now();
    while began.elapsed() < WAIT_MAX {
        match broker.claim(&request) {
            Ok(jobs) if !jobs.is_empty() => return jobs,
            Ok(_) => {}
            Err(_) => std::thread::park_timeout(Duration::from_millis(20)),
        }
    }
    panic!("no job came");
}

/// Whether the server was there to be asked; what it gave is nothing.
fn claims_nothing(broker: &Amqp) -> bool {
    let bounds = queue::QueueBounds { queue: "q".to_owned(), jobs_max: 10, bytes_max: usize::MAX, lease: LEASE };
    match broker.claim(&queue::ClaimRequest { queues: vec![bounds] }) {
        Ok(jobs) => {
            assert!(jobs.is_empty(), "its own lease holds");
            true
        }
        Err(_) => false,
    }
}

fn ids(jobs: &[Claimed]) -> Vec<String> {
    jobs.iter().map(|job| job.id.to_string()).collect()
}

fn finish_all(broker: &Amqp, jobs: &[Claimed]) {
    let ends = jobs.iter().map(|job| (job.lease, Finish::Done)).collect();
    assert!(broker.finish(ends).expect("ended").is_empty(), "a lease was lost");
}

#[test]
fn what_was_accepted_survives_the_servers_end_and_comes_once() {
    if !rabbit_is_here() {
        return;
    }
    let server = RabbitServer::start();
    let place = RabbitPlace::on(&server.url());
    let broker = place.live_broker();
    let accepted = AtomicUsize::new(0);
    let mut kept: Vec<String> = Vec::new();
    std::thread::scope(|scope| {
        let publisher = scope.spawn(|| {
            let mut kept = Vec::new();
            for number in 0.. {
                // Queues of ours, and one declared as Celery does.
                let queue = if number % 2 == 0 { "q" } else { "celery" };
                let jobs: Vec<NewJob> = (0..10)
                    .map(|part| NewJob {
                        queue: queue.into(),
                        fairness_key: part % 3,
                        ..job(&format!("{number}-{part}"))
                    })
                    .collect();
                let ids: Vec<String> = jobs.iter().map(|job| job.id.to_string()).collect();
                if wait_for(broker.publish(jobs)).is_err() {
                    return kept;
                }
                kept.extend(ids);
                accepted.fetch_add(10, Ordering::SeqCst);
            }
            kept
        });
        while accepted.load(Ordering::SeqCst) < 500 {
            std::thread::park_timeout(Duration::from_millis(5));
        }
        server.kill();
        kept = publisher.join().expect("the publisher ends");
    });
    assert!(broker.accepting().is_err(), "a dead server takes nothing");
    server.start_again();
    let mut runs: BTreeMap<String, usize> = BTreeMap::new();
    let began = Instant::now();
    while kept.iter().any(|id| !runs.contains_key(id)) {
        assert!(began.elapsed() < WAIT_MAX, "{} of {} came back", runs.len(), kept.len());
        let jobs = claim_some(&broker, &["q", "celery"], 100);
        finish_all(&broker, &jobs);
        ids(&jobs).into_iter().for_each(|id| *runs.entry(id).or_default() += 1);
    }
    // What is there twice comes twice, now or when somebody gives it back.
    for _ in 0..CLAIMS_AFTER {
        let jobs = claim_from(&broker, &["q", "celery"], 100);
        finish_all(&broker, &jobs);
        ids(&jobs).into_iter().for_each(|id| *runs.entry(id).or_default() += 1);
    }
    assert_eq!((server.unacknowledged(), server.ready()), (0, 0), "claimed to the end");
    assert!(runs.values().all(|runs| *runs == 1), "a job ran twice");
}

#[test]
fn a_request_whose_confirmation_never_came_is_repeated_and_kept_once() {
    if !rabbit_is_here() {
        return;
    }
    let Wired { broker, proxy, .. } = &Wired::with_a_job_before();
    proxy.swallow_answers();
    let refused = publish(broker, &["a", "b"]).expect_err("nobody confirmed");
    assert!(matches!(refused, QueueError::Unreachable { .. }), "{refused}");
    proxy.cut();
    let again = publish_when_back(broker, || ["a", "b", "before"].map(job).to_vec());
    assert_eq!(again, [Published::Accepted, Published::Accepted, Published::AlreadyThere]);
    let mut seen = Vec::new();
    while seen.len() < 3 {
        let jobs = claim_some(broker, &["q"], 10);
        finish_all(broker, &jobs);
        seen.extend(ids(&jobs));
    }
    seen.sort();
    assert_eq!(seen, ["a", "b", "before"]);
    // The server has them twice: the copies are recognised, even after the job's end.
    for _ in 0..3 {
        assert!(claim_from(broker, &["q"], 10).is_empty(), "a copy ran");
    }
    assert_eq!(publish(broker, &["a"]).expect("kept"), [Published::Accepted], "its name is free again");
    assert_eq!(ids(&claim_some(broker, &["q"], 10)), ["a"]);
}

#[test]
fn what_was_never_confirmed_is_no_job_after_a_while_and_gives_up_its_key() {
    if !rabbit_is_here() {
        return;
    }
    let Wired { broker, clock, proxy, .. } = &Wired::with_a_job_before();
    let with_key = |id: &str| {
        let unique = queue::JobOptions { unique_key: Some("one at a time".to_owned()), ..queue::JobOptions::default() };
        NewJob { options: unique, ..job(id) }
    };
    proxy.break_requests();
    let refused = wait_for(broker.publish(vec![with_key("first")])).expect_err("it was never sent");
    assert!(matches!(refused, QueueError::Unreachable { .. }), "{refused}");
    proxy.cut();
    let there_again = |id: &str| publish_when_back(broker, || vec![with_key(id)]);
    assert_eq!(there_again("second"), [Published::AlreadyThere], "it may be on its way");
    assert_eq!(ready(broker), 2);
    clock.advance(Duration::from_secs(30));
    assert_eq!(ready(broker), 1, "nobody was told that it is there");
    assert_eq!(there_again("third"), [Published::Accepted], "the key is free");
    let mut seen = Vec::new();
    while seen.len() < 2 {
        let jobs = claim_some(broker, &["q"], 10);
        finish_all(broker, &jobs);
        seen.extend(ids(&jobs));
    }
    assert_eq!((seen.iter().map(String::as_str).collect::<Vec<_>>(), ready(broker)), (vec!["before", "third"], 0));
}

fn ready(broker: &Amqp) -> u64 {
    broker.depths().expect("depths").iter().map(|depth| depth.ready).sum()
}

#[test]
fn a_run_outlives_its_connection() {
    if !rabbit_is_here() {
        return;
    }
    let server = RabbitServer::start();
    let place = RabbitPlace::on(&server.url());
    let proxy = Proxy::to(server.port);
    let clock = manual();
    let broker = open(place.config_at(&format!("amqp://guest:guest@127.0.0.1:{}/", proxy.port)), &clock);
    publish(&broker, &["late", "soon", "again"]).expect("kept");
    let running = claim_some(&broker, &["q"], 3);
    proxy.cut();
    // The messages come again to who runs the jobs: that is seen, and the ledger keeps them.
    let began = Instant::now();
    while !claims_nothing(&broker) {
        assert!(began.elapsed() < WAIT_MAX, "the server is not found again");
    }
    let place_of = |id: &str| running.iter().find(|job| job.id.as_str() == id).expect("claimed").lease;
    assert!(broker.finish(vec![(place_of("soon"), Finish::Done)]).expect("ended").is_empty());
    let other = place.broker(&clock, 1_000);
    for _ in 0..4 {
        assert!(claim_from(&other, &["q"], 10).is_empty(), "its lease holds");
    }
    assert!(broker.extend(&[place_of("late")], LEASE).expect("extended").is_empty());
    let retry = Finish::Retry { after: Duration::ZERO, error: "no".to_owned() };
    let ends = vec![(place_of("late"), Finish::Done), (place_of("again"), retry)];
    let began = Instant::now();
    loop {
        match broker.finish(ends.clone()) {
            Ok(lost) => break assert!(lost.is_empty()),
            Err(error) => assert!(began.elapsed() < WAIT_MAX, "{error}"),
        }
    }
    other.upkeep().expect("kept up");
    let again = claim_some(&other, &["q"], 10);
    assert_eq!((ids(&again), again[0].attempt), (vec!["again".to_owned()], 2));
    finish_all(&other, &again);
    assert!(claim_from(&other, &["q"], 10).is_empty());
}

#[test]
fn jobs_of_a_dead_process_come_back_and_count_its_death() {
    if !rabbit_is_here() {
        return;
    }
    let place = RabbitPlace::shared();
    let clock = manual();
    let dying = place.broker(&clock, 1_000);
    publish(&dying, &["a", "b", "buffered"]).expect("kept");
    dying.upkeep().expect("heard");
    assert_eq!(claim_from(&dying, &["q"], 2).len(), 2);
    drop(dying);
    let other = place.broker(&clock, 1_000);
    assert_eq!(ids(&claim_some(&other, &["q"], 10)), ["buffered"], "what did not run is nobody's death");
    clock.advance(WORKER_DEAD_AFTER);
    other.upkeep().expect("kept up");
    assert_eq!(other.locate(&JobId::new("a")).expect("asked"), Some(JobState::Ready));
    // Both died in company: each runs by itself now, once what runs has ended or had its time.
    clock.advance(LEASE);
    let mut seen = BTreeMap::new();
    for _ in 0..40 {
        for job in claim_from(&other, &["q"], 10) {
            seen.insert(job.id.to_string(), job.attempt);
            finish_all(&other, &[job]);
        }
        clock.advance(Duration::from_secs(1));
    }
    assert_eq!((seen.get("a"), seen.get("b")), (Some(&2), Some(&2)));
}

#[test]
fn a_long_run_is_held_by_the_ledger_and_not_by_the_server() {
    if !rabbit_is_here() {
        return;
    }
    let server = RabbitServer::start();
    let place = RabbitPlace::on(&server.url());
    let config = AmqpConfig { held_max: Duration::from_millis(200), ..place.config() };
    let broker = Amqp::open(config, Arc::new(SystemClock)).expect("the broker opens");
    publish(&broker, &["done", "retried"]).expect("kept");
    let running = claim_some(&broker, &["q"], 2);
    let began = Instant::now();
    while server.unacknowledged() > 0 {
        assert!(began.elapsed() < WAIT_MAX, "the server would end the channel of who holds them");
        broker.upkeep().expect("kept up");
    }
    let retry = Finish::Retry { after: Duration::ZERO, error: "no".to_owned() };
    assert!(
        broker.finish(vec![(running[0].lease, Finish::Done), (running[1].lease, retry)]).expect("ended").is_empty()
    );
    drop(broker);
    let other = place.live_broker();
    let again = claim_some(&other, &["q"], 10);
    assert_eq!((again.len(), again[0].attempt), (1, 2), "only what is to be run again");
    assert!(claim_from(&other, &["q"], 10).is_empty());
}

#[test]
fn what_somebody_freed_before_the_ledger_took_it_goes_back() {
    if !rabbit_is_here() {
        return;
    }
    let (place, clock) = (RabbitPlace::shared(), manual());
    let holder = open(AmqpConfig { held_max: Duration::from_millis(500), ..place.config() }, &clock);
    publish(&holder, &["a"]).expect("kept");
    let running = claim_some(&holder, &["q"], 1);
    let other = place.broker(&clock, 1_000);
    clock.advance(LEASE);
    other.upkeep().expect("the lease is freed");
    let again = claim_some(&other, &["q"], 1);
    assert_eq!((ids(&again), again[0].attempt), (vec!["a".to_owned()], 2));
    finish_all(&other, &again);
    assert_eq!(holder.finish(vec![(running[0].lease, Finish::Done)]).expect("asked"), [running[0].lease]);
}

#[test]
fn a_process_whose_server_says_nothing_is_not_taken_for_dead() {
    if !rabbit_is_here() {
        return;
    }
    let server = RabbitServer::start();
    let (place, clock) = (RabbitPlace::on(&server.url()), manual());
    let proxy = Proxy::to(server.port);
    let holder = open(place.config_at(&format!("amqp://guest:guest@127.0.0.1:{}/", proxy.port)), &clock);
    publish(&holder, &["a"]).expect("kept");
    let running = claim_some(&holder, &["q"], 1);
    let other = place.broker(&clock, 1_000);
    proxy.swallow_answers();
    // Twice more than half of the time after which it would be dead, and as long as it takes to speak between them.
    for _ in 0..2 {
        clock.advance(WORKER_DEAD_AFTER * 3 / 5);
        let began = Instant::now();
        while began.elapsed() < Duration::from_millis(2_500) {
            std::thread::park_timeout(Duration::from_millis(100));
        }
        other.upkeep().expect("kept up");
    }
    assert_eq!(other.locate(&JobId::new("a")).expect("asked"), Some(JobState::Leased));
    assert!(holder.finish(vec![(running[0].lease, Finish::Done)]).expect("ended").is_empty());
}

#[test]
fn a_server_that_is_away_is_said_so_and_found_again() {
    if !rabbit_is_here() {
        return;
    }
    let server = RabbitServer::start();
    let place = RabbitPlace::on(&server.url());
    let broker = place.live_broker();
    publish(&broker, &["a"]).expect("kept");
    server.kill();
    let refused = publish(&broker, &["b"]).expect_err("nobody is there");
    assert!(matches!(refused, QueueError::Unreachable { .. }), "{refused}");
    assert_eq!(broker.dead_letters().expect("the ledger is here"), []);
    server.start_again();
    let mut jobs = claim_some(&broker, &["q"], 10);
    jobs.retain(|job| job.id.as_str() == "a");
    finish_all(&broker, &jobs);
    publish(&broker, &["b"]).expect("kept");
}

/// A copy of the installation takes from the same queues: what it took is missed here, told of, and accounted for by whoever
/// has seen it.
#[test]
fn what_the_server_has_no_more_is_missed_and_can_be_written_off() {
    if !rabbit_is_here() {
        return;
    }
    let (place, clock) = (RabbitPlace::shared(), manual());
    let broker = open(place.config(), &clock);
    publish(&broker, &["lost-1", "lost-2"]).expect("kept");
    clock.advance(Duration::from_secs(61));
    let missed = || broker.troubles().expect("the broker answers").join("; ");
    let looks = |is_enough: &dyn Fn(&str) -> bool, within| {
        let began = Instant::now();
        while !is_enough(&missed()) && began.elapsed() < within {
            std::thread::park_timeout(Duration::from_millis(100));
        }
        missed()
    };
    // They wait where they should: several looks find nothing.
    assert_eq!(looks(&|_| false, Duration::from_secs(6)), "");
    let other = place.beside();
    let ledger = LedgerCopy::of(&place.config().ledger).expect("read").expect("there");
    ledger.copy_to(&other.config().ledger).expect("copied");
    let thief = other.live_broker();
    publish(&thief, &["theirs"]).expect("kept");
    let mut taken = 0;
    while taken < 3 {
        let jobs = claim_from(&thief, &["q"], 10);
        taken += jobs.len();
        thief.finish(jobs.iter().map(|job| (job.lease, Finish::Done)).collect()).expect("finished");
    }
    let said = looks(&|said| !said.is_empty(), WAIT_MAX);
    assert!(said.contains("2 jobs of queue q are not in RabbitMQ"), "{said}");
    let ready = || broker.depths().expect("depths").iter().map(|depth| depth.ready).sum::<u64>();
    assert_eq!(ready(), 0, "they are not counted as waiting");
    drop(thief);
    let command = open(place.config(), &clock);
    assert!(command.write_off().expect("written off"), "a process that was just started can do it");
    drop(command);
    assert_eq!(looks(&str::is_empty, WAIT_MAX), "");
    publish(&broker, &["next"]).expect("kept");
    assert_eq!((ready(), claim_from(&broker, &["q"], 10).len()), (1, 1), "what comes after is as ever");
}
