//! `vigie schedules list`: what runs by the clock.

use crate::cli::Schedules;
use crate::config::Config;
use std::process::ExitCode;

pub fn run(_config: &Config, _command: &Schedules) -> anyhow::Result<ExitCode> {
    anyhow::bail!("wait")
}
