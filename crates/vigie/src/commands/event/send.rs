//! `vigie event send`: posts an event to a DSN as an SDK would.

use super::output;
use crate::config::{Config, Flags};
use crate::local::Local;
use anyhow::Context;
use ops::projects::ProjectRef;
use protocol::dsn::{Dsn, Scheme};
use protocol::{EventId, limits};
use serde_json::json;
use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::Path;
use std::time::Duration;
use stdx::{Clock, SystemClock};

const DEADLINE: Duration = Duration::from_secs(10);
const ANSWER_BYTES_MAX: u64 = 64 << 10;

pub fn run(flags: &Flags, dsn: Option<&str>, message: Option<&str>, file: Option<&Path>) -> anyhow::Result<()> {
    let dsn = match dsn {
        Some(dsn) => dsn.to_owned(),
        None => first_dsn(flags)?,
    };
    let dsn: Dsn = dsn.parse().with_context(|| format!("read the DSN {dsn}"))?;
    anyhow::ensure!(dsn.scheme == Scheme::Http, "event send speaks http only; use an SDK for https");
    let event_id = EventId::random(stdx::random::bytes());
    let payload = match file {
        Some(file) => super::read(file)?,
        None => test_event(event_id, message.unwrap_or("This is a test event of vigie event send")),
    };
    anyhow::ensure!(
        payload.len() as u64 <= limits::EVENT_BYTES_MAX,
        "the event exceeds {} bytes",
        limits::EVENT_BYTES_MAX
    );
    let header = json!({ "event_id": event_id.to_string() });
    let item = json!({ "type": "event", "length": payload.len() });
    let mut envelope = format!("{header}\n{item}\n").into_bytes();
    envelope.extend_from_slice(&payload);
    post(&dsn, &envelope)?;
    output::line(&event_id.to_string())
}

/// The first key of the first project, as the running Vigie prints it.
fn first_dsn(flags: &Flags) -> anyhow::Result<String> {
    let local = Local::open(&Config::load(flags)?)?;
    let projects = local.wait(ops::projects::list(&local.ops, &local.caller(), None))?;
    let project = projects.first().context("there is no project yet; give --dsn")?;
    let project = ProjectRef { org: project.organization.slug.clone(), project: project.slug.clone() };
    let keys = local.wait(ops::keys::list(&local.ops, &local.caller(), &project))?;
    let key = keys.into_iter().find(|key| key.is_active).context("the project has no active key; give --dsn")?;
    Ok(key.dsn_public)
}

fn test_event(event_id: EventId, message: &str) -> Vec<u8> {
    let event = json!({
        "event_id": event_id.to_string(), "timestamp": SystemClock.now().to_rfc3339(), "level": "info",
        "platform": "other", "message": message, "logger": "vigie",
    });
    event.to_string().into_bytes()
}

fn post(dsn: &Dsn, body: &[u8]) -> anyhow::Result<()> {
    let address = format!("{}:{}", dsn.host, dsn.port_or_default());
    let target = address.to_socket_addrs()?.next().with_context(|| format!("find {address}"))?;
    let mut stream = TcpStream::connect_timeout(&target, DEADLINE).with_context(|| format!("connect to {address}"))?;
    stream.set_read_timeout(Some(DEADLINE)).context("set the deadline of the answer")?;
    let path = format!("{}/api/{}/envelope/", dsn.path_prefix, dsn.project_id);
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nX-Sentry-Auth: Sentry sentry_version=7, sentry_key={}, \
         sentry_client=vigie/{}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        dsn.public_key.as_str(),
        env!("CARGO_PKG_VERSION"),
        body.len()
    );
    stream.write_all(head.as_bytes()).context("send the event")?;
    stream.write_all(body).context("send the event")?;
    let mut answer = String::new();
    stream.take(ANSWER_BYTES_MAX).read_to_string(&mut answer).context("read the answer")?;
    let status = answer.split(' ').nth(1).unwrap_or_default();
    if status != "200" {
        let detail = answer.split("\r\n\r\n").nth(1).unwrap_or_default();
        anyhow::bail!("{address} refused the event with {status}: {detail}");
    }
    Ok(())
}
