//! The pages in a real browser: login, list, issue, project and system, wide and narrow, light and dark: no error in the
//! console, nothing wider than the screen, no request to another host. Screenshots stay under `target/xtask/screens`.

use super::sdk::create_user;
use super::{Case, Place, Verdict, eventually, programs};
use crate::root::{root, work_dir};
use anyhow::{Context, ensure};
use bench::event::Shape;
use bench::load;
use serde_json::{Value, json};
use std::process::Command;
use std::time::Duration;

const EVENTS: usize = 300;
const SHAPE: Shape = Shape { groups: 12, bytes: 6_000 };
const EMAIL: &str = "pages@localhost";
const PASSWORD: &str = "e2e-password-of-a-private-server";
const SEND_WITHIN: Duration = Duration::from_secs(60);
/// The grouping lab, and a rule for it that puts issues together.
const LAB: &str = "/projects/default/default/grouping/";
const RULE: &str = "level:error -> all-errors";
const STOPPED_WITHIN: Duration = Duration::from_secs(20);

pub fn run(case: &Case<'_>) -> anyhow::Result<Verdict> {
    if !crate::command::works("node", &["--version"]) {
        programs::node_folder()?;
    }
    let chromium = programs::chromium()?;
    let mut place = Place::start(case)?;
    create_user(&place, EMAIL, PASSWORD)?;
    let dsn = place.dsn("default/default")?;
    let requests = load::prepare(SHAPE, EVENTS, 3, &dsn.project, &dsn.key);
    let outcome = load::send(place.address, &requests, 4, SEND_WITHIN);
    ensure!(outcome.accepted.len() == EVENTS, "sending: {}", outcome.report());
    place.drained(SEND_WITHIN)?;

    let screens = work_dir().join("screens");
    std::fs::create_dir_all(&screens).context("make target/xtask/screens")?;
    let plan = json!({
        "chromium": chromium,
        "url": format!("http://{}", place.address),
        "email": EMAIL,
        "password": PASSWORD,
        "profile": place.folder().join("profile"),
        "screens": screens,
        "pages": pages(&mut place)?,
    });
    let mut browser = Command::new("node");
    browser.arg(root().join("e2e/clients/pages.cjs")).arg(plan.to_string());
    let report = super::sdk::run_client(&mut browser)?;
    let problems = report["problems"].as_array().context("the browser reports problems")?;
    for problem in problems {
        println!("        {}", problem.as_str().unwrap_or_default());
    }
    ensure!(problems.is_empty(), "{} problems", problems.len());
    place.end()?;
    Ok(Verdict::Passed(format!("{} views without a problem; screenshots in target/xtask/screens", report["views"])))
}

/// Something for the console to show: a job that failed to the end, one that runs for long, one that nobody knows, and a
/// paused queue. Returns the dead letter's id.
fn trouble(place: &Place) -> anyhow::Result<String> {
    let failing = say(place, &["queues", "send", "debug.append", "--args", "[\"../elsewhere\", \"x\"]"])?;
    say(place, &["queues", "send", "debug.sleep", "--args", "[20]"])?;
    say(place, &["queues", "send", "shop.tasks.bill", "--queue", "debug", "--args", "[1]"])?;
    let stopped = failing.trim().to_owned();
    eventually("the failing job to stop", STOPPED_WITHIN, || {
        let letters: Value = serde_json::from_str(&say(place, &["queues", "dead", "list", "--json"])?)?;
        let ids: Vec<&str> =
            letters.as_array().into_iter().flatten().filter_map(|letter| letter["id"].as_str()).collect();
        Ok(ids.contains(&stopped.as_str()).then_some(()))
    })?;
    say(place, &["queues", "pause", "debug"])?;
    say(place, &["queues", "send", "debug.echo", "--args", "[1]"])?;
    Ok(stopped)
}

fn say(place: &Place, words: &[&str]) -> anyhow::Result<String> {
    let output = place.command(words)?;
    ensure!(output.status.success(), "vigie {}: {}", words.join(" "), String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Puts the first three issues together.
fn merge(place: &mut Place, issues: &Value) -> anyhow::Result<()> {
    let ids: Vec<&str> = issues.as_array().into_iter().flatten().filter_map(|issue| issue["id"].as_str()).collect();
    ensure!(ids.len() > 3, "{} issues are too few", ids.len());
    let path = format!("/api/0/projects/default/default/issues/?id={}&id={}&id={}", ids[0], ids[1], ids[2]);
    let authorization = format!("Bearer {}", place.token()?);
    let headers =
        [("Authorization", authorization.as_str()), ("Content-Type", "application/json"), ("Connection", "close")];
    let response = place.http(&bench::http::request("PUT", &path, &headers, br#"{"merge":1}"#))?;
    ensure!(response.status == 200, "PUT {path}: {} {}", response.status, response.text());
    Ok(())
}

/// Names and paths of the pages to look at, and what is typed into the form of one before its button is pressed.
fn pages(place: &mut Place) -> anyhow::Result<Value> {
    let (_, issues) = place.api("/projects/default/default/issues/?query=")?;
    let issue = issues[0]["id"].as_str().context("there is an issue")?.to_owned();
    let (_, event) = place.api(&format!("/issues/{issue}/events/latest/"))?;
    let event = event["eventID"].as_str().context("an issue has a latest event")?.to_owned();
    let stopped = trouble(place)?;
    let alone = issues[3]["id"].as_str().context("there is another issue")?.to_owned();
    merge(place, &issues)?;
    Ok(json!([
        ["issues", "/"],
        ["issues-search", "/?query=is%3Aunresolved+level%3Aerror&sort=freq"],
        ["issues-none", "/?query=nothing-has-this-text"],
        ["issue", format!("/issues/{issue}/")],
        ["event", format!("/issues/{issue}/events/{event}/")],
        ["event-grouping", format!("/issues/{issue}/events/{event}/#grouping")],
        ["events", format!("/issues/{issue}/events/")],
        ["projects", "/projects/"],
        ["project", "/projects/default/default/"],
        ["project-new", "/projects/new/"],
        ["project-scrubbing", format!("/settings/projects/default/default/scrubbing/?event={event}")],
        ["project-filters", "/settings/projects/default/default/filters/"],
        ["project-grouping", LAB],
        ["project-grouping-tried", LAB, { "stack_rules": "function:* max-frames=1", "fingerprint_rules": RULE }],
        ["issue-merged", format!("/issues/{issue}/merged/")],
        ["issue-merged-none", format!("/issues/{alone}/merged/")],
        ["account", "/settings/account/"],
        ["system", "/system/"],
        ["system-queues", "/system/queues/"],
        ["system-workers", "/system/workers/"],
        ["system-dead-letters", "/system/dead-letters/"],
        ["system-dead-letter", format!("/system/dead-letters/{stopped}/")],
        ["system-schedules", "/system/schedules/"],
        ["system-storage", "/system/storage/"],
        ["system-itself", "/system/itself/"],
        ["system-config", "/system/config/"],
        ["system-event", format!("/system/events/?event={event}")],
    ]))
}
