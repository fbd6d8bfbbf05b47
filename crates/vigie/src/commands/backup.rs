//! `vigie backup DIR`: a consistent copy of a running installation, written while events come in.
//!
//! The order is what makes it consistent, without stopping anything: first the queue's records, then the metadata and the
//! days at one moment, then the queue's frames, last the blobs. An event that was accepted before is counted in the
//! metadata, or its job is in the queue's files; if both, it runs again and its fence lets nothing happen twice.

use super::output;
use crate::backup::{self, CONFIGURATION_FILE, Head, Writer};
use crate::broker;
use crate::cli::Backup;
use crate::config::{Config, Flags, explain};
use anyhow::{Context, bail, ensure};
use queue::brokers::amqp::LedgerCopy;
use queue::brokers::embedded::copy::{self, CopiedFile, Copying};
use serde_json::json;
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use stdx::{ByteSize, Clock, SystemClock};
use store::copies::{self, Cut};
use store::sweeps::{self, SweepLock};

/// A cleanup that runs is waited for: none may run while copies are taken.
const CLEANUP_WITHIN: Duration = Duration::from_secs(300);
const PAUSE: Duration = Duration::from_millis(200);
/// A segment of the queue must come and go within milliseconds for one try to fail.
const TRIES_MAX: usize = 20;

pub fn run(config: &Config, flags: &Flags, input: &Backup) -> anyhow::Result<ExitCode> {
    let data_dir = &config.data_dir;
    ensure!(store::Stores::exist(data_dir), "there is no store in {}", data_dir.display());
    refuse_inside(data_dir, &input.folder)?;
    let lock = copies::lock(data_dir)?.with_context(|| format!("another backup of {} runs", data_dir.display()))?;
    let cleanup = hold_cleanups_off(data_dir)?;
    let started = Instant::now();
    let held = hold(data_dir)?;
    let head = Head::now(held.cut.migration()?, broker::kind(config)?, held.cut.events()?, SystemClock.now());
    let mut writer = Writer::begin(&input.folder, &head)?;
    write(&mut writer, data_dir, held)?;
    writer.add(CONFIGURATION_FILE, &mut configuration(flags).as_bytes())?;
    let sums = writer.finish().context("finish the backup")?;
    drop((cleanup, lock));
    let left_out = left_out(&head);
    if input.listing.json {
        let folder = input.folder.display().to_string();
        let seconds = started.elapsed().as_secs_f64();
        output::json(&json!({
            "folder": folder, "made_at": head.made_at, "events": head.events, "files": sums.files, "bytes": sums.bytes,
            "seconds": seconds, "left_out": left_out,
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let size = ByteSize(sums.bytes);
    let took = started.elapsed().as_secs_f64();
    output::line(&format!("backup in {}: {} files, {size}, in {took:.1} s", input.folder.display(), sums.files))?;
    output::line(&format!("  {} stored events; what waits in the queue is in it too", head.events))?;
    for what in left_out {
        output::line(&format!("  not in it: {what}"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What somebody may expect in it, and is not.
fn left_out(head: &Head) -> Vec<String> {
    let mut left_out = vec![format!("vigie.toml and secrets ({CONFIGURATION_FILE} says what was set, for people)")];
    let elsewhere = broker::left_to(&head.broker);
    left_out.extend(elsewhere.map(|jobs| format!("{jobs}: back it up where it runs")));
    left_out
}

/// A backup that lies in the data directory is lost with it.
fn refuse_inside(data_dir: &Path, folder: &Path) -> anyhow::Result<()> {
    let data_dir = data_dir.canonicalize().with_context(|| format!("look at {}", data_dir.display()))?;
    let absolute = std::path::absolute(folder).with_context(|| format!("look at {}", folder.display()))?;
    let there = absolute.ancestors().find_map(|ancestor| ancestor.canonicalize().ok());
    let is_inside = there.is_some_and(|there| there.starts_with(&data_dir));
    ensure!(!is_inside, "{} is in the data directory: a backup goes elsewhere", folder.display());
    Ok(())
}

fn hold_cleanups_off(data_dir: &Path) -> anyhow::Result<SweepLock> {
    let started = Instant::now();
    while started.elapsed() < CLEANUP_WITHIN {
        if let Some(lock) = sweeps::lock(data_dir)? {
            return Ok(lock);
        }
        std::thread::sleep(PAUSE);
    }
    bail!("a cleanup has been running for {} s, and copies cannot be taken beside it", CLEANUP_WITHIN.as_secs())
}

/// All that is copied, as it stood at one moment.
struct Held {
    cut: Cut,
    /// Folders below the data directory, with their files.
    queues: Vec<(String, Vec<CopiedFile>)>,
    ledger: Option<LedgerCopy>,
}

fn hold(data_dir: &Path) -> anyhow::Result<Held> {
    for _ in 0..TRIES_MAX {
        if let Some(held) = try_hold(data_dir)? {
            return Ok(held);
        }
    }
    bail!("the queue's files changed faster than they could be looked at, {TRIES_MAX} times")
}

fn try_hold(data_dir: &Path) -> anyhow::Result<Option<Held>> {
    let mut begun: Vec<(String, Copying)> = Vec::new();
    for folder in queue_folders(data_dir)? {
        let copying = copy::begin(&data_dir.join(&folder)).with_context(|| format!("look at {folder}"))?;
        begun.push((folder, copying));
    }
    let ledger = LedgerCopy::of(&data_dir.join(broker::LEDGER)).context("look at the queue's ledger")?;
    let cut = Cut::of(data_dir)?.with_context(|| format!("there is no store in {}", data_dir.display()))?;
    let mut queues = Vec::new();
    for (folder, copying) in begun {
        let Some(files) = copying.end().with_context(|| format!("look at {folder}"))? else { return Ok(None) };
        queues.push((folder, files));
    }
    Ok(Some(Held { cut, queues, ledger }))
}

/// The queue's folder, and those of spools.
fn queue_folders(data_dir: &Path) -> anyhow::Result<Vec<String>> {
    let mut folders = vec![backup::QUEUE_FOLDER.to_owned()];
    let spools = data_dir.join(backup::SPOOL_FOLDER);
    let entries = match std::fs::read_dir(&spools) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(folders),
        entries => entries.with_context(|| format!("look into {}", spools.display()))?,
    };
    for entry in entries {
        let name = entry.with_context(|| format!("look into {}", spools.display()))?.file_name();
        let name = name.to_string_lossy();
        if backup::is_spool_number(&name) {
            folders.push(format!("{}/{name}", backup::SPOOL_FOLDER));
        }
    }
    Ok(folders)
}

fn write(writer: &mut Writer, data_dir: &Path, held: Held) -> anyhow::Result<()> {
    for (folder, files) in held.queues {
        for CopiedFile { name, file, length } in files {
            writer.add(&format!("{folder}/{name}"), &mut file.take(length))?;
        }
    }
    if let Some(ledger) = held.ledger {
        writer.add_made(broker::LEDGER, |place: &Path| Ok(ledger.copy_to(place)?))?;
    }
    for (path, snapshot) in held.cut.into_files() {
        writer.add_made(&path, |place: &Path| Ok(snapshot.copy_to(place)?))?;
    }
    copies::each_blob(data_dir, |path, mut file| writer.add(&path, &mut file))
}

fn configuration(flags: &Flags) -> String {
    let (keys, _) = explain(flags);
    let line = |key: &crate::config::Explained| format!("{} = {:?}  ({})\n", key.key.name, key.value(), key.place());
    keys.iter().map(line).collect()
}
