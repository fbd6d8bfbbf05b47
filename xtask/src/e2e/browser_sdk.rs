//! A page in headless Chromium with Sentry's browser SDK, from another origin: errors that are caught, thrown and rejected
//! are there within 2 s, with the browser that sent them.

use super::sdk::{Expected, check_event, log_in, run_client, text_at};
use super::{Case, Place, Verdict, programs};
use crate::root::root;
use anyhow::ensure;
use serde_json::json;
use std::process::Command;

const SHOWN: &[&str] = &["shop-front@5.1.0", "production", "basket", "summer", "cara@example.org", "Chrome", "Linux"];

pub fn run(case: &Case<'_>) -> anyhow::Result<Verdict> {
    let folder = programs::browser_folder()?;
    let chromium = programs::chromium()?;
    let mut place = Place::start(case)?;
    let cookie = log_in(&place)?;
    place.token()?;
    let plan = json!({
        "chromium": chromium,
        "folder": folder,
        "dsn": place.dsn("default/default")?.text,
        "profile": place.folder().join("profile"),
    });
    let sent = run_client(Command::new("node").arg(root().join("e2e/clients/browser_app.cjs")).arg(plan.to_string()))?;
    ensure!(sent["flushed"] == true, "the SDK could not send everything: {sent}");

    let caught = [SHOWN, &["number", "button#pay"]].concat();
    let message = [SHOWN, &["plain message of a browser"]].concat();
    let kinds = [
        ("/exception", "PaymentError: card was refused", caught.as_slice()),
        ("/unhandled", "RangeError: basket is too large", SHOWN),
        ("/rejection", "TypeError: no such basket", SHOWN),
        // This SDK sends a message with its stack as an exception without a type, which Sentry titles so.
        ("/message", "<unknown>", message.as_slice()),
    ];
    for (name, title, shown) in kinds {
        check_event(&mut place, &cookie, text_at(&sent, name), &Expected { title, shown })?;
    }
    place.check()?;
    place.end()?;
    let version = text_at(&sent, "/version");
    Ok(Verdict::Passed(format!("@sentry/browser {version} in Chromium: caught, thrown, rejected, message")))
}
