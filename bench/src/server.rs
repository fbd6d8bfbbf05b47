//! A private Vigie: a release build on a free port and a folder of its own, spoken to by its commands and over HTTP.

use crate::event::envelope_request;
use crate::http::{self, Connection, Response};
use anyhow::{Context, bail};
use serde_json::Value;
use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Longest wait for a started server.
pub const READY_WITHIN: Duration = Duration::from_secs(30);
/// Longest wait for one answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
const POLL_EVERY: Duration = Duration::from_millis(2);
const DRAIN_POLL_EVERY: Duration = Duration::from_millis(50);

/// A running server; it is killed when this is dropped.
pub struct Server {
    exe: PathBuf,
    pub data_dir: PathBuf,
    pub address: SocketAddr,
    log: PathBuf,
    environment: Vec<(String, String)>,
    /// The words after the options: `run all` or `run web`.
    role: [&'static str; 2],
    child: Option<Child>,
    token: Option<String>,
}

impl Server {
    /// Starts `exe run all` on a free port and waits until it is ready. What it prints is appended to `log`.
    ///
    /// # Errors
    /// If it cannot be started, or is not ready in time.
    pub fn start(exe: &Path, data_dir: &Path, log: &Path, environment: &[(&str, &str)]) -> anyhow::Result<Server> {
        Server::start_as(["run", "all"], exe, data_dir, log, environment)
    }

    /// The same, with the words of another role that listens.
    ///
    /// # Errors
    /// See `start`.
    pub fn start_as(
        role: [&'static str; 2],
        exe: &Path,
        data_dir: &Path,
        log: &Path,
        environment: &[(&str, &str)],
    ) -> anyhow::Result<Server> {
        let port =
            TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).context("find a port")?;
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let mut server = Server {
            exe: exe.to_owned(),
            data_dir: data_dir.to_owned(),
            address: port,
            log: log.to_owned(),
            environment: environment.iter().map(owned).collect(),
            role,
            child: None,
            token: None,
        };
        server.start_again()?;
        Ok(server)
    }

    /// Starts the process on the same port and folder, and waits until it is ready; returns how long that took.
    ///
    /// # Errors
    /// See `start`.
    pub fn start_again(&mut self) -> anyhow::Result<Duration> {
        self.start_until("/health/ready")
    }

    /// The same, but waits only until events are accepted: what they need beyond that may be away.
    ///
    /// # Errors
    /// See `start`.
    pub fn start_again_accepting(&mut self) -> anyhow::Result<Duration> {
        self.start_until("/health/accept")
    }

    fn start_until(&mut self, healthy: &str) -> anyhow::Result<Duration> {
        let log = File::options().create(true).append(true).open(&self.log).context("open the server's log")?;
        let started = Instant::now();
        let child = Command::new(&self.exe)
            .arg("--data-dir")
            .arg(&self.data_dir)
            .args(self.role)
            .args(["--listen", &self.address.to_string()])
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(log.try_clone().context("share the log")?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("start {}", self.exe.display()))?;
        self.child = Some(child);
        self.wait_until(healthy, started)?;
        Ok(started.elapsed())
    }

    fn wait_until(&mut self, healthy: &str, started: Instant) -> anyhow::Result<()> {
        let request = http::request("GET", healthy, &[("Connection", "close")], b"");
        while started.elapsed() < READY_WITHIN {
            let answer = Connection::new(self.address, Duration::from_secs(2)).send(&request);
            if answer.is_ok_and(|answer| answer.status == 200) {
                return Ok(());
            }
            let child = self.child.as_mut().expect("it was started");
            if let Some(status) = child.try_wait().context("look at the server")? {
                bail!("the server ended ({status}):\n{}", self.log_tail());
            }
            std::thread::sleep(POLL_EVERY);
        }
        bail!("the server was not ready within {READY_WITHIN:?}:\n{}", self.log_tail())
    }

    /// Returns the last lines of the server's log.
    pub fn log_tail(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    /// Whether the process has not ended by itself.
    pub fn is_alive(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// SIGKILL, and waits for the end.
    ///
    /// # Errors
    /// If the process cannot be killed.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill().context("kill the server")?;
            child.wait().context("wait for the killed server")?;
        }
        Ok(())
    }

    /// SIGTERM, and waits for the end; returns whether it ended with exit code 0.
    ///
    /// # Errors
    /// If the signal cannot be sent.
    pub fn terminate(&mut self) -> anyhow::Result<bool> {
        let Some(mut child) = self.child.take() else { return Ok(true) };
        let sent = Command::new("kill").arg(child.id().to_string()).status().context("send SIGTERM")?;
        anyhow::ensure!(sent.success(), "SIGTERM was not sent");
        Ok(child.wait().context("wait for the server")?.success())
    }

    /// Runs a command of the binary on the same data folder.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn command(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        let mut command = Command::new(&self.exe);
        command.arg("--data-dir").arg(&self.data_dir).args(arguments).envs(self.environment.iter().cloned());
        command.output().with_context(|| format!("run vigie {}", arguments.join(" ")))
    }

