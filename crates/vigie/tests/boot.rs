//! A start without what Vigie depends on: it waits, says so, and heals without a restart.

use crate::running::{Running, START_MAX, get};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Waits between attempts grow to a few seconds; a busy machine is slower still.
const HEALED_WITHIN: Duration = Duration::from_secs(60);

struct Redis(Child);

impl Redis {
    fn start(folder: &Path, port: u16) -> Redis {
        let mut command = Command::new("redis-server");
        command.args(["--port", &port.to_string(), "--save", "", "--appendonly", "yes"]).current_dir(folder);
        Redis(command.stdout(Stdio::null()).spawn().expect("redis-server starts"))
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

#[test]
fn check_06_a_broker_that_is_down_at_boot_is_named_and_waited_for() {
    if Command::new("redis-server").arg("--version").stdout(Stdio::null()).status().is_err() {
        println!("skipped: redis-server is not installed");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let port = free_port();
    let url = format!("redis://127.0.0.1:{port}/0");
    let variables = [("BROKER_URL", url.as_str())];
    let mut running = Running::start(folder.path(), &variables, &["run", "--listen", "127.0.0.1:0"]);
    let address = running.address();
    running.wait_until(START_MAX, "503 with the broker's address", || {
        let (status, body) = get(&address, "/health/ready");
        status == 503 && body.contains(&format!("127.0.0.1:{port}"))
    });
    assert_eq!(get(&address, "/health/accept").0, 200, "the spool takes events meanwhile");
    let _redis = Redis::start(folder.path(), port);
    running.wait_until(HEALED_WITHIN, "ready", || get(&address, "/health/ready").0 == 200);
}
