//! Redis is killed while commands publish and a worker runs, then cut off for longer than a heartbeat: nothing accepted
//! is lost, and the same worker goes on by itself.

use super::Brokers;
use super::appends;
use crate::e2e::redis::Proxy;
use crate::e2e::{Case, Verdict, eventually};
use anyhow::{Context, ensure};
use serde_json::json;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const KILLS: u32 = 3;
const BETWEEN_KILLS: Duration = Duration::from_millis(1_500);
/// Redis stays away for so long.
const AWAY: Duration = Duration::from_millis(500);
/// More than can be sent in the time: the test stops the senders.
const JOBS_MAX: u64 = 100_000;
/// A worker that was thought dead gets its jobs back after this.
const ALL_WITHIN: Duration = Duration::from_secs(60);
const GOES_ON_WITHIN: Duration = Duration::from_secs(20);
/// A claim whose answer the hole swallowed is given up when its lease ends, which is not judged in the first 15 s after
/// the server is heard again.
const AFTER_HOLE_WITHIN: Duration = Duration::from_secs(45);

pub fn run(case: &Case<'_>) -> anyhow::Result<Verdict> {
    let mut brokers = Brokers::start(case)?;
    let killed = killed(&mut brokers).context("Redis killed")?;
    cut_off(case, &brokers).context("Redis cut off")?;
    brokers.end();
    Ok(Verdict::Passed(format!("{killed}; cut off for {} s the worker went on by itself", case.options.hole_seconds)))
}

fn killed(brokers: &mut Brokers) -> anyhow::Result<String> {
    const FILE: &str = "killed";
    let Brokers { on_redis: house, redis, .. } = brokers;
    let mut worker = house.worker("restarts", &["-Q", "debug"])?;
    let (stop_sending, stop_watching) = (AtomicBool::new(false), AtomicBool::new(false));
    let (sent, seen) = std::thread::scope(|scope| {
        let watcher = scope.spawn(|| appends::watch(house, FILE, &stop_watching));
        let sender = scope.spawn(|| appends::send(house, FILE, JOBS_MAX, &stop_sending));
        let result = (0..KILLS).try_for_each(|_| {
            std::thread::sleep(BETWEEN_KILLS);
            redis.kill()?;
            std::thread::sleep(AWAY);
            redis.start_again()
        });
        stop_sending.store(true, Ordering::Relaxed);
        let sent = sender.join().expect("sending does not panic");
        let result = result.and_then(|()| appends::all_there(house, FILE, &sent, ALL_WITHIN));
        stop_watching.store(true, Ordering::Relaxed);
        let seen = watcher.join().expect("watching does not panic")?;
        result.map(|()| (sent, seen))
    })?;
    appends::compare(&sent, &seen)?;
    ensure!(!sent.accepted.is_empty(), "no command was ever accepted");
    ensure!(worker.is_alive(), "the worker ended:\n{}", worker.log_tail());
    worker.terminate()?;
    Ok(format!("{KILLS} kills of Redis, {} accepted, each once", sent.accepted.len()))
}

fn cut_off(case: &Case<'_>, brokers: &Brokers) -> anyhow::Result<()> {
    const FILE: &str = "cut-off";
    let Brokers { on_redis: house, redis, .. } = brokers;
    let proxy = Proxy::to(redis.port)?;
    let through = house.through(&[("BROKER_URL", &redis.url_at(proxy.port, 0))]);
    let mut worker = through.worker("cut-off", &["-Q", "debug"])?;
    house.send("debug.append", &json!([FILE, "before"]), &[])?;
    eventually("the first line", GOES_ON_WITHIN, || Ok((house.appended(FILE).len() == 1).then_some(())))?;
    proxy.open_hole();

    house.send("debug.append", &json!([FILE, "during"]), &[])?;
    std::thread::sleep(Duration::from_secs(case.options.hole_seconds));
    ensure!(house.appended(FILE).len() == 1, "a line came through a black hole");
    proxy.close_hole();
    eventually("the line that was sent meanwhile", AFTER_HOLE_WITHIN, || {
        Ok((house.appended(FILE).len() == 2).then_some(()))
    })?;
    ensure!(worker.is_alive(), "the worker ended:\n{}", worker.log_tail());
    worker.terminate()
}
