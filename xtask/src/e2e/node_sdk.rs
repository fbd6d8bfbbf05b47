//! An unchanged Node application with Sentry's SDK: its error and message are there within 2 s.

use super::python_sdk::raw_json;
use super::sdk::{log_in, run_client, text_at, visible_event, visible_in_list};
use super::{Case, Place, Verdict, programs};
use crate::root::root;
use anyhow::ensure;
use std::process::Command;

pub fn run(case: &Case<'_>) -> anyhow::Result<Verdict> {
    let folder = programs::node_folder()?;
    let mut place = Place::start(case)?;
    let cookie = log_in(&place)?;
    place.token()?;
    let dsn = place.dsn("default/default")?.text;
    let mut client = Command::new("node");
    client.arg(root().join("e2e/clients/node_app.cjs")).arg(folder.join("node_modules/@sentry/node")).arg(dsn);
    let sent = run_client(&mut client)?;

    let exception = visible_event(&mut place, text_at(&sent, "/exception"))?;
    visible_in_list(&mut place, &cookie, "PaymentError")?;
    let title = text_at(&exception, "/title");
    ensure!(title.starts_with("PaymentError: "), "the title is {title}");
    let raw = raw_json(&mut place, text_at(&sent, "/exception"))?;
    for text in ["voucher is spent", "no such voucher", "area", "button#pay"] {
        ensure!(raw.contains(text), "{text} is missing from the raw event: {raw}");
    }
    // This SDK sends a message with its stack as an exception without a type; people must find its words all the same.
    visible_event(&mut place, text_at(&sent, "/message"))?;
    let raw = raw_json(&mut place, text_at(&sent, "/message"))?;
    ensure!(raw.contains("plain message of node"), "the message is missing from the raw event: {raw}");
    visible_in_list(&mut place, &cookie, "plain message of node")?;
    place.check()?;
    place.end()?;
    Ok(Verdict::Passed(format!("@sentry/node {}: error and message", text_at(&sent, "/version"))))
}