    /// Runs a command with `--json` and reads its output.
    ///
    /// # Errors
    /// If the command fails or prints anything but JSON.
    pub fn json(&self, arguments: &[&str]) -> anyhow::Result<Value> {
        let output = self.command(&[arguments, &["--json"]].concat())?;
        let line = arguments.join(" ");
        if !output.status.success() {
            bail!("vigie {line}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
        }
        serde_json::from_slice(&output.stdout).with_context(|| format!("read the output of vigie {line} --json"))
    }

    /// Returns project id, public key and whole DSN of a project such as `default/default`.
    ///
    /// # Errors
    /// If the keys cannot be listed.
    pub fn dsn(&self, project: &str) -> anyhow::Result<Dsn> {
        let keys = self.json(&["keys", "list", project])?;
        let text = keys[0]["dsn"]["public"].as_str().context("keys list: no dsn.public")?;
        Dsn::parse(text).with_context(|| format!("read the DSN {text}"))
    }

    /// Asks the web API; returns status and JSON (null if the body is none).
    ///
    /// # Errors
    /// If there is no answer.
    pub fn api(&mut self, path: &str) -> anyhow::Result<(Response, Value)> {
        let authorization = format!("Bearer {}", self.token()?);
        let headers = [("Authorization", authorization.as_str()), ("Connection", "close")];
        let response = self.http(&http::request("GET", &format!("/api/0{path}"), &headers, b""))?;
        let value = serde_json::from_slice(&response.body).unwrap_or(Value::Null);
        Ok((response, value))
    }

    /// Returns an API token of the first user, made on first use.
    ///
    /// # Errors
    /// If none can be made.
    pub fn token(&mut self) -> anyhow::Result<String> {
        if let Some(token) = &self.token {
            return Ok(token.clone());
        }
        let created = self.json(&["tokens", "create", "--email", "admin@localhost"])?;
        let token = created["token"].as_str().context("tokens create: no token")?.to_owned();
        self.token = Some(token.clone());
        Ok(token)
    }

    /// Sends a whole request on a connection of its own.
    ///
    /// # Errors
    /// If there is no answer.
    pub fn http(&self, request: &[u8]) -> anyhow::Result<Response> {
        Ok(Connection::new(self.address, ANSWER_WITHIN).send(request)?)
    }

    /// Posts an envelope to the default project.
    ///
    /// # Errors
    /// If there is no answer.
    pub fn post(&self, dsn: &Dsn, headers: &[(&str, &str)], envelope: &[u8]) -> anyhow::Result<Response> {
        self.http(&envelope_request(&dsn.project, &dsn.key, headers, envelope))
    }

    /// Logs in as a browser would; returns the session's cookie.
    ///
    /// # Errors
    /// If the login is refused.
    pub fn session_cookie(&self, email: &str, password: &str) -> anyhow::Result<String> {
        let form = format!("email={}&password={password}", email.replace('@', "%40"));
        let origin = format!("http://{}", self.address);
        let kind = ("Content-Type", "application/x-www-form-urlencoded");
        let headers = [kind, ("Origin", origin.as_str()), ("Connection", "close")];
        let request = http::request_to(&self.address.to_string(), "POST", "/auth/login/", &headers, form.as_bytes());
        let response = self.http(&request)?;
        let cookie = response.header("set-cookie").and_then(|value| value.split(';').next());
        cookie.map(str::to_owned).with_context(|| format!("log in: {} {}", response.status, response.text()))
    }

    /// Waits until no queue holds work; returns how long that took.
    ///
    /// # Errors
    /// If it takes longer than `within`.
    pub fn drained(&self, within: Duration) -> anyhow::Result<Duration> {
        let started = Instant::now();
        loop {
            let waiting = self.waiting()?;
            if waiting == 0 {
                return Ok(started.elapsed());
            }
            if started.elapsed() > within {
                bail!("{waiting} jobs still wait after {within:?}");
            }
            std::thread::sleep(DRAIN_POLL_EVERY);
        }
    }

    /// Returns how many jobs are ready, delayed or running.
    ///
    /// # Errors
    /// If the queues cannot be listed.
    pub fn waiting(&self) -> anyhow::Result<u64> {
        let queues = self.json(&["queues", "list"])?;
        let rows = queues.as_array().context("queues list: no array")?;
        let count =
            |row: &Value| ["ready", "leased", "delayed"].iter().filter_map(|name| row[name].as_u64()).sum::<u64>();
        Ok(rows.iter().map(count).sum())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already; there is nobody left to tell.
        let _ = self.kill();
    }
}

/// The parts of a DSN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dsn {
    pub text: String,
    pub key: String,
    pub project: String,
    pub address: String,
}

impl Dsn {
    /// Reads `http://KEY@HOST:PORT/PROJECT`.
    pub fn parse(text: &str) -> Option<Dsn> {
        let (key, rest) = text.strip_prefix("http://")?.split_once('@')?;
        let (address, path) = rest.split_once('/')?;
        let project = path.rsplit('/').next()?;
        Some(Dsn {
            text: text.to_owned(),
            key: key.to_owned(),
            project: project.to_owned(),
            address: address.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dsn_is_taken_apart() {
        let dsn = Dsn::parse("http://abc@127.0.0.1:9000/7").expect("a DSN");
        assert_eq!((dsn.key.as_str(), dsn.address.as_str(), dsn.project.as_str()), ("abc", "127.0.0.1:9000", "7"));
        assert_eq!(Dsn::parse("https://abc@example.org/7"), None);
    }
}
