//! Stuck means red within 60 s, with the name of what is stuck, and green again when it moves: a stopped worker, no cron,
//! a store that cannot be written, a broker that does not answer, or takes no more; and a process that would take what is
//! another installation's does not start.

use super::house::{House, Process, signal_to};
use super::redis::{self, Options, Proxy};
use super::{Case, Verdict, eventually, place, servers};
use anyhow::{Context, ensure};
use bench::event;
use bench::http;
use bench::random::Random;
use bench::server::Server;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use stdx::{Clock, SystemClock};

/// Promise G5.
const RED_WITHIN: Duration = Duration::from_secs(60);
const GREEN_WITHIN: Duration = Duration::from_secs(60);
const STARTED_WITHIN: Duration = Duration::from_secs(30);
const EMAIL: &str = "red@localhost";
const PASSWORD: &str = "e2e-password-of-a-private-server";

pub fn run(case: &Case<'_>) -> anyhow::Result<Verdict> {
    let folder = place::fresh_folder(case)?;
    // Each waits most of its time: all at once, each with processes of its own.
    let saw = std::thread::scope(|scope| {
        let cases = [stopped_worker, no_cron, blocked_store, silent_broker, rabbitmq_alarm];
        let threads: Vec<_> = cases
            .into_iter()
            .map(|one| {
                scope.spawn({
                    let folder = &folder;
                    move || one(case, folder)
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|one| one.join().expect("the test does not panic"))
            .collect::<anyhow::Result<Vec<String>>>()
    })?;
    // What cannot be removed lies under target/ and harms nobody.
    let _ = std::fs::remove_dir_all(&folder);
    Ok(Verdict::Passed(saw.join("; ")))
}

/// Web, worker and cron of one data directory.
struct Whole {
    house: House,
    web: Server,
    worker: Process,
    cron: Process,
}

impl Whole {
    fn start(case: &Case<'_>, folder: &Path, name: &str, environment: &[(&str, &str)]) -> anyhow::Result<Whole> {
        let folder = folder.join(name);
        std::fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
        let house = House::in_folder(case, &folder, "data", environment);
        let web = house.web()?;
        let worker = house.worker("worker", &["-c", "1"])?;
        let cron = house.start("cron", &["run", "cron"])?;
        let whole = Whole { house, web, worker, cron };
        eventually("green at first", STARTED_WITHIN, || Ok((whole.status()? == 200).then_some(())))?;
        Ok(whole)
    }

    fn ready(&self) -> anyhow::Result<http::Response> {
        self.web.http(&http::request("GET", "/health/ready", &[("Connection", "close")], b""))
    }

    fn status(&self) -> anyhow::Result<u16> {
        Ok(self.ready()?.status)
    }

    /// Waits until it is red, by one of the named checks; returns the check and how long it took.
    fn red(&self, names: &[&str]) -> anyhow::Result<String> {
        let started = Instant::now();
        let body = eventually(&format!("red by {}", names.join(" or ")), RED_WITHIN, || {
            let response = self.ready()?;
            let body: Value = serde_json::from_slice(&response.body).context("read the health")?;
            Ok((response.status == 503).then_some(body))
        })?;
        let took = started.elapsed().as_secs_f64();
        let failing = |check: &&Value| check["ok"] == false;
        let checks = body["checks"].as_array().context("checks of the health")?;
        let red: Vec<&str> = checks.iter().filter(failing).filter_map(|check| check["name"].as_str()).collect();
        ensure!(red.iter().any(|name| names.contains(name)), "red by {red:?}, not by {names:?}: {body}");
        Ok(format!("{} after {took:.0} s", red.join(" and ")))
    }

    fn green(&self) -> anyhow::Result<()> {
        let started = Instant::now();
        let mut last = String::new();
        while started.elapsed() < GREEN_WITHIN {
            let response = self.ready()?;
            if response.status == 200 {
                return Ok(());
            }
            last = response.text();
            std::thread::sleep(Duration::from_millis(100));
        }
        anyhow::bail!("not green within {GREEN_WITHIN:?}: {last}")
    }

    fn end(mut self) -> anyhow::Result<()> {
        self.worker.terminate()?;
        self.cron.terminate()?;
        ensure!(self.web.terminate()?, "the web role did not end well:\n{}", self.web.log_tail());
        Ok(())
    }
}

fn stopped_worker(case: &Case<'_>, folder: &Path) -> anyhow::Result<String> {
    let whole = Whole::start(case, folder, "stopped-worker", &[])?;
    signal_to(whole.worker.pid(), "STOP")?;
    for number in 0..3 {
        whole.house.send("debug.append", &json!(["stopped", format!("line-{number}")]), &[])?;
    }
    let saw = whole.red(&["pipeline", "workers", "queue"]).context("a stopped worker");
    signal_to(whole.worker.pid(), "CONT")?;
    let saw = saw?;
    whole.green().context("the worker goes on")?;
    eventually(
        "the jobs that waited",
        GREEN_WITHIN,
        || Ok((whole.house.appended("stopped").len() == 3).then_some(())),
    )?;
    whole.end()?;
    Ok(format!("stopped worker: {saw}"))
}

fn no_cron(case: &Case<'_>, folder: &Path) -> anyhow::Result<String> {
    let mut whole = Whole::start(case, folder, "no-cron", &[])?;
    whole.cron.kill()?;
    let saw = whole.red(&["cron", "schedules"]).context("no cron")?;
    whole.cron = whole.house.start("cron", &["run", "cron"])?;
    whole.green().context("a new cron")?;
    whole.end()?;
    Ok(format!("no cron: {saw}"))
}

fn blocked_store(case: &Case<'_>, folder: &Path) -> anyhow::Result<String> {
    let whole = Whole::start(case, folder, "blocked-store", &[])?;
    let lock = WriteLock::hold(&whole.house.data_dir)?;
    let saw = whole.red(&["metadata"]).context("a blocked store")?;
    drop(lock);
    whole.green().context("the store is free again")?;
    whole.end()?;
    Ok(format!("blocked store: {saw}"))
}

fn silent_broker(case: &Case<'_>, folder: &Path) -> anyhow::Result<String> {
    let redis = redis::start(folder, Options { appendonly: true, ..Options::default() })?;
    let proxy = Proxy::to(redis.port)?;
    let whole = Whole::start(case, folder, "silent-broker", &[("BROKER_URL", &redis.url_at(proxy.port, 0))])?;
    proxy.open_hole();
    let saw = whole.red(&["queue", "accept"]).context("a silent broker");
    proxy.close_hole();
    let saw = saw?;
    whole.green().context("the broker answers again")?;
    whole.end()?;
    Ok(format!("silent broker: {saw}"))
}

fn rabbitmq_alarm(case: &Case<'_>, folder: &Path) -> anyhow::Result<String> {
    let rabbit = servers::rabbit(folder)?;
    let address = [("BROKER_URL", &*rabbit.url())];
    let whole = Whole::start(case, folder, "rabbitmq-alarm", &address)?;
    second_installation(&House::in_folder(case, folder, "second", &address))?;
    let dsn = whole.web.dsn("default/default")?;
    whole.house.text(&["createuser", "--email", EMAIL, "--password", PASSWORD, "--superuser", "--no-input"])?;
    rabbit.control(&["set_vm_memory_high_watermark", "0.00001"])?;
    let saw = whole.red(&["broker"]).context("an alarm of RabbitMQ")?;
    let cookie = whole.web.session_cookie(EMAIL, PASSWORD)?;
    let headers = [("Connection", "close"), ("Cookie", &*cookie)];
    let page = whole.web.http(&http::request("GET", "/system/", &headers, b""))?.text();
    for said in [whole.ready()?.text(), page] {
        ensure!(said.contains("takes no more: alarm of its memory or disk: low on memory"), "it is not said: {said}");
    }
    let mut random = Random::new(11);
    let id = random.event_id();
    let envelope = event::envelope(&id, &event::event(1, 1_000, &id, &mut random, SystemClock.now()));
    ensure!(whole.web.post(&dsn, &[], &envelope)?.status == 200, "an event is refused although the spool has room");
    rabbit.control(&["set_vm_memory_high_watermark", "0.4"])?;
    whole.green().context("the alarm is over")?;
    whole.end()?;
    Ok(format!("alarm of RabbitMQ: {saw}"))
}

/// On the virtual host of one that runs.
fn second_installation(second: &House) -> anyhow::Result<()> {
    const SAID: &str = "another installation of Vigie uses the virtual host /";
    let mut web = second.start("second", &["run", "web", "--listen", "127.0.0.1:0"])?;
    eventually("the second installation's web to end", STARTED_WITHIN, || Ok((!web.is_alive()).then_some(())))?;
    ensure!(web.log_tail().contains(SAID), "why it ended: {}", web.log_tail());
    for arguments in [&["check"][..], &["config", "check"]] {
        let output = second.run(arguments)?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(!output.status.success() && said.contains(SAID), "vigie {}: {said}", arguments.join(" "));
    }
    Ok(())
}

/// Another process that holds the write lock of the metadata database, as a backup tool or a curious operator may.
struct WriteLock(Child);

impl WriteLock {
    fn hold(data_dir: &Path) -> anyhow::Result<WriteLock> {
        let database = metadata_file(data_dir)?;
        let program = "import sqlite3, sys, time\n\
                       base = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None)\n\
                       base.execute('BEGIN IMMEDIATE')\n\
                       print('held', flush=True)\n\
                       sys.stdin.read()\n";
        let mut command = Command::new("python3");
        command.args(["-c", program]).arg(&database).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().context("start python3")?;
        let mut said = String::new();
        let output = child.stdout.take().expect("it was asked for");
        std::io::BufRead::read_line(&mut std::io::BufReader::new(output), &mut said).context("wait for the lock")?;
        ensure!(said.trim() == "held", "the write lock of {} was not held: {said}", database.display());
        Ok(WriteLock(child))
    }
}

impl Drop for WriteLock {
    fn drop(&mut self) {
        // It may have ended already; there is nobody left to tell.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Returns the largest SQLite file right in the data directory: metadata; days of events stand in a folder of theirs.
fn metadata_file(data_dir: &Path) -> anyhow::Result<PathBuf> {
    let mut found: Vec<(u64, PathBuf)> = Vec::new();
    for entry in std::fs::read_dir(data_dir).context("list the data directory")?.flatten() {
        let path = entry.path();
        let is_database = std::fs::read(&path).is_ok_and(|bytes| bytes.starts_with(b"SQLite format 3\0"));
        if is_database {
            found.push((entry.metadata().map_or(0, |metadata| metadata.len()), path));
        }
    }
    found.sort_unstable();
    Ok(found.pop().context("a SQLite file in the data directory")?.1)
}
