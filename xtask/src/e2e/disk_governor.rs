//! A small disk that somebody else fills: below `disk.min-free` events that repeat others go until enough is free, beside
//! a server that takes events; each issue keeps its first and its last one; and when no more can go, that is said.

use super::full_disk::Disk;
use super::house::House;
use super::place::fresh_folder;
use super::{Case, Verdict, eventually};
use anyhow::{Context, ensure};
use bench::event::{self, Shape};
use bench::fill::{Fill, fill};
use bench::http::{Connection, request};
use bench::random::Random;
use bench::server::{Dsn, Server};
use serde_json::Value;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Duration;
use stdx::{Clock, SystemClock};

const DISK_SIZE: &str = "size=128m";
const MIB: u64 = 1 << 20;
const FREE_MIN: u64 = 40_000_000;
/// A quarter more than the limit is where it ends; the queue may take some of it again.
const FREE_AT_THE_END: u64 = FREE_MIN / 100 * 120;
/// Days whose removal gives much room.
pub const FILL: Fill =
    Fill { days: 12, events_per_day: 1_000, groups: 20, body_bytes: 3_000, attachment_every: 0, seed: 1 };
const SHAPE: Shape = Shape { groups: 5, bytes: 2_000 };
const GOVERNED_WITHIN: Duration = Duration::from_secs(60);
const DRAIN_WITHIN: Duration = Duration::from_secs(60);

/// Waits for the governor to be done, and returns what it wrote down.
pub fn governed(server: &mut Server) -> anyhow::Result<Value> {
    eventually("the sweep to be written down", GOVERNED_WITHIN, || {
        let (_, storage) = server.api("/system/storage/")?;
        let sweep = storage["sweeps"][0].clone();
        Ok((sweep["origin"] == "governor" && sweep["state"] == "done").then_some(sweep))
    })
}

pub fn run(case: &Case<'_>) -> anyhow::Result<Verdict> {
    let folder = fresh_folder(case)?;
    let Some(_disk) = Disk::mount(&folder.join("disk"), DISK_SIZE)? else {
        return Ok(Verdict::Skipped("a small disk cannot be mounted here (it takes root)".to_owned()));
    };
    let limit = format!("{FREE_MIN}B");
    let house = House::in_folder(case, &folder, "disk/data", &[("VIGIE_DISK__MIN_FREE", &limit)]);
    let mut server = house.server(["run", "all"])?;
    fill(&house.data_dir, "default/default", FILL, SystemClock.now())?;
    let first = ends(&mut server)?;
    let dsn = server.dsn("default/default")?;
    let before = free(&house.data_dir)?;
    ensure!(before > FREE_MIN / 100 * 110, "it begins with room: {before}");
    // Somebody else takes what is above nine tenths of the limit.
    let filler = take(&folder, before - FREE_MIN / 10 * 9)?;
    let freed = eventually("room again", GOVERNED_WITHIN, || {
        Ok(Some(free(&house.data_dir)?).filter(|free| *free >= FREE_AT_THE_END))
    })?;
    ensure!(send(&server, &dsn)? == 200, "events are taken");
    let sweep = governed(&mut server)?;
    ensure!(ends(&mut server)? == first, "each issue has its first and its last event");
    server.drained(DRAIN_WITHIN)?;
    house.text(&["check"])?;
    exhaust(&house, &server, &folder)?;
    std::fs::remove_file(folder.join("disk/more")).context("make room")?;
    std::fs::remove_file(filler).context("make room")?;
    eventually("events to be taken again", GOVERNED_WITHIN, || Ok((send(&server, &dsn)? == 200).then_some(())))?;
    eventually("/health/ready to say 200", GOVERNED_WITHIN, || Ok((ready(&server)?.0 == 200).then_some(())))?;
    server.drained(DRAIN_WITHIN)?;
    house.text(&["check"])?;
    ensure!(server.terminate()?, "SIGTERM did not end in exit code 0");
    drop(_disk);
    house.end();
    Ok(Verdict::Passed(format!(
        "{} events went, {} bytes came back, {} MiB free again; the rest was said to stay",
        sweep["rows"],
        sweep["returned_bytes"],
        freed / MIB
    )))
}

/// Takes so much that not all events together could make room: somebody is told to act.
fn exhaust(house: &House, server: &Server, folder: &Path) -> anyhow::Result<()> {
    let mut file = File::create(folder.join("disk/more")).context("make a filler")?;
    let (_, said) = eventually("/health/ready to name the disk", GOVERNED_WITHIN, || {
        // What the governor gives back is taken again.
        while free(&house.data_dir)? > FREE_MIN / 4 {
            file.write_all(&vec![0_u8; MIB as usize]).context("fill the disk")?;
        }
        Ok(Some(ready(server)?).filter(|(status, said)| *status == 503 && said.contains("make room")))
    })?;
    ensure!(said.contains("disk.min-free"), "{said}");
    Ok(())
}

/// The oldest and the newest event of each issue.
fn ends(server: &mut Server) -> anyhow::Result<Vec<(String, String, String)>> {
    let (_, issues) = server.api("/projects/default/default/issues/?query=title:Filled&per_page=100")?;
    let mut ends = Vec::new();
    for issue in issues.as_array().context("a list of issues")? {
        let id = issue["id"].as_str().context("an issue's id")?.to_owned();
        let mut end = |which: &str| -> anyhow::Result<String> {
            let (_, event) = server.api(&format!("/issues/{id}/events/{which}/"))?;
            Ok(event["eventID"].as_str().context("an event's id")?.to_owned())
        };
        ends.push((id.clone(), end("oldest")?, end("latest")?));
    }
    ends.sort_unstable();
    ensure!(ends.len() == FILL.groups, "{} issues", ends.len());
    Ok(ends)
}

fn ready(server: &Server) -> anyhow::Result<(u16, String)> {
    let response = server.http(&request("GET", "/health/ready", &[("Connection", "close")], b""))?;
    Ok((response.status, response.text().to_string()))
}

fn send(server: &Server, dsn: &Dsn) -> anyhow::Result<u16> {
    let prepared = event::prepare(SHAPE, &mut Random::new(9), SystemClock.now(), &dsn.project, &dsn.key);
    let mut connection = Connection::new(server.address, GOVERNED_WITHIN);
    Ok(connection.send(&prepared.request).context("send an event")?.status)
}

/// Takes so many bytes of the disk.
fn take(folder: &Path, bytes: u64) -> anyhow::Result<std::path::PathBuf> {
    let path = folder.join("disk/filler");
    let mut file = File::create(&path).context("make a filler")?;
    for _ in 0..bytes / MIB {
        file.write_all(&vec![0_u8; MIB as usize]).context("fill the disk")?;
    }
    Ok(path)
}

pub(super) fn free(folder: &Path) -> anyhow::Result<u64> {
    let text =
        std::process::Command::new("df").args(["--output=avail", "-B1"]).arg(folder).output().context("run df")?;
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    text.lines().nth(1).and_then(|line| line.trim().parse().ok()).context("read what df says")
}
