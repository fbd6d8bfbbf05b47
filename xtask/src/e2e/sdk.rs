//! What the tests of real SDKs have in common: run a small program with a DSN, then find what it says it sent.

use super::{Place, eventually};
use anyhow::Context;
use serde_json::Value;
use std::process::Command;
use std::time::Duration;

/// From the moment an SDK has flushed (Must show: within 2 s of being sent).
const VISIBLE_WITHIN: Duration = Duration::from_secs(2);

/// Runs the program; returns the JSON of its last line.
///
/// # Errors
/// If it fails; its standard error is in the message.
pub fn run_client(command: &mut Command) -> anyhow::Result<Value> {
    let output = command.output().with_context(|| format!("run {command:?}"))?;
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    anyhow::ensure!(output.status.success(), "the client failed ({}):\n{stdout}{stderr}", output.status);
    let line = stdout.lines().last().unwrap_or_default();
    serde_json::from_str(line).with_context(|| format!("read the client's last line: {line}"))
}

/// Waits until an event can be read; returns it.
///
/// # Errors
/// If it is not visible in time.
pub fn visible_event(place: &mut Place, event_id: &str) -> anyhow::Result<Value> {
    let path = format!("/projects/default/default/events/{event_id}/");
    eventually(&format!("event {event_id} in the API"), VISIBLE_WITHIN, || {
        let (response, value) = place.api(&path)?;
        Ok((response.status == 200).then_some(value))
    })
}

/// Waits until the issue list, as a person sees it, holds a text.
///
/// # Errors
/// If it does not in time.
pub fn visible_in_list(place: &mut Place, cookie: &str, text: &str) -> anyhow::Result<()> {
    let request = bench::http::request("GET", "/", &[("Cookie", cookie), ("Connection", "close")], b"");
    eventually(&format!("'{text}' in the issue list"), VISIBLE_WITHIN, || {
        let response = place.http(&request)?;
        anyhow::ensure!(response.status == 200, "GET /: {}", response.status);
        Ok(response.text().contains(text).then_some(()))
    })
}

/// What must be seen of an event that an SDK sent.
pub struct Expected<'a> {
    /// The whole title, as people read it.
    pub title: &'a str,
    /// Texts on the event's page: release, environment, tags, user, names of functions.
    pub shown: &'a [&'a str],
}

/// Waits for an event and looks at it as scripts and people do: its title, its page, its receipt.
///
/// # Errors
/// If it is not visible in time, or something of it is missing.
pub fn check_event(place: &mut Place, cookie: &str, event_id: &str, expected: &Expected<'_>) -> anyhow::Result<()> {
    let event = visible_event(place, event_id)?;
    let title = text_at(&event, "/title");
    anyhow::ensure!(title == expected.title, "the title is {title} and not {}", expected.title);
    let words = ["/metadata/type", "/metadata/value", "/title"].map(|pointer| text_at(&event, pointer));
    visible_in_list(place, cookie, words.into_iter().find(|text| !text.is_empty()).unwrap_or_default())?;
    let path = format!("/issues/{}/events/{event_id}/", text_at(&event, "/groupID"));
    let page = place.http(&bench::http::request("GET", &path, &[("Cookie", cookie), ("Connection", "close")], b""))?;
    anyhow::ensure!(page.status == 200, "GET {path}: {}", page.status);
    let html = page.text();
    let missing: Vec<_> = expected.shown.iter().filter(|text| !html.contains(**text)).collect();
    anyhow::ensure!(missing.is_empty(), "{} does not show {missing:?}", expected.title);
    let (_, receipt) = place.api(&format!("/projects/default/default/events/{event_id}/receipt/"))?;
    anyhow::ensure!(text_at(&receipt, "/state") == "stored", "the receipt says {receipt}");
    Ok(())
}

/// Returns the one attachment of an event: its name and bytes.
///
/// # Errors
/// If there is not exactly one, or it cannot be read.
pub fn attachment(place: &mut Place, event_id: &str) -> anyhow::Result<(String, Vec<u8>)> {
    let path = format!("/projects/default/default/events/{event_id}/attachments/");
    let (_, list) = place.api(&path)?;
    let rows = list.as_array().with_context(|| format!("the attachments are no list: {list}"))?;
    anyhow::ensure!(rows.len() == 1, "expected one attachment: {list}");
    let id = rows[0]["id"].as_str().context("an attachment has an id")?;
    let (response, _) = place.api(&format!("{path}{id}/?download"))?;
    Ok((rows[0]["name"].as_str().unwrap_or_default().to_owned(), response.body))
}

/// Makes a person and logs in; returns the session's cookie.
///
/// # Errors
/// If either is refused.
pub fn log_in(place: &Place) -> anyhow::Result<String> {
    let (email, password) = ("e2e@localhost", "e2e-password-of-a-private-server");
    create_user(place, email, password)?;
    place.session_cookie(email, password)
}

/// Makes a person who may do everything.
///
/// # Errors
/// If the command fails.
pub fn create_user(place: &Place, email: &str, password: &str) -> anyhow::Result<()> {
    let arguments = ["createuser", "--email", email, "--password", password, "--superuser", "--no-input"];
    let output = place.command(&arguments)?;
    anyhow::ensure!(output.status.success(), "createuser: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// Returns the text at a path of keys and indices; empty if there is none.
pub fn text_at<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}
