//! SIGKILL in the middle of everything, again and again: what was accepted is stored, each once, and every counter
//! equals what it counts.

use super::{Case, Place, Verdict};
use anyhow::{Context, ensure};
use bench::accounts;
use bench::event::{self, Shape};
use bench::http::{Connection, Failure};
use bench::random::Random;
use bench::server::{Dsn, Server};
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use stdx::{Clock, SystemClock};

const GENERATORS: u64 = 8;
const SHAPE: Shape = Shape { groups: 40, bytes: 2_000 };
/// One event in so many has an attachment.
const ATTACHMENT_EVERY: u64 = 16;
/// A kill comes this long after the server was ready.
const KILL_AFTER_MS: std::ops::Range<u64> = 100..1_500;
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// Pause of a generator while nobody listens.
const PAUSE: Duration = Duration::from_millis(10);
const DRAIN_WITHIN: Duration = Duration::from_secs(300);

pub fn run(case: &Case<'_>) -> anyhow::Result<Verdict> {
    let mut place = Place::start(case)?;
    let dsn = place.dsn("default/default")?;
    let (kills, seed) = (case.options.kills, case.options.seed);
    println!("        {kills} kills, seed {seed}");
    let sent = send_and_kill(&mut place, &dsn, kills, seed)?;
    place.drained(DRAIN_WITHIN)?;
    place.check()?;

    let stored = each_once(&mut place, &sent.accepted, &sent.unanswered)?;
    let found = format!(
        "{kills} kills; {} accepted, {} unanswered, {} stored, each once; counters equal rows",
        sent.accepted.len(),
        sent.unanswered.len(),
        stored.len()
    );
    place.end()?;
    Ok(Verdict::Passed(found))
}

/// Ids by what became of them.
#[derive(Default)]
pub(super) struct Sent {
    pub accepted: Vec<String>,
    pub unanswered: Vec<String>,
}

fn send_and_kill(place: &mut Place, dsn: &Dsn, kills: u32, seed: u64) -> anyhow::Result<Sent> {
    let stop = AtomicBool::new(false);
    let address = place.address;
    std::thread::scope(|scope| {
        let generate = |part: u64| generate(address, dsn, Random::new(seed * 1_000 + part), &stop);
        let generators: Vec<_> = (0..GENERATORS).map(|part| scope.spawn(move || generate(part))).collect();
        let result = kill_again_and_again(place, kills, &mut Random::new(seed));
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

fn kill_again_and_again(place: &mut Place, kills: u32, random: &mut Random) -> anyhow::Result<()> {
    for kill in 1..=kills {
        let after = KILL_AFTER_MS.start + random.below(KILL_AFTER_MS.end - KILL_AFTER_MS.start);
        std::thread::sleep(Duration::from_millis(after));
        ensure!(place.is_alive(), "the server ended by itself before kill {kill}:\n{}", place.log_tail());
        place.kill()?;
        place.start_again().with_context(|| format!("start after kill {kill}"))?;
    }
    Ok(())
}

/// Posts events until it is told to stop; an id is new in each.
pub(super) fn generate(address: SocketAddr, dsn: &Dsn, mut random: Random, stop: &AtomicBool) -> Sent {
    let mut connection = Connection::new(address, ANSWER_WITHIN);
    let mut sent = Sent::default();
    while !stop.load(Ordering::Relaxed) {
        let (event_id, request) = request(dsn, &mut random);
        match connection.send(&request) {
            Ok(response) if response.status == 200 => sent.accepted.push(event_id),
            // Refused: it must not be stored, and the comparison would find it if it were.
            Ok(_) => {}
            Err(Failure::Unanswered(_)) => sent.unanswered.push(event_id),
            Err(Failure::NotSent(_)) => std::thread::sleep(PAUSE),
        }
    }
    sent
}

fn request(dsn: &Dsn, random: &mut Random) -> (String, Vec<u8>) {
    let event_id = random.event_id();
    let group = random.below(SHAPE.groups);
    let event = event::event(group, SHAPE.bytes, &event_id, random, SystemClock.now());
    let mut body = event::envelope(&event_id, &event);
    if random.below(ATTACHMENT_EVERY) == 0 {
        let content = format!("attachment of {event_id}");
        let head = format!("{{\"type\":\"attachment\",\"length\":{},\"filename\":\"a.txt\"}}\n", content.len());
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(content.as_bytes());
        body.push(b'\n');
    }
    (event_id, event::envelope_request(&dsn.project, &dsn.key, &[], &body))
}

/// What was accepted is stored, each once, and counted so; returns the stored ids.
pub(super) fn each_once(
    server: &mut Server,
    accepted: &[String],
    unanswered: &[String],
) -> anyhow::Result<Vec<String>> {
    let token = server.token()?;
    let stored = accounts::stored_ids(server.address, &token, "default/default")?;
    let compared = accounts::account(accepted, unanswered, &stored);
    ensure!(compared.is_good(), "accepted and stored ids differ: {}", compared.report());
    let counted = sum_of_issues(server)?;
    ensure!(counted == stored.len() as u64, "issues count {counted} events, {} are stored", stored.len());
    Ok(stored)
}

/// Returns the sum of all issues' counts.
pub(super) fn sum_of_issues(server: &mut Server) -> anyhow::Result<u64> {
    let (response, issues) = server.api("/projects/default/default/issues/?query=&limit=100")?;
    let issues = issues.as_array().with_context(|| format!("list issues: {}", response.status))?;
    let count = |issue: &Value| issue["count"].as_str().and_then(|count| count.parse::<u64>().ok());
    issues.iter().map(|issue| count(issue).with_context(|| format!("an issue without a count: {issue}"))).sum()
}
