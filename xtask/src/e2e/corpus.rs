//! Every recorded request of a real client to `envelope/` or `store/`: answered with 200 and its id, every event readable
//! with nothing of its payload missing, every item that is not kept named in its receipt.

use super::envelope_reader::{Envelope, missing, read_envelope, read_store};
use super::{Case, Place, Verdict};
use crate::root::corpus;
use anyhow::{Context, bail, ensure};
use bench::http;
use bench::server::Dsn;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The key and project that the recordings were made with.
const RECORDED_KEY: &str = "aaaabbbbccccddddeeeeffff00001111";
const RECORDED_PROJECT: &str = "42";
/// Set by the transport that replays.
const TRANSPORT_HEADERS: &[&str] = &["host", "content-length", "transfer-encoding", "connection", "expect"];
const KEPT: &[&str] = &["event", "attachment"];
const DRAIN_WITHIN: Duration = Duration::from_secs(60);

pub fn run(case: &Case<'_>) -> anyhow::Result<Verdict> {
    let Some(root) = corpus() else {
        return Ok(Verdict::Skipped("the recorded requests are not on this machine (../shared/corpus)".to_owned()));
    };
    let mut place = Place::start(case)?;
    let mut tally = Tally::default();
    for (folder, files) in recordings(&root)? {
        let name = folder.strip_prefix(&root).unwrap_or(&folder).display().to_string();
        replay_folder(&mut place, &name, &files, &mut tally).with_context(|| name.clone())?;
    }
    place.check()?;
    for failure in &tally.failures {
        println!("        {failure}");
    }
    ensure!(tally.failures.is_empty(), "{} of {} recordings", tally.failures.len(), tally.requests);
    ensure!(tally.events > 0, "no event was found in {}", root.display());
    place.end()?;
    let found = format!(
        "{} requests answered, {} events whole, {} items named as not kept",
        tally.requests, tally.events, tally.not_kept
    );
    Ok(Verdict::Passed(found))
}

#[derive(Default)]
struct Tally {
    requests: usize,
    events: usize,
    not_kept: usize,
    failures: Vec<String>,
}

/// What a replayed request must have led to.
struct Expected {
    file: String,
    event_id: String,
    event: Option<Value>,
    not_kept: Vec<String>,
}

/// Recorded requests by folder. Event ids repeat between folders (a client's scenario was recorded again), so each gets
/// a project of its own.
fn recordings(root: &Path) -> anyhow::Result<BTreeMap<PathBuf, Vec<PathBuf>>> {
    let mut folders: BTreeMap<PathBuf, Vec<PathBuf>> = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else if path.to_string_lossy().ends_with(".request.json") {
                folders.entry(folder.clone()).or_default().push(path);
            }
        }
    }
    folders.values_mut().for_each(|files| files.sort());
    Ok(folders)
}

/// The recordings hold secrets on purpose. Scrubbing has tests of its own; here nothing else may go missing.
fn keep_secrets(place: &mut Place, slug: &str) -> anyhow::Result<()> {
    let (authorization, path) = (format!("Bearer {}", place.token()?), format!("/api/0/projects/default/{slug}/"));
    let headers =
        [("Authorization", authorization.as_str()), ("Content-Type", "application/json"), ("Connection", "close")];
    let settings = json!({ "dataScrubber": false, "dataScrubberDefaults": false });
    let response = place.http(&http::request("PUT", &path, &headers, settings.to_string().as_bytes()))?;
    ensure!(response.status == 200, "PUT {path}: {} {}", response.status, response.text());
    Ok(())
}

fn replay_folder(place: &mut Place, name: &str, files: &[PathBuf], tally: &mut Tally) -> anyhow::Result<()> {
    let requests: Vec<(&PathBuf, Value)> = files
        .iter()
        .map(|file| Ok((file, serde_json::from_slice(&std::fs::read(file)?)?)))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let is_ours = |request: &Value| {
        let target = request["target"].as_str().unwrap_or_default();
        target.contains("/envelope/") || target.contains("/store/")
    };
    let requests: Vec<_> = requests.into_iter().filter(|(_, request)| is_ours(request)).collect();
    if requests.is_empty() {
        return Ok(());
    }
    let slug = name.to_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    place.json(&["projects", "create", &format!("default/{slug}")])?;
    keep_secrets(place, &slug)?;
    let dsn = place.dsn(&format!("default/{slug}"))?;
    let mut all_expected = Vec::new();
    for (file, request) in requests {
        tally.requests += 1;
        match replay(place, &dsn, file, &request) {
            Ok(expected) => all_expected.extend(expected),
            Err(error) => tally.failures.push(format!("{}: {error:#}", file.display())),
        }
    }
    place.drained(DRAIN_WITHIN)?;
    for expected in all_expected {
        match verify(place, &slug, &expected) {
            Ok(()) => {
                tally.events += usize::from(expected.event.is_some());
                tally.not_kept += expected.not_kept.len();
            }
            Err(error) => tally.failures.push(format!("{}: event {}: {error:#}", expected.file, expected.event_id)),
        }
    }
    Ok(())
}

