//! Input that lies, bombs, stalls and breaks off: each has a clear answer, memory stays bounded, and the process goes on
//! accepting others meanwhile.

mod bodies;
mod credentials;
mod events;
mod sockets;

use super::{Case, Place, Verdict};
use anyhow::{Context, ensure};
use bench::http::Response;
use bench::server::Dsn;
use bench::usage;
use std::time::Duration;

/// Peak memory while all of it comes in.
const RSS_PEAK_MIB_MAX: f64 = 300.0;
const DRAIN_WITHIN: Duration = Duration::from_secs(60);

pub fn run(case: &Case<'_>) -> anyhow::Result<Verdict> {
    let mut place = Place::start(case)?;
    let dsn = place.dsn("default/default")?;
    let mut failures = Failures::default();
    credentials::check(&mut place, &dsn, &mut failures)?;
    bodies::check(&place, &dsn, &mut failures);
    sockets::check(&place, &dsn, &mut failures);
    events::check(&mut place, &dsn, &mut failures)?;

    ensure!(place.is_alive(), "the server ended:\n{}", place.log_tail());
    let usage = usage::of_process(place.pid());
    failures.note("memory", || {
        ensure!(usage.rss_peak_mib <= RSS_PEAK_MIB_MAX, "peak of {:.0} MiB", usage.rss_peak_mib);
        Ok(())
    });
    place.drained(DRAIN_WITHIN)?;
    failures.note("vigie check", || place.check());
    for failure in &failures.failed {
        println!("        {failure}");
    }
    ensure!(failures.failed.is_empty(), "{} of {} cases", failures.failed.len(), failures.cases);
    place.end()?;
    Ok(Verdict::Passed(format!("{} cases; peak memory {:.0} MiB", failures.cases, usage.rss_peak_mib)))
}

/// Collects failures, so that one run shows all of them.
#[derive(Default)]
struct Failures {
    cases: usize,
    failed: Vec<String>,
}

impl Failures {
    fn note(&mut self, name: &str, case: impl FnOnce() -> anyhow::Result<()>) {
        self.cases += 1;
        if let Err(error) = case() {
            self.failed.push(format!("{name}: {error:#}"));
        }
    }

    /// The answer has one of the statuses, and a refusal says why in the ways that SDKs read.
    fn expect(&mut self, name: &str, statuses: &[u16], answer: anyhow::Result<Response>) {
        self.note(name, || {
            let response = answer?;
            let status = response.status;
            ensure!(statuses.contains(&status), "expected {statuses:?}, got {status} {:.200}", response.text());
            if status < 400 {
                return Ok(());
            }
            let detail: serde_json::Value =
                serde_json::from_slice(&response.body).context("a refusal's body is JSON")?;
            ensure!(detail["detail"].is_string(), "a refusal has a detail: {detail}");
            ensure!(response.header("x-sentry-error").is_some(), "a refusal has X-Sentry-Error");
            ensure!(response.header("access-control-allow-origin").is_some(), "a refusal has CORS headers");
            Ok(())
        });
    }
}

/// A small event with an id.
fn small_event(event_id: &str) -> Vec<u8> {
    let event = format!("{{\"event_id\":\"{event_id}\",\"message\":\"hostile\",\"platform\":\"other\"}}");
    with_event(event_id, event.as_bytes())
}

/// An envelope around event bytes, whatever they are.
fn with_event(event_id: &str, event: &[u8]) -> Vec<u8> {
    let head = format!("{{\"event_id\":\"{event_id}\"}}\n{{\"type\":\"event\",\"length\":{}}}\n", event.len());
    [head.as_bytes(), event, b"\n"].concat()
}

fn new_id() -> String {
    stdx::random::hex::<16>()
}

/// Posts to the default project.
fn post(place: &Place, dsn: &Dsn, headers: &[(&str, &str)], body: &[u8]) -> anyhow::Result<Response> {
    let all: Vec<(&str, &str)> = headers.iter().copied().chain([("Connection", "close")]).collect();
    place.post(dsn, &all, body)
}
