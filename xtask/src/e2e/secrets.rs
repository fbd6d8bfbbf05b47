//! Secrets in every place an SDK can put one, sent in every way; afterwards the whole data directory is searched, rows
//! and what is compressed in them too: none is there. A text that is no secret is found, so the search does look.
//! Bodies too large for a job are among what is sent: they lie in the blob store as they came until they are digested.

use super::sdk::run_client;
use super::{Case, Place, Verdict, eventually, programs};
use crate::root::root;
use anyhow::{Context, ensure};
use base64::Engine;
use bench::event::gzip;
use bench::http::request;
use bench::random::Random;
use bench::server::Dsn;
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Events with `§` and `¤` for secrets; the unit tests of scrubbing read the same.
const PLACES: &str = "crates/processing/tests/fixtures/secrets.txt";
/// Places that only a project's own settings name.
const OWN_PLACES: &[&str] = &[
    r#"{"tags":{"patient":"§"}}"#,
    r#"{"tags":[["patient","§"]],"message":"m"}"#,
    r#"{"exception":{"values":[{"type":"A","value":"no room for agent-§"}]}}"#,
    r#"{"transaction":"/rooms/agent-§"}"#,
    r#"{"extra":{"note":"agent-§ is here"},"message":"about agent-§"}"#,
];
/// Enough for a dictionary to be trained, so that some bodies are compressed with it.
const EVENTS_MIN: usize = 330;
const VISIBLE: &str = "canary-in-plain-sight";
/// Of the places, every so many come in a large body too.
const LARGE_EVERY: usize = 9;
/// A body with so much beside its event does not fit into its job, compressed or not.
const LARGE_BYTES: usize = (1 << 20) + 4_096;
const DRAIN_WITHIN: Duration = Duration::from_secs(120);
/// The queue holds bodies as they came; what was digested is gone a second after the last of them (design, 4).
const GONE_WITHIN: Duration = Duration::from_secs(10);

