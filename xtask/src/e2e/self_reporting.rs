//! What goes wrong in Vigie itself is reported once to each destination: a second Vigie upstream, and the project
//! `internal` at home. A report that cannot be stored at home causes no other.

pub mod crash;

use super::{Case, Place, Verdict, eventually, place};
use anyhow::{Context, ensure};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

const REPORTED_WITHIN: Duration = Duration::from_secs(30);
/// Long enough for a report on a report to come, if there were one.
const REST: Duration = Duration::from_secs(3);
const MESSAGE: &str = "unknown task, its jobs are parked";

pub fn run(case: &Case<'_>) -> anyhow::Result<Verdict> {
    let folder = place::fresh_folder(case)?;
    let mut upstream = start(case, &folder, "upstream", &[])?;
    let dsn = upstream.dsn("default/default")?;
    let address = format!("http://{}@{}/{}", dsn.key, upstream.address, dsn.project);
    let mut home = start(case, &folder, "home", &[("VIGIE_SELF_REPORTING__UPSTREAM_DSN", &address)])?;
    let sent = home.command(&["queues", "send", "no.such.task", "--queue", "debug"])?;
    ensure!(sent.status.success(), "sending a job of an unknown task: {}", String::from_utf8_lossy(&sent.stderr));
    for (place, project) in [(&mut upstream, "default"), (&mut home, "internal")] {
        eventually(&format!("the report in {project}"), REPORTED_WITHIN, || {
            Ok((reports(place, project)? == 1).then_some(()))
        })?;
    }
    std::thread::sleep(REST);
    for (place, project) in [(&mut upstream, "default"), (&mut home, "internal")] {
        ensure!(reports(place, project)? == 1, "{project}: reported once and no more");
    }
    let tallies = tallies(&home)?;
    ensure!(tallies == [("upstream".to_owned(), 1, 1, 0), ("relay".to_owned(), 1, 1, 0)], "{tallies:?}");
    ends_in_boot(case, &folder.join("third"), &home, &address)?;
    eventually("the report of the failed start", REPORTED_WITHIN, || {
        let (_, issues) = upstream.api("/projects/default/default/issues/?query=")?;
        let titles = issues.as_array().into_iter().flatten().filter_map(|issue| issue["title"].as_str());
        Ok(titles.into_iter().any(|title| title.contains("listen on")).then_some(()))
    })?;
    let said = format!("one error, one event upstream and one at home; {} destinations add up", tallies.len());
    upstream.end()?;
    home.end()?;
    Ok(Verdict::Passed(said))
}

fn start(case: &Case<'_>, folder: &Path, name: &str, environment: &[(&str, &str)]) -> anyhow::Result<Place> {
    let folder = folder.join(name);
    std::fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    let (data_dir, log) = (folder.join("data"), folder.join("server.log"));
    Place::start_in(case, folder, &data_dir, &log, environment)
}

/// A process that cannot start says so upstream: its address is taken.
fn ends_in_boot(case: &Case<'_>, data_dir: &Path, home: &Place, upstream: &str) -> anyhow::Result<()> {
    let listen = home.address.to_string();
    let mut command = std::process::Command::new(case.exe());
    command.arg("--data-dir").arg(data_dir).args(["run", "web", "--listen", &listen]);
    let ended = command.env("VIGIE_SELF_REPORTING__UPSTREAM_DSN", upstream).output().context("start a third")?;
    ensure!(ended.status.code() == Some(1), "a start on a taken address: {}", ended.status);
    Ok(())
}

/// Events of the issue that the unknown task makes.
fn reports(place: &mut Place, project: &str) -> anyhow::Result<u64> {
    let (response, issues) = place.api(&format!("/projects/default/{project}/issues/?query="))?;
    if response.status == 404 {
        return Ok(0);
    }
    let issues = issues.as_array().context("the issues are a list")?;
    let of_task = issues.iter().filter(|issue| issue["title"] == MESSAGE);
    Ok(of_task.filter_map(|issue| issue["count"].as_str()?.parse::<u64>().ok()).sum())
}

/// Name, captured, sent and dropped of each destination.
fn tallies(place: &Place) -> anyhow::Result<Vec<(String, u64, u64, u64)>> {
    let status = place.json(&["status"])?;
    let destinations = status["self_reporting"]["destinations"].as_array().context("destinations")?;
    let tally = |destination: &Value| {
        let number = |name: &str| destination["reports"][name].as_u64().unwrap_or_default();
        let name = destination["destination"].as_str().unwrap_or_default().to_owned();
        (name, number("captured"), number("sent"), number("dropped"))
    };
    Ok(destinations.iter().map(tally).collect())
}
