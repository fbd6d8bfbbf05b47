//! Celery's tools from PyPI against Vigie's workers on Redis and on RabbitMQ: `status`, every `inspect`, `control`, events,
//! Flower, a Python worker that mingles, older Celerys, a key prefix; and garbage that none of them would send.

mod commands;
mod monitors;

use super::celery::{Celery, OLD_VERSIONS};
use super::house::{House, Process};
use super::redis::{self, Options};
use super::servers::{self, Server};
use super::{Case, Verdict};
use anyhow::{Context, ensure};
use serde_json::{Value, json};

const NODE: &str = "tools@house";
/// Of the broker; it must not be shown to anybody.
const PASSWORD: &str = "s3cret-of-the-broker";
const PREFIX: &str = "shop:";

/// One Redis with a password or one RabbitMQ, a worker of Vigie's with two threads, and Celery.
struct Bench {
    house: House,
    server: Server,
    celery: Celery,
    worker: Process,
}

pub fn run(case: &Case<'_>) -> anyhow::Result<Verdict> {
    let house = House::new(case, &[])?;
    let redis = redis::start(&house.folder, Options { password: Some(PASSWORD), ..Options::default() })?;
    let mut bench = Bench::start(house, Server::Redis(redis))?;
    let saw = bench.all()?;
    bench.prefix_and_database(case)?;
    bench.house.end();
    Ok(Verdict::Passed(format!("{saw}, key prefix")))
}

pub fn on_rabbitmq(case: &Case<'_>) -> anyhow::Result<Verdict> {
    let house = House::new(case, &[])?;
    let rabbit = servers::rabbit(&house.folder)?;
    let mut bench = Bench::start(house, Server::RabbitMq(rabbit))?;
    let saw = bench.all()?;
    bench.house.end();
    Ok(Verdict::Passed(saw))
}

impl Bench {
    fn start(house: House, server: Server) -> anyhow::Result<Bench> {
        let celery = Celery::over(&server.url(), &house.folder)?;
        let house = house.through(&[("BROKER_URL", &server.url())]);
        let worker = house.worker(NODE, &["-c", "2"])?;
        Ok(Bench { house, server, celery, worker })
    }

    fn all(&mut self) -> anyhow::Result<String> {
        let inspected = self.inspect_all()?;
        self.strangers_are_passed_over()?;
        self.control()?;
        let events = self.events()?;
        self.flower()?;
        self.mingle()?;
        self.older_celerys()?;
        self.shutdown()?;
        self.turned_off()?;
        Ok(format!(
            "status, inspect {}; {events} kinds of events; control, Flower, mingle, {} older Celerys",
            inspected.join(" "),
            OLD_VERSIONS.len()
        ))
    }

    /// Asked by its name: who asks all waits to the end of the time for more to answer.
    fn is_online(&self) -> anyhow::Result<bool> {
        is_online_for(&self.celery)
    }

    /// A Python worker knows what was revoked before it came, and one of Vigie's learns it from the Python worker.
    fn mingle(&mut self) -> anyhow::Result<()> {
        self.celery.control(NODE, &["revoke", "known-to-all"])?;
        let _python = self.celery.mingling_worker("mingles", "python")?;
        let python = format!("mingles@{}", host()?);
        let knows = |node: &str| -> anyhow::Result<bool> {
            let ids = self.celery.inspect(node, &["revoked"])?;
            Ok(ids.as_array().is_some_and(|ids| ids.contains(&json!("known-to-all"))))
        };
        ensure!(knows(&python)?, "the Python worker does not know what was revoked");
        self.worker.terminate()?;
        self.worker = self.house.worker(NODE, &["-c", "2"])?;
        ensure!(knows(NODE)?, "Vigie's worker does not know what the Python worker does");
        let (_, said) = self.celery.tool(&["status", "-t", "5"])?;
        ensure!(said.contains("2 nodes online"), "celery status of all: {said}");
        Ok(())
    }

    fn older_celerys(&self) -> anyhow::Result<()> {
        for (kombu, _) in OLD_VERSIONS {
            let celery = Celery::old(kombu, &self.server.url(), &self.house.folder)?;
            ensure!(is_online_for(&celery)?, "celery status with kombu {kombu} does not see {NODE}");
            let stats = celery.inspect(NODE, &["stats"]).with_context(|| format!("kombu {kombu}"))?;
            ensure!(stats["pool"]["max-concurrency"] == 2, "kombu {kombu}: {stats}");
        }
        Ok(())
    }

    fn turned_off(&self) -> anyhow::Result<()> {
        let off = self.house.through(&[("BROKER_URL", &self.server.url()), ("VIGIE_WORKER__REMOTE_CONTROL", "off")]);
        let mut worker = off.worker(NODE, &[])?;
        ensure!(!self.is_online()?, "a worker answers although worker.remote-control is off");
        worker.terminate()
    }

    fn prefix_and_database(&self, case: &Case<'_>) -> anyhow::Result<()> {
        let redis = redis::start(&self.house.folder, Options::default())?;
        let url = format!("{}?global_keyprefix={PREFIX}", redis.url(3));
        let house = House::in_folder(case, &self.house.folder, "prefix", &[("BROKER_URL", &url)]);
        let mut worker = house.worker(NODE, &[])?;
        let celery = Celery::over(&redis.url(3), &self.house.folder)?;
        let celery = celery.with_transport_options(&json!({ "global_keyprefix": PREFIX }));
        let pong = celery.inspect(NODE, &["ping"]).context("with a key prefix")?;
        ensure!(pong == json!({"ok": "pong"}), "ping with a key prefix: {pong}");
        let heard = celery.client()?.call("watch", json!({"sent": [], "wanted": ["worker-heartbeat"]}))?;
        ensure!(heard["worker-heartbeat"]["hostname"] == NODE, "events with a key prefix: {heard}");
        worker.terminate()
    }
}

fn is_online_for(celery: &Celery) -> anyhow::Result<bool> {
    let (_, said) = celery.tool(&["status", "-t", "5", "-d", NODE])?;
    Ok(said.contains(&format!("{NODE}: OK")))
}

/// The name by which Celery's workers call this machine.
fn host() -> anyhow::Result<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").context("read the machine's name")?;
    Ok(name.trim().to_owned())
}

fn ok(text: &str) -> Value {
    json!({ "ok": text })
}
