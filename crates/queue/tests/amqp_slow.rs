//! A line to RabbitMQ on which each answer takes long: work goes on with fewer at a time, and the connection stays.

use crate::support::{Proxy, RabbitPlace, Stranger, job, rabbit_is_here, unaccounted, wait_for};
use lapin::BasicProperties;
use queue::brokers::amqp::{Amqp, AmqpConfig, Naming};
use queue::{Broker, JobId, Ledger};
use std::sync::Arc;
use std::time::{Duration, Instant};
use stdx::SystemClock;

/// So many answers take longer than one is waited for.
const MESSAGES: usize = 70;
const DELAY: Duration = Duration::from_millis(150);
/// Of one process: what publishes has its own.
const CONNECTIONS: usize = 2;
const WAIT_MAX: Duration = Duration::from_secs(60);

/// A broker behind a line that is still fast, and its shared queue.
fn behind_a_line(place: &RabbitPlace) -> (Amqp, Proxy, String) {
    let port = place.url.rsplit(':').next().and_then(|end| end.trim_end_matches('/').parse().ok());
    let proxy = Proxy::to(port.expect("an address has a port"));
    let config = place.config_at(&format!("amqp://guest:guest@127.0.0.1:{}/", proxy.port));
    let queue = format!("{}celery", place.prefix);
    let naming = Naming { shared: vec![queue.clone()], ..config.naming };
    let broker = Amqp::open(AmqpConfig { naming, ..config }, Arc::new(SystemClock)).expect("the broker opens");
    broker.declare(&queue).expect("declared");
    (broker, proxy, queue)
}

#[test]
fn many_replies_come_over_a_slow_line_and_cost_no_connection() {
    if !rabbit_is_here() {
        return;
    }
    let place = RabbitPlace::shared();
    let (broker, proxy, _) = behind_a_line(&place);
    broker.upkeep().expect("the queue of replies is declared");
    let python = Stranger::on(&place);
    for number in 0..MESSAGES {
        let properties = BasicProperties::default().with_correlation_id(format!("call-{number}").into());
        python.send("", &format!("{}:replies", place.prefix), properties, br#"{"status":"SUCCESS","result":3}"#);
    }
    proxy.delay_answers(DELAY);
    let (last, began) = (JobId::new(&format!("call-{}", MESSAGES - 1)), Instant::now());
    while broker.result(&last).expect("asked").is_none() {
        assert!(began.elapsed() < WAIT_MAX, "they never get fewer");
    }
    assert_eq!(proxy.connections(), CONNECTIONS, "one was lost");
}

#[test]
fn many_jobs_are_purged_over_a_slow_line_and_cost_no_connection() {
    if !rabbit_is_here() {
        return;
    }
    let place = RabbitPlace::shared();
    let (broker, proxy, _) = behind_a_line(&place);
    let jobs = (0..MESSAGES).map(|number| job(&format!("n{number}"))).collect();
    wait_for(broker.publish(jobs)).expect("kept");
    proxy.delay_answers(DELAY);
    assert_eq!(broker.purge("q", &mut unaccounted).expect("purged"), MESSAGES as u64);
    assert_eq!(proxy.connections(), CONNECTIONS, "one was lost");
}
