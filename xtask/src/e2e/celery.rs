//! Real Celery from PyPI: a client that stays, and workers, over the application in `e2e/celery`.

mod installed;
mod tools;

use super::eventually;
use crate::root::root;
use anyhow::{Context, bail, ensure};
pub use installed::{OLD_VERSIONS, Version};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// Longest wait for one answer of the client; its own waits are shorter.
const ANSWER_WITHIN: Duration = Duration::from_secs(150);
const WORKER_READY_WITHIN: Duration = Duration::from_secs(40);
/// Visibility timeout of kombu in the tests, in seconds, and how often it looks.
pub const VISIBILITY_TIMEOUT_S: u64 = 5;

/// Celery as one house runs it: a version, and where its broker is.
pub struct Celery {
    version: Version,
    config: Value,
    folder: PathBuf,
}

impl Celery {
    /// Celery over the broker at `url`, its results in the same place, kombu sweeping every second on Redis.
    ///
    /// # Errors
    /// If it is not there and cannot be installed.
    pub fn over(url: &str, folder: &Path) -> anyhow::Result<Celery> {
        Ok(Celery::new(installed::current()?, url, folder))
    }

    /// The same with an older kombu.
    ///
    /// # Errors
    /// If it is not there and cannot be installed.
    pub fn old(kombu: &'static str, url: &str, folder: &Path) -> anyhow::Result<Celery> {
        Ok(Celery::new(installed::old(kombu)?, url, folder))
    }

    fn new(version: Version, url: &str, folder: &Path) -> Celery {
        // RabbitMQ keeps no results: they are sent to whoever called.
        let config = match url.starts_with("amqp") {
            true => json!({ "broker_url": url, "result_backend": "rpc://" }),
            false => json!({
                "broker_url": url,
                "result_backend": url,
                "broker_transport_options": {
                    "visibility_timeout": VISIBILITY_TIMEOUT_S,
                    "unacked_restore_interval": 1,
                    "unacked_restore_throttle": 1,
                },
            }),
        };
        Celery { version, config, folder: folder.to_owned() }
    }

    /// Sets options of kombu's transport, and the same ones of the result backend.
    pub fn with_transport_options(mut self, options: &Value) -> Celery {
        for (name, value) in options.as_object().expect("options are an object") {
            self.config["broker_transport_options"][name] = value.clone();
            self.config["result_backend_transport_options"][name] = value.clone();
        }
        self
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.version.python);
        command.env("INTEROP_CONFIG", self.config.to_string());
        let mut path = root().join("e2e/celery").into_os_string();
        if let Some(packages) = &self.version.packages {
            // An older version stands in front of the environment's own.
            let mut both = packages.clone().into_os_string();
            both.push(":");
            both.push(path);
            path = both;
        }
        command.env("PYTHONPATH", path).env("PYTHONDONTWRITEBYTECODE", "1").current_dir(&self.folder);
        command
    }

    /// Starts a client.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn client(&self) -> anyhow::Result<Client> {
        let mut command = self.command();
        command.arg(root().join("e2e/celery/client.py")).stdin(Stdio::piped()).stdout(Stdio::piped());
        command.stderr(self.log("client")?);
        let mut child = command.spawn().context("start the Celery client")?;
        let input = child.stdin.take().expect("it was asked for");
        let output = BufReader::new(child.stdout.take().expect("it was asked for"));
        let (sender, answers) = channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let mut client = Client { child, input, answers };
        client.call("about", json!({}))?;
        Ok(client)
    }

    /// Starts a worker of one child that serves `queues`, and waits until it is ready.
    ///
    /// # Errors
    /// If it is not in time.
    pub fn worker(&self, name: &str, queues: &str) -> anyhow::Result<Worker> {
        self.worker_with(name, queues, &["--without-mingle"])
    }

    /// Starts a worker that asks the others at its start what was revoked.
    ///
    /// # Errors
    /// If it is not in time.
    pub fn mingling_worker(&self, name: &str, queues: &str) -> anyhow::Result<Worker> {
        self.worker_with(name, queues, &[])
    }

    fn worker_with(&self, name: &str, queues: &str, options: &[&str]) -> anyhow::Result<Worker> {
        let log = self.folder.join(format!("celery-{name}.log"));
        let mut command = self.command();
        command.args(["-m", "celery", "-A", "app", "worker", "--pool", "solo", "-l", "INFO", "--without-gossip"]);
        command.args(["-Q", queues, "-n", &format!("{name}@%h")]).args(options);
        let file = self.log(name)?;
        command.stdin(Stdio::null()).stdout(file.try_clone().context("share the log")?).stderr(file);
        let mut worker = Worker { child: command.spawn().context("start a Celery worker")?, log };
        eventually("the Celery worker to be ready", WORKER_READY_WITHIN, || {
            let text = std::fs::read_to_string(&worker.log).unwrap_or_default();
            if let Some(status) = worker.child.try_wait().context("look at the Celery worker")? {
                bail!("the Celery worker ended ({status}):\n{text}");
            }
            Ok(text.contains(" ready.").then_some(()))
        })?;
        Ok(worker)
    }

    fn log(&self, name: &str) -> anyhow::Result<File> {
        let path = self.folder.join(format!("celery-{name}.log"));
        File::create(&path).with_context(|| format!("make {}", path.display()))
    }
}

