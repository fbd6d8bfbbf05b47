//! Sends prepared requests over many connections and keeps what became of each: accepted, refused or unanswered.

use crate::event::{self, Prepared, Shape};
use crate::http::{Connection, Failure};
use crate::random::Random;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use stdx::{Clock, SystemClock};

/// Longest wait for one answer; later counts as unanswered.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// Builds requests on all cores, before any clock runs.
pub fn prepare(shape: Shape, count: usize, seed: u64, project: &str, key: &str) -> Vec<Prepared> {
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let build = |part: usize| {
        let mut random = Random::new(seed.wrapping_mul(1_000).wrapping_add(part as u64));
        let share = count / cores + usize::from(part < count % cores);
        let now = SystemClock.now();
        (0..share).map(|_| event::prepare(shape, &mut random, now, project, key)).collect::<Vec<_>>()
    };
    std::thread::scope(|scope| {
        let parts: Vec<_> = (0..cores).map(|part| scope.spawn(move || build(part))).collect();
        parts.into_iter().flat_map(|part| part.join().expect("building does not panic")).collect()
    })
}

/// What became of the requests.
#[derive(Default)]
pub struct Outcome {
    pub accepted: Vec<String>,
    /// Sent, perhaps in part, without a whole answer: the server may have taken them.
    pub unanswered: Vec<String>,
    pub refused: BTreeMap<u16, u64>,
    pub not_sent: u64,
    /// Of the accepted ones.
    latencies: Vec<Duration>,
    pub took: Duration,
    /// Whether every prepared request was used before the time was over.
    pub ran_out: bool,
}

/// Sends `requests` in order over `connections`, each sending its next when the last was answered, until they are used
/// up or `time` is over.
pub fn send(address: SocketAddr, requests: &[Prepared], connections: usize, time: Duration) -> Outcome {
    let order = Order { requests, next: AtomicUsize::new(0), until: Some(Instant::now() + time), pause: None };
    send_in_order(address, &order, connections)
}

/// Sends all `requests`, each at its time: so many a second. An answer's latency counts from when its request was due, so
/// that a server which stalls is not spared.
pub fn send_paced(address: SocketAddr, requests: &[Prepared], connections: usize, per_second: usize) -> Outcome {
    let pause = Duration::from_secs(1) / u32::try_from(per_second.max(1)).unwrap_or(u32::MAX);
    let order = Order { requests, next: AtomicUsize::new(0), until: None, pause: Some((Instant::now(), pause)) };
    send_in_order(address, &order, connections)
}

/// What is sent next, and when.
struct Order<'a> {
    requests: &'a [Prepared],
    next: AtomicUsize,
    until: Option<Instant>,
    /// From when on, and how long after the one before each is due; none = at once.
    pause: Option<(Instant, Duration)>,
}

impl<'a> Order<'a> {
    /// Waits until the next request is due. Returns it, and since when it is.
    fn next(&self) -> Option<(&'a Prepared, Instant)> {
        if self.until.is_some_and(|until| Instant::now() >= until) {
            return None;
        }
        let place = self.next.fetch_add(1, Ordering::Relaxed);
        let prepared = self.requests.get(place)?;
        let Some((started, pause)) = self.pause else { return Some((prepared, Instant::now())) };
        let due = started + pause * u32::try_from(place).unwrap_or(u32::MAX);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        Some((prepared, due))
    }
}

fn send_in_order(address: SocketAddr, order: &Order<'_>, connections: usize) -> Outcome {
    let started = Instant::now();
    let parts: Vec<Outcome> = std::thread::scope(|scope| {
        let run = || send_one_by_one(address, order);
        let threads: Vec<_> = (0..connections).map(|_| scope.spawn(run)).collect();
        threads.into_iter().map(|thread| thread.join().expect("sending does not panic")).collect()
    });
    let mut whole = Outcome { took: started.elapsed(), ..Outcome::default() };
    for part in parts {
        whole.accepted.extend(part.accepted);
        whole.unanswered.extend(part.unanswered);
        whole.latencies.extend(part.latencies);
        whole.not_sent += part.not_sent;
        for (status, count) in part.refused {
            *whole.refused.entry(status).or_default() += count;
        }
    }
    whole.ran_out = order.next.load(Ordering::Relaxed) >= order.requests.len();
    whole.latencies.sort_unstable();
    whole
}

fn send_one_by_one(address: SocketAddr, order: &Order<'_>) -> Outcome {
    let mut connection = Connection::new(address, ANSWER_WITHIN);
    let mut outcome = Outcome::default();
    while let Some((prepared, started)) = order.next() {
        match connection.send(&prepared.request) {
            Ok(response) if response.status == 200 => {
                outcome.latencies.push(started.elapsed());
                outcome.accepted.push(prepared.event_id.clone());
            }
            Ok(response) => *outcome.refused.entry(response.status).or_default() += 1,
            Err(Failure::Unanswered(_)) => outcome.unanswered.push(prepared.event_id.clone()),
            Err(Failure::NotSent(_)) => outcome.not_sent += 1,
        }
    }
    outcome
}

impl Outcome {
    /// Returns accepted events a second.
    pub fn rate(&self) -> f64 {
        self.accepted.len() as f64 / self.took.as_secs_f64()
    }

    /// Returns the figures for a report.
    pub fn report(&self) -> Value {
        json!({
            "accepted": self.accepted.len(),
            "accepted_per_second": round(self.rate()),
            "refused": self.refused.iter().map(|(status, count)| (status.to_string(), json!(count))).collect::<serde_json::Map<_, _>>(),
            "unanswered": self.unanswered.len(),
            "not_sent": self.not_sent,
            "seconds": round(self.took.as_secs_f64()),
            "latency_ms": latency(&self.latencies),
            "ran_out_of_prepared_requests": self.ran_out,
        })
    }
}

/// Returns median, 95th and 99th percentile and maximum of sorted times, in milliseconds.
pub fn latency(sorted: &[Duration]) -> Value {
    let at = |share: f64| {
        let index = ((sorted.len() as f64 * share).ceil() as usize).clamp(1, sorted.len().max(1)) - 1;
        sorted.get(index).map(|time| round(time.as_secs_f64() * 1e3))
    };
    json!({ "p50": at(0.5), "p95": at(0.95), "p99": at(0.99), "max": at(1.0) })
}

/// Returns a number with two digits after the point.
pub fn round(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_read_off_sorted_times() {
        let times: Vec<Duration> = (1..=100).map(Duration::from_millis).collect();
        assert_eq!(latency(&times), json!({ "p50": 50.0, "p95": 95.0, "p99": 99.0, "max": 100.0 }));
        assert_eq!(latency(&[])["p50"], Value::Null);
    }

    #[test]
    fn prepared_requests_have_distinct_ids() {
        let requests = prepare(Shape { groups: 5, bytes: 2_000 }, 21, 1, "1", "k");
        let ids: std::collections::HashSet<_> = requests.iter().map(|prepared| &prepared.event_id).collect();
        assert_eq!((requests.len(), ids.len()), (21, 21));
    }
}
