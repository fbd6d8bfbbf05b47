//! The broker's server is killed while commands publish and a worker runs, then cut off for longer than a heartbeat:
//! nothing accepted is lost, and the same worker goes on by itself.

use super::appends;
use crate::e2e::house::House;
use crate::e2e::redis::Proxy;
use crate::e2e::servers::{Kind, Server};
use crate::e2e::{Case, Verdict, eventually, place};
use anyhow::{Context, ensure};
use serde_json::json;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const KILLS: u32 = 3;
const BETWEEN_KILLS: Duration = Duration::from_millis(1_500);
/// The server stays away for so long, and for its start.
const AWAY: Duration = Duration::from_millis(500);
/// More than can be sent in the time: the test stops the senders.
const JOBS_MAX: u64 = 100_000;
/// A worker that was thought dead gets its jobs back after this.
const ALL_WITHIN: Duration = Duration::from_secs(60);
const GOES_ON_WITHIN: Duration = Duration::from_secs(20);
/// A claim whose answer the hole swallowed is given up when its lease ends, which is not judged in the first 15 s after
/// the server is heard again.
const AFTER_HOLE_WITHIN: Duration = Duration::from_secs(45);

pub fn of_redis(case: &Case<'_>) -> anyhow::Result<Verdict> {
    run(case, Kind::Redis)
}

pub fn of_rabbitmq(case: &Case<'_>) -> anyhow::Result<Verdict> {
    run(case, Kind::RabbitMq)
}

fn run(case: &Case<'_>, kind: Kind) -> anyhow::Result<Verdict> {
    let folder = place::fresh_folder(case)?;
    let mut server = kind.start(&folder)?;
    let house = House::in_folder(case, &folder, "data", &[("BROKER_URL", &server.url())]);
    let killed = killed(&house, &mut server).with_context(|| format!("{} killed", kind.name()))?;
    cut_off(case, &house, &server).with_context(|| format!("{} cut off", kind.name()))?;
    house.end();
    Ok(Verdict::Passed(format!("{killed}; cut off for {} s the worker went on by itself", case.options.hole_seconds)))
}

fn killed(house: &House, server: &mut Server) -> anyhow::Result<String> {
    const FILE: &str = "killed";
    let mut worker = house.worker("restarts", &["-Q", "debug"])?;
    let (stop_sending, stop_watching) = (AtomicBool::new(false), AtomicBool::new(false));
    let (sent, seen) = std::thread::scope(|scope| {
        let watcher = scope.spawn(|| appends::watch(house, FILE, &stop_watching));
        let sender = scope.spawn(|| appends::send(house, FILE, JOBS_MAX, &stop_sending));
        let result = (0..KILLS).try_for_each(|_| {
            std::thread::sleep(BETWEEN_KILLS);
            server.kill()?;
            std::thread::sleep(AWAY);
            server.start_again()
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
    Ok(format!("{KILLS} kills of {}, {} accepted, each once", server.kind().name(), sent.accepted.len()))
}

fn cut_off(case: &Case<'_>, house: &House, server: &Server) -> anyhow::Result<()> {
    const FILE: &str = "cut-off";
    let proxy = Proxy::to(server.port())?;
    let through = house.through(&[("BROKER_URL", &server.url_at(proxy.port))]);
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
