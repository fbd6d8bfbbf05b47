//! `celery status`, `inspect` and `control`.

use super::{Bench, NODE, PASSWORD, ok};
use crate::e2e::eventually;
use crate::e2e::servers::Server;
use anyhow::{Context, ensure};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const BEGUN_WITHIN: Duration = Duration::from_secs(20);
const ENDED_WITHIN: Duration = Duration::from_secs(60);
/// Before it is due a task is revoked: a command of Celery takes seconds to start on a busy machine.
const REVOKED_AFTER_S: u64 = 15;
/// Of a task that is looked at by every command, each a Python of its own; it is ended by the last of them.
const LONG_S: u64 = 600;
/// Of the task that runs at the shutdown, and is seen to run before.
const SHUTDOWN_S: u64 = 20;
/// Starts in a second, and how many tasks are sent under that limit.
const RATE: u32 = 2;
const LIMITED: u32 = 5;

impl Bench {
    /// Every command that `celery inspect` offers and that asks a worker about itself; returns their names.
    pub(super) fn inspect_all(&mut self) -> anyhow::Result<Vec<&'static str>> {
        ensure!(self.is_online()?, "celery status does not see {NODE}");
        let running = self.house.send("debug.sleep", &json!([LONG_S]), &["--queue", "debug"])?;
        let later =
            self.celery.client()?.send("debug.echo", &json!([1]), &json!({"queue": "debug", "countdown": 600}))?;
        self.until_active(&running)?;
        let mut names = Vec::new();
        let mut asked: Vec<(&'static str, Value)> = Vec::new();
        for name in [
            "ping",
            "active",
            "reserved",
            "scheduled",
            "registered",
            "stats",
            "active_queues",
            "conf",
            "revoked",
            "report",
            "clock",
            "memsample",
        ] {
            asked.push((name, self.celery.inspect(NODE, &[name])?));
            names.push(name);
        }
        let said = |name: &str| asked.iter().find(|(asked, _)| *asked == name).map(|(_, value)| value).cloned();
        let said = |name: &str| said(name).with_context(|| format!("the answer to {name}"));
        ensure!(said("ping")? == ok("pong"), "ping: {}", said("ping")?);
        let active = said("active")?;
        ensure!(active[0]["id"] == running.as_str() && active[0]["args"] == json!([LONG_S]), "active: {active}");
        ensure!(active[0]["time_start"].is_f64() && active[0]["worker_pid"] == self.worker.pid(), "active: {active}");
        ensure!(said("reserved")? == json!([]), "reserved: {}", said("reserved")?);
        let scheduled = eventually("the delayed task to be scheduled", BEGUN_WITHIN, || {
            let scheduled = self.celery.inspect(NODE, &["scheduled"])?;
            Ok((scheduled[0]["request"]["id"] == later.as_str()).then_some(scheduled))
        })?;
        ensure!(scheduled[0]["eta"].is_string(), "scheduled: {scheduled}");
        let registered = said("registered")?;
        let is_known = |name: &str| registered.as_array().is_some_and(|tasks| tasks.contains(&json!(name)));
        ensure!(is_known("debug.echo") && is_known("ingest.digest"), "registered: {registered}");
        let stats = said("stats")?;
        ensure!(stats["pool"]["max-concurrency"] == 2 && stats["total"]["debug.sleep"] == 1, "stats: {stats}");
        let queues = said("active_queues")?;
        ensure!(queues.as_array().is_some_and(|all| all.iter().any(|queue| queue["name"] == "debug")), "{queues}");
        let all = asked.iter().map(|(_, value)| value.to_string()).collect::<String>();
        ensure!(!all.contains(PASSWORD), "an answer shows the broker's password");
        ensure!(said("conf")?["broker_url"].as_str().is_some_and(|url| url.contains("***")), "{}", said("conf")?);
        let (_, nobody) = self.celery.tool(&["inspect", "-t", "1", "-d", "nobody@house", "ping"])?;
        ensure!(nobody.contains("No nodes replied"), "another node was asked: {nobody}");
        let found = self.celery.inspect(NODE, &["query_task", &running])?;
        ensure!(found[&running][0] == "active", "query_task: {found}");
        names.push("query_task");
        let said = self.celery.control(NODE, &["terminate", "TERM", &running])?;
        ensure!(said == ok(&format!("terminate: {running}")), "terminate: {said}");
        Ok(names)
    }

