//! Retention beside a running server: the dry run says what then goes, the disk comes back, scopes hold, workers and the
//! command itself are killed, and days are dropped while they are written to.

use super::house::{House, signal_to};
use super::{Case, Verdict, eventually};
use anyhow::{Context, ensure};
use bench::event::Shape;
use bench::fill::{Fill, fill};
use bench::load;
use bench::server::Server;
use bench::usage::disk_bytes;
use serde_json::Value;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};
use stdx::{Clock, SystemClock};

const DAYS: i64 = 60;
const KEPT: &str = "30";
/// More than a run of thousands of rows takes in a debug build on a busy machine.
const ENDS_WITHIN: Duration = Duration::from_secs(120);
const DRAIN_WITHIN: Duration = Duration::from_secs(60);

fn filling(days: i64, events_per_day: usize, seed: u64) -> Fill {
    Fill { days, events_per_day, groups: 20, body_bytes: 1_500, attachment_every: 10, seed }
}

/// A server with events of past days in two projects.
fn filled(case: &Case<'_>, shop: Fill, site: Fill) -> anyhow::Result<(House, Server)> {
    let house = House::new(case, &[])?;
    let server = house.server(["run", "all"])?;
    house.text(&["projects", "create", "default/site"])?;
    for (project, what) in [("default/default", shop), ("default/site", site)] {
        fill(&house.data_dir, project, what, SystemClock.now())?;
    }
    Ok((house, server))
}

/// Checks 1 and 4 of the acceptance list.
pub fn whole_days(case: &Case<'_>) -> anyhow::Result<Verdict> {
    let (house, mut server) = filled(case, filling(DAYS, 150, 1), filling(45, 20, 2))?;
    refusals(&house)?;
    let before = disk_bytes(&house.data_dir);
    let said = house.json(&["cleanup", "--days", KEPT, "--dry-run"])?;
    ensure!(said["rows"].as_u64().unwrap_or_default() > 4_500, "the dry run sees what is due: {said}");
    ensure!(said == house.json(&["cleanup", "--days", KEPT, "--dry-run"])?, "a dry run changes nothing");
    let started = Instant::now();
    let done = house.json(&["cleanup", "--days", KEPT, "--concurrency", "2"])?;
    let took = started.elapsed();
    for figure in ["cutoff", "models", "rows", "bytes"] {
        ensure!(said[figure] == done[figure], "{figure}: {} was said, {} was done", said[figure], done[figure]);
    }
    let fell = before.saturating_sub(disk_bytes(&house.data_dir));
    let reported = done["bytes"].as_u64().unwrap_or_default();
    let is_told = |bytes: u64| (reported * 9..=reported * 11).contains(&(bytes * 10));
    ensure!(is_told(fell), "the disk fell by {fell} bytes, {reported} were reported");
    let returned = done["returned_bytes"].as_u64().unwrap_or_default();
    ensure!(is_told(returned), "{returned} bytes were said to have come back, {reported} were reported");
    let (_, issues) = server.api("/projects/default/default/issues/?query=")?;
    let counts =
        issues.as_array().into_iter().flatten().filter_map(|issue| issue["count"].as_str()?.parse::<i64>().ok());
    ensure!(counts.sum::<i64>() == DAYS * 150, "counts stay");
    let page = page(&house, &server, "/issues/1/")?;
    ensure!(page.contains("removed by retention on"), "the issue says that events were removed");
    ensure!(house.json(&["cleanup", "--days", KEPT, "--dry-run"])?["rows"] == 0, "nothing is left");
    house.text(&["check"])?;
    ensure!(server.terminate()?, "SIGTERM did not end in exit code 0");
    house.end();
    Ok(Verdict::Passed(format!("{} rows in {took:.1?}, {reported} bytes reported, {fell} came back", done["rows"])))
}

