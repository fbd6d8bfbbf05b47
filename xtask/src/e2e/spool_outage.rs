//! The broker goes away under steady load, and the web role is killed meanwhile: every event is accepted, waits in the
//! spool, goes on when the broker is back, and is stored once; health, receipt and console tell the truth all the while.

use super::house::House;
use super::kill_test::Sent;
use super::servers::Kind;
use super::{Case, Verdict, eventually, place};
use anyhow::{Context, ensure};
use bench::accounts;
use bench::event::{self, Shape};
use bench::http::{self, Connection, Failure};
use bench::random::Random;
use bench::server::{Dsn, Server};
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use stdx::{Clock, SystemClock};

const EVENTS_A_SECOND: u32 = 500;
const SHAPE: Shape = Shape { groups: 20, bytes: 2_000 };
const BEFORE: Duration = Duration::from_secs(2);
const RED_WITHIN: Duration = Duration::from_secs(60);
const ANSWER_WITHIN: Duration = Duration::from_secs(15);
/// And as long as the broker was away: events go on coming while those of the spool go out.
const FORWARDED_WITHIN: Duration = Duration::from_secs(120);
const DRAIN_WITHIN: Duration = Duration::from_secs(300);
const EMAIL: &str = "spool@localhost";
const PASSWORD: &str = "e2e-password-of-a-private-server";

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
    let mut web = house.web()?;
    let mut worker = house.worker("steady", &[])?;
    house.text(&["createuser", "--email", EMAIL, "--password", PASSWORD, "--superuser", "--no-input"])?;
    let dsn = web.dsn("default/default")?;
    web.token()?;
    let stop = AtomicBool::new(false);
    let address = web.address;
    let away = Duration::from_secs(case.options.outage_seconds);
    let sent = std::thread::scope(|scope| {
        let sender = scope.spawn(|| send(address, &dsn, &stop));
        std::thread::sleep(BEFORE);
        let went = broker.kill().and_then(|()| outage(case, &mut web, &dsn)).and_then(|marked| {
            broker.start_again()?;
            eventually("the spool to be forwarded", FORWARDED_WITHIN + away, || is_empty(&mut web))?;
            Ok(marked)
        });
        stop.store(true, Ordering::Relaxed);
        let mut steady = sender.join().expect("sending does not panic");
        steady.sent.accepted.push(went?);
        anyhow::Ok(steady)
    })?;
    let Steady { sent, refused, slowest } = sent;
    web.drained(DRAIN_WITHIN + away)?;
    let token = web.token()?;
    let stored = accounts::stored_ids(web.address, &token, "default/default")?;
    let compared = accounts::account(&sent.accepted, &sent.unanswered, &stored);
    ensure!(compared.is_good(), "accepted and stored ids differ: {}", compared.report());
    ensure!(refused == 0, "{refused} events were refused although the spool had room");
    balances(&mut web)?;
    worker.terminate()?;
    ensure!(web.terminate()?, "the web role did not end well:\n{}", web.log_tail());
    house.end();
    Ok(Verdict::Passed(format!(
        "{} s without {}: {} accepted, none refused, {} stored, each once; slowest answer {:.1} s",
        case.options.outage_seconds,
        kind.name(),
        sent.accepted.len(),
        stored.len(),
        slowest.as_secs_f64()
    )))
}

/// What must hold while the broker is away. Returns the id of an event that was sent meanwhile.
fn outage(case: &Case<'_>, web: &mut Server, dsn: &Dsn) -> anyhow::Result<String> {
    let began = Instant::now();
    let marked = Random::new(77).event_id();
    let envelope =
        event::envelope(&marked, &event::event(1, SHAPE.bytes, &marked, &mut Random::new(78), SystemClock.now()));
    ensure!(web.post(dsn, &[], &envelope)?.status == 200, "an event is refused while the broker is away");
    eventually("health to say that the broker is away", RED_WITHIN, || {
        let ready = get(web, "/health/ready", "")?;
        let text = ready.text();
        Ok((ready.status == 503 && text.contains("the broker has taken nothing")).then_some(()))
    })?;
    ensure!(get(web, "/health/accept", "")?.status == 200, "events are accepted, and balancers must know");
    let (_, receipt) = web.api(&format!("/projects/default/default/events/{marked}/receipt/"))?;
    ensure!(receipt["state"] == "queued", "a receipt while the broker is away: {receipt}");
    let cookie = web.session_cookie(EMAIL, PASSWORD)?;
    let page = get(web, "/system/", &cookie)?.text();
    ensure!(
        page.contains("broker away") && page.contains("Events are accepted into the spool"),
        "the console:\n{page}"
    );
    web.kill()?;
    web.start_again_accepting().context("start the web role while the broker is away")?;
    let rest = Duration::from_secs(case.options.outage_seconds).saturating_sub(began.elapsed());
    std::thread::sleep(rest);
    ensure!(spool(web)?["jobs"].as_u64() > Some(0), "nothing is in the spool");
    Ok(marked)
}

fn get(web: &Server, path: &str, cookie: &str) -> anyhow::Result<http::Response> {
    let headers = [("Connection", "close"), ("Cookie", cookie)];
    web.http(&http::request("GET", path, &headers, b""))
}

fn spool(web: &mut Server) -> anyhow::Result<Value> {
    let (_, pipeline) = web.api("/system/pipeline/")?;
    Ok(pipeline["spool"].clone())
}

fn is_empty(web: &mut Server) -> anyhow::Result<Option<()>> {
    let spool = spool(web)?;
    Ok((spool["jobs"] == 0 && spool["away_since"].is_null()).then_some(()))
}

/// The ledger says the same as the comparison of ids.
fn balances(web: &mut Server) -> anyhow::Result<()> {
    let (_, ledger) = web.api("/system/ledger/")?;
    ensure!(ledger["missing"] == 0, "the ledger: {ledger}");
    Ok(())
}

struct Steady {
    sent: Sent,
    refused: u64,
    slowest: Duration,
}

/// Sends at an even pace until it is told to stop.
fn send(address: SocketAddr, dsn: &Dsn, stop: &AtomicBool) -> Steady {
    let mut random = Random::new(5);
    let mut connection = Connection::new(address, ANSWER_WITHIN);
    let mut steady = Steady { sent: Sent::default(), refused: 0, slowest: Duration::ZERO };
    let step = Duration::from_secs(1) / EVENTS_A_SECOND;
    let mut next = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
        next += step;
        let event_id = random.event_id();
        let group = random.below(SHAPE.groups);
        let event = event::event(group, SHAPE.bytes, &event_id, &mut random, SystemClock.now());
        let body = event::envelope(&event_id, &event);
        let began = Instant::now();
        match connection.send(&event::envelope_request(&dsn.project, &dsn.key, &[], &body)) {
            Ok(response) if response.status == 200 => {
                steady.sent.accepted.push(event_id);
                steady.slowest = steady.slowest.max(began.elapsed());
            }
            Ok(_) => steady.refused += 1,
            Err(Failure::Unanswered(_)) => steady.sent.unanswered.push(event_id),
            // The web role is being started again: nobody listens.
            Err(Failure::NotSent(_)) => next = Instant::now() + step,
        }
    }
    steady
}