    /// Waits until a task runs.
    pub(super) fn until_active(&self, id: &str) -> anyhow::Result<()> {
        eventually("the task to run", BEGUN_WITHIN, || {
            let active = self.celery.inspect(NODE, &["active"])?;
            let is_it = |task: &Value| task["id"] == id;
            Ok(active.as_array().is_some_and(|tasks| tasks.iter().any(is_it)).then_some(()))
        })
    }

    pub(super) fn strangers_are_passed_over(&mut self) -> anyhow::Result<()> {
        let pickle = r#"{"body":"gASVBQAAAAAAAABLAS4=","content-type":"application/x-python-serialize","headers":{},"properties":{"body_encoding":"base64"}}"#;
        let huge = "x".repeat(100_000);
        match &self.server {
            Server::Redis(redis) => {
                for message in ["garbage", "{}", pickle, &huge] {
                    let heard = redis.ask(0, &["PUBLISH", "/0.celery.pidbox", message])?;
                    ensure!(heard == "1", "{heard} workers heard it");
                }
            }
            Server::RabbitMq(_) => {
                let json = "application/json";
                let all =
                    [["garbage", json], ["{}", json], ["K\u{1}.", "application/x-python-serialize"], [&huge, "x/y"]];
                self.celery.client()?.call("shout", json!({ "bodies": all }))?;
            }
        }
        let (_, said) = self.celery.tool(&["inspect", "-t", "1", "-d", NODE, "memdump"])?;
        ensure!(said.contains("KeyError"), "an unknown command is not answered with an error: {said}");
        ensure!(self.is_online()? && self.worker.is_alive(), "the worker was disturbed:\n{}", self.worker.log_tail());
        Ok(())
    }

    /// `revoke` before and in a run, `rate_limit`.
    pub(super) fn control(&mut self) -> anyhow::Result<()> {
        let mut client = self.celery.client()?;
        let options = json!({"queue": "debug", "countdown": REVOKED_AFTER_S});
        let unwanted = client.send("debug.echo", &json!(["unwanted"]), &options)?;
        let said = self.celery.control(NODE, &["revoke", &unwanted])?;
        ensure!(said == ok(&format!("tasks {{'{unwanted}'}} flagged as revoked")), "revoke: {said}");
        let ended = client.call("get", json!({"id": unwanted, "timeout": ENDED_WITHIN.as_secs()}))?;
        ensure!(ended["state"] == "REVOKED", "a revoked task: {ended}");
        let revoked = self.celery.inspect(NODE, &["revoked"])?;
        ensure!(revoked.as_array().is_some_and(|ids| ids.contains(&json!(unwanted))), "inspect revoked: {revoked}");
        let letters = self.house.dead_letters("debug")?;
        let is_shown = |letter: &Value| letter["id"] == unwanted.as_str() && letter["reason"] == "revoked";
        ensure!(letters.iter().any(is_shown), "a revoked task is not among the dead letters: {letters:?}");

        let said = self.celery.control(NODE, &["rate_limit", "debug.echo", &format!("{RATE}/s")])?;
        ensure!(said == ok("new rate limit set successfully"), "rate_limit: {said}");
        let began = Instant::now();
        let mut ids = Vec::new();
        for number in 0..LIMITED {
            ids.push(client.send("debug.echo", &json!([number]), &json!({"queue": "debug"}))?);
        }
        for id in &ids {
            client.value(id, ENDED_WITHIN)?;
        }
        let at_least = Duration::from_secs(1) * (LIMITED - 1) / RATE;
        ensure!(began.elapsed() >= at_least, "{LIMITED} tasks at {RATE}/s took {:?}", began.elapsed());
        let said = self.celery.control(NODE, &["rate_limit", "debug.echo", "0"])?;
        ensure!(said == ok("rate limit disabled successfully"), "rate_limit: {said}");
        Ok(())
    }

    /// The worker ends in good order: what runs is finished.
    pub(super) fn shutdown(&mut self) -> anyhow::Result<()> {
        let mut client = self.celery.client()?;
        let id = client.send("debug.sleep", &json!([SHUTDOWN_S]), &json!({"queue": "debug"}))?;
        self.until_active(&id)?;
        self.celery.control(NODE, &["shutdown"])?;
        let status = self.worker.ended(ENDED_WITHIN)?;
        ensure!(status.success(), "the worker ended with {status}:\n{}", self.worker.log_tail());
        client.value(&id, ENDED_WITHIN).context("what ran at the shutdown")?;
        if let Server::Redis(redis) = &self.server {
            let left = redis.ask(0, &["KEYS", "*reply.celery.pidbox*"])?;
            ensure!(left.is_empty(), "replies and bindings are left: {left}");
        }
        Ok(())
    }
}
