//! One side's worker dies and the other side's takes its task; and while Vigie's worker lives, an idle Python worker with
//! a short visibility timeout leaves its long task alone.

use super::on_one_redis;
use crate::e2e::celery::{Celery, Client, VISIBILITY_TIMEOUT_S};
use crate::e2e::house::House;
use crate::e2e::redis::{Options, Redis};
use crate::e2e::{Case, Verdict, eventually};
use anyhow::ensure;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const TAKEN_WITHIN: Duration = Duration::from_secs(10);
/// A dead worker is noticed in 20 s; kombu's sweep adds a second.
const TAKEN_OVER_WITHIN: Duration = Duration::from_secs(25);
/// kombu's, over its sweep of what dead workers held.
const KOMBU_LOCK: &str = "unacked_mutex";
/// Of the tasks that are taken over.
const SLEEP_S: u64 = 3;

pub fn run(case: &Case<'_>) -> anyhow::Result<Verdict> {
    let (house, redis, celery) = on_one_redis(case, Options::default())?;
    let mut client = celery.client()?;
    let long = long_task_runs_once(&house, &redis, &celery, &mut client)?;
    let by_python = vigie_dies(&house, &redis, &celery, &mut client)?;
    let by_vigie = python_dies(&house, &redis, &celery, &mut client)?;
    house.end();
    Ok(Verdict::Passed(format!(
        "a task of {long:.0} s beside an idle Python worker ran once; taken over by Python after {by_python:.1} s, by \
         Vigie after {by_vigie:.1} s"
    )))
}

pub(super) fn sleep(client: &mut Client, seconds: u64) -> anyhow::Result<String> {
    client.send("debug.sleep", &json!([seconds]), &json!({ "queue": "debug" }))
}

/// Waits until a worker holds a task.
fn taken(redis: &Redis) -> anyhow::Result<()> {
    eventually("the task to be taken", TAKEN_WITHIN, || Ok((redis.ask(0, &["HLEN", "unacked"])? == "1").then_some(())))
}

fn long_task_runs_once(house: &House, redis: &Redis, celery: &Celery, client: &mut Client) -> anyhow::Result<f64> {
    let mut worker = house.worker("long", &["-c", "1"])?;
    let seconds = 3 * VISIBILITY_TIMEOUT_S;
    let started = Instant::now();
    let id = sleep(client, seconds)?;
    taken(redis)?;
    let idle = celery.worker("idle", "debug")?;
    let value = client.value(&id, Duration::from_secs(seconds) + TAKEN_WITHIN)?;
    let took = started.elapsed().as_secs_f64();
    // If it were run a second time, that run would still be going on: nothing may be held or wait.
    ensure!(redis.ask(0, &["HLEN", "unacked"])? == "0", "something still runs after the result");
    ensure!(idle.times_received(&id) == 0, "the Python worker got it as well");
    ensure!(value["side"] != "python" && took >= seconds as f64, "it came to {value} after {took:.1} s");
    worker.terminate()?;
    Ok(took)
}

fn vigie_dies(house: &House, redis: &Redis, celery: &Celery, client: &mut Client) -> anyhow::Result<f64> {
    let mut worker = house.worker("dying", &["-c", "1"])?;
    let id = sleep(client, SLEEP_S)?;
    taken(redis)?;
    worker.kill()?;
    let killed = Instant::now();
    // A Python worker that was killed within kombu's lock would keep this one from its sweep for five minutes.
    redis.ask(0, &["DEL", KOMBU_LOCK])?;
    let _python = celery.worker("heir", "debug")?;
    let value = client.value(&id, TAKEN_OVER_WITHIN + Duration::from_secs(SLEEP_S))?;
    is_redelivered(&value)?;
    Ok(killed.elapsed().as_secs_f64())
}

pub(super) fn is_redelivered(value: &Value) -> anyhow::Result<()> {
    ensure!(value["side"] == "python", "the Python worker should have run it: {value}");
    ensure!(value["redelivered"] == true, "it is not marked as redelivered: {value}");
    Ok(())
}

/// Which messages a dead Python worker held is only known to kombu's own rule, the visibility timeout. Vigie's worker
/// keeps it as kombu's do, so that it needs no other Python worker to bring the task back.
fn python_dies(house: &House, redis: &Redis, celery: &Celery, client: &mut Client) -> anyhow::Result<f64> {
    let mut python = celery.worker("dying", "debug")?;
    let id = sleep(client, SLEEP_S)?;
    eventually("the Python worker to take it", TAKEN_WITHIN, || Ok((python.times_received(&id) == 1).then_some(())))?;
    python.kill()?;
    // As if it had been within kombu's lock.
    redis.ask(0, &["SET", KOMBU_LOCK, "of-the-dead", "PX", "300000"])?;
    let killed = Instant::now();
    let url = format!("{}?visibility_timeout={VISIBILITY_TIMEOUT_S}", redis.url(0));
    let mut heir = house.through(&[("BROKER_URL", &url)]).worker("heir", &["-c", "1"])?;
    let value = client.value(&id, TAKEN_OVER_WITHIN + Duration::from_secs(SLEEP_S))?;
    ensure!(value["side"] != "python", "Vigie's worker should have run it: {value}");
    heir.terminate()?;
    Ok(killed.elapsed().as_secs_f64())
}
