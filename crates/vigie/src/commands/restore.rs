//! `vigie restore DIR`: a backup into an empty data directory. All of it, or nothing: until its end the stores refuse to be
//! opened, and what a failed restore wrote is removed.

use super::output;
use crate::backup::{Backup, QUEUE_FOLDER, SPOOL_FOLDER};
use crate::cli::Restore;
use crate::config::{Config, FILE_NAME};
use crate::{broker, host};
use anyhow::{Context, ensure};
use serde_json::json;
use std::path::Path;
use std::process::ExitCode;
use stdx::ByteSize;
use store::copies;

/// What may lie in a data directory that counts as empty: a disk of its own has the first.
const NOTHING: &[&str] = &["lost+found", FILE_NAME];

pub fn run(config: &Config, input: &Restore) -> anyhow::Result<ExitCode> {
    let data_dir = &config.data_dir;
    let backup = Backup::open(&input.folder)?;
    if input.dry_run {
        backup.verify()?;
        return tell(&backup, data_dir, input).map(|()| ExitCode::SUCCESS);
    }
    prepare(data_dir)?;
    refuse_small(&backup, data_dir)?;
    copies::begin_restore(data_dir)?;
    if let Err(error) = backup.copy_to(data_dir) {
        remove(data_dir);
        return Err(error.context("nothing was restored"));
    }
    copies::end_restore(data_dir)?;
    tell(&backup, data_dir, input)?;
    Ok(ExitCode::SUCCESS)
}

fn prepare(data_dir: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    let attempted = || format!("use the data directory {}", data_dir.display());
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(data_dir).with_context(attempted)?;
    for entry in std::fs::read_dir(data_dir).with_context(attempted)? {
        let name = entry.with_context(attempted)?.file_name().to_string_lossy().into_owned();
        ensure!(
            NOTHING.contains(&name.as_str()),
            "the data directory {} is not empty (it holds {name}): a restore goes into an empty one",
            data_dir.display()
        );
    }
    std::fs::set_permissions(data_dir, std::fs::Permissions::from_mode(0o700)).with_context(attempted)
}

/// Before the first byte, not after the last that fitted.
fn refuse_small(backup: &Backup, data_dir: &Path) -> anyhow::Result<()> {
    let free = host::free_bytes(data_dir).with_context(|| format!("look at the disk of {}", data_dir.display()))?;
    let needed = backup.sums.bytes;
    let (free_size, needed_size) = (ByteSize(free), ByteSize(needed));
    ensure!(needed <= free, "the backup takes {needed_size}, and the disk of {} has {free_size}", data_dir.display());
    Ok(())
}

/// Removes what a restore wrote. What cannot be removed is not a store: the mark of the restore goes last.
fn remove(data_dir: &Path) {
    let parts = ["metadata.sqlite", "events", "blobs", broker::LEDGER, QUEUE_FOLDER, SPOOL_FOLDER];
    let removed = parts.iter().all(|part| {
        let path = data_dir.join(part);
        let removed = if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
        removed.is_ok() || !path.exists()
    });
    if removed && let Err(error) = copies::end_restore(data_dir) {
        tracing::warn!(error = %stdx::causes::on_one_line(&error), "the mark of the failed restore stays");
    }
}

fn tell(backup: &Backup, data_dir: &Path, input: &Restore) -> anyhow::Result<()> {
    let (head, sums) = (&backup.head, backup.sums);
    if input.listing.json {
        return output::json(&json!({
            "data_dir": data_dir.display().to_string(), "made_at": head.made_at, "release": head.release,
            "broker": head.broker, "events": head.events, "files": sums.files, "bytes": sums.bytes,
            "dry_run": input.dry_run,
        }));
    }
    let size = ByteSize(sums.bytes);
    let what = format!("the backup of {} (Vigie {}): {} files, {size}", head.made_at, head.release, sums.files);
    match input.dry_run {
        true => output::line(&format!("{what}: every file is as it was written; nothing was restored"))?,
        false => output::line(&format!("restored {what}, into {}", data_dir.display()))?,
    }
    output::line(&format!("  {} stored events, and what waited in the queue", head.events))?;
    if let Some(jobs) = broker::left_to(&head.broker) {
        output::line(&format!("  not in it: {jobs}"))?;
    }
    if !input.dry_run {
        output::line(&format!("  look at it with   vigie --data-dir {} check", data_dir.display()))?;
    }
    Ok(())
}
