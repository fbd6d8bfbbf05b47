//! What browsers report by themselves: a page in headless Chromium that breaks its own policy, the Reporting API's lists,
//! and the obsolete kinds. Each report is an event with Sentry's title; nonsense is refused and counted.

use super::sdk::{run_client, text_at};
use super::{Case, Place, Verdict, programs};
use crate::root::root;
use anyhow::{Context, ensure};
use bench::http::{Response, request};
use bench::server::Dsn;
use serde_json::{Value, json};
use std::process::Command;
use std::time::Duration;

const DRAIN_WITHIN: Duration = Duration::from_secs(30);
const CLASSIC: &str = "application/csp-report";
const LIST: &str = "application/reports+json";

pub fn run(case: &Case<'_>) -> anyhow::Result<Verdict> {
    if !crate::command::works("node", &["--version"]) {
        programs::node_folder()?;
    }
    let chromium = programs::chromium()?;
    let mut place = Place::start(case)?;
    let dsn = place.dsn("default/default")?;
    let plan = json!({
        "chromium": chromium,
        "target": format!("http://{}{}", place.address, target(&dsn, "security")),
        "profile": place.folder().join("profile"),
    });
    let sent = run_client(Command::new("node").arg(root().join("e2e/clients/csp_page.cjs")).arg(plan.to_string()))?;
    ensure!(sent["answers"] == json!([200, 200]), "the browser was answered {sent}");
    by_hand(&place, &dsn)?;
    refused(&place, &dsn)?;
    place.drained(DRAIN_WITHIN)?;

    let (_, events) = place.api("/projects/default/default/events/")?;
    let events = events.as_array().context("the events are a list")?.clone();
    let mut found: Vec<(&str, &str)> =
        events.iter().map(|event| (text_at(event, "/title"), text_at(event, "/culprit"))).collect();
    found.sort_unstable();
    let expected = [
        ("Blocked 'connect' from 'evil.test'", "connect-src 'self'"),
        ("Blocked 'image' from '127.0.0.1:9'", "img-src"),
        ("Blocked 'script' from 'inline:'", "script-src-elem"),
        ("Blocked 'script' from 'inline:'", "script-src-elem"),
        ("Blocked 'style' from 'evil.test'", "style-src-elem"),
        ("Expect-CT failed for 'a.test'", "https://a.test/"),
    ];
    ensure!(found == expected, "{found:?}");
    of_browser(&mut place, &events)?;
    place.check()?;
    place.end()?;
    Ok(Verdict::Passed(format!("{} reports, 2 of them Chromium's; nonsense refused", found.len())))
}

/// Reports in the forms that no page of ours makes a browser send.
fn by_hand(place: &Place, dsn: &Dsn) -> anyhow::Result<()> {
    let firefox = json!({ "csp-report": {
        "document-uri": "https://shop.test/a", "violated-directive": "connect-src https://shop.test",
        "blocked-uri": "https://evil.test/x",
    } });
    let violation = |directive: &str, blocked: &str| {
        json!({ "type": "csp-violation", "url": "https://shop.test/a", "user_agent": "Mozilla/5.0",
            "body": { "effectiveDirective": directive, "blockedURL": blocked } })
    };
    let list = json!([
        { "type": "deprecation", "body": {} },
        violation("script-src-elem", "inline"),
        violation("style-src-elem", "https://evil.test/a.css"),
    ]);
    let transparency = json!({ "expect-ct-report": { "hostname": "a.test", "port": 443 } });
    for (endpoint, kind, body) in [
        ("csp-report", CLASSIC, firefox),
        ("security", LIST, list),
        ("security", "application/expect-ct-report+json", transparency),
    ] {
        let response = post(place, dsn, endpoint, kind, &body.to_string())?;
        ensure!(response.status == 200 && response.body.is_empty(), "{kind}: {} {}", response.status, response.text());
    }
    Ok(())
}

fn refused(place: &Place, dsn: &Dsn) -> anyhow::Result<()> {
    let deep = "[".repeat(100_000);
    for (kind, body, status, detail) in [
        ("text/plain", "{}", 415, "unsupported media type"),
        (CLASSIC, "{", 400, "invalid JSON data"),
        (CLASSIC, deep.as_str(), 400, "invalid JSON data"),
        (CLASSIC, "{}", 400, "holds no security report"),
        (LIST, "[]", 400, "holds no security report"),
        (CLASSIC, r#"{"csp-report":{"effective-directive":"nope"}}"#, 400, "names no directive"),
    ] {
        let response = post(place, dsn, "security", kind, body)?;
        let text = response.text();
        ensure!(response.status == status && text.contains(detail), "{detail}: {} {text}", response.status);
    }
    let large = format!(r#"{{"csp-report":{{"effective-directive":"img-src","x":"{}"}}}}"#, "x".repeat(2 << 20));
    ensure!(post(place, dsn, "security", CLASSIC, &large)?.status == 413, "a report of 2 MB");
    let stranger = Dsn { key: "0".repeat(32), ..dsn.clone() };
    ensure!(post(place, &stranger, "security", CLASSIC, "{}")?.status == 403, "a stranger's report");
    Ok(())
}

/// The browser that reported is known by the request that brought the report.
fn of_browser(place: &mut Place, events: &[Value]) -> anyhow::Result<()> {
    let of_image = events.iter().find(|event| text_at(event, "/title").contains("image"));
    let id = text_at(of_image.context("an event of the image")?, "/eventID").to_owned();
    let (_, event) = place.api(&format!("/projects/default/default/events/{id}/"))?;
    ensure!(text_at(&event, "/user/ip_address") == "127.0.0.1", "the user is {}", event["user"]);
    let browser = text_at(&event, "/contexts/browser/name");
    ensure!(browser.contains("Chrom"), "the browser is {browser:?}: {}", event["contexts"]);
    Ok(())
}

fn target(dsn: &Dsn, endpoint: &str) -> String {
    format!("/api/{}/{endpoint}/?sentry_key={}&sentry_release=demo%401&sentry_environment=prod", dsn.project, dsn.key)
}

fn post(place: &Place, dsn: &Dsn, endpoint: &str, kind: &str, body: &str) -> anyhow::Result<Response> {
    let headers = [("Content-Type", kind), ("Connection", "close")];
    place.http(&request("POST", &target(dsn, endpoint), &headers, body.as_bytes()))
}
