//! Check 25: a hundred thousand events of one issue from four clients, two kills of the server meanwhile. The issue's count
//! follows within ten seconds, and in the end it is exactly the number of events stored.

use super::kill_test::{Sent, each_once, sum_of_issues};
use super::{Case, Place, Verdict};
use anyhow::{Context, ensure};
use bench::event;
use bench::http::{Connection, Failure};
use bench::random::Random;
use bench::server::Dsn;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use stdx::{Clock, SystemClock};

const CLIENTS: u64 = 4;
/// Events a second of all clients together: under load, but not beyond what the digest keeps up with.
const PACE: u64 = 2_000;
const EVENT_BYTES: usize = 1_000;
const VISIBLE_WITHIN: Duration = Duration::from_secs(10);
/// Parts of the events after which the server is killed.
const KILLS_AT: [f64; 2] = [0.33, 0.66];
const LOOK_EVERY: Duration = Duration::from_millis(200);
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(10);
const DRAIN_WITHIN: Duration = Duration::from_secs(300);

pub fn run(case: &Case<'_>) -> anyhow::Result<Verdict> {
    let mut place = Place::start(case)?;
    let dsn = place.dsn("default/default")?;
    let wanted = case.options.increments;
    let (sent, slowest) = send_and_look(&mut place, &dsn, wanted, case.options.seed)?;
    place.drained(DRAIN_WITHIN)?;
    place.check()?;
    let stored = each_once(&mut place, &sent.accepted, &sent.unanswered)?;
    let (_, issues) = place.api("/projects/default/default/issues/?query=&limit=100")?;
    ensure!(issues.as_array().is_some_and(|issues| issues.len() == 1), "one issue is wanted: {issues}");
    place.end()?;
    Ok(Verdict::Passed(format!(
        "{} accepted, {} unanswered in {} kills, the count is {}; it followed within {:.1} s",
        sent.accepted.len(),
        sent.unanswered.len(),
        KILLS_AT.len(),
        stored.len(),
        slowest.as_secs_f64()
    )))
}

/// What clients share.
struct Load<'a> {
    address: SocketAddr,
    dsn: &'a Dsn,
    accepted: AtomicU64,
    is_over: AtomicBool,
}

/// Returns what was sent, and the longest that an accepted event took to be counted.
fn send_and_look(place: &mut Place, dsn: &Dsn, wanted: u64, seed: u64) -> anyhow::Result<(Sent, Duration)> {
    let load = Load { address: place.address, dsn, accepted: AtomicU64::new(0), is_over: AtomicBool::new(false) };
    std::thread::scope(|scope| {
        let load = &load;
        let send = |client: u64| scope.spawn(move || load.send(Random::new(seed * 1_000 + client)));
        let clients: Vec<_> = (0..CLIENTS).map(send).collect();
        let looked = look(place, load, wanted);
        load.is_over.store(true, Ordering::Relaxed);
        let mut sent = Sent::default();
        for client in clients {
            let part = client.join().expect("sending does not panic");
            sent.accepted.extend(part.accepted);
            sent.unanswered.extend(part.unanswered);
        }
        looked.map(|slowest| (sent, slowest))
    })
}

impl Load<'_> {
    fn send(&self, mut random: Random) -> Sent {
        let mut connection = Connection::new(self.address, ANSWER_WITHIN);
        let mut sent = Sent::default();
        let started = Instant::now();
        let mut tries = 0_u32;
        while !self.is_over.load(Ordering::Relaxed) {
            // A client that is behind, as after a kill, does not hurry.
            let due = started + Duration::from_secs(1) * tries / u32::try_from(PACE / CLIENTS).unwrap_or(1);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            tries += 1;
            let event_id = random.event_id();
            let event = event::event(0, EVENT_BYTES, &event_id, &mut random, SystemClock.now());
            let body = event::envelope(&event_id, &event);
            let request = event::envelope_request(&self.dsn.project, &self.dsn.key, &[], &body);
            match connection.send(&request) {
                Ok(response) if response.status == 200 => {
                    sent.accepted.push(event_id);
                    self.accepted.fetch_add(1, Ordering::Relaxed);
                }
                // Refused: it must not be stored, and the comparison would find it if it were.
                Ok(_) => {}
                Err(Failure::Unanswered(_)) => sent.unanswered.push(event_id),
                Err(Failure::NotSent(_)) => std::thread::sleep(PAUSE),
            }
        }
        sent
    }
}

/// Looks at the count until enough was accepted, and kills on the way.
fn look(place: &mut Place, load: &Load<'_>, wanted: u64) -> anyhow::Result<Duration> {
    let mut kills = KILLS_AT.iter().map(|part| (wanted as f64 * part) as u64).peekable();
    // When how many had been accepted that were not counted yet.
    let mut unseen: VecDeque<(Instant, u64)> = VecDeque::new();
    let mut slowest = Duration::ZERO;
    loop {
        let accepted = load.accepted.load(Ordering::Relaxed);
        unseen.push_back((Instant::now(), accepted));
        let counted = sum_of_issues(place)?;
        while let Some((at, _)) = unseen.pop_front_if(|(_, accepted)| *accepted <= counted) {
            slowest = slowest.max(at.elapsed());
        }
        let oldest = unseen.front().map(|(at, _)| at.elapsed()).unwrap_or_default();
        ensure!(oldest <= VISIBLE_WITHIN, "{counted} counted, {accepted} accepted: not within {VISIBLE_WITHIN:?}");
        if accepted >= wanted {
            return Ok(slowest);
        }
        if kills.next_if(|at| accepted >= *at).is_some() {
            place.kill()?;
            place.start_again().context("start after a kill")?;
        }
        std::thread::sleep(LOOK_EVERY);
    }
}
