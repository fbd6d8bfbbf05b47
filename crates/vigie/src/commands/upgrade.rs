//! `vigie upgrade`: migrations, under a lock; safe to run twice.

use super::output;
use crate::config::Config;
use crate::roles;
use std::process::ExitCode;
use stdx::SystemClock;

pub fn run(config: &Config, dry_run: bool) -> anyhow::Result<ExitCode> {
    let pending = store::Stores::pending_migrations(&config.data_dir)?;
    if dry_run || pending.is_empty() {
        let text =
            if pending.is_empty() { "nothing to do: the stores have this release's shape" } else { "would apply:" };
        output::line(text)?;
    }
    if !dry_run {
        roles::open_stores(config, &SystemClock)?;
    }
    for name in &pending {
        output::line(&format!("{}{name}", if dry_run { "  " } else { "applied " }))?;
    }
    Ok(ExitCode::SUCCESS)
}
