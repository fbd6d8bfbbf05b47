//! An unchanged Python application with Sentry's SDK: its exception, message and attachment are there within 2 s.

use super::sdk::{attachment, log_in, run_client, text_at, visible_event, visible_in_list};
use super::{Case, Place, Verdict, programs};
use crate::root::root;
use anyhow::ensure;
use std::process::Command;

pub fn run(case: &Case<'_>) -> anyhow::Result<Verdict> {
    let python = programs::python()?;
    let mut place = Place::start(case)?;
    let cookie = log_in(&place)?;
    place.token()?;
    let dsn = place.dsn("default/default")?.text;
    let sent = run_client(Command::new(python).arg(root().join("e2e/clients/python_app.py")).arg(dsn))?;

    let exception = visible_event(&mut place, text_at(&sent, "/exception"))?;
    visible_in_list(&mut place, &cookie, "ParcelLost")?;
    let title = text_at(&exception, "/title");
    ensure!(title.starts_with("ParcelLost: "), "the title is {title}");
    let raw = raw_json(&mut place, text_at(&sent, "/exception"))?;
    for text in ["label-é-☃", "weigh_parcel", "tracking", "checkout", "jane@example.org"] {
        ensure!(raw.contains(text), "{text} is missing from the raw event: {raw}");
    }
    let (name, bytes) = attachment(&mut place, text_at(&sent, "/exception"))?;
    ensure!(name == "note.bin" && bytes == b"line\n\x00\xff\n", "attachment {name}: {bytes:?}");

    let message = visible_event(&mut place, text_at(&sent, "/message"))?;
    let title = text_at(&message, "/title").to_owned();
    ensure!(title == "plain message of python", "the title is {title}");
    place.check()?;
    place.end()?;
    Ok(Verdict::Passed(format!("sentry-sdk {}: exception, message and attachment", text_at(&sent, "/version"))))
}

pub(super) fn raw_json(place: &mut Place, event_id: &str) -> anyhow::Result<String> {
    let (response, value) = place.api(&format!("/projects/default/default/events/{event_id}/json/"))?;
    ensure!(response.status == 200, "raw event {event_id}: {}", response.status);
    Ok(value.to_string())
}
