//! A worker is killed every second while jobs run: each line once, and none waits longer than a dead worker may go
//! unnoticed, for each death that it suffered.

use super::Brokers;
use super::appends::{self, Seen, Sent};
use crate::e2e::house::{House, Process};
use crate::e2e::{Case, Verdict, place, servers};
use anyhow::{Context, ensure};
use bench::random::Random;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const FILE: &str = "kills";
const WORKERS: usize = 2;
const KILL_EVERY: Duration = Duration::from_secs(1);
/// After the jobs of a second were let go.
const KILL_WITHIN_MS: u64 = 60;
/// A dead worker is noticed in this time (design §4).
const NOTICED_WITHIN: Duration = Duration::from_secs(20);
/// No worker is noticed earlier than this on a broker that only hears heartbeats, so a job cannot die more often.
const DEATH_TAKES: Duration = Duration::from_secs(15);
/// What a job may wait behind others on a busy machine.
const BACKLOG: Duration = Duration::from_secs(10);
const ALL_WITHIN: Duration = Duration::from_secs(120);

pub fn run(case: &Case<'_>) -> anyhow::Result<Verdict> {
    let brokers = Brokers::start(case)?;
    let embedded = on(case, &brokers.embedded).context("on the embedded queue")?;
    let redis = on(case, &brokers.on_redis).context("on Redis")?;
    brokers.end();
    Ok(Verdict::Passed(format!("embedded: {embedded}; Redis: {redis}")))
}

/// The same on RabbitMQ, a test of its own: its server takes long to start.
pub fn on_rabbitmq(case: &Case<'_>) -> anyhow::Result<Verdict> {
    let folder = place::fresh_folder(case)?;
    let rabbit = servers::rabbit(&folder)?;
    let house = House::in_folder(case, &folder, "data", &[("BROKER_URL", &rabbit.url())]);
    let saw = on(case, &house)?;
    house.end();
    Ok(Verdict::Passed(saw))
}

fn on(case: &Case<'_>, house: &House) -> anyhow::Result<String> {
    let web = house.web()?;
    let mut workers: Vec<Process> = Vec::new();
    for number in 0..WORKERS {
        workers.push(house.worker(&format!("killed-{number}"), &["-Q", "debug"])?);
    }
    let jobs = case.options.jobs;
    let (stop_sending, stop_watching) = (AtomicBool::new(false), AtomicBool::new(false));
    let (sent, seen, kills) = std::thread::scope(|scope| -> anyhow::Result<(Sent, Seen, u32)> {
        let watcher = scope.spawn(|| appends::watch(house, FILE, &stop_watching));
        let sender = scope.spawn(|| appends::send(house, FILE, jobs, &stop_sending));
        let kills = kill_each_second(case, house, &mut workers);
        if kills.is_err() {
            stop_sending.store(true, Ordering::Relaxed);
        }
        let sent = sender.join().expect("sending does not panic");
        let result = appends::all_there(house, FILE, &sent, ALL_WITHIN);
        stop_watching.store(true, Ordering::Relaxed);
        let seen = watcher.join().expect("watching does not panic")?;
        let kills = kills?;
        result?;
        Ok((sent, seen, kills))
    })?;
    ensure!(sent.unknown.is_empty(), "{} commands failed although the queue was there", sent.unknown.len());
    let longest = appends::compare(&sent, &seen)?;
    let window = Duration::from_secs(case.options.kill_seconds);
    let deaths_max = u32::try_from(window.as_secs().div_ceil(DEATH_TAKES.as_secs())).unwrap_or(u32::MAX);
    let allowed = NOTICED_WITHIN * deaths_max + BACKLOG;
    ensure!(longest <= allowed, "a job waited {longest:?}; {deaths_max} deaths of 20 s allow {allowed:?}");
    let dead = house.dead_letters("debug")?;
    ensure!(dead.is_empty(), "jobs that did nothing wrong are dead letters: {dead:?}");
    for worker in &mut workers {
        worker.terminate()?;
    }
    drop(web);
    Ok(format!("{jobs} jobs, {kills} kills, each once, longest wait {:.1} s", longest.as_secs_f64()))
}

/// Jobs gather while the queue is paused; the kill comes just when they have been handed out.
fn kill_each_second(case: &Case<'_>, house: &House, workers: &mut [Process]) -> anyhow::Result<u32> {
    let mut random = Random::new(case.options.seed);
    let until = Instant::now() + Duration::from_secs(case.options.kill_seconds);
    let mut kills = 0;
    while Instant::now() < until {
        house.text(&["queues", "pause", "debug"])?;
        std::thread::sleep(KILL_EVERY);
        house.text(&["queues", "resume", "debug"])?;
        std::thread::sleep(Duration::from_millis(random.below(KILL_WITHIN_MS)));
        let one = usize::try_from(random.below(WORKERS as u64)).expect("a small number");
        ensure!(workers[one].is_alive(), "a worker ended by itself:\n{}", workers[one].log_tail());
        workers[one].kill()?;
        kills += 1;
        let name = workers[one].name.clone();
        workers[one] = house.start_worker(&name, &["-Q", "debug"])?;
    }
    Ok(kills)
}
