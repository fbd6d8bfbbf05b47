//! What a worker's and a scheduler's own process shows of itself.

use crate::running::{Running, START_MAX, http};

/// Returns what stands behind `address=` in a line of the log.
fn address_in(line: &str) -> String {
    let rest = line.rsplit("address=").next().expect("an address");
    rest.chars().filter(|c| c.is_ascii_digit() || *c == '.' || *c == ':').collect()
}

#[test]
fn a_worker_and_a_scheduler_show_their_metrics_where_they_are_told_to() {
    for role in ["worker", "cron"] {
        let folder = tempfile::tempdir().expect("a folder");
        let variables = [("VIGIE_WORKER__METRICS_LISTEN", "127.0.0.1:0"), ("NO_COLOR", "1")];
        let mut running = Running::start(folder.path(), &variables, &["--data-dir", "data", "run", role]);
        let address = address_in(&running.wait_for(&["metrics are shown"], START_MAX));
        let shown = http(&address, "GET", "/metrics", &[], "");
        assert!(shown.starts_with("HTTP/1.1 200") && shown.contains("vigie_process_resident_bytes"), "{role}: {shown}");
        assert!(http(&address, "GET", "/health/live", &[], "").ends_with("ok"), "{role}");
        assert!(http(&address, "POST", "/metrics", &[], "").starts_with("HTTP/1.1 405"), "{role}");
        assert!(http(&address, "GET", "/login/", &[], "").starts_with("HTTP/1.1 404"), "{role}");
    }
}

#[test]
fn an_address_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let folder = tempfile::tempdir().expect("a folder");
    let variables = [("VIGIE_WORKER__METRICS_LISTEN", address.as_str())];
    let ended = crate::vigie(folder.path(), &variables, &["--data-dir", "data", "run", "cron"]);
    assert!(!ended.status.success());
    let said = crate::text(&ended.stderr);
    assert!(said.contains("worker.metrics-listen") && said.contains(&address), "{said}");
}
