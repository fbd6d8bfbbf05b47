//! A data directory and the processes of Vigie that run on it, each role by itself: web, workers, crons, commands. They
//! are killed, stopped and started again as supervisors and accidents do.

use super::{Case, eventually, place};
use anyhow::{Context, bail, ensure};
use bench::server::Server;
use serde_json::Value;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

/// A worker says that it lives in its first seconds.
const WORKER_KNOWN_WITHIN: Duration = Duration::from_secs(20);
const KILLED_WITHIN: Duration = Duration::from_secs(10);

/// Where the processes of one test live.
pub struct House {
    exe: PathBuf,
    pub folder: PathBuf,
    pub data_dir: PathBuf,
    environment: Vec<(String, String)>,
}

impl House {
    /// A house in a fresh folder of the test; `environment` goes to every process.
    ///
    /// # Errors
    /// If the folder cannot be made.
    pub fn new(case: &Case<'_>, environment: &[(&str, &str)]) -> anyhow::Result<House> {
        let folder = place::fresh_folder(case)?;
        Ok(House::in_folder(case, &folder, "data", environment))
    }

    /// Another house in the folder of the same test.
    pub fn in_folder(case: &Case<'_>, folder: &Path, data_dir: &str, environment: &[(&str, &str)]) -> House {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        House {
            exe: case.exe(),
            folder: folder.to_owned(),
            data_dir: folder.join(data_dir),
            environment: environment.iter().map(owned).collect(),
        }
    }

    /// The same house with other environment, for a process that reaches the broker by another way.
    pub fn through(&self, environment: &[(&str, &str)]) -> House {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        House {
            exe: self.exe.clone(),
            folder: self.folder.clone(),
            data_dir: self.data_dir.clone(),
            environment: environment.iter().map(owned).collect(),
        }
    }

    /// Returns a command line that is not started.
    pub fn command(&self, arguments: &[&str]) -> Command {
        self.vigie(arguments)
    }

    fn vigie(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.exe);
        command.arg("--data-dir").arg(&self.data_dir).args(arguments).envs(self.environment.iter().cloned());
        command.stdin(Stdio::null());
        command
    }

    /// Starts a process that stays; what it prints is appended to `NAME.log`.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(&self, name: &str, arguments: &[&str]) -> anyhow::Result<Process> {
        let log = self.folder.join(format!("{name}.log"));
        let file = File::options().create(true).append(true).open(&log).context("open a log")?;
        let mut command = self.vigie(arguments);
        let child = command.stdout(file.try_clone().context("share a log")?).stderr(file).spawn();
        let child = child.with_context(|| format!("start vigie {}", arguments.join(" ")))?;
        Ok(Process { name: name.to_owned(), child, log })
    }

    /// Starts `run web` and waits until it is ready.
    ///
    /// # Errors
    /// If it is not.
    pub fn web(&self) -> anyhow::Result<Server> {
        self.server(["run", "web"])
    }

    /// Starts a role that listens, and waits until it is ready.
    ///
    /// # Errors
    /// If it is not.
    pub fn server(&self, role: [&'static str; 2]) -> anyhow::Result<Server> {
        let environment: Vec<(&str, &str)> = self.environment.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        Server::start_as(role, &self.exe, &self.data_dir, &self.folder.join("web.log"), &environment)
    }

    /// Starts `run worker` under a name and waits until others know of it.
    ///
    /// # Errors
    /// If they do not.
    pub fn worker(&self, name: &str, arguments: &[&str]) -> anyhow::Result<Process> {
        let mut process = self.start_worker(name, arguments)?;
        eventually(&format!("worker {name} to be known"), WORKER_KNOWN_WITHIN, || {
            ensure!(process.is_alive(), "worker {name} ended:\n{}", process.log_tail());
            let workers = self.json(&["workers", "list"]).unwrap_or_default();
            let wanted = |row: &&Value| row["pid"] == process.pid();
            Ok(workers.as_array().into_iter().flatten().find(wanted).map(|_| ()))
        })?;
        Ok(process)
    }

    /// Starts `run worker` under a name.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start_worker(&self, name: &str, arguments: &[&str]) -> anyhow::Result<Process> {
        self.start(name, &[&["run", "worker", "-n", name], arguments].concat())
    }

    /// Runs a command to its end.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn run(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        self.vigie(arguments).output().with_context(|| format!("run vigie {}", arguments.join(" ")))
    }

    /// Runs a command that must succeed; returns its standard output.
    ///
    /// # Errors
    /// If it fails; what it said is in the message.
    pub fn text(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let output = self.run(arguments)?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "vigie {}: {}: {}", arguments.join(" "), output.status, said.trim());
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Runs a command with `--json` and reads its output.
    ///
    /// # Errors
    /// If it fails or prints something else.
    pub fn json(&self, arguments: &[&str]) -> anyhow::Result<Value> {
        let text = self.text(&[arguments, &["--json"]].concat())?;
        serde_json::from_str(&text).with_context(|| format!("read the output of vigie {}: {text}", arguments.join(" ")))
    }

    /// `queues send` with positional arguments; returns the job's id.
    ///
    /// # Errors
    /// If it is refused.
    pub fn send(&self, task: &str, arguments: &Value, options: &[&str]) -> anyhow::Result<String> {
        let text = arguments.to_string();
        let said = self.text(&[&["queues", "send", task, "--args", &text], options].concat())?;
        Ok(said.lines().next().unwrap_or_default().to_owned())
    }

    /// `queues send --wait`; returns the result.
    ///
    /// # Errors
    /// If the job failed or took too long.
    pub fn call(&self, task: &str, arguments: &Value, options: &[&str]) -> anyhow::Result<Value> {
        let text = arguments.to_string();
        let said = self.text(&[&["queues", "send", task, "--args", &text, "--wait", "30"], options].concat())?;
        // The id may stand before the result; the result is the last line.
        let line = said.lines().last().unwrap_or_default();
        serde_json::from_str(line).with_context(|| format!("read the result in {said}"))
    }

    /// Returns the row of a queue.
    ///
    /// # Errors
    /// If the queues cannot be listed or it is not among them.
    pub fn queue(&self, queue: &str) -> anyhow::Result<Value> {
        let rows = self.json(&["queues", "list"])?;
        let row = rows.as_array().into_iter().flatten().find(|row| row["queue"] == queue);
        row.cloned().with_context(|| format!("queue {queue} among {rows}"))
    }

    /// Returns the dead letters of a queue.
    ///
    /// # Errors
    /// If they cannot be listed.
    pub fn dead_letters(&self, queue: &str) -> anyhow::Result<Vec<Value>> {
        let rows = self.json(&["queues", "dead", "list", "--queue", queue])?;
        Ok(rows.as_array().context("queues dead list: no array")?.clone())
    }

    /// Returns the lines that `debug.append` wrote to a file.
    pub fn appended(&self, file: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.data_dir.join("debug").join(file)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Removes the folder; call it when everything was as it should be.
    pub fn end(self) {
        // What cannot be removed lies under target/ and harms nobody.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A process of a role; it is killed when this is dropped.
pub struct Process {
    pub name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has not ended by itself.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// SIGKILL, and waits for the end.
    ///
    /// # Errors
    /// If it cannot be killed.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill().with_context(|| format!("kill {}", self.name))?;
        self.child.wait().with_context(|| format!("wait for the killed {}", self.name))?;
        Ok(())
    }

    /// Sends a signal by its name: `TERM`, `STOP`, `CONT`.
    ///
    /// # Errors
    /// If it cannot be sent.
    pub fn signal(&self, signal: &str) -> anyhow::Result<()> {
        signal_to(self.pid(), signal).with_context(|| format!("signal {}", self.name))
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// If it does not come in time.
    pub fn ended(&mut self, within: Duration) -> anyhow::Result<ExitStatus> {
        let name = self.name.clone();
        eventually(&format!("the end of {name}"), within, || self.child.try_wait().context("look at a process"))
    }

    /// SIGTERM must lead to exit code 0.
    ///
    /// # Errors
    /// If it does not in time.
    pub fn terminate(&mut self) -> anyhow::Result<()> {
        self.signal("TERM")?;
        let status = self.ended(KILLED_WITHIN)?;
        if !status.success() {
            bail!("{} ended with {status} after SIGTERM:\n{}", self.name, self.log_tail());
        }
        Ok(())
    }

    /// Returns the last lines of what it printed.
    pub fn log_tail(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already; there is nobody left to tell.
        let _ = self.kill();
    }
}

/// Sends a signal by its name to a process.
///
/// # Errors
/// If it cannot be sent.
pub fn signal_to(pid: u32, signal: &str) -> anyhow::Result<()> {
    let status = Command::new("kill").args([&format!("-{signal}"), &pid.to_string()]).status();
    ensure!(status.context("run kill")?.success(), "SIG{signal} was not sent to {pid}");
    Ok(())
}
