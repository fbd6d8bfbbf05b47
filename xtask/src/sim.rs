//! `cargo xtask sim`: seeds of the queue's simulator, built in release.

use crate::command;
use clap::Args;
use std::process::ExitCode;

/// Seeds that `cargo xtask test` runs.
pub const SEEDS_OF_A_TEST: u64 = 2_000;

#[derive(Args)]
pub struct Options {
    /// How many seeds
    #[arg(long, default_value_t = 10_000)]
    seeds: u64,
    /// One seed alone, to see a failure again
    #[arg(long)]
    seed: Option<u64>,
}

/// # Errors
/// If a seed breaks a promise, or the simulator cannot be built.
pub fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let (seeds, first) = options.seed.map_or((options.seeds, 0), |seed| (1, seed));
    run_seeds(seeds, first)?;
    Ok(ExitCode::SUCCESS)
}

/// # Errors
/// As `run`.
pub fn run_seeds(seeds: u64, first: u64) -> anyhow::Result<()> {
    let (seeds, first) = (seeds.to_string(), first.to_string());
    let build = ["run", "--release", "--locked", "--quiet", "--package", "queue", "--example", "sim", "--"];
    command::run("cargo", &[&build[..], &[&seeds, &first]].concat())
}
