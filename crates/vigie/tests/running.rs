//! A `vigie run …` that tests start, listen to and end.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// A start on a busy machine.
pub const START_MAX: Duration = Duration::from_secs(30);

/// Pause between two looks at a condition.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// The process, and every line it says on standard output or error.
pub struct Running {
    child: Child,
    lines: Receiver<String>,
    heard: Vec<String>,
}

impl Running {
    pub fn start(folder: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> Running {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vigie"));
        command.current_dir(folder).env_clear().envs(variables.iter().copied()).args(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs");
        let (sender, lines) = channel();
        let out: Box<dyn Read + Send> = Box::new(child.stdout.take().expect("it is piped"));
        let err: Box<dyn Read + Send> = Box::new(child.stderr.take().expect("it is piped"));
        for stream in [out, err] {
            let sender = sender.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    if sender.send(line).is_err() {
                        return;
                    }
                }
            });
        }
        Running { child, lines, heard: Vec::new() }
    }

    /// Waits for a line that holds all of `words`, said now or before.
    pub fn wait_for(&mut self, words: &[&str], within: Duration) -> String {
        let deadline = Instant::now() + within;
        let mut looked_at = 0;
        loop {
            let is_it = |line: &&String| words.iter().all(|word| line.contains(word));
            if let Some(line) = self.heard[looked_at..].iter().find(is_it) {
                return line.clone();
            }
            looked_at = self.heard.len();
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => self.heard.push(line),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("{words:?} was not said within {within:?}:\n{}", self.heard.join("\n"))
                }
            }
        }
    }

    /// Waits until `condition` holds, and looks at what is said between two looks.
    pub fn wait_until(&mut self, within: Duration, what: &str, mut condition: impl FnMut() -> bool) {
        let deadline = Instant::now() + within;
        while !condition() {
            assert!(Instant::now() < deadline, "no {what} within {within:?}:\n{}", self.heard.join("\n"));
            // Nothing said is as good a reason to look again as a line.
            self.heard.extend(self.lines.recv_timeout(LOOK_EVERY));
        }
    }

    /// Waits until the web role listens, and returns `host:port`.
    pub fn address(&mut self) -> String {
        let line = self.wait_for(&["is listening on http://"], START_MAX);
        line.rsplit("http://").next().expect("an address").to_owned()
    }

    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(sent.expect("kill runs").success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns status and body of a plain GET.
pub fn get(address: &str, path: &str) -> (u16, String) {
    let answer = http(address, "GET", path, &[], "");
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
}

/// Sends a request over a connection of its own, and returns the whole answer.
pub fn http(address: &str, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> String {
    let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.write_all(request.as_bytes()).expect("asked");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    answer
}
