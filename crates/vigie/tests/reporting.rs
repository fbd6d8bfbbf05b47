//! Where reports on Vigie's own errors go, as a start says it.

use crate::running::{Running, START_MAX, get};
use crate::{text, vigie};
use std::net::TcpListener;

#[test]
fn a_slow_run_is_reported_and_counted_by_task() {
    let folder = tempfile::tempdir().expect("a folder");
    let variables = [("VIGIE_WORKER__SLOW_SHARE", "0.00001")];
    let mut running = Running::start(folder.path(), &variables, &["run", "--listen", "127.0.0.1:0"]);
    let address = running.address();
    running.wait_for(&["started"], START_MAX);
    let sleep = ["queues", "send", "debug.sleep", "--queue", "debug", "--args", "[0.5]", "--wait", "30"];
    let slept = vigie(folder.path(), &[], &sleep);
    assert_eq!(slept.status.code(), Some(0), "{}", text(&slept.stderr));
    running.wait_for(&["ERROR", "a run took most of its time limit", "debug.sleep"], START_MAX);
    running.wait_until(START_MAX, "a report at home", || {
        text(&vigie(folder.path(), &[], &["status"]).stdout).contains("relay: 1 captured = 1 sent (0 refused)")
    });
    let shown = get(&address, "/metrics").1;
    for line in [
        "vigie_jobs_slow_runs_total{task=\"debug.sleep\"} 1",
        "vigie_jobs_ended_total{task=\"debug.sleep\",result=\"success\"} 1",
        "vigie_jobs_run_duration_seconds_bucket{task=\"debug.sleep\",le=\"0.25\"} 0",
    ] {
        assert!(shown.lines().any(|said| said == line), "{line} is not in {shown}");
    }
}

/// Each on an empty folder: before the first migration.
#[test]
fn check_08_a_start_succeeds_whatever_is_said_of_reports_and_status_says_which() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let nobody = format!("http://key@{}/1", listener.local_addr().expect("an address"));
    drop(listener);
    let off = [("VIGIE_SELF_REPORTING__ENABLED", "off")];
    let unreachable = [("VIGIE_SELF_REPORTING__UPSTREAM_DSN", nobody.as_str())];
    let cases: [(&[(&str, &str)], &str); 3] = [
        (&off, "off: self-reporting.enabled is off"),
        (&[], "upstream: none; relay: the project 'internal' of this installation"),
        (&unreachable, "upstream: 127.0.0.1 project 1; relay: the project 'internal' of this installation"),
    ];
    for (variables, said) in cases {
        let folder = tempfile::tempdir().expect("a folder");
        let mut running = Running::start(folder.path(), variables, &["run", "--listen", "127.0.0.1:0"]);
        running.wait_for(&["started"], START_MAX);
        let mut status = String::new();
        running.wait_until(START_MAX, "answer to status", || {
            status = text(&vigie(folder.path(), variables, &["status"]).stdout);
            !status.is_empty()
        });
        assert!(status.contains(&format!("self-reporting {said}")), "{status}");
        assert!(status.contains(" boot self-reporting: "), "{status}");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let wrong = vigie(folder.path(), &[("VIGIE_SELF_REPORTING__RELAY_DSN", "no dsn")], &["config", "check"]);
    assert_eq!(wrong.status.code(), Some(78));
    assert!(text(&wrong.stderr).contains("self-reporting.relay-dsn"), "{}", text(&wrong.stderr));
}
