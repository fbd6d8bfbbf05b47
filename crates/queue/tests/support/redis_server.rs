//! A Redis server of a test's own, in a temporary folder, reached by a socket and a port nobody else uses.

use queue::brokers::redis::{Redis, RedisConfig, TimeSource};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use stdx::{ManualClock, SystemClock};

/// Whether the program is installed. Where tests must not be skipped (`VIGIE_TESTS_NEED_SERVERS=1` when they are built)
/// its absence fails.
pub fn redis_is_here() -> bool {
    let is_here = Command::new("redis-server").arg("--version").stdout(Stdio::null()).status().is_ok();
    let is_needed = option_env!("VIGIE_TESTS_NEED_SERVERS") == Some("1");
    assert!(is_here || !is_needed, "redis-server is not installed");
    if !is_here {
        println!("skipped: redis-server is not installed");
    }
    is_here
}

pub struct RedisServer {
    pub folder: tempfile::TempDir,
    pub port: u16,
    arguments: Vec<String>,
    child: Mutex<Child>,
}

impl RedisServer {
    pub fn start(arguments: &[&str]) -> RedisServer {
        let folder = tempfile::tempdir().expect("a temporary folder");
        // Free a moment ago; another process could take it, then the server does not start and the test says so.
        let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port();
        let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let child = Mutex::new(spawn(&folder, port, &arguments));
        let server = RedisServer { folder, port, arguments, child };
        server.wait();
        server
    }

    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("r.sock")
    }

    pub fn kill(&self) {
        let mut child = self.child.lock().expect("nobody panicked");
        child.kill().expect("the server is killed");
        child.wait().expect("the server ended");
    }

    pub fn start_again(&self) {
        *self.child.lock().expect("nobody panicked") = spawn(&self.folder, self.port, &self.arguments);
        self.wait();
    }

    pub fn raw(&self) -> redis::Connection {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}/0", self.port)).expect("an address");
        client.get_connection().expect("the server answers")
    }

    fn wait(&self) {
        let began = Instant::now();
        let client = redis::Client::open(format!("redis://127.0.0.1:{}/0", self.port)).expect("an address");
        loop {
            let answer = client.get_connection().and_then(|mut connection| redis::cmd("PING").exec(&mut connection));
            match answer {
                Err(error) if error.code() != Some("NOAUTH") => {}
                _ => return,
            }
            assert!(began.elapsed() < Duration::from_secs(20), "redis-server does not answer");
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }

    pub fn config(&self) -> RedisConfig {
        RedisConfig::parse(&format!("redis+socket://{}", self.socket().display())).expect("an address")
    }

    /// A broker on the test's clock.
    pub fn broker(&self, clock: &ManualClock, jobs_max: u64) -> Redis {
        let config = RedisConfig { jobs_max, time: TimeSource::Clock, ..self.config() };
        Redis::open(config, Arc::new(clock.clone())).expect("the broker opens")
    }

    /// A broker on the server's clock.
    pub fn live_broker(&self) -> Redis {
        Redis::open(self.config(), Arc::new(SystemClock)).expect("the broker opens")
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

fn spawn(folder: &tempfile::TempDir, port: u16, arguments: &[String]) -> Child {
    Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--unixsocket", "r.sock", "--dir"])
        .arg(folder.path())
        .args(arguments)
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server starts")
}
