//! `run web`, two `run worker` and two `run cron` on one data directory, on the embedded queue, on Redis and on
//! RabbitMQ: a random one is killed, again and again, and started by its supervisor. What was accepted is stored, each once.

use super::house::{House, Process};
use super::kill_test::{self, Sent};
use super::redis::{self, Options};
use super::{Case, Verdict, eventually, place, servers};
use anyhow::{Context, ensure};
use bench::random::Random;
use bench::server::{Dsn, Server};
use serde_json::Value;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const GENERATORS: u64 = 4;
/// A kill comes this long after the last one.
const KILL_AFTER_MS: std::ops::Range<u64> = 100..1_000;
/// A worker killed last is noticed, and its jobs are run.
const DRAIN_WITHIN: Duration = Duration::from_secs(300);
/// The entry of the schedule that comes each minute.
const EACH_MINUTE: &str = "cron.ping";
const MINUTE_WITHIN: Duration = Duration::from_secs(75);
/// A scheduler looks each second.
const LATE_MAX_S: f64 = 5.0;
/// The processes beside the web, and their commands.
const ROLES: &[(&str, &str)] =
    &[("worker-a", "worker"), ("worker-b", "worker"), ("cron-a", "cron"), ("cron-b", "cron")];

pub fn run(case: &Case<'_>) -> anyhow::Result<Verdict> {
    let folder = place::fresh_folder(case)?;
    let embedded = on(case, House::in_folder(case, &folder, "embedded", &[])).context("on the embedded queue")?;
    let redis = redis::start(&folder, Options { appendonly: true, ..Options::default() })?;
    let house = House::in_folder(case, &folder, "redis", &[("BROKER_URL", &redis.url(0))]);
    let on_redis = on(case, house).context("on Redis")?;
    // What cannot be removed lies under target/ and harms nobody.
    let _ = std::fs::remove_dir_all(&folder);
    Ok(Verdict::Passed(format!("embedded: {embedded}; Redis: {on_redis}")))
}

/// The same on RabbitMQ, a test of its own: its server takes long to start.
pub fn on_rabbitmq(case: &Case<'_>) -> anyhow::Result<Verdict> {
    let folder = place::fresh_folder(case)?;
    let rabbit = servers::rabbit(&folder)?;
    let saw = on(case, House::in_folder(case, &folder, "rabbitmq", &[("BROKER_URL", &rabbit.url())]))?;
    // What cannot be removed lies under target/ and harms nobody.
    let _ = std::fs::remove_dir_all(&folder);
    Ok(Verdict::Passed(saw))
}

fn on(case: &Case<'_>, house: House) -> anyhow::Result<String> {
    // All at the same moment on an empty directory, as a supervisor starts them.
    let mut others = Vec::new();
    for (name, role) in ROLES {
        others.push(house.start(name, &["run", role, "-n", name])?);
    }
    let mut web = house.web()?;
    let dsn = web.dsn("default/default")?;
    web.token()?;
    let (kills, seed) = (case.options.kills, case.options.seed);
    let sent = send_and_kill(&house, &mut web, &mut others, &dsn, kills, seed)?;
    web.drained(DRAIN_WITHIN)?;
    for process in &mut others {
        ensure!(process.is_alive(), "{} ended by itself:\n{}", process.name, process.log_tail());
    }
    let check = house.run(&["check"])?;
    let said = [check.stdout, check.stderr].concat();
    ensure!(check.status.success(), "vigie check:\n{}", String::from_utf8_lossy(&said));
    let stored = kill_test::each_once(&mut web, &sent.accepted, &sent.unanswered)?;
    let late = clock_goes_on(&house)?;
    for process in &mut others {
        process.terminate()?;
    }
    ensure!(web.terminate()?, "the web role did not end well:\n{}", web.log_tail());
    let (accepted, stored) = (sent.accepted.len(), stored.len());
    Ok(format!("{kills} kills, {accepted} accepted, {stored} stored, each once; a minute's job {late:.1} s late"))
}

/// What comes each minute came, in time and once done, whichever scheduler and worker were killed; returns how late.
fn clock_goes_on(house: &House) -> anyhow::Result<f64> {
    let entry = || -> anyhow::Result<Value> {
        let rows = house.json(&["schedules", "list"])?;
        let row = rows.as_array().into_iter().flatten().find(|row| row["name"] == EACH_MINUTE).cloned();
        row.with_context(|| format!("{EACH_MINUTE} in the schedule {rows}"))
    };
    let before = entry()?["last"].clone();
    let row = eventually("the next minute's job", MINUTE_WITHIN, || {
        let row = entry()?;
        Ok((row["last"] != before && row["result"] == "done").then_some(row))
    })?;
    let late = row["lateness_s"].as_f64().with_context(|| format!("how late was it: {row}"))?;
    ensure!(late <= LATE_MAX_S, "with two schedulers alive it was {late} s late: {row}");
    Ok(late)
}

fn send_and_kill(
    house: &House,
    web: &mut Server,
    others: &mut [Process],
    dsn: &Dsn,
    kills: u32,
    seed: u64,
) -> anyhow::Result<Sent> {
    let stop = AtomicBool::new(false);
    let address = web.address;
    std::thread::scope(|scope| {
        let generate =
            |part: u64| kill_test::generate(address, dsn, Random::new(seed.wrapping_mul(1_000) + part), &stop);
        let generators: Vec<_> = (0..GENERATORS).map(|part| scope.spawn(move || generate(part))).collect();
        let result = kill_again_and_again(house, web, others, kills, &mut Random::new(seed));
        stop.store(true, Ordering::Relaxed);
        let mut sent = Sent::default();
        for generator in generators {
            let part = generator.join().expect("generating does not panic");
            sent.accepted.extend(part.accepted);
            sent.unanswered.extend(part.unanswered);
        }
        result.map(|()| sent)
    })
}

fn kill_again_and_again(
    house: &House,
    web: &mut Server,
    others: &mut [Process],
    kills: u32,
    random: &mut Random,
) -> anyhow::Result<()> {
    for kill in 1..=kills {
        let after = KILL_AFTER_MS.start + random.below(KILL_AFTER_MS.end - KILL_AFTER_MS.start);
        std::thread::sleep(Duration::from_millis(after));
        let victim = usize::try_from(random.below(others.len() as u64 + 1)).expect("a small number");
        match others.get_mut(victim) {
            Some(process) => {
                ensure!(process.is_alive(), "{} ended by itself:\n{}", process.name, process.log_tail());
                process.kill()?;
                let (name, role) = ROLES[victim];
                *process = house.start(name, &["run", role, "-n", name])?;
            }
            None => {
                ensure!(web.is_alive(), "the web role ended by itself before kill {kill}:\n{}", web.log_tail());
                web.kill()?;
                web.start_again().with_context(|| format!("start the web role after kill {kill}"))?;
            }
        }
    }
    Ok(())
}
