//! `vigie event send | normalize | group | lookup`.

mod group;
mod send;

use super::output;
use crate::cli::Event as Command;
use crate::config::{Config, Flags};
use crate::local::Local;
use anyhow::Context as _;
use ops::projects::Project;
use ops::receipts::{Receipt, ReceiptStep, Search};
use processing::Context;
use protocol::event::Event;
use protocol::{EventId, json};
use serde_json::{Value, json as object};
use std::path::Path;
use std::process::ExitCode;
use stdx::{Clock, SystemClock};

/// A file with an event is not larger than the protocol allows, repaired or not.
const FILE_BYTES_MAX: u64 = 4 << 20;

pub fn run(command: &Command, flags: &Flags) -> anyhow::Result<ExitCode> {
    match command {
        Command::Send { dsn, message, file } => {
            send::run(flags, dsn.as_deref(), message.as_deref(), file.as_deref())?;
        }
        Command::Normalize { file, client_ip } => {
            let client_ip = client_ip.as_deref().map(str::parse).transpose().context("read --client-ip")?;
            let bytes = read(file)?;
            let mut repaired = Vec::new();
            let event = parse(&bytes, &mut repaired)?;
            let context = context(event.id, client_ip);
            let event = processing::normalise(event, &context);
            output::line(&json::to_text(&event.into_value()))?;
        }
        Command::Group { file, config, explain } => group::run(file, config.as_deref(), *explain)?,
        Command::Lookup { event_id, listing } => lookup(&Config::load(flags)?, event_id, listing.json)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The event keeps the id that it has, as it does when it is sent.
fn context(event_id: Option<[u8; 16]>, client_ip: Option<std::net::IpAddr>) -> Context<'static> {
    let event_id = event_id.unwrap_or_else(|| EventId::random(stdx::random::bytes()).bytes());
    Context { event_id, received_at: SystemClock.now(), client_ip, ..Context::default() }
}

pub(super) fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    let size = file.metadata().with_context(|| format!("read {}", file.display()))?.len();
    anyhow::ensure!(size <= FILE_BYTES_MAX, "{} has {size} bytes, at most {FILE_BYTES_MAX}", file.display());
    std::fs::read(file).with_context(|| format!("read {}", file.display()))
}

fn parse<'a>(bytes: &'a [u8], repaired: &'a mut Vec<u8>) -> anyhow::Result<Event<'a>> {
    let value = json::parse_or_repair(bytes, repaired).context("read the event's JSON")?;
    Event::from_value(value).context("read the event")
}

/// The event may be in any project: each is asked, and those that know it answer.
fn lookup(config: &Config, event_id: &str, as_json: bool) -> anyhow::Result<()> {
    let local = Local::open(config)?;
    let Search { found, unseen } = local.wait(ops::receipts::search(&local.ops, &local.caller(), event_id))?;
    if as_json {
        let mut shapes: Vec<Value> = found.iter().map(|(project, receipt)| shape(&name_of(project), receipt)).collect();
        if let (true, Some(unseen)) = (found.is_empty(), unseen) {
            shapes.push(object!({ "event_id": event_id, "project": null, "state": "unknown", "reason": unseen }));
        }
        return output::json(&shapes.into());
    }
    if found.is_empty() {
        let unseen = unseen.map(|unseen| format!(" ({unseen})")).unwrap_or_default();
        return output::line(&format!("{event_id}: unknown{unseen}"));
    }
    for (project, receipt) in found {
        let reason = receipt.reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
        output::line(&format!("{event_id} in {}: {}{reason}", name_of(&project), receipt.state.as_str()))?;
        for step in receipt.steps {
            let at = step.at.map(|at| at.to_rfc3339()).unwrap_or_default();
            output::line(&format!("  {:<12} {at}", step.step))?;
        }
    }
    Ok(())
}

fn name_of(project: &Project) -> String {
    format!("{}/{}", project.organization.slug, project.slug)
}

fn shape(project: &str, receipt: &Receipt) -> Value {
    let step = |step: &ReceiptStep| object!({ "step": step.step, "at": step.at.map(|at| at.to_rfc3339()) });
    object!({
        "event_id": receipt.event_id, "project": project, "state": receipt.state.as_str(),
        "reason": receipt.reason, "issue_id": receipt.issue_id.map(|id| id.to_string()),
        "steps": receipt.steps.iter().map(step).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::{context, json};
    use protocol::event::Event;

    #[test]
    fn an_event_keeps_its_id_and_twice_is_once() {
        let normalised = |text: &str| {
            let event = Event::parse(text.as_bytes()).expect("an event");
            let context = context(event.id, None);
            json::to_text(&processing::normalise(event, &context).into_value())
        };
        let id = |text: &str| Event::parse(text.as_bytes()).expect("an event").id;
        let once = normalised(r#"{"event_id":"AAAAAAAA-aaaa-aaaa-aaaa-aaaaaaaaaaaa","message":"x"}"#);
        assert!(once.contains(r#""event_id":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa""#), "{once}");
        let without = normalised(r#"{"message":"x"}"#);
        assert_eq!(id(&normalised(&without)), id(&without));
        assert!(id(&without).is_some());
    }
}
