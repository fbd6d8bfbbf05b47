//! A Redis sentinel that watches a private server and makes its replica the master when that dies.

use super::{Redis, free_port};
use crate::e2e::eventually;
use anyhow::Context;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The name under which clients ask for the master.
pub const MASTER: &str = "mymaster";
const READY_WITHIN: Duration = Duration::from_secs(10);

/// A running sentinel; it is killed when this is dropped.
pub struct Sentinel {
    pub port: u16,
    child: Child,
}

impl Sentinel {
    /// Starts a sentinel that needs nobody else's vote, and waits until it knows the master and its replica.
    ///
    /// # Errors
    /// If it does not come that far.
    pub fn start(folder: &Path, master: &Redis) -> anyhow::Result<Sentinel> {
        let port = free_port()?;
        let file = folder.join(format!("sentinel-{port}.conf"));
        let text = format!(
            "port {port}\nbind 127.0.0.1\nsentinel monitor {MASTER} 127.0.0.1 {} 1\n\
             sentinel down-after-milliseconds {MASTER} 1000\nsentinel failover-timeout {MASTER} 3000\n",
            master.port
        );
        std::fs::write(&file, text).context("write the sentinel's configuration")?;
        let mut command = Command::new("redis-server");
        command.arg(&file).arg("--sentinel").stdin(Stdio::null()).stdout(Stdio::null());
        let sentinel = Sentinel { port, child: command.spawn().context("start a sentinel")? };
        eventually("the sentinel to know the replica", READY_WITHIN, || {
            let replicas = sentinel.ask(&["SENTINEL", "replicas", MASTER]).unwrap_or_default();
            Ok(replicas.contains("127.0.0.1").then_some(()))
        })?;
        Ok(sentinel)
    }

    /// Returns the port of the present master.
    ///
    /// # Errors
    /// If the sentinel does not answer.
    pub fn master_port(&self) -> anyhow::Result<u16> {
        let answer = self.ask(&["SENTINEL", "get-master-addr-by-name", MASTER])?;
        answer.lines().nth(1).and_then(|port| port.parse().ok()).with_context(|| format!("no master in {answer}"))
    }

    fn ask(&self, command: &[&str]) -> anyhow::Result<String> {
        let output = Command::new("redis-cli").args(["-p", &self.port.to_string()]).args(command).output();
        Ok(String::from_utf8_lossy(&output.context("ask the sentinel")?.stdout).into_owned())
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        // It may have ended already; there is nobody left to tell.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