/// Sends a recorded request; returns what must be found afterwards, nothing for a preflight.
fn replay(place: &Place, dsn: &Dsn, file: &Path, request: &Value) -> anyhow::Result<Option<Expected>> {
    let method = request["method"].as_str().context("a method")?;
    let target = request["target"].as_str().context("a target")?;
    let stem = file.to_string_lossy().trim_end_matches(".request.json").to_owned();
    let decoded = std::fs::read(format!("{stem}.body")).unwrap_or_default();
    let raw = std::fs::read(format!("{stem}.body.raw")).ok();
    // Only a plain body can be rewritten; the recordings with an encoding name no DSN inside.
    let sent = raw.unwrap_or_else(|| rewrite_first_line(&decoded, dsn));
    let headers = headers(request, dsn)?;
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let target = target.replace(RECORDED_KEY, &dsn.key).replacen(
        &format!("/api/{RECORDED_PROJECT}/"),
        &format!("/api/{}/", dsn.project),
        1,
    );
    let response = place.http(&http::request(method, &target, &headers, &sent))?;
    ensure!(response.status == 200, "{method} {target}: {} {}", response.status, response.text());
    ensure!(response.header("access-control-allow-origin").is_some(), "{method} {target}: no CORS headers");
    if method == "OPTIONS" {
        return Ok(None);
    }
    let answer: Value = serde_json::from_slice(&response.body).context("read the answer")?;
    let id = answer["id"].as_str().unwrap_or_default().to_owned();
    let file = file.display().to_string();
    if target.contains("/store/") {
        let event = read_store(&decoded)?;
        check_id(&id, &event["event_id"])?;
        return Ok(Some(Expected { file, event_id: id, event: Some(event), not_kept: Vec::new() }));
    }
    expect_of_envelope(file, &id, &read_envelope(&decoded)?)
}

fn expect_of_envelope(file: String, id: &str, envelope: &Envelope) -> anyhow::Result<Option<Expected>> {
    let event = envelope.items.iter().find(|item| item.kind == "event");
    let event: Option<Value> = event.map(|item| serde_json::from_slice(&item.payload)).transpose()?;
    if event.is_some() || !envelope.header["event_id"].is_null() {
        check_id(id, &envelope.header["event_id"])?;
    }
    if id.is_empty() {
        return Ok(None);
    }
    let others = envelope.items.iter().map(|item| item.kind.clone());
    let not_kept = others.filter(|kind| !KEPT.contains(&kind.as_str())).collect();
    Ok(Some(Expected { file, event_id: id.to_owned(), event, not_kept }))
}

/// The answer's id is 32 hexadecimal digits, and the one that was sent if one was.
fn check_id(id: &str, sent: &Value) -> anyhow::Result<()> {
    ensure!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "the answer's id is '{id}'");
    let sent = sent.as_str().unwrap_or_default().replace('-', "").to_lowercase();
    ensure!(sent.is_empty() || sent == id, "sent {sent}, answered {id}");
    Ok(())
}

fn headers(request: &Value, dsn: &Dsn) -> anyhow::Result<Vec<(String, String)>> {
    let mut headers = Vec::new();
    for pair in request["headers"].as_array().context("headers")? {
        let (name, value) = (pair[0].as_str().context("a name")?, pair[1].as_str().context("a value")?);
        if !TRANSPORT_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
            headers.push((name.to_owned(), value.replace(RECORDED_KEY, &dsn.key)));
        }
    }
    headers.push(("Connection".to_owned(), "close".to_owned()));
    Ok(headers)
}

/// Puts the DSN of the new project into an envelope's header if it names the recorded one; no byte after the first line
/// is touched.
fn rewrite_first_line(body: &[u8], dsn: &Dsn) -> Vec<u8> {
    let end = body.iter().position(|byte| *byte == b'\n').unwrap_or(body.len());
    let Ok(mut header) = serde_json::from_slice::<Value>(&body[..end]) else { return body.to_vec() };
    let names_recorded = header["dsn"].as_str().is_some_and(|text| text.contains(RECORDED_KEY));
    if !names_recorded {
        return body.to_vec();
    }
    header["dsn"] = json!(dsn.text);
    [header.to_string().as_bytes(), &body[end..]].concat()
}

fn verify(place: &mut Place, slug: &str, expected: &Expected) -> anyhow::Result<()> {
    let path = format!("/projects/default/{slug}/events/{}/", expected.event_id);
    if let Some(sent) = &expected.event {
        let (response, kept) = place.api(&format!("{path}json/"))?;
        ensure!(response.status == 200, "not readable: {} {}", response.status, response.text());
        let mut sent = sent.clone();
        // The answer's id is the event's, whatever spelling the payload has; and replaying gave it another project.
        if let Some(payload) = sent.as_object_mut() {
            payload.remove("event_id");
            payload.retain(|key, value| key != "project" || value.to_string().trim_matches('"') != RECORDED_PROJECT);
        }
        let missing = missing(&sent, &kept);
        ensure!(
            missing.is_empty(),
            "{} leaves are missing: {}",
            missing.len(),
            missing[..missing.len().min(5)].join(" ")
        );
    }
    let (response, receipt) = place.api(&format!("{path}receipt/"))?;
    let state = receipt["state"].as_str().unwrap_or_default();
    let is_known = if expected.event.is_some() { state == "stored" } else { !matches!(state, "" | "unknown") };
    if !is_known {
        bail!("the receipt says {} {}", response.status, response.text());
    }
    let text = receipt.to_string();
    for kind in &expected.not_kept {
        ensure!(text.contains(kind.as_str()), "the receipt does not name {kind}: {text}");
    }
    Ok(())
}
