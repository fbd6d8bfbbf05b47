//! `cargo xtask sim`: seeds of the queue's simulator, built in release.

use crate::command;
use clap::Args;
use std::process::ExitCode;

/// Seeds that are run if nobody says how many.
const SEEDS: u64 = 10_000;
/// Seeds that `cargo xtask test` runs.
pub const SEEDS_OF_A_TEST: u64 = 2_000;

#[derive(Args)]
pub struct Options {
    /// How many seeds [default: 10000, and 1 with --seed]
    #[arg(long)]
    seeds: Option<u64>,
    /// The first of them; alone, to see a failure again
    #[arg(long)]
    seed: Option<u64>,
}

/// # Errors
/// If a seed breaks a promise, or the simulator cannot be built.
pub fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let seeds = options.seeds.unwrap_or(if options.seed.is_some() { 1 } else { SEEDS });
    run_seeds(seeds, options.seed.unwrap_or(0))?;
    Ok(ExitCode::SUCCESS)
}

/// # Errors
/// As `run`.
pub fn run_seeds(seeds: u64, first: u64) -> anyhow::Result<()> {
    let (seeds, first) = (seeds.to_string(), first.to_string());
    let build = ["run", "--release", "--locked", "--quiet", "--package", "queue", "--example", "sim", "--"];
    command::run("cargo", &[&build[..], &[&seeds, &first]].concat())
}