/// A page as somebody sees it who may see all; it must be there.
fn page(house: &House, server: &Server, path: &str) -> anyhow::Result<String> {
    let (email, password) = ("reader@example.com", "a good password");
    house.text(&[
        "createuser",
        "--email",
        email,
        "--password",
        password,
        "--superuser",
        "--force-update",
        "--no-input",
    ])?;
    let cookie = server.session_cookie(email, password)?;
    let headers = [("Cookie", cookie.as_str()), ("Connection", "close")];
    let response = server.http(&bench::http::request("GET", path, &headers, b""))?;
    ensure!(response.status == 200, "{path}: {}", response.status);
    Ok(response.text().to_string())
}

fn refusals(house: &House) -> anyhow::Result<()> {
    for (arguments, word) in [
        (&["cleanup", "--concurrency", "0"][..], "Minimum concurrency is 1"),
        (&["cleanup", "--days", "0"], "--force"),
        (&["cleanup", "--days", "-3"], "--force"),
        (&["cleanup", "--project", "default/nowhere"], "default/nowhere"),
        (&["cleanup", "--project", "nowhere"], "nowhere"),
        (&["cleanup", "--model", "Evnt"], "Evnt"),
        (&["cleanup", "--project", "default/default", "--model", "Session"], "Session belongs to no project"),
    ] {
        let output = house.run(arguments)?;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.code() == Some(1) && text.contains(word), "{arguments:?}: {} {text}", output.status);
    }
    Ok(())
}

/// Check 2: a scope touches nothing else.
pub fn scopes(case: &Case<'_>) -> anyhow::Result<Verdict> {
    let (house, mut server) = filled(case, filling(40, 60, 1), filling(40, 60, 2))?;
    let site = everything(&mut server, "site")?;
    let scope = ["cleanup", "--project", "default/default", "--days", KEPT];
    let attachments = house.json(&[&scope[..], &["--model", "attachment"]].concat())?;
    let models: Vec<&str> =
        attachments["models"].as_array().into_iter().flatten().filter_map(|m| m["model"].as_str()).collect();
    ensure!(models == ["Attachment"], "one model was asked for: {attachments}");
    let shop = everything(&mut server, "default")?;
    ensure!(shop.len() == 2_400, "its events stay: {}", shop.len());
    let said = house.json(&[&scope[..], &["--dry-run"]].concat())?;
    let done = house.json(&scope)?;
    ensure!(said["models"] == done["models"], "{said} was said, {done} was done");
    let of_others = done["models"].as_array().into_iter().flatten().any(|model| model["project"] != "default/default");
    ensure!(!of_others, "only the project is touched: {done}");
    ensure!(everything(&mut server, "default")?.len() == 30 * 60, "thirty days are left");
    ensure!(everything(&mut server, "site")? == site, "the other project is as it was");
    house.text(&["check"])?;
    ensure!(server.terminate()?, "SIGTERM did not end in exit code 0");
    house.end();
    Ok(Verdict::Passed(format!("{} rows of one project, none of the other", done["rows"])))
}

/// Every listed event of a project, as the API tells it.
fn everything(server: &mut Server, project: &str) -> anyhow::Result<Vec<Value>> {
    let (mut events, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/projects/default/{project}/events/?per_page=100{cursor}");
        let (response, page) = server.api(&path)?;
        events.extend(page.as_array().context("a page of events")?.iter().cloned());
        let Some(next) = response.header("link").and_then(bench::accounts::next_cursor) else { break };
        cursor = format!("&cursor={next}");
    }
    Ok(events)
}

