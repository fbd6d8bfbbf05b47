//! Metrics of a running Vigie as a statsd server hears them.

use crate::running::{Running, START_MAX};
use crate::{text, vigie};
use std::net::UdpSocket;
use std::time::{Duration, Instant};

const HEARD_WITHIN: Duration = Duration::from_secs(15);

#[test]
fn check_12_a_statsd_server_hears_a_running_vigie_and_the_test() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = UdpSocket::bind("127.0.0.1:0").expect("a port");
    server.set_read_timeout(Some(HEARD_WITHIN)).expect("set");
    let address = server.local_addr().expect("an address").to_string();
    let variables = [("VIGIE_METRICS__BACKENDS", "prometheus, dogstatsd"), ("VIGIE_METRICS__STATSD_ADDRESS", &address)];
    let tested = vigie(folder.path(), &variables, &["metrics", "test"]);
    assert_eq!(tested.status.code(), Some(0), "{}", text(&tested.stdout));
    assert!(heard(&server, "vigie.metrics.test:1|c"));
    let mut running = Running::start(folder.path(), &variables, &["run", "--listen", "127.0.0.1:0"]);
    running.wait_for(&["started"], START_MAX);
    assert!(heard(&server, "vigie.queue.jobs:0|g|#queue:events,state:ready"));
}

#[test]
fn metrics_test_says_when_nobody_listens() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let address = server.local_addr().expect("an address").to_string();
    drop(server);
    let variables = [("VIGIE_METRICS__BACKENDS", "statsd"), ("VIGIE_METRICS__STATSD_ADDRESS", address.as_str())];
    let tested = vigie(folder.path(), &variables, &["metrics", "test"]);
    assert_eq!(tested.status.code(), Some(1));
    assert!(text(&tested.stdout).contains("refused: nobody listens there"), "{}", text(&tested.stdout));
}

fn heard(server: &UdpSocket, line: &str) -> bool {
    let deadline = Instant::now() + HEARD_WITHIN;
    let mut bytes = [0; 2_000];
    while Instant::now() < deadline {
        let Ok(length) = server.recv(&mut bytes) else { return false };
        if text(&bytes[..length]).lines().any(|said| said == line) {
            return true;
        }
    }
    false
}
