//! Two web processes on one data directory, their broker away, one of them killed: the other takes over what it left and
//! says so, and every accepted event is stored once, although no other web process starts.

use super::house::House;
use super::servers::Kind;
use super::{Case, Verdict, eventually, place};
use anyhow::ensure;
use bench::accounts;
use bench::event::{self, Shape};
use bench::random::Random;
use bench::server::{Dsn, Server};
use serde_json::Value;
use std::time::{Duration, Instant};
use stdx::{Clock, SystemClock};

/// To each web process while the broker is away.
const EVENTS: usize = 60;
const SHAPE: Shape = Shape { groups: 5, bytes: 1_000 };
const TAKEN_OVER_WITHIN: Duration = Duration::from_secs(15);
const TOLD_WITHIN: Duration = Duration::from_secs(15);
const FORWARDED_WITHIN: Duration = Duration::from_secs(60);

pub fn of_redis(case: &Case<'_>) -> anyhow::Result<Verdict> {
    run(case, Kind::Redis)
}

pub fn of_rabbitmq(case: &Case<'_>) -> anyhow::Result<Verdict> {
    run(case, Kind::RabbitMq)
}

fn run(case: &Case<'_>, kind: Kind) -> anyhow::Result<Verdict> {
    let folder = place::fresh_folder(case)?;
    let mut broker = kind.start(&folder)?;
    let house = House::in_folder(case, &folder, "data", &[("BROKER_URL", &broker.url())]);
    let mut stays = house.web()?;
    let mut dies = house.web()?;
    let mut worker = house.worker("steady", &[])?;
    let dsn = stays.dsn("default/default")?;
    stays.token()?;
    let mut random = Random::new(9);
    broker.kill()?;
    let mut accepted = send(&stays, &dsn, &mut random)?;
    accepted.extend(send(&dies, &dsn, &mut random)?);
    let all = accepted.len() as i64;
    eventually("both spools to be told of", TOLD_WITHIN, || Ok((told(&house)? == (2, all)).then_some(())))?;
    let checked = house.json(&["check"])?;
    ensure!(checked["spools"].as_array().is_some_and(|rows| rows.len() == 2), "vigie check: {checked}");
    dies.kill()?;
    let began = Instant::now();
    let of_it = format!("({})", stays.pid());
    eventually("the running web to say that both are its own", TAKEN_OVER_WITHIN, || {
        let rows = house.json(&["queues", "spools", "list"])?;
        let is_its = |row: &Value| row["holder"].as_str().is_some_and(|holder| holder.ends_with(&of_it));
        Ok(rows.as_array().is_some_and(|rows| rows.len() == 2 && rows.iter().all(is_its)).then_some(()))
    })?;
    let took = began.elapsed();
    let (_, pipeline) = stays.api("/system/pipeline/")?;
    ensure!(pipeline["spool"]["jobs"] == all, "what the running web holds: {pipeline}");
    broker.start_again()?;
    eventually("both spools to be forwarded", FORWARDED_WITHIN, || Ok((told(&house)? == (0, 0)).then_some(())))?;
    stays.drained(FORWARDED_WITHIN)?;
    let token = stays.token()?;
    let stored = accounts::stored_ids(stays.address, &token, "default/default")?;
    let compared = accounts::account(&accepted, &[], &stored);
    ensure!(compared.is_good(), "accepted and stored ids differ: {}", compared.report());
    let (_, ledger) = stays.api("/system/ledger/")?;
    ensure!(ledger["missing"] == 0 && ledger["spooled"] == 0, "the ledger: {ledger}");
    worker.terminate()?;
    ensure!(stays.terminate()?, "the web role did not end well:\n{}", stays.log_tail());
    house.end();
    let seconds = took.as_secs_f64();
    Ok(Verdict::Passed(format!(
        "{all} accepted without {}, each stored once; a killed web's spool was another's in {seconds:.1} s",
        kind.name()
    )))
}

/// Spools that hold something, and how much.
fn told(house: &House) -> anyhow::Result<(usize, i64)> {
    let rows = house.json(&["queues", "spools", "list"])?;
    let rows = rows.as_array().cloned().unwrap_or_default();
    Ok((rows.len(), rows.iter().filter_map(|row| row["jobs"].as_i64()).sum()))
}

fn send(web: &Server, dsn: &Dsn, random: &mut Random) -> anyhow::Result<Vec<String>> {
    let mut accepted = Vec::new();
    for _ in 0..EVENTS {
        let id = random.event_id();
        let event = event::event(random.below(SHAPE.groups), SHAPE.bytes, &id, random, SystemClock.now());
        let response = web.post(dsn, &[], &event::envelope(&id, &event))?;
        ensure!(response.status == 200, "an event is refused while the broker is away: {}", response.status);
        accepted.push(id);
    }
    Ok(accepted)
}