/// Check 3: workers, then the command, are killed.
pub fn kills(case: &Case<'_>) -> anyhow::Result<Verdict> {
    let (house, mut server) = filled(case, filling(45, 400, 1), filling(45, 20, 2))?;
    let arguments = ["cleanup", "--project", "default/default", "--days", "5", "--concurrency", "4", "--json"];
    let command = start(&house, &arguments)?;
    let workers = standing(&command, 4)?;
    eventually("the sweep to begin", ENDS_WITHIN, || {
        let (_, storage) = server.api("/system/storage/")?;
        Ok((storage["sweeps"][0]["state"] == "running").then_some(()))
    })?;
    let second = house.run(&["cleanup"])?;
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    ensure!(
        second.status.code() == Some(1) && said.contains("already running"),
        "two at once: {} {said}",
        second.status
    );
    for worker in workers {
        signal_to(worker, "KILL")?;
    }
    let output = ended(command)?;
    let done: Value = serde_json::from_slice(&output.0).context("read the summary")?;
    ensure!(output.1 == Some(0) && done["skipped"] == 0, "killed workers: {:?} {done}", output.1);
    ensure!(done["retried"].as_u64() >= Some(4), "units went to others: {done}");
    ensure!(rows_of(&done["models"], "default/default") == 40 * 400, "what went is told: {done}");
    ensure!(everything(&mut server, "default")?.len() == 5 * 400, "all due rows are gone");
    // Again over the other project, and this time the command itself dies in the middle.
    fill(&house.data_dir, "default/site", filling(45, 400, 3), SystemClock.now())?;
    let arguments = ["cleanup", "--project", "default/site", "--days", "5", "--concurrency", "2", "--json"];
    let mut command = start(&house, &arguments)?;
    let workers =
        eventually("workers", ENDS_WITHIN, || Ok(Some(workers_of(command.id())).filter(|pids| pids.len() == 2)))?;
    eventually("the first rows to go", ENDS_WITHIN, || {
        let is_over = command.try_wait().context("look at it")?.is_some();
        Ok((is_over || everything(&mut server, "site")?.len() < 45 * 420 - 500).then_some(()))
    })?;
    command.kill().context("kill the command")?;
    command.wait().context("wait for the killed command")?;
    eventually("its workers to end with it", ENDS_WITHIN, || {
        Ok((!workers.iter().any(|pid| std::path::Path::new(&format!("/proc/{pid}/cmdline")).exists())).then_some(()))
    })?;
    house.json(&arguments[..arguments.len() - 1])?;
    ensure!(everything(&mut server, "site")?.len() == 5 * 420, "the next one did what was left");
    let (_, storage) = server.api("/system/storage/")?;
    let told =
        storage["sweeps"].as_array().into_iter().flatten().map(|sweep| rows_of(&sweep["models"], "default/site"));
    let told: Vec<u64> = told.take(2).collect();
    ensure!(told.iter().sum::<u64>() == 40 * 420, "what the killed one removed is told, too: {told:?}");
    unbegun(&house, &mut server)?;
    house.text(&["check"])?;
    ensure!(server.terminate()?, "SIGTERM did not end in exit code 0");
    house.end();
    Ok(Verdict::Passed(format!(
        "{} rows, {} units retried; the command was killed and followed",
        done["rows"], done["retried"]
    )))
}

/// All workers die before they have begun the only unit: more than one unit may cost. It is done all the same.
fn unbegun(house: &House, server: &mut Server) -> anyhow::Result<()> {
    let scope = ["cleanup", "--project", "default/site", "--model", "Event", "--days", "4", "--json"];
    let command = start(house, &[&scope[..], &["--concurrency", "6"]].concat())?;
    for worker in standing(&command, 6)? {
        signal_to(worker, "KILL")?;
    }
    let output = ended(command)?;
    let done: Value = serde_json::from_slice(&output.0).context("read the summary")?;
    ensure!(output.1 == Some(0) && done["skipped"] == 0 && done["units"] == 1, "{:?} {done}", output.1);
    ensure!(rows_of(&done["models"], "default/site") == 420, "one day went: {done}");
    ensure!(everything(server, "site")?.len() == 4 * 420, "and no other");
    Ok(())
}

/// Events of a project that a sweep tells of.
fn rows_of(models: &Value, project: &str) -> u64 {
    let of_project = |model: &&Value| model["model"] == "Event" && model["project"] == project;
    models.as_array().into_iter().flatten().filter(of_project).filter_map(|model| model["rows"].as_u64()).sum()
}