pub fn run(case: &Case<'_>) -> anyhow::Result<Verdict> {
    let python = programs::python_zstd()?;
    let mut place = Place::start(case)?;
    let mut sender = Sender { project: place.dsn("default/default")?, secrets: Vec::new(), sent: 0 };
    let text = std::fs::read_to_string(root().join(PLACES)).with_context(|| format!("read {PLACES}"))?;
    let places: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    while sender.sent < EVENTS_MIN {
        for template in &places {
            sender.event(&place, template)?;
        }
    }
    sender.around_the_event(&place)?;
    set_own_rules(&mut place)?;
    for template in OWN_PLACES {
        sender.event(&place, template)?;
    }
    sender.attachments_by_rule(&place)?;
    sender.large_bodies(&place, &places)?;
    sender.event(&place, &format!(r#"{{"message":"{VISIBLE}"}}"#))?;
    place.drained(DRAIN_WITHIN)?;

    let (folder, data_dir, log) =
        (place.folder().to_owned(), place.data_dir.clone(), place.folder().join("server.log"));
    let search = Search::new(&python, &folder, &data_dir, &sender.secrets)?;
    eventually("secrets to be gone", GONE_WITHIN, || Ok(search.secrets()?.is_empty().then_some(())))
        .or_else(|error| Err(error.context(format!("{:?}", search.secrets()?))))?;
    place.check()?;
    ensure!(place.terminate()?, "SIGTERM did not end in exit code 0");
    ensure!(search.secrets()?.is_empty(), "after the end: {:?}", search.secrets()?);
    let said = std::fs::read_to_string(&log).context("read the server's log")?;
    ensure!(!sender.secrets.iter().any(|secret| said.contains(secret)), "a secret is in the log");
    let report = search.report()?;
    place.end()?;
    Ok(Verdict::Passed(format!(
        "{} events, {} secrets in {} places: none in {} files, {} rows, {} decompressed",
        sender.sent,
        sender.secrets.len(),
        places.len() + OWN_PLACES.len(),
        report["files"],
        report["rows"],
        report["decompressed"]
    )))
}

/// The project's own settings: a field, and rules for what no default touches.
fn set_own_rules(place: &mut Place) -> anyhow::Result<()> {
    let authorization = format!("Bearer {}", place.token()?);
    let rules = json!({
        "rules": { "agent": { "type": "pattern", "pattern": "agent-[a-z0-9-]+", "redaction": { "method": "replace" } } },
        "applications": { "**": ["agent"], "$attachments.'notes.txt'": ["agent"], "$attachments.'all.bin'": ["@anything:remove"], "$minidump": ["agent"] },
    });
    let settings = json!({ "sensitiveFields": ["patient"], "relayPiiConfig": rules.to_string() });
    let headers =
        [("Authorization", authorization.as_str()), ("Content-Type", "application/json"), ("Connection", "close")];
    let path = "/api/0/projects/default/default/";
    let response = place.http(&request("PUT", path, &headers, settings.to_string().as_bytes()))?;
    ensure!(response.status == 200, "PUT {path}: {} {}", response.status, response.text());
    Ok(())
}

/// Sends secrets, each of its own, so that one that is found says where it was.
struct Sender {
    project: Dsn,
    secrets: Vec<String>,
    sent: usize,
}

impl Sender {
    fn secret(&mut self) -> String {
        self.secrets.push(format!("hunter{:04}-correct-horse", self.secrets.len()));
        self.secrets.last().cloned().unwrap_or_default()
    }

    fn card(&mut self) -> String {
        self.secrets.push(format!("4111-1111-2222-{:04}", self.secrets.len()));
        self.secrets.last().cloned().unwrap_or_default()
    }

    /// Sends an event with new secrets, in the next of the ways that SDKs send.
    fn event(&mut self, place: &Place, template: &str) -> anyhow::Result<()> {
        let mut event = template.to_owned();
        if event.contains('§') {
            event = event.replace('§', &self.secret());
        }
        if event.contains('¤') {
            event = event.replace('¤', &self.card());
        }
        let envelope = format!("{{}}\n{{\"type\":\"event\"}}\n{event}\n");
        match self.sent % 4 {
            0 => self.post(place, "envelope", &[], envelope.as_bytes()),
            1 => self.post(place, "envelope", &[("Content-Encoding", "gzip")], &gzip(envelope.as_bytes())),
            2 => self.post(place, "store", &[], event.as_bytes()),
            _ => self.post(place, "store", &[], old_body(&event)?.as_bytes()),
        }
    }

    /// Secrets beside the event: in the request, in names of files, in a crash report.
    fn around_the_event(&mut self, place: &Place) -> anyhow::Result<()> {
        let event = "{}\n{\"type\":\"event\"}\n{\"message\":\"m\"}\n";
        let cookie = format!("session={}", self.secret());
        self.post(place, "envelope", &[("Cookie", &cookie)], event.as_bytes())?;
        let (key, project) = (self.project.key.clone(), self.project.project.clone());
        let auth = format!("Sentry sentry_key={key}, sentry_secret={}", self.secret());
        self.post(place, "envelope", &[("X-Sentry-Auth", &auth)], event.as_bytes())?;
        let dsn = format!("http://{key}:{}@localhost/{project}", self.secret());
        let with_dsn = event.replacen("{}", &json!({ "dsn": dsn }).to_string(), 1);
        self.post(place, "envelope", &[], with_dsn.as_bytes())?;
        for name in ["dump?password=§", "https://bob:§@x/a.png", "ghp_§"] {
            let name = name.replace('§', &self.secret());
            self.post(place, "envelope", &[], &with_attachment(&name, b"bytes"))?;
        }
        let report = format!(
            "--xx\r\nContent-Disposition: form-data; name=\"sentry\"\r\n\r\n{{\"extra\":{{\"password\":\"{}\"}}}}\r\n\
             --xx\r\nContent-Disposition: form-data; name=\"api_key\"\r\n\r\n{}\r\n\
             --xx\r\nContent-Disposition: form-data; name=\"upload_file_minidump\"; filename=\"a.dmp\"\r\n\r\nMDMP\r\n--xx--\r\n",
            self.secret(),
            self.secret()
        );
        let form = ("Content-Type", "multipart/form-data; boundary=xx");
        self.post(place, "minidump", &[form], report.as_bytes())
    }

    /// Attachments are looked into by a project's own rules only.
    fn attachments_by_rule(&mut self, place: &Place) -> anyhow::Result<()> {
        let notes = format!("agent-{} was here", self.secret());
        self.post(place, "envelope", &[], &with_attachment("notes.txt", notes.as_bytes()))?;
        let all = self.secret();
        self.post(place, "envelope", &[], &with_attachment("all.bin", all.as_bytes()))
    }

    /// Bodies that are kept as blobs until they are digested: plain, compressed, sent twice, and a crash report.
    fn large_bodies(&mut self, place: &Place, places: &[&str]) -> anyhow::Result<()> {
        for template in places.iter().step_by(LARGE_EVERY) {
            let event = template.replace('§', &self.secret()).replace('¤', &self.card());
            self.post(place, "envelope", &[], &large(&event, "filler.bin", b""))?;
        }
        let event_id = Random::new(2).event_id();
        let event = format!(r#"{{"event_id":"{event_id}","extra":{{"password":"{}"}}}}"#, self.secret());
        for _ in 0..2 {
            let body = gzip(&large(&event, "filler.bin", b""));
            self.post(place, "envelope", &[("Content-Encoding", "gzip")], &body)?;
        }
        for name in ["notes.txt", "all.bin"] {
            let within = format!("agent-{} was here", self.secret());
            self.post(place, "envelope", &[], &large(r#"{"message":"m"}"#, name, within.as_bytes()))?;
        }
        let (beside, within) = (self.secret(), self.secret());
        let head = format!(
            "--xx\r\nContent-Disposition: form-data; name=\"sentry\"\r\n\r\n{{\"extra\":{{\"password\":\"{beside}\"}}}}\r\n\
             --xx\r\nContent-Disposition: form-data; name=\"upload_file_minidump\"; filename=\"a.dmp\"\r\n\r\nMDMP \
             agent-{within} "
        );
        let report = [head.as_bytes(), &filler(), b"\r\n--xx--\r\n"].concat();
        self.post(place, "minidump", &[("Content-Type", "multipart/form-data; boundary=xx")], &report)
    }

    fn post(&mut self, place: &Place, endpoint: &str, headers: &[(&str, &str)], body: &[u8]) -> anyhow::Result<()> {
        let target = format!("/api/{}/{endpoint}/?sentry_key={}", self.project.project, self.project.key);
        let headers: Vec<(&str, &str)> = headers.iter().copied().chain([("Connection", "close")]).collect();
        let response = place.http(&request("POST", &target, &headers, body))?;
        ensure!(response.status == 200, "{endpoint}: {} {}", response.status, response.text());
        self.sent += 1;
        Ok(())
    }
}

/// An envelope with an event and an attachment that makes it too large for a job.
fn large(event: &str, name: &str, within: &[u8]) -> Vec<u8> {
    let attachment = [within, b"\n", &filler()].concat();
    let header = json!({ "type": "attachment", "filename": name, "length": attachment.len() });
    let head = format!("{{}}\n{{\"type\":\"event\"}}\n{event}\n{header}\n");
    [head.as_bytes(), &attachment, b"\n"].concat()
}

/// Bytes that do not compress, the same each time.
fn filler() -> Vec<u8> {
    let mut random = Random::new(1);
    (0..LARGE_BYTES / 8).flat_map(|_| random.next_u64().to_le_bytes()).collect()
}

/// What raven-ruby and raven-node send.
fn old_body(event: &str) -> anyhow::Result<String> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(event.as_bytes())?;
    Ok(base64::engine::general_purpose::STANDARD.encode(encoder.finish()?))
}

fn with_attachment(name: &str, bytes: &[u8]) -> Vec<u8> {
    let header = json!({ "type": "attachment", "filename": name, "length": bytes.len() });
    let head = format!("{{}}\n{{\"type\":\"event\"}}\n{{\"message\":\"m\"}}\n{header}\n");
    [head.as_bytes(), bytes, b"\n"].concat()
}

/// The search through a data directory.
struct Search {
    python: PathBuf,
    data_dir: PathBuf,
    texts: PathBuf,
}

impl Search {
    fn new(python: &Path, folder: &Path, data_dir: &Path, secrets: &[String]) -> anyhow::Result<Search> {
        let texts = folder.join("texts.json");
        let all: Vec<&str> = secrets.iter().map(String::as_str).chain([VISIBLE]).collect();
        std::fs::write(&texts, json!(all).to_string()).context("write what is searched for")?;
        Ok(Search { python: python.to_owned(), data_dir: data_dir.to_owned(), texts })
    }

    fn report(&self) -> anyhow::Result<Value> {
        let script = root().join("e2e/clients/search_data.py");
        run_client(Command::new(&self.python).arg(script).arg(&self.data_dir).arg(&self.texts))
    }

    /// Returns the secrets that were found, and where.
    fn secrets(&self) -> anyhow::Result<Vec<String>> {
        let report = self.report()?;
        ensure!(report["dictionaries"].as_u64() > Some(0), "no dictionary was trained: {report}");
        let found = report["found"].as_object().context("the search reports what it found")?;
        ensure!(found.contains_key(VISIBLE), "the search does not find what is there: {report}");
        Ok(found.iter().filter(|(text, _)| *text != VISIBLE).map(|(text, at)| format!("{text} in {at}")).collect())
    }
}
