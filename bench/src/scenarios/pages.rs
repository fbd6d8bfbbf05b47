//! `pages`: does a page's time depend on how much is stored? List, issue and event pages, and the same over the API.

use super::disk;
use crate::Place;
use anyhow::ensure;
use bench::event::Shape;
use bench::http::{self, Connection};
use bench::load::{latency, round};
use bench::random::Random;
use bench::server::Server;
use serde_json::{Map, Value, json};
use std::time::{Duration, Instant};

const EVENT_BYTES: usize = 2_000;
const WARM_UP: usize = 20;
const REST: Duration = Duration::from_secs(5);
const EMAIL: &str = "bench@localhost";
const PASSWORD: &str = "bench-password-of-a-private-server";

/// Measures at each number of stored events.
///
/// # Errors
/// If the server fails or a page does not answer with 200.
pub fn run(events: &[usize], requests: usize, groups: u64, place: &Place) -> anyhow::Result<Value> {
    let mut server = place.start()?;
    let cookie = log_in(&server)?;
    let mut stored = 0;
    let mut reports = Vec::new();
    for (index, count) in events.iter().enumerate() {
        let shape = Shape { groups, bytes: EVENT_BYTES };
        stored += disk::fill(&server, shape, count.saturating_sub(stored), 1 + index as u64 * 100_000)?;
        // What follows a flood (checkpoints, training) is not what a person at a page meets.
        std::thread::sleep(REST);
        reports.push(json!({ "events": stored, "pages_ms": measure(&mut server, &cookie, requests)? }));
    }
    Ok(json!({ "scenario": "pages", "groups": groups, "at": reports }))
}

fn log_in(server: &Server) -> anyhow::Result<String> {
    let arguments = ["createuser", "--email", EMAIL, "--password", PASSWORD, "--superuser", "--no-input"];
    let output = server.command(&arguments)?;
    ensure!(output.status.success(), "createuser: {}", String::from_utf8_lossy(&output.stderr));
    server.session_cookie(EMAIL, PASSWORD)
}

fn measure(server: &mut Server, cookie: &str, requests: usize) -> anyhow::Result<Value> {
    let (_, issues) = server.api("/projects/default/default/issues/?query=&limit=100")?;
    let ids: Vec<String> = strings(&issues, "id");
    let (_, events) = server.api("/projects/default/default/events/?per_page=100")?;
    let pairs: Vec<(String, String)> =
        strings(&events, "groupID").into_iter().zip(strings(&events, "eventID")).collect();
    ensure!(!ids.is_empty() && !pairs.is_empty(), "no issues or events to look at");
    let authorization = format!("Bearer {}", server.token()?);
    let page = ("Cookie", cookie);
    let api = ("Authorization", authorization.as_str());
    let issue = |random: &mut Random| ids[index(random, ids.len())].clone();
    let mut random = Random::new(1);
    let mut kinds = Map::new();
    let mut add = |name: &str, header: (&str, &str), target: &dyn Fn(&mut Random) -> String| -> anyhow::Result<()> {
        let targets: Vec<String> = (0..requests + WARM_UP).map(|_| target(&mut random)).collect();
        kinds.insert(name.to_owned(), time_each(server, header, &targets)?);
        Ok(())
    };
    add("issue list", page, &|_| "/".to_owned())?;
    add("issue list by events", page, &|_| "/?sort=freq".to_owned())?;
    add("issue page", page, &|random| format!("/issues/{}/", issue(random)))?;
    add("event page", page, &|random| {
        let (issue, event) = &pairs[index(random, pairs.len())];
        format!("/issues/{issue}/events/{event}/")
    })?;
    add("api issues", api, &|_| "/api/0/projects/default/default/issues/".to_owned())?;
    add("api issue", api, &|random| format!("/api/0/issues/{}/", issue(random)))?;
    add("api oldest event", api, &|random| format!("/api/0/issues/{}/events/oldest/", issue(random)))?;
    add("api latest event", api, &|random| format!("/api/0/issues/{}/events/latest/", issue(random)))?;
    Ok(Value::Object(kinds))
}

fn strings(list: &Value, field: &str) -> Vec<String> {
    let items = list.as_array().into_iter().flatten();
    items.filter_map(|item| item[field].as_str().map(str::to_owned)).collect()
}

fn index(random: &mut Random, length: usize) -> usize {
    usize::try_from(random.below(length as u64)).expect("an index fits")
}

/// One kept connection, one request after the other; the first ones warm up and do not count.
fn time_each(server: &Server, header: (&str, &str), targets: &[String]) -> anyhow::Result<Value> {
    let mut connection = Connection::new(server.address, Duration::from_secs(30));
    let mut times = Vec::new();
    let mut bytes = 0;
    for target in targets {
        let request = http::request("GET", target, &[header], b"");
        let started = Instant::now();
        let response = connection.send(&request)?;
        times.push(started.elapsed());
        ensure!(response.status == 200, "GET {target}: {} {}", response.status, response.text());
        bytes = bytes.max(response.body.len());
    }
    let mut times = times.split_off(WARM_UP.min(times.len()));
    times.sort_unstable();
    let mut report = latency(&times);
    report["largest_kb"] = json!(round(bytes as f64 / 1e3));
    Ok(report)
}
