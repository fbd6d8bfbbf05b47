//! A disk with not one byte left: what removes events must be able to, for removing writes first. A reserve is given up for
//! it, by `cleanup` without a server and by the governor beside one, and restored when there is room again.

use super::disk_governor::{FILL, free, governed};
use super::full_disk::Disk;
use super::house::House;
use super::place::fresh_folder;
use super::{Case, Verdict, eventually};
use anyhow::{Context, ensure};
use bench::fill::fill;
use std::path::Path;
use std::time::Duration;
use stdx::{Clock, SystemClock};

const DISK_SIZE: &str = "size=160m";
const FREE_MIN: u64 = 10_000_000;
const WITHIN: Duration = Duration::from_secs(60);

pub fn run(case: &Case<'_>) -> anyhow::Result<Verdict> {
    let folder = fresh_folder(case)?;
    let Some(disk) = Disk::mount(&folder.join("disk"), DISK_SIZE)? else {
        return Ok(Verdict::Skipped("a small disk cannot be mounted here (it takes root)".to_owned()));
    };
    let limit = format!("{FREE_MIN}B");
    let house = House::in_folder(case, &folder, "disk/data", &[("VIGIE_DISK__MIN_FREE", &limit)]);
    let reserve = house.data_dir.join("reserve");
    let mut server = house.server(["run", "all"])?;
    has_reserve(&reserve)?;
    fill(&house.data_dir, "default/default", FILL, SystemClock.now())?;
    ensure!(server.terminate()?, "SIGTERM did not end in exit code 0");

    // Nobody has the stores open: opening them already takes room.
    let filler = disk.fill()?;
    ensure!(free(&house.data_dir)? == 0, "the disk is full");
    let done = house.json(&["cleanup", "--days", "6", "--force"])?;
    ensure!(done["rows"].as_u64() >= Some(5_000) && done["skipped"] == 0, "days were removed: {done}");
    let after_cleanup = free(&house.data_dir)?;
    ensure!(after_cleanup > done["bytes"].as_u64().unwrap_or_default() / 10 * 9, "{after_cleanup} came free: {done}");
    std::fs::remove_file(&filler).context("make room")?;
    house.text(&["check"])?;

    let mut server = house.server(["run", "all"])?;
    has_reserve(&reserve)?;
    let filler = disk.fill()?;
    let freed = eventually("room again", WITHIN, || Ok(Some(free(&house.data_dir)?).filter(|free| *free >= FREE_MIN)))?;
    let sweep = governed(&mut server)?;
    std::fs::remove_file(&filler).context("make room")?;
    has_reserve(&reserve)?;
    server.drained(WITHIN)?;
    house.text(&["check"])?;
    ensure!(server.terminate()?, "SIGTERM did not end in exit code 0");
    drop(disk);
    house.end();
    Ok(Verdict::Passed(format!(
        "with 0 bytes free cleanup removed {} rows and the governor {}; {freed} bytes were free then",
        done["rows"], sweep["rows"]
    )))
}

fn has_reserve(path: &Path) -> anyhow::Result<()> {
    eventually("the reserve", WITHIN, || Ok(path.exists().then_some(())))
}
