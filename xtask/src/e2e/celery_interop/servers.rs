//! Whatever a Redis may ask of its clients, and whatever may happen to it: key prefix, other databases, password, ACL
//! user, TLS with a private authority, Sentinel with a failover; restart, killed connections, a black hole.

use crate::e2e::celery::Celery;
use crate::e2e::house::{House, Process};
use crate::e2e::redis::{self, Certificates, MASTER, Options, Proxy, Sentinel};
use crate::e2e::{Case, Verdict, eventually, place};
use anyhow::{Context, ensure};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

const RECONNECTED_WITHIN: Duration = Duration::from_secs(30);
const PREFIX: &str = "shop:";
/// Kept after the sentinel has noticed a dead master (1 s) and chosen another.
const FAILOVER_WITHIN: Duration = Duration::from_secs(20);

pub fn run(case: &Case<'_>) -> anyhow::Result<Verdict> {
    let folder = place::fresh_folder(case)?;
    let bench = Bench { case, folder: &folder };
    bench.prefix_and_database()?;
    let mut spoken = vec!["prefix", "database 3"];
    spoken.extend(bench.credentials()?);
    bench.sentinel()?;
    bench.reconnects()?;
    bench.wrong_addresses_are_named()?;
    // What cannot be removed lies under target/ and harms nobody.
    let _ = std::fs::remove_dir_all(&folder);
    Ok(Verdict::Passed(format!(
        "{}, sentinel with failover; restart, CLIENT KILL, black hole of {} s; wrong addresses named",
        spoken.join(", "),
        case.options.hole_seconds
    )))
}

struct Bench<'a> {
    case: &'a Case<'a>,
    folder: &'a Path,
}

