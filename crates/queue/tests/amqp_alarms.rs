//! A server that takes no more, or that does not answer: what is said of it, how long anybody waits, and what goes on.

use crate::support::{LEASE, Proxy, RabbitPlace, RabbitServer, claim_from, job, rabbit_is_here, wait_for};
use queue::brokers::amqp::Amqp;
use queue::brokers::embedded::{Config, Durability};
use queue::{Broker, Finish, QueueError, Spool};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use stdx::SystemClock;

const WAIT_MAX: Duration = Duration::from_secs(30);
/// What nobody waits for longer than a moment.
const MOMENT: Duration = Duration::from_secs(2);
/// Of a whole attempt to connect, with room for a machine that is busy.
const ATTEMPT_MAX: Duration = Duration::from_secs(8);
const ALARM: &str = "takes no more: alarm of its memory or disk: low on memory";

fn wait_until(otherwise: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < WAIT_MAX, "{otherwise}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

fn spool(folder: &Path, far: Arc<Amqp>) -> Spool {
    let config = Config {
        folder: folder.to_owned(),
        durability: Durability::Power,
        jobs_max: 1_000,
        bytes_max: 1 << 30,
        free_min: 0,
        free_space: Arc::new(|| Ok(u64::MAX)),
        reassert_grace: Duration::ZERO,
    };
    Spool::open(config, far, Arc::new(SystemClock)).expect("a spool opens")
}

#[test]
fn an_alarm_of_the_server_is_named_stops_no_worker_and_ends_by_itself() {
    if !rabbit_is_here() {
        return;
    }
    let (server, folder) = (RabbitServer::start(), tempfile::tempdir().expect("a folder"));
    let place = RabbitPlace::on(&server.url());
    let broker = Arc::new(place.live_broker());
    let spool = spool(folder.path(), broker.clone());
    let publish = |id: &str| wait_for(spool.publish(vec![job(id)])).expect("accepted");
    ["running", "waits"].into_iter().for_each(|id| drop(publish(id)));
    let running = claim_from(&*broker, &["q"], 1);
    server.control(&["set_vm_memory_high_watermark", "0.00001"]);
    let said = || broker.troubles().expect("it answers").join("; ");
    wait_until("nobody is told who publishes nothing", || said().contains(ALARM));
    let refused = wait_for(broker.publish(vec![job("no")])).expect_err("it takes no more");
    assert!(matches!(&refused, QueueError::Unwritable { why } if why.contains(ALARM)), "{refused}");
    assert!(broker.accepting().expect_err("nor more").to_string().contains(ALARM));
    let began = Instant::now();
    publish("spooled");
    assert!(began.elapsed() < MOMENT, "its publisher waited {:?}", began.elapsed());
    assert!(spool.state().why.is_some_and(|why| why.contains(ALARM)), "{:?}", spool.state());
    // What was there before is worked on all the while.
    assert!(broker.finish(vec![(running[0].lease, Finish::Done)]).expect("ended").is_empty());
    let began = Instant::now();
    let rest = claim_from(&*broker, &["q"], 10);
    assert_eq!(rest.iter().map(|job| job.id.as_str()).collect::<Vec<_>>(), ["waits"]);
    assert_eq!(broker.extend(&[rest[0].lease], LEASE).expect("extended"), []);
    assert!(broker.finish(vec![(rest[0].lease, Finish::Done)]).expect("ended").is_empty());
    assert!(began.elapsed() < MOMENT, "a worker waited {:?}", began.elapsed());
    let looked = Amqp::probe(place.config()).expect("it lets us in");
    assert_eq!(looked.alarm.as_deref(), Some("low on memory"), "who connects is told at once");
    server.control(&["set_vm_memory_high_watermark", "0.4"]);
    wait_until("it does not end", || said().is_empty() && spool.state().jobs == 0);
    assert_eq!((spool.state().away_since, broker.accepting().is_ok()), (None, true));
    wait_until("what was spooled does not come", || {
        claim_from(&*broker, &["q"], 10).iter().any(|job| job.id.as_str() == "spooled")
    });
}

/// Listens and says nothing, as a machine does whose server hangs.
fn silent() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").expect("a port")
}

fn address(ports: &[u16]) -> String {
    let servers = ports.iter().map(|port| format!("amqp://guest:guest@127.0.0.1:{port}/"));
    servers.collect::<Vec<_>>().join(";")
}

/// Threads of connections that the client is about.
fn client_threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").expect("this process has threads").flatten();
    let name = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("comm")).unwrap_or_default();
    tasks.map(name).filter(|name| name.starts_with("lapin")).count()
}

#[test]
fn silent_servers_cost_one_deadline_and_the_one_that_answered_is_asked_first() {
    if !rabbit_is_here() {
        return;
    }
    let place = RabbitPlace::shared();
    let silent = [silent(), silent(), silent()];
    let port = |listener: &TcpListener| listener.local_addr().expect("an address").port();
    let [one, two, three] = silent.each_ref().map(port);
    let began = Instant::now();
    let waits = Amqp::open(place.config_at(&address(&[one, two, three])), Arc::new(SystemClock)).expect("it waits");
    let took = began.elapsed();
    assert!(took < ATTEMPT_MAX, "nobody answered after {took:?}");
    let (began, threads) = (Instant::now(), client_threads());
    while began.elapsed() < ATTEMPT_MAX {
        let nobody = waits.accepting();
        assert!(matches!(nobody, Err(QueueError::Unreachable { .. })), "{nobody:?}");
        std::thread::park_timeout(Duration::from_millis(50));
    }
    assert!(client_threads() <= threads, "each attempt leaves a thread behind");
    drop(waits);
    let server = place.url.trim_end_matches('/').rsplit(':').next().and_then(|port| port.parse().ok());
    let proxy = Proxy::to(server.expect("an address with a port"));
    let config = place.config_at(&address(&[one, two, proxy.port]));
    let broker = Amqp::open(config, Arc::new(SystemClock)).expect("the broker opens");
    broker.accepting().expect("the last of them answered within the time of all");
    proxy.cut();
    let began = Instant::now();
    wait_until("it is not found again", || wait_for(broker.publish(vec![job("a")])).is_ok());
    assert!(began.elapsed() < MOMENT, "the silent ones were asked first: {:?}", began.elapsed());
}
