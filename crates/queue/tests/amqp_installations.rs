//! A virtual host belongs to one installation, and a queue of ours to us: what must not be mixed is refused.

use crate::support::{Proxy, RabbitPlace, RabbitServer, Stranger, claim_from, job, rabbit_is_here, wait_for};
use queue::brokers::amqp::{Amqp, AmqpConfig, LaneKind, Naming};
use queue::{Broker, Published, QueueError};
use std::sync::Arc;
use std::time::{Duration, Instant};
use stdx::SystemClock;

const WAIT_MAX: Duration = Duration::from_secs(30);

fn try_open(config: AmqpConfig) -> Result<Amqp, QueueError> {
    Amqp::open(config, Arc::new(SystemClock))
}

fn host_queue(place: &RabbitPlace) -> String {
    format!("{}:installation", place.prefix)
}

fn publish(broker: &Amqp, id: &str) -> Result<Vec<Published>, QueueError> {
    wait_for(broker.publish(vec![job(id)]))
}

fn wait_until(otherwise: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < WAIT_MAX, "{otherwise}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

fn is_refused(error: &QueueError, place: &RabbitPlace) {
    assert!(matches!(error, QueueError::Refused { .. }), "{error}");
    let said = error.to_string();
    for words in ["another installation of Vigie uses the virtual host /", "a virtual host of its own in broker.url"] {
        assert!(said.contains(words), "{said}");
    }
    assert!(said.contains(&format!("delete the queue {}", host_queue(place))), "{said}");
}

#[test]
fn a_second_installation_on_one_virtual_host_is_refused_and_may_follow_when_the_first_is_gone() {
    if !rabbit_is_here() {
        return;
    }
    let place = RabbitPlace::shared();
    let other = place.beside();
    let first = place.live_broker();
    publish(&first, "theirs").expect("kept");
    is_refused(&try_open(other.config()).err().expect("the first one has it"), &place);
    is_refused(&Amqp::probe(other.config()).expect_err("so does who only looks say"), &place);
    is_refused(&Amqp::probe(place.beside().config()).expect_err("and who was never started"), &place);
    let quorum = AmqpConfig { lane_kind: LaneKind::Quorum, ..other.config() };
    is_refused(&try_open(quorum).err().expect("with whatever queues"), &place);
    Amqp::probe(place.config()).expect("it is its own");
    assert_eq!(claim_from(&first, &["q"], 10).len(), 1, "nobody took from it");
    drop(first);
    is_refused(&try_open(other.config()).err().expect("it may come back"), &place);
    let quorum = AmqpConfig { lane_kind: LaneKind::Quorum, ..place.config() };
    drop(try_open(quorum).expect("its own, with queues of another kind"));
    Stranger::on(&place).delete(&host_queue(&place));
    let second = try_open(other.config()).expect("the first is gone for good");
    publish(&second, "ours").expect("kept");
    is_refused(&try_open(place.config()).err().expect("the first has lost it"), &place);
}

#[test]
fn what_was_removed_is_declared_again_while_the_installation_lives() {
    if !rabbit_is_here() {
        return;
    }
    let place = RabbitPlace::shared();
    let first = place.live_broker();
    let stranger = Stranger::on(&place);
    stranger.delete(&host_queue(&place));
    wait_until("it is not declared again", || stranger.count(&host_queue(&place)).is_some());
    is_refused(&try_open(place.beside().config()).err().expect("the first one lives"), &place);
    publish(&first, "a").expect("kept");
}

/// The broker was away when the process started, and is another installation's when it comes.
#[test]
fn a_server_that_comes_back_as_anothers_gets_nothing_until_it_is_ours() {
    if !rabbit_is_here() {
        return;
    }
    let place = RabbitPlace::shared();
    let port = place.url.trim_end_matches('/').rsplit(':').next().and_then(|port| port.parse().ok());
    let proxy = Proxy::to(port.expect("an address with a port"));
    proxy.break_requests();
    let through = place.config_at(&format!("amqp://guest:guest@127.0.0.1:{}/", proxy.port));
    let waits = try_open(through).expect("a broker that is away is waited for");
    let away = waits.accepting().expect_err("nobody answers");
    assert!(matches!(away, QueueError::Unreachable { .. }), "{away}");
    let other = place.beside();
    let taken = other.live_broker();
    proxy.cut();
    let is_theirs = || matches!(waits.accepting(), Err(QueueError::Refused { .. }));
    wait_until("it is not noticed", is_theirs);
    is_refused(&waits.accepting().expect_err("it is another's"), &place);
    is_refused(&publish(&waits, "ours").expect_err("nothing goes there"), &place);
    is_refused(&waits.accepting().expect_err("in the pause between two attempts too"), &place);
    assert!(claim_from(&taken, &["q"], 10).is_empty(), "nothing went there");
    drop(taken);
    Stranger::on(&place).delete(&host_queue(&place));
    wait_until("it does not go on by itself", || publish(&waits, "ours").is_ok());
}

#[test]
fn a_user_who_may_not_declare_is_told_of_the_queue() {
    if !rabbit_is_here() {
        return;
    }
    let server = RabbitServer::start();
    let place = RabbitPlace::on(&server.url());
    server.control(&["add_user", "app", "word"]);
    let ours = format!("^({}.*|amq\\.default)$", place.prefix.replace('.', "\\."));
    let limited = || place.config_at(&format!("amqp://app:word@127.0.0.1:{}/", server.port));
    server.control(&["set_permissions", "app", "^$", &ours, &ours]);
    let refused = try_open(limited()).err().expect("it may not declare");
    let said = refused.to_string();
    assert!(matches!(refused, QueueError::Refused { .. }) && said.contains(&host_queue(&place)), "{said}");
    server.control(&["set_permissions", "app", &ours, &ours, &ours]);
    let broker = try_open(limited()).expect("its own names are enough");
    publish(&broker, "a").expect("kept");
    assert_eq!(claim_from(&broker, &["q"], 10).len(), 1);
}

/// An app that is not ours has a queue of the name that one of our tasks has.
#[test]
fn a_strangers_queue_is_no_queue_of_ours_by_its_name() {
    if !rabbit_is_here() {
        return;
    }
    let place = RabbitPlace::shared();
    let stranger = Stranger::on(&place);
    let (own, named) = (format!("{}events", place.prefix), format!("{}mail", place.prefix));
    let by_operator = format!("{}shared", place.prefix);
    assert!([&own, &named, &by_operator].into_iter().all(|queue| stranger.declare(queue) == 0));
    let config = place.config();
    let naming = Naming {
        prefix: format!("{}vigie.", place.prefix),
        own: vec![own.clone(), by_operator.clone()],
        shared: vec![by_operator.clone()],
    };
    let broker = try_open(AmqpConfig { naming, ..config }).expect("the broker opens");
    broker.declare(&own).expect("declared");
    for queue in [&own, &named, &by_operator] {
        let job = queue::NewJob { queue: queue.as_str().into(), ..job(queue) };
        assert_eq!(wait_for(broker.publish(vec![job])).expect("kept"), [Published::Accepted]);
    }
    assert_eq!(stranger.declare(&own), 0, "nothing of ours went into it");
    assert_eq!((stranger.declare(&named), stranger.declare(&by_operator)), (1, 1), "those were meant");
    stranger.send("", &own, lapin::BasicProperties::default(), b"theirs");
    assert_eq!(claim_from(&broker, &[&own], 10).len(), 1, "ours alone");
    assert!(claim_from(&broker, &[&own], 10).is_empty(), "theirs is not ours");
    assert_eq!(stranger.declare(&own), 1, "theirs stays theirs");
}