/// A process that calls what stands in `operations.py` and `scenarios.py`.
pub struct Client {
    child: Child,
    input: ChildStdin,
    answers: Receiver<String>,
}

impl Client {
    /// Calls a function with named arguments and returns what it returned.
    ///
    /// # Errors
    /// If it raised; the exception is in the message.
    pub fn call(&mut self, function: &str, arguments: Value) -> anyhow::Result<Value> {
        let mut request = arguments;
        request["do"] = function.into();
        writeln!(self.input, "{request}").with_context(|| format!("ask the Celery client for {function}"))?;
        let line = self.answers.recv_timeout(ANSWER_WITHIN);
        let line = line.with_context(|| format!("the Celery client's answer to {function}"))?;
        let mut answer: Value = serde_json::from_str(&line).with_context(|| format!("read the answer {line}"))?;
        if let Some(error) = answer["error"].as_str() {
            bail!("Celery, {function}: {error}");
        }
        Ok(answer["ok"].take())
    }

    /// Publishes by name; returns the id.
    ///
    /// # Errors
    /// See `call`.
    pub fn send(&mut self, task: &str, arguments: &Value, options: &Value) -> anyhow::Result<String> {
        let id = self.call("send", json!({ "task": task, "args": arguments, "options": options }))?;
        Ok(id.as_str().context("send returns an id")?.to_owned())
    }

    /// Waits for a result and returns its value.
    ///
    /// # Errors
    /// If the task failed, or there is no result in time.
    pub fn value(&mut self, id: &str, within: Duration) -> anyhow::Result<Value> {
        let mut came = self.call("get", json!({ "id": id, "timeout": within.as_secs_f64() }))?;
        ensure!(came["state"] == "SUCCESS", "task {id}: {came}");
        Ok(came["value"].take())
    }

    /// Calls each of these functions of `scenarios.py`; returns what they saw.
    ///
    /// # Errors
    /// Of the first that raised.
    pub fn scenarios(&mut self, names: &[&str]) -> anyhow::Result<Vec<String>> {
        let mut saw = Vec::new();
        for name in names {
            let words = self.call(name, json!({}))?;
            saw.push(format!("{name}: {}", words.as_str().unwrap_or_default()));
        }
        Ok(saw)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // It may have ended already; there is nobody left to tell.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A Celery worker; it is killed when this is dropped.
pub struct Worker {
    child: Child,
    log: PathBuf,
}

impl Worker {
    /// SIGKILL, and waits for the end.
    ///
    /// # Errors
    /// If it cannot be killed.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill().context("kill the Celery worker")?;
        self.child.wait().context("wait for the killed Celery worker")?;
        Ok(())
    }

    /// How many times its log says that it received a task of this id.
    pub fn times_received(&self, id: &str) -> usize {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        text.lines().filter(|line| line.contains("received") && line.contains(id)).count()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended already; there is nobody left to tell.
        let _ = self.kill();
    }
}