fn start(house: &House, arguments: &[&str]) -> anyhow::Result<Child> {
    let mut command = house.command(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().context("start a cleanup")
}

/// A cleanup's worker processes, brought to a stand: the sweep hands each of them a unit and cannot end before they are
/// killed, however fast the machine is.
fn standing(command: &Child, count: usize) -> anyhow::Result<Vec<u32>> {
    let workers =
        eventually("workers", ENDS_WITHIN, || Ok(Some(workers_of(command.id())).filter(|pids| pids.len() == count)))?;
    for worker in &workers {
        eventually("a worker to stand still", ENDS_WITHIN, || {
            signal_to(*worker, "STOP")?;
            // One that stands still while it opens the stores would hold up all others.
            let is_in_the_way = holds_a_lock(*worker)?;
            if is_in_the_way {
                signal_to(*worker, "CONT")?;
            }
            Ok((!is_in_the_way).then_some(()))
        })?;
    }
    Ok(workers)
}

/// Whether others wait for a process: each line is `N: KIND ADVISORY READ|WRITE PID …`.
fn holds_a_lock(pid: u32) -> anyhow::Result<bool> {
    let locks = std::fs::read_to_string("/proc/locks").context("read the machine's locks")?;
    let is_held = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        words.get(3) == Some(&"WRITE") && words.get(4).is_some_and(|word| word.parse() == Ok(pid))
    };
    Ok(locks.lines().any(is_held))
}

/// Its output and exit code.
fn ended(command: Child) -> anyhow::Result<(Vec<u8>, Option<i32>)> {
    let pid = command.id();
    let (send, receive) = std::sync::mpsc::channel();
    std::thread::spawn(move || send.send(command.wait_with_output()));
    match receive.recv_timeout(ENDS_WITHIN) {
        Ok(output) => output.map(|output| (output.stdout, output.status.code())).context("wait for a cleanup"),
        Err(_) => anyhow::bail!("cleanup {pid} did not end by itself"),
    }
}

/// The worker processes of a cleanup.
fn workers_of(command: u32) -> Vec<u32> {
    let children = std::fs::read_to_string(format!("/proc/{command}/task/{command}/children")).unwrap_or_default();
    children.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// Today's events go again and again while they come: what is counted is stored, or was removed; no page fails.
pub fn writers(case: &Case<'_>) -> anyhow::Result<Verdict> {
    const SHAPE: Shape = Shape { groups: 20, bytes: 2_000 };
    let (house, mut server) = filled(case, filling(3, 50, 1), filling(3, 50, 2))?;
    let dsn = server.dsn("default/default")?;
    let requests = load::prepare(SHAPE, 600, 7, &dsn.project, &dsn.key);
    let address = server.address;
    let sender = std::thread::spawn(move || load::send(address, &requests, 2, Duration::from_secs(60)));
    let (mut sweeps, mut removed) = (0, 0);
    while !sender.is_finished() || sweeps < 3 {
        let done = house.json(&["cleanup", "--days", "0", "--force", "--model", "Event"])?;
        removed += done["rows"].as_u64().unwrap_or_default();
        sweeps += 1;
        for path in ["/", "/issues/1/", "/issues/1/events/"] {
            page(&house, &server, path)?;
        }
    }
    let outcome = sender.join().map_err(|_| anyhow::anyhow!("the sender panicked"))?;
    ensure!(outcome.accepted.len() == 600, "all were accepted: {}", outcome.report());
    server.drained(DRAIN_WITHIN)?;
    house.text(&["check"])?;
    let left = everything(&mut server, "default")?.len() as u64;
    let (_, ledger) = server.api("/system/ledger/")?;
    ensure!(ledger["missing"] == 0, "nothing is missing: {ledger}");
    ensure!(
        removed + left == 600 + 2 * 3 * 50,
        "{removed} were told as removed and {left} are left of 600 and those of before"
    );
    ensure!(server.terminate()?, "SIGTERM did not end in exit code 0");
    house.end();
    Ok(Verdict::Passed(format!("{sweeps} sweeps removed {removed} rows beside 600 events, {left} are left")))
}