impl Bench<'_> {
    /// A house over the broker at `url`; every house has a data directory of its own.
    fn house(&self, name: &str, url: &str) -> House {
        House::in_folder(self.case, self.folder, name, &[("BROKER_URL", url)])
    }

    /// A task and its result cross; returns the house and its worker, which goes on.
    fn there_and_back(&self, name: &str, url: &str, celery: &Celery) -> anyhow::Result<(House, Process)> {
        let house = self.house(name, url);
        let worker = house.worker(name, &[]).with_context(|| format!("a worker over {name}"))?;
        celery.client()?.scenarios(&["there_and_back"]).with_context(|| format!("there and back over {name}"))?;
        // Not only results: a command publishes and reads its own result in the same way.
        let came = house.call("debug.echo", &json!(["by command"]), &[])?;
        ensure!(came == "by command", "{name}: came {came}");
        Ok((house, worker))
    }

    fn prefix_and_database(&self) -> anyhow::Result<()> {
        let redis = redis::start(self.folder, Options::default())?;
        let celery = Celery::over(&redis.url(0), self.folder)?;
        let celery = celery.with_transport_options(&json!({ "global_keyprefix": PREFIX }));
        let url = format!("{}?global_keyprefix={PREFIX}", redis.url(0));
        let (_, mut worker) = self.there_and_back("prefix", &url, &celery)?;
        worker.terminate()?;
        let keys = redis.ask(0, &["KEYS", "*"])?;
        let stray: Vec<&str> = keys.lines().filter(|key| !key.starts_with(PREFIX)).collect();
        ensure!(stray.is_empty() && !keys.is_empty(), "keys without the prefix: {stray:?}");

        let celery = Celery::over(&redis.url(3), self.folder)?;
        let (_, mut worker) = self.there_and_back("database", &redis.url(3), &celery)?;
        worker.terminate()?;
        let strays = redis.ask(0, &["KEYS", "*"])?.lines().filter(|key| !key.starts_with(PREFIX)).count();
        ensure!(strays == 0 && redis.ask(3, &["DBSIZE"])? != "0", "database 3 is not where everything went");
        Ok(())
    }

    fn credentials(&self) -> anyhow::Result<Vec<&'static str>> {
        let tls = Certificates::make(self.folder)?;
        let cases = [
            ("password", Options { password: Some("s3cret-pass"), ..Options::default() }),
            ("ACL user", Options { user: Some(("tracker", "s3cret-acl")), password: Some("x"), ..Options::default() }),
            (
                "TLS with a private authority",
                Options { tls: Some(tls), password: Some("s3cret"), ..Options::default() },
            ),
        ];
        let mut spoken = Vec::new();
        for (name, options) in cases {
            let redis = redis::start(self.folder, options)?;
            let celery = Celery::over(&redis.url(0), self.folder)?;
            let folder = name.replace(' ', "-");
            let (_, mut worker) = self.there_and_back(&folder, &redis.url(0), &celery)?;
            worker.terminate()?;
            let log = std::fs::read_to_string(self.folder.join(format!("{folder}.log"))).unwrap_or_default();
            ensure!(!log.contains("s3cret"), "{name}: the log holds the password");
            spoken.push(name);
        }
        Ok(spoken)
    }

    fn sentinel(&self) -> anyhow::Result<()> {
        let mut master = redis::start(self.folder, Options::default())?;
        let replica = redis::start(self.folder, Options { replica_of: Some(master.port), ..Options::default() })?;
        let sentinel = Sentinel::start(self.folder, &master)?;
        let url = format!("sentinel://127.0.0.1:{}/0", sentinel.port);
        let celery = Celery::over(&url, self.folder)?.with_transport_options(&json!({ "master_name": MASTER }));
        let ours = format!("{url}?master_name={MASTER}");
        let (house, mut worker) = self.there_and_back("sentinel", &ours, &celery)?;
        master.kill()?;
        eventually("the sentinel to choose the replica", FAILOVER_WITHIN, || {
            Ok((sentinel.master_port()? == replica.port).then_some(()))
        })?;
        works_again("after a failover", &house, &mut worker)?;
        celery.client()?.scenarios(&["there_and_back"]).context("there and back after a failover")?;
        worker.terminate()
    }

    fn reconnects(&self) -> anyhow::Result<()> {
        let mut redis = redis::start(self.folder, Options { appendonly: true, ..Options::default() })?;
        let proxy = Proxy::to(redis.port)?;
        let house = self.house("reconnect", &redis.url(0));
        let through = house.through(&[("BROKER_URL", &redis.url_at(proxy.port, 0))]);
        let mut worker = through.worker("reconnect", &[])?;
        redis.kill()?;
        redis.start_again()?;
        works_again("after a restart of the server", &house, &mut worker)?;
        redis.ask(0, &["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"])?;
        works_again("after CLIENT KILL", &house, &mut worker)?;
        proxy.open_hole();
        std::thread::sleep(Duration::from_secs(self.case.options.hole_seconds));
        proxy.close_hole();
        works_again("after a black hole", &house, &mut worker)?;
        worker.terminate()
    }

    /// `config check` connects, and says what is wrong in words that name the key.
    fn wrong_addresses_are_named(&self) -> anyhow::Result<()> {
        let redis = redis::start(self.folder, Options { password: Some("right"), ..Options::default() })?;
        let port = redis.port;
        let nobody = crate::e2e::redis::free_port()?;
        let cases = [
            (format!("redis://:wrong-s3cret@127.0.0.1:{port}/0"), "password"),
            (format!("redis://127.0.0.1:{nobody}/0"), "127.0.0.1"),
            (format!("rediss://:right@localhost:{port}/0"), "localhost"),
            ("rabbit://127.0.0.1/0".to_owned(), "scheme"),
        ];
        for (url, word) in cases {
            let output = self.house("wrong", &url).run(&["config", "check"])?;
            let said = [output.stdout, output.stderr].concat();
            let said = String::from_utf8_lossy(&said);
            ensure!(output.status.code() == Some(78), "config check with {url}: {}: {said}", output.status);
            ensure!(said.contains("broker.url") && said.to_lowercase().contains(word), "{url} is explained by: {said}");
            ensure!(!said.contains("wrong-s3cret"), "config check prints the password: {said}");
        }
        let good = self.house("right", &redis.url(0)).run(&["config", "check"])?;
        ensure!(
            good.status.success(),
            "config check refuses a good address: {}",
            String::from_utf8_lossy(&good.stderr)
        );
        Ok(())
    }
}

/// The worker finds its way back by itself: a task that a fresh command sends is run, and it is the same process.
fn works_again(when: &str, house: &House, worker: &mut Process) -> anyhow::Result<()> {
    eventually(&format!("a task to be run {when}"), RECONNECTED_WITHIN, || {
        ensure!(worker.is_alive(), "the worker ended {when}:\n{}", worker.log_tail());
        let came = house.call("debug.echo", &json!([when]), &[]).unwrap_or(Value::Null);
        Ok((came == when).then_some(()))
    })
}
